//! `healthctl validate`: reports every problem of inventories and profiles.

use std::path::PathBuf;

use super::{Context, Error, environment};
use crate::exit::Exit;
use crate::inventory::{self, ValidationResult};

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
        match result.summary {
            Ok(summary) => context.print(&format!("{summary}\n"))?,
            Err(summary) => context.message(&summary),
        }
    }
    Ok(exit)
}
