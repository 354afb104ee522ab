//! `healthctl demo`: a small fleet of real services, and the dashboard on it.

use std::pin::pin;

use clap::ArgMatches;
use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use tokio::sync::mpsc;

use super::{Context, Error, Global, Signals, default_args, watch};
use crate::demo::{self, Demo, FaultAction, FaultApplied, FaultCommand, ProcessChange};
use crate::exit::Exit;

/// The flags of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<DemoAction>,
    /// Nothing fails until it is broken by `demo break`.
    #[arg(long, env = "HEALTHCTL_CALM", value_parser = FalseyValueParser::new())]
    calm: bool,
    /// Only run the fleet: print the inventory's path and run until Ctrl-C.
    #[arg(long, env = "HEALTHCTL_NO_TUI", value_parser = FalseyValueParser::new())]
    no_tui: bool,
}

/// The subcommands of `demo`.
#[derive(Debug, clap::Subcommand)]
enum DemoAction {
    /// Break a dependency of a service in the running demo, or something else of the service
    ///
    /// It stays broken until it is mended. If several demos are running, `-f` selects one by its inventory.
    #[command(after_help = demo::choices())]
    Break(FaultTarget),
    /// Mend it again
    ///
    /// If several demos are running, `-f` selects one by its inventory.
    #[command(after_help = demo::choices())]
    Mend(FaultTarget),
    /// Run a service of the fleet; it attaches to the demo in whose directory it is started
    #[command(hide = true)]
    Service { name: String },
    /// Run a task of `warren`, which starts it
    #[command(hide = true)]
    Task {
        name: String,
        #[arg(long)]
        calm: bool,
        /// The port to listen on; zero for a free one.
        #[arg(long)]
        port: u16,
    },
}

/// The arguments of `break` and `mend`.
#[derive(Debug, clap::Args)]
struct FaultTarget {
    /// Name of the service.
    name: String,
    /// Name of a dependency; `auth`: it answers 401; `process`: it is killed; or another target below.
    dependency: String,
}

impl From<demo::Error> for Error {
    fn from(error: demo::Error) -> Self {
        match error.hint {
            Some(hint) => Self::usage_hint(error.message, hint),
            None => Self::usage(error.message),
        }
    }
}

/// Returns a flag of `demo` itself that was typed together with a subcommand, and that subcommand. A rule of the
/// parser against both would forbid the flags of all commands there, too.
pub(crate) fn flag_before_subcommand(demo: &ArgMatches) -> Option<(&'static str, &str)> {
    let subcommand = demo.subcommand_name()?;
    let is_typed = |id: &str| demo.value_source(id) == Some(ValueSource::CommandLine);
    let flags = [("calm", "--calm"), ("no_tui", "--no-tui")];
    let (_, flag) = flags.into_iter().find(|(id, _)| is_typed(id))?;
    Some((flag, subcommand))
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    match &args.action {
        Some(DemoAction::Break(target)) => send(context, FaultAction::Break, target).await,
        Some(DemoAction::Mend(target)) => send(context, FaultAction::Mend, target).await,
        Some(DemoAction::Service { name }) => {
            demo::run_service(name).await?;
            Ok(Exit::Done)
        }
        Some(DemoAction::Task { name, calm, port }) => {
            demo::run_task(name, *calm, *port).await?;
            Ok(Exit::Done)
        }
        None => start(context, args).await,
    }
}

async fn send(context: &Context, action: FaultAction, target: &FaultTarget) -> Result<Exit, Error> {
    let command = FaultCommand {
        action,
        service: target.name.clone(),
        target: target.dependency.clone(),
    };
    let applied = demo::send(&command, &context.global.file).await?;
    context.print(&format!("{command}\n"))?;
    if applied == FaultApplied::AtStart {
        let name = &command.service;
        context.message(&format!(
            "note: {name} is not running; this applies when it starts"
        ));
    }
    Ok(Exit::Done)
}

async fn start(context: &Context, args: &Args) -> Result<Exit, Error> {
    if !context.global.file.is_empty() {
        context.message("note: the demo has its own inventory; the given one is not used");
    }
    // The dashboard installs signal handlers of its own.
    let signals = args.no_tui.then(Signals::new).transpose()?;
    let mut demo = Demo::start(args.calm, crate::host::signals::kill_own).await?;
    let result = match signals {
        Some(signals) => run_until_signal(context, &mut demo, signals).await,
        None => run_dashboard(context, &mut demo).await,
    };
    demo.end().await;
    result
}

async fn run_until_signal(
    context: &Context,
    demo: &mut Demo,
    mut signals: Signals,
) -> Result<Exit, Error> {
    context.print(&format!("{}\n", demo.inventory().display()))?;
    loop {
        tokio::select! {
            exit = signals.recv() => return Ok(exit),
            Some(event) = demo.event() => context.message(&event.to_string()),
        }
    }
}

async fn run_dashboard(context: &Context, demo: &mut Demo) -> Result<Exit, Error> {
    let context = Context {
        global: Global {
            file: vec![demo.inventory()],
            ..context.global.clone()
        },
    };
    let mut args: watch::Args = default_args();
    // The environment variables of these flags are meant for other services.
    args.choice.url = None;
    args.choice.profile = None;
    let (sender, notices) = mpsc::unbounded_channel();
    let mut watching = pin!(watch::with_notices(&context, &args, notices));
    loop {
        tokio::select! {
            exit = &mut watching => return exit,
            // The dashboard sees itself that a service has exited.
            Some(event) = demo.event() => if !matches!(event.change, ProcessChange::Exited(_)) {
                // An error means that the dashboard is ending.
                let _ = sender.send(event.to_string());
            },
        }
    }
}
