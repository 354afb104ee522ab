//! Probes by a command: exit status 0 is good.

use crate::yaml::{Entry, Problems};

use super::super::annotated::AnnotatedYaml;
pub(crate) use super::super::raw::command::RawExec;
use super::super::raw::command::{self, Exec};
use super::super::raw::secret::Variables;
use super::super::setting::Levels;
use super::context::{KindContext, ProbeSpec, RawKind};

impl RawKind for RawExec {
    type Spec = Exec;

    const KEYS: &'static [&'static str] = &["env", "cwd", "max_body"];

    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        Self::read_limited(entry, problems)
    }

    fn resolve(
        levels: Levels<'_, '_, Self>,
        context: &KindContext<'_>,
        _problems: &mut Problems,
    ) -> Option<Exec> {
        command::resolve(levels, &context.exec_settings, &context.service.place)
    }

    fn show(
        spec: &Exec,
        levels: Levels<'_, '_, Self>,
        context: &KindContext<'_>,
        out: &mut AnnotatedYaml,
    ) {
        command::show(spec, levels, &context.exec_settings, out);
    }
}

impl ProbeSpec for Exec {
    fn target(&self) -> String {
        self.shown.join(" ")
    }

    fn add_variables(&mut self, variables: &Variables) {
        Self::add_variables(self, variables);
    }
}
