//! `healthctl reload`: have services read their configuration again, and tell what came of it.

use super::act::Special;
use super::{Context, Error, act};
use crate::action::Action;
use crate::exit::Exit;

/// The flags of `reload`: those of every action.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    act: act::Args,
}

/// Runs `healthctl reload`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    act::run(context, Action::Reload, &args.act, Special::default()).await
}
