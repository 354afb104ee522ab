//! `healthctl init`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl init`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`init` is not supported yet"))
}
