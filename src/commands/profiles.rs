//! `healthctl profiles`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `profiles`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl profiles`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`profiles` is not supported yet"))
}
