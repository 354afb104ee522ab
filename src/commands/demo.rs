//! `healthctl demo`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl demo`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`demo` is not supported yet"))
}
