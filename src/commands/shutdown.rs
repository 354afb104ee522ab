//! `healthctl shutdown`: stop services, with proof.

use super::act::Special;
use super::{Context, Error, act};
use crate::action::Action;
use crate::exit::Exit;

/// The flags of `shutdown`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    act: act::Args,
    /// Ask each service to stop and return; without it, wait until its end is proved.
    #[arg(long, env = "HEALTHCTL_SCHEDULE", value_parser = clap::builder::FalseyValueParser::new())]
    schedule: bool,
    /// Kill what has not stopped in time.
    #[arg(long, conflicts_with = "schedule")]
    force: bool,
}

/// Runs `healthctl shutdown`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let action = if args.schedule {
        Action::Schedule
    } else {
        Action::Shutdown
    };
    let special = Special {
        force: args.force,
        ..Special::default()
    };
    act::run(context, action, &args.act, special).await
}
