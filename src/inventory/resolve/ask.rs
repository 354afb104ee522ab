//! How a probe asks: the strongest place that says so, with what the others add to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::profile::raw::{self, Way};
use crate::yaml::Problems;

use super::super::service::ProbeKind;
use super::layers::Layer;
use super::{Parts, assemble};

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
    let mut env = BTreeMap::new();
    for (name, value) in said.each().flat_map(|probe| &probe.env) {
        env.entry(name.value.clone())
            .or_insert_with(|| value.value.clone());
    }
    let cwd = said.each().find_map(|probe| probe.cwd.as_ref());
    Some(ProbeKind::Exec {
        command: exec.command.value.clone(),
        shown: exec.shown.clone(),
        env,
        cwd: cwd.map_or_else(|| beside(parts, said, exec), |cwd| cwd.value.clone()),
    })
}

/// The directory of the file that says what is run; what a profile says is run beside the inventory.
fn beside(parts: &Parts<'_>, said: Said<'_>, exec: &raw::Exec) -> PathBuf {
    let own = said.own.is_some_and(|own| own.exec.is_some());
    let place = if own {
        &exec.command.place
    } else {
        &parts.raw.name.place
    };
    let directory = place.file.path.parent();
    directory.unwrap_or(Path::new("")).to_owned()
}
