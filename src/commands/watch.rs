//! `healthctl watch`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl watch`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`watch` is not supported yet"))
}
