//! Commands: what they are given, where they run, and what of that nobody is to be told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::profile::raw::{self, At};
use crate::yaml::Place;

use super::super::service::Exec;
use super::Parts;

/// A command with what was written for its environment, the strongest first.
pub(super) fn exec<'a>(
    written: &raw::Exec,
    variables: impl IntoIterator<Item = &'a raw::Variable>,
    cwd: PathBuf,
) -> Exec {
    let mut hidden = written.hidden.clone();
    let mut env = BTreeMap::new();
    for raw::Variable {
        name,
        value,
        hidden: more,
    } in variables
    {
        if !env.contains_key(&name.value) {
            hidden.extend_from_slice(more);
            env.insert(name.value.clone(), value.value.clone());
        }
    }
    Exec {
        command: written.command.value.clone(),
        shown: written.shown.clone(),
        env,
        cwd,
        hidden,
    }
}

/// Where a command runs: in the directory that is named, else in that of the file that says what is run (`own`); what a
/// profile says is run beside the inventory.
pub(super) fn cwd(
    parts: &Parts<'_>,
    written: &raw::Exec,
    own: bool,
    named: Option<&At<PathBuf>>,
) -> PathBuf {
    match named {
        // Without the `.` at the end that `cwd: .` leaves.
        Some(cwd) => cwd.value.components().collect(),
        None if own => directory(&written.command.place),
        None => directory(&parts.raw.name.place),
    }
}

/// That of the file in which something is written.
pub(super) fn directory(place: &Place) -> PathBuf {
    place.file.path.parent().unwrap_or(Path::new("")).to_owned()
}
