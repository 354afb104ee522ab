//! `healthctl start`: start services, and wait until they are ready.

use super::act::Special;
use super::{Context, Error, act};
use crate::action::Action;
use crate::exit::Exit;

/// The flags of `start`: those of every action.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    act: act::Args,
}

/// Runs `healthctl start`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    act::run(context, Action::Start, &args.act, Special::default()).await
}
