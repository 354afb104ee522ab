//! From files to services, or to every problem with its place.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::profile::Profile;
use crate::profile::raw::options::RawSharedSettings;
use crate::profile::raw::secret::Variables;
use crate::profile::setting::Level;
use crate::yaml::Problems;

use super::environment::Environment;
use super::find::InventoryFiles;
use super::includes::read_files;
use super::levels::ServiceLevels;
use super::merge::merge;
use super::profiles::ProfileLoader;
use super::raw::{RawInventory, RawService};
use super::service::{Inventory, Means, RawServiceSettings, Service, ServiceActions};
use super::{checks, probes};

/// An inventory that can be worked with.
#[derive(Debug)]
pub(crate) struct LoadedInventory {
    pub(crate) inventory: Inventory,
    pub(crate) warnings: Problems,
    pub(super) raw: RawInventory,
    /// The profile of each service that has one, by the name of the service.
    profiles: IndexMap<String, Arc<Profile>>,
}

impl LoadedInventory {
    /// Returns the levels of a service of this inventory.
    pub(super) fn levels<'a>(&'a self, raw: &'a RawService) -> ServiceLevels<'a> {
        ServiceLevels {
            defaults: self.raw.defaults_of(raw),
            profile: self.profiles.get(&raw.name.value).map(|profile| &**profile),
            profile_missing: false,
            raw,
        }
    }
}

/// Reads, resolves and checks an inventory.
///
/// # Errors
///
/// Every mistake in it, and the warnings with them.
pub(crate) fn load(
    chosen: InventoryFiles,
    environment: &Environment<'_>,
) -> Result<LoadedInventory, Problems> {
    let mut problems = chosen.warnings;
    let documents = read_files(&chosen.files, chosen.found, environment, &mut problems);
    let included = documents.iter().filter(|document| document.chain.len() > 1);
    let included: Vec<_> = included.map(|document| document.path.clone()).collect();
    let raw = merge(documents, &mut problems);
    let profiles = ProfileLoader::new(&chosen.files, chosen.found, environment);
    let mut loaded = resolve_all(raw, profiles, &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    let (services, raw) = (&loaded.inventory.services, &loaded.raw.services);
    checks::check_addresses(services, raw, &mut problems);
    checks::check_pid_files(services, raw, &mut problems);
    loaded.inventory.files = chosen.files;
    loaded.inventory.files.extend(included);
    loaded.warnings = problems;
    Ok(loaded)
}

/// Resolves every service of a raw inventory.
pub(super) fn resolve_all(
    raw: RawInventory,
    mut loader: ProfileLoader<'_>,
    problems: &mut Problems,
) -> LoadedInventory {
    loader.define(&raw.profiles, problems);
    checks::check_dependencies(&raw.services, problems);
    let mut inventory = Inventory::default();
    let mut profiles = IndexMap::new();
    for service in &raw.services {
        let named = service.settings.profile.as_ref();
        let profile = named.and_then(|name| loader.get(name, problems));
        let levels = ServiceLevels {
            defaults: raw.defaults_of(service),
            profile: profile.as_deref(),
            profile_missing: profile.is_none() && named.is_some(),
            raw: service,
        };
        let resolved = resolve(&levels, problems);
        let name = resolved.name.clone();
        inventory.services.insert(name.clone(), Arc::new(resolved));
        profiles.extend(profile.map(|profile| (name, profile)));
    }
    LoadedInventory {
        inventory,
        warnings: Problems::default(),
        raw,
        profiles,
    }
}

/// Resolves a service; what is wrong goes to `problems`.
fn resolve(levels: &ServiceLevels<'_>, problems: &mut Problems) -> Service {
    let raw = levels.raw;
    let own = [(Level::Service { own: false }, &raw.settings)];
    let start = raw.settings.start.as_ref();
    let declared = start.map_or(&raw.name.place, |start| &start.place);
    let mut service = Service {
        name: raw.name.value.clone(),
        declared_in: declared.file.path.clone(),
        probes: probes::resolve(levels, problems),
        actions: ServiceActions::resolve(levels, problems),
        start_period: RawSharedSettings::resolve(&levels.shared()).start_period,
        ..RawServiceSettings::resolve(&own)
    };
    checks::check_hot_reload(&service, raw, problems);
    checks::check_restart_on(&service, raw, problems);
    if !raw.broken_probes && !levels.profile_missing {
        checks::check_required(&service, raw, problems);
    }
    if !raw.variables.is_empty() {
        add_variables(&mut service, &raw.variables);
    }
    service
}

/// Lets the commands and the secrets of a service use the variables of an `env_file`.
fn add_variables(service: &mut Service, variables: &Variables) {
    for probe in &mut service.probes {
        probe.kind.add_variables(variables);
    }
    let start = service.start.iter_mut().map(|start| &mut start.exec);
    for exec in start.chain(service.on_change.iter_mut().map(|hook| &mut hook.exec)) {
        exec.add_variables(variables);
    }
    let actions = &mut service.actions;
    let actions = [
        &mut actions.shutdown,
        &mut actions.schedule,
        &mut actions.reload,
        &mut actions.restart,
    ];
    for action in actions.into_iter().flatten() {
        match &mut action.means {
            Means::Http(request) => request.add_variables(variables),
            Means::Exec(exec) => exec.add_variables(variables),
            Means::Signal(_) => {}
        }
    }
}
