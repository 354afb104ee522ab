//! The interface of a probe kind, and the context of the probe in which it is resolved.

use crate::yaml::{Entry, Place, Problems};

use super::super::annotated::AnnotatedYaml;
use super::super::raw::command::RawExecSettings;
use super::super::raw::request::RawRequest;
use super::super::raw::secret::Variables;
use super::super::setting::{Level, Levels, Spanned};
use super::super::{HostPort, Target};

/// A probe kind as written.
pub(crate) trait RawKind: Sized {
    /// The question with everything that it needs.
    type Spec: ProbeSpec;

    /// The keys that this kind accepts beside its own, without those that every kind accepts.
    const KEYS: &'static [&'static str];

    /// Reads the value of the key that names the kind.
    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self>;

    /// Merges the levels. Returns `None` where the question has nowhere to go, which is reported.
    fn resolve(
        levels: Levels<'_, '_, Self>,
        context: &KindContext<'_>,
        problems: &mut Problems,
    ) -> Option<Self::Spec>;

    /// Shows the keys that name the question.
    fn show(
        spec: &Self::Spec,
        levels: Levels<'_, '_, Self>,
        context: &KindContext<'_>,
        out: &mut AnnotatedYaml,
    );

    /// Returns the place of the setting, such as `method: HEAD`, by which no response has a body.
    fn without_body<'a>(_levels: Levels<'_, 'a, Self>) -> Option<&'a Place> {
        None
    }
}

/// The resolved question of a probe.
pub(crate) trait ProbeSpec {
    /// Returns the target as it is shown: without its password, but with control characters, which the caller removes.
    fn target(&self) -> String;

    /// Lets the question use the variables of an `env_file`, where it has secrets or an environment.
    fn add_variables(&mut self, _variables: &Variables) {}

    /// Returns the address that is connected to, if any.
    fn address(&self) -> Option<ProbeAddress<'_>> {
        None
    }
}

/// The address that a question connects to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ProbeAddress<'a> {
    Http(&'a Target),
    Tcp(&'a HostPort),
}

/// The service of a probe or an action, as far as requests and commands depend on it.
#[derive(Debug, Clone)]
pub(crate) struct KindContext<'a> {
    /// The name of the service.
    pub(crate) service: &'a Spanned<String>,
    pub(crate) url: Option<&'a Spanned<Target>>,
    /// Set where a `url` is written, even if it could not be read.
    pub(crate) has_url: bool,
    /// The probe or action, for messages: `` the action `reload` ``.
    pub(crate) what: String,
    pub(crate) default_method: &'static str,
    /// The levels, the weakest first.
    pub(crate) requests: Vec<(Level<'a>, &'a RawRequest)>,
    pub(crate) exec_settings: Vec<(Level<'a>, &'a RawExecSettings)>,
}
