//! From files to services, or to every problem with its place.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::yaml::{Problem, Problems};

use super::library::{Known, Library};
use super::{Chosen, Inventory, Surroundings, raw, resolve, source};

/// An inventory that can be worked with.
#[derive(Debug)]
pub struct Loaded {
    /// The services.
    pub inventory: Inventory,
    /// What a user should know all the same.
    pub warnings: Problems,
    pub(super) raw: raw::Inventory,
    /// The profile of each service that has one, by the name of the service.
    pub(super) profiles: IndexMap<String, Known>,
}

/// Reads, resolves and checks an inventory.
///
/// # Errors
///
/// Every mistake in it, and the warnings with them.
pub fn load(chosen: Chosen, around: &Surroundings<'_>) -> Result<Loaded, Problems> {
    let mut problems = chosen.warnings;
    let loaded = match chosen.files.as_slice() {
        [file] => load_file(file, chosen.found, around, &mut problems),
        [] => None,
        [_, second, ..] => {
            problems.push(
                Problem::general(format!(
                    "several inventories laid over each other are not supported yet: `-f {}`",
                    second.display()
                ))
                .hint("give `-f` once"),
            );
            None
        }
    };
    match loaded {
        Some(loaded) if !problems.has_errors() => Ok(Loaded {
            warnings: problems,
            ..loaded
        }),
        _ => Err(problems),
    }
}

fn load_file(
    path: &Path,
    found: bool,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Loaded> {
    let file = match source::read(path, around) {
        Ok(file) => file,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    let before = problems.error_count();
    let Some(node) = source::tree(&file, around, problems) else {
        if problems.error_count() == before {
            problems.push(
                Problem::general(format!("`{}` is empty", file.path.display()))
                    .hint("`healthctl init --stdout` shows an example"),
            );
        }
        return None;
    };
    let raw = raw::Inventory::read(&node, problems)?;
    let beside = path.parent().unwrap_or(Path::new(""));
    let library = Library::new(beside, found, around);
    let mut loaded = resolve_all(raw, library, around, problems);
    loaded.inventory.files.push(path.to_owned());
    Some(loaded)
}

/// Resolves every service of a raw inventory.
pub(super) fn resolve_all(
    raw: raw::Inventory,
    mut library: Library,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Loaded {
    library.define(&raw.profiles, problems);
    resolve::check_dependencies(&raw.services, problems);
    let mut inventory = Inventory::default();
    let mut profiles = IndexMap::new();
    for service in &raw.services {
        let known = service
            .profile
            .as_ref()
            .and_then(|name| library.get(name, around, problems));
        let parts = resolve::Parts {
            defaults: &raw.defaults,
            profile: known.as_ref().map(|known| &*known.profile),
            profile_missing: known.is_none() && service.profile.is_some(),
            raw: service,
        };
        let resolved = resolve::service(&parts, problems);
        if let Some(known) = known {
            profiles.insert(resolved.name.clone(), known);
        }
        inventory
            .services
            .insert(resolved.name.clone(), Arc::new(resolved));
    }
    Loaded {
        inventory,
        warnings: Problems::default(),
        raw,
        profiles,
    }
}
