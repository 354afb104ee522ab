//! The merge of the files of an inventory: included files stand side by side, and each named file is laid over the
//! one before.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry as Slot;

use crate::profile::extends::KEYS;
use crate::profile::raw::options::RawOptions;
use crate::profile::raw::secret::Variables;
use crate::yaml::{Entry, Place, Problem, Problems};

use super::includes::ParsedFile;
use super::raw::{RawFile, RawInventory, RawService, no_services};

/// A service or a profile as far as it has been merged.
#[derive(Debug)]
struct MergedEntry {
    entry: Entry,
    /// The files whose `defaults` hold for it, the weakest first.
    defaults: Vec<usize>,
    variables: Arc<Variables>,
}

type EntriesByName = IndexMap<String, MergedEntry>;

/// Merges all files and reports mistakes to `problems`.
pub(super) fn merge(documents: Vec<ParsedFile>, problems: &mut Problems) -> RawInventory {
    let reported = problems.error_count();
    let mut defaults: Vec<RawOptions> = Vec::with_capacity(documents.len());
    let (mut services, mut profiles) = (EntriesByName::new(), EntriesByName::new());
    let mut roots: Vec<usize> = Vec::new();
    let mut begins: Option<Place> = None;
    let mut documents = documents.into_iter().enumerate().peekable();
    while let Some((root, document)) = documents.next() {
        let number = document.root;
        let (mut own_services, mut own_profiles) = (EntriesByName::new(), EntriesByName::new());
        let mut next = Some(document);
        while let Some(mut document) = next {
            let file = RawFile::read(&mut document.node, problems).unwrap_or_default();
            defaults.push(file.defaults);
            begins = begins.or(file.begins);
            for (what, entries, into) in [
                ("service", file.services, &mut own_services),
                ("profile", file.profiles, &mut own_profiles),
            ] {
                for entry in entries {
                    let merged = MergedEntry {
                        entry,
                        defaults: document.chain.clone(),
                        variables: Arc::clone(&document.variables),
                    };
                    add(into, merged, what, problems);
                }
            }
            next = documents
                .next_if(|(_, document)| document.root == number)
                .map(|(_, document)| document);
        }
        lay(&mut services, own_services, root, &roots);
        lay(&mut profiles, own_profiles, root, &roots);
        roots.push(root);
    }
    if services.is_empty()
        && problems.error_count() == reported
        && let Some(place) = begins
    {
        problems.push(no_services(&place));
    }
    let services = services.into_values().filter_map(|merged| {
        let mut service = RawService::read(&merged.entry, problems)?;
        service.defaults = merged.defaults;
        service.variables = merged.variables;
        Some(service)
    });
    RawInventory {
        services: services.collect(),
        defaults,
        profiles: profiles.into_values().map(|merged| merged.entry).collect(),
    }
}

/// Adds an entry of a file. Within a named file and its includes, each name is there once.
fn add(into: &mut EntriesByName, merged: MergedEntry, what: &str, problems: &mut Problems) {
    match into.entry(merged.entry.key.clone()) {
        Slot::Vacant(slot) => {
            slot.insert(merged);
        }
        Slot::Occupied(first) => Problem::at(
            &merged.entry.key_place,
            format!("there is a {what} `{}` already", merged.entry.key),
        )
        .label("here again")
        .related(&first.get().entry.key_place, "first here")
        .hint("give one of them another name")
        .report(problems),
    }
}

/// Lays a named file, with what it includes, over those before it.
fn lay(below: &mut EntriesByName, above: EntriesByName, root: usize, before: &[usize]) {
    for (name, merged) in below.iter_mut() {
        if !above.contains_key(name) {
            merged.defaults.push(root);
        }
    }
    for (name, mut over) in above {
        let Some(under) = below.get_mut(&name) else {
            over.defaults.splice(0..0, before.iter().copied());
            below.insert(name, over);
            continue;
        };
        under.entry.value.lay(over.entry.value, KEYS);
        under.defaults.extend(over.defaults);
        if !over.variables.is_empty() {
            let variables = Arc::unwrap_or_clone(over.variables);
            Arc::make_mut(&mut under.variables).extend(variables);
        }
    }
}
