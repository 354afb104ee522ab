//! `healthctl restart`: stop services, start them again, and prove that the new process is a new one.

use clap::builder::FalseyValueParser;

use super::act::Special;
use super::{Context, Error, act};
use crate::action::Action;
use crate::exit::Exit;

/// The flags of `restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    act: act::Args,
    /// Kill what has not stopped in time.
    #[arg(long)]
    force: bool,
    /// When a stop fails, do not start again what was stopped before it.
    #[arg(long, env = "HEALTHCTL_LEAVE_STOPPED", value_parser = FalseyValueParser::new())]
    leave_stopped: bool,
}

/// Runs `healthctl restart`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let special = Special {
        force: args.force,
        leave_stopped: args.leave_stopped,
    };
    act::run(context, Action::Restart, &args.act, special).await
}
