//! `healthctl validate`

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs `healthctl validate`.
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`validate` is not supported yet"))
}
