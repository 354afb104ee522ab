//! `healthctl show`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl show`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`show` is not supported yet"))
}
