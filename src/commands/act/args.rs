//! The arguments of the commands that act: those of all, and those of some.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::FalseyValueParser;

use crate::action::Action;
use crate::commands::duration;

/// The arguments of every action; `reload` takes no others.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Services to act on: names, globs, group:NAME, KEY=VALUE, state:STATE, flag:FLAG.
    #[arg(value_name = "SELECTOR", required_unless_present = "all")]
    pub(super) selectors: Vec<String>,
    /// All services of the inventory.
    #[arg(long, conflicts_with = "selectors")]
    all: bool,
    /// Act without asking; protected services need `--confirm`.
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Act on this service without asking, even if it is protected.
    #[arg(long, value_name = "NAME")]
    pub(super) confirm: Vec<String>,
    /// Show the exact requests and send nothing.
    #[arg(long, env = "HEALTHCTL_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(super) dry_run: bool,
    /// Time-out of each action, the proof included, instead of the one in the inventory.
    #[arg(long, value_name = "DURATION", value_parser = timeout, env = "HEALTHCTL_ACTION_TIMEOUT")]
    pub(super) timeout: Option<Duration>,
    /// Number of services to act on at once, as far as they do not depend on each other.
    #[arg(
        long,
        value_name = "N",
        default_value = "4",
        env = "HEALTHCTL_PARALLEL"
    )]
    pub(super) parallel: NonZeroUsize,
    /// After a failure go on with services that do not depend on the failed one.
    #[arg(long, env = "HEALTHCTL_KEEP_GOING", value_parser = FalseyValueParser::new())]
    pub(super) keep_going: bool,
    /// Act without writing the audit file.
    #[arg(long, env = "HEALTHCTL_NO_AUDIT", value_parser = FalseyValueParser::new())]
    pub(super) no_audit: bool,
    /// Format of the results on stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = ActionFormat::Text, env = "HEALTHCTL_ACTION_OUTPUT")]
    pub(super) output: ActionFormat,
}

/// The format of the report of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ActionFormat {
    /// A line for each service.
    Text,
    /// An array with an object for each service.
    Json,
}

/// The arguments of `shutdown`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShutdownArgs {
    #[command(flatten)]
    act: Args,
    /// Ask each service to stop and return without waiting for the proof that it stopped.
    #[arg(long, env = "HEALTHCTL_SCHEDULE", value_parser = FalseyValueParser::new())]
    schedule: bool,
    /// Kill services that have not stopped in time.
    #[arg(long, conflicts_with = "schedule")]
    force: bool,
    /// Signal exactly this process, once: it has to listen at the address of the one service, or to stand in its pid file or record.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(2..))]
    pid: Option<u32>,
}

/// The arguments of `restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    act: Args,
    /// Kill services that have not stopped in time.
    #[arg(long)]
    force: bool,
    /// Signal exactly this process, once: it has to listen at the address of the one service, or to stand in its pid file or record.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(2..))]
    pid: Option<u32>,
    /// When a stop fails, do not restart the services that were stopped before it.
    #[arg(long, env = "HEALTHCTL_LEAVE_STOPPED", value_parser = FalseyValueParser::new())]
    leave_stopped: bool,
}

/// The arguments of `start`.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    act: Args,
    /// Do not start the services that the selected ones need.
    #[arg(long, env = "HEALTHCTL_NO_DEPS", value_parser = FalseyValueParser::new())]
    no_deps: bool,
}

/// An action with its arguments.
#[derive(Debug)]
pub(crate) struct ActionCommand {
    pub(super) action: Action,
    pub(super) args: Args,
    /// A service that has not stopped in time is killed.
    pub(super) force: bool,
    /// The one process to signal, which the person names.
    pub(super) pid: Option<u32>,
    /// A service that was stopped is not started again after a failed stop.
    pub(super) leave_stopped: bool,
    /// The services that the selected ones need are not started with them.
    pub(super) no_deps: bool,
}

impl ActionCommand {
    /// Makes a command that has no arguments of its own.
    pub(crate) const fn new(action: Action, args: Args) -> Self {
        Self {
            action,
            args,
            force: false,
            pid: None,
            leave_stopped: false,
            no_deps: false,
        }
    }
}

impl From<ShutdownArgs> for ActionCommand {
    fn from(args: ShutdownArgs) -> Self {
        let action = if args.schedule {
            Action::Schedule
        } else {
            Action::Shutdown
        };
        Self {
            force: args.force,
            pid: args.pid,
            ..Self::new(action, args.act)
        }
    }
}

impl From<StartArgs> for ActionCommand {
    fn from(args: StartArgs) -> Self {
        Self {
            no_deps: args.no_deps,
            ..Self::new(Action::Start, args.act)
        }
    }
}

impl From<RestartArgs> for ActionCommand {
    fn from(args: RestartArgs) -> Self {
        Self {
            force: args.force,
            pid: args.pid,
            leave_stopped: args.leave_stopped,
            ..Self::new(Action::Restart, args.act)
        }
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("no time is too short for any action".to_owned()),
        time => Ok(time),
    }
}
