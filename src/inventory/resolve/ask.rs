//! How a probe asks: the strongest place that says so, with what the others add to it.

use crate::profile::raw::{self, Way};
use crate::yaml::Problems;

use super::super::service::ProbeKind;
use super::layers::Layer;
use super::{Parts, assemble, command};

/// The two places that may say something of one probe.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Said<'a> {
    pub(in super::super) own: Option<&'a raw::Probe>,
    pub(in super::super) of_profile: Option<&'a raw::Probe>,
}

impl<'a> Said<'a> {
    /// What is said of the probe of this name.
    pub(in super::super) fn of(name: &str, parts: &Parts<'a>) -> Self {
        let mut own = parts.raw.probes.iter();
        Self {
            own: own.find(|probe| probe.name.value == name),
            of_profile: parts.profile.and_then(|profile| profile.probes.get(name)),
        }
    }

    /// The stronger one first.
    pub(super) fn each(self) -> impl Iterator<Item = &'a raw::Probe> + Clone {
        [self.own, self.of_profile].into_iter().flatten()
    }

    /// How it is asked.
    pub(super) fn way(self) -> Option<Way> {
        self.each().find_map(raw::Probe::way)
    }
}

/// What is asked; nothing where it has nowhere to go, which is told.
pub(super) fn kind(
    parts: &Parts<'_>,
    said: Said<'_>,
    way: Way,
    layers: &[Layer<'_>],
    what: &str,
    problems: &mut Problems,
) -> Option<ProbeKind> {
    // What the key means depends on how the profile asks, so only here can it be told.
    if let Some(own) = said.own.filter(|own| own.way().is_none()) {
        own.check_keys(way, problems);
    }
    match way {
        Way::Http => {
            let request = assemble::request(parts, layers, what, "GET", problems)?;
            Some(ProbeKind::Http(Box::new(request)))
        }
        Way::Tcp => {
            let to = &said.each().find_map(|probe| probe.tcp.as_ref())?.value;
            Some(ProbeKind::Tcp {
                host: to.host.clone(),
                port: to.port,
            })
        }
        Way::Exec => exec(parts, said),
    }
}

fn exec(parts: &Parts<'_>, said: Said<'_>) -> Option<ProbeKind> {
    let exec = said.each().find_map(|probe| probe.exec.as_ref())?;
    let own = said.own.is_some_and(|own| own.exec.is_some());
    let cwd = said.each().find_map(|probe| probe.cwd.as_ref());
    let env = said.each().flat_map(|probe| &probe.env);
    let cwd = command::cwd(parts, exec, own, cwd);
    Some(ProbeKind::Exec(command::exec(exec, env, cwd)))
}
