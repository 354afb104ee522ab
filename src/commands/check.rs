//! `healthctl check`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl check`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`check` is not supported yet"))
}
