//! From files to services, or to every problem with its place.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::yaml::Problems;

use super::combine::combine;
use super::gather::gather;
use super::library::{Known, Library};
use super::{Chosen, Inventory, Surroundings, raw, resolve};

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
    let documents = gather(&chosen.files, chosen.found, around, &mut problems);
    let included = documents.iter().filter(|document| document.chain.len() > 1);
    let included: Vec<_> = included.map(|document| document.path.clone()).collect();
    let raw = combine(documents, &mut problems);
    let library = Library::new(&chosen.files, chosen.found, around);
    let mut loaded = resolve_all(raw, library, around, &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    loaded.inventory.files = chosen.files;
    loaded.inventory.files.extend(included);
    loaded.warnings = problems;
    Ok(loaded)
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
        let defaults = raw.defaults_of(service);
        let parts = resolve::Parts {
            defaults: &defaults,
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
