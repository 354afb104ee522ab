//! `healthctl shutdown`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `shutdown`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl shutdown`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`shutdown` is not supported yet"))
}
