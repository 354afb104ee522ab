//! `healthctl list`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl list`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`list` is not supported yet"))
}
