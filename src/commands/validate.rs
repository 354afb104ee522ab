//! `healthctl validate`: reports every problem of inventories and profiles.

use std::path::{Path, PathBuf};

use super::{Context, Error, environment};
use crate::exit::Exit;
use crate::host::mtime::matching_files;
use crate::inventory::{self, Service, ValidationResult};
use crate::text;

/// The flags of `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Inventories and profiles to check; the inventory in use, with the profiles beside it, when left out.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[expect(clippy::unused_async, reason = "every command is run in the same way")]
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let results = environment::with(|environment| -> Result<Vec<ValidationResult>, Error> {
        if !args.files.is_empty() {
            return Ok(inventory::validate_files(&args.files, environment));
        }
        let chosen =
            inventory::find(&context.global.file, environment).map_err(Error::Inventory)?;
        Ok(inventory::validate(chosen, environment))
    })?;
    let mut exit = Exit::Done;
    for result in results {
        context.print_problems(&result.problems);
        if result.problems.has_errors() {
            exit = Exit::Usage;
        }
        for service in &result.services {
            for warning in without_files(service) {
                context.message(&warning);
            }
        }
        match result.summary {
            Ok(summary) => context.print(&format!("{summary}\n"))?,
            Err(summary) => context.message(&summary),
        }
    }
    Ok(exit)
}

/// Returns a warning for each pattern of the service that matches no file now: a change of such files is never told.
fn without_files(service: &Service) -> Vec<String> {
    let keys = [
        ("sources", &service.sources),
        ("config_files", &service.config_files),
    ];
    let declared = keys
        .into_iter()
        .filter_map(|(key, files)| Some((key, files.as_ref()?)));
    let patterns = declared.flat_map(|(key, files)| {
        let patterns = files.patterns.iter();
        patterns.map(move |pattern| (key, &files.root, pattern))
    });
    let has_none = |root: &Path, pattern: &String| {
        matching_files(root, std::slice::from_ref(pattern)).is_ok_and(|it| it.newest.is_none())
    };
    patterns
        .filter(|(_, root, pattern)| has_none(root, pattern))
        .map(|(key, root, pattern)| {
            let text = format!(
                "warning: {}: `{key}`: `{pattern}` matches no file in {}",
                service.name,
                root.display()
            );
            text::clean(&text, 400)
        })
        .collect()
}
