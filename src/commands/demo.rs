//! `healthctl demo`: a small fleet of real services, and the dashboard on it.

use std::pin::pin;

use clap::ArgMatches;
use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::{Context, Error, Global, default_args, watch};
use crate::demo::{self, Demo, News, Order, Reached, Verb};
use crate::exit::Exit;

/// The flags of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// All is well, until something is broken by hand.
    #[arg(long, env = "HEALTHCTL_CALM", value_parser = FalseyValueParser::new())]
    calm: bool,
    /// Only run the fleet: print the inventory's path and stay until Ctrl-C.
    #[arg(long, env = "HEALTHCTL_NO_TUI", value_parser = FalseyValueParser::new())]
    no_tui: bool,
}

/// What can be done to a demo that runs; of several, `-f` names one by its inventory.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a dependency of a service of the running demo fail, or something else of it
    ///
    /// It fails until it is mended. Where several demos run, `-f` names one by its inventory.
    #[command(after_help = demo::choices())]
    Break(Part),
    /// Make it work again
    ///
    /// Where several demos run, `-f` names one by its inventory.
    #[command(after_help = demo::choices())]
    Mend(Part),
    /// One service of the fleet; attaches to the demo in whose directory it is started
    #[command(hide = true)]
    Service {
        /// Its name.
        name: String,
    },
    /// One task of `warren`; started by it
    #[command(hide = true)]
    Task {
        /// Its name.
        name: String,
        /// All is well, until something is broken by hand.
        #[arg(long)]
        calm: bool,
        /// Where it listened before.
        #[arg(long)]
        port: u16,
    },
}

/// A part of the fleet.
#[derive(Debug, clap::Args)]
struct Part {
    /// Service.
    name: String,
    /// One of its dependencies; `auth`: it answers 401; `process`: it is killed; or what else it has.
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

/// A flag for a demo that begins, typed before what is done to one that runs: both. The parser's own rule against that
/// would forbid the flags of all commands there, too.
pub(crate) fn typed_in_vain(demo: &ArgMatches) -> Option<(&'static str, &str)> {
    let done = demo.subcommand_name()?;
    let typed = |id: &str| demo.value_source(id) == Some(ValueSource::CommandLine);
    let flags = [("calm", "--calm"), ("no_tui", "--no-tui")];
    let (_, flag) = flags.into_iter().find(|(id, _)| typed(id))?;
    Some((flag, done))
}

/// Runs `healthctl demo`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    match &args.action {
        Some(Action::Break(part)) => tell(context, Verb::Break, part).await,
        Some(Action::Mend(part)) => tell(context, Verb::Mend, part).await,
        Some(Action::Service { name }) => {
            demo::run_service(name).await?;
            Ok(Exit::Done)
        }
        Some(Action::Task { name, calm, port }) => {
            demo::run_task(name, *calm, *port).await?;
            Ok(Exit::Done)
        }
        None => start(context, args).await,
    }
}

async fn tell(context: &Context, verb: Verb, part: &Part) -> Result<Exit, Error> {
    let order = Order {
        verb,
        service: part.name.clone(),
        dependency: part.dependency.clone(),
    };
    let reached = demo::send(&order, &context.global.file).await?;
    context.print(&format!("{order}\n"))?;
    if reached == Reached::AtStart {
        let name = &order.service;
        context.tell(&format!(
            "note: {name} does not run; it finds it so when it is started"
        ));
    }
    Ok(Exit::Done)
}

async fn start(context: &Context, args: &Args) -> Result<Exit, Error> {
    if !context.global.file.is_empty() {
        context.tell("note: the demo has an inventory of its own; the one given is not used");
    }
    // The dashboard has signal handlers of its own.
    let signals = args.no_tui.then(Signals::install).transpose()?;
    let mut demo = Demo::start(args.calm).await?;
    let result = match signals {
        Some(signals) => stay(context, &mut demo, signals).await,
        None => dashboard(context, &mut demo).await,
    };
    demo.end().await;
    result
}

async fn stay(context: &Context, demo: &mut Demo, mut signals: Signals) -> Result<Exit, Error> {
    context.print(&format!("{}\n", demo.inventory().display()))?;
    loop {
        tokio::select! {
            exit = signals.next() => return Ok(exit),
            Some(news) = demo.news() => context.tell(&news.to_string()),
        }
    }
}

async fn dashboard(context: &Context, demo: &mut Demo) -> Result<Exit, Error> {
    let context = Context {
        global: Global {
            file: vec![demo.inventory()],
            ..context.global.clone()
        },
    };
    let mut args: watch::Args = default_args();
    // Their environment twins are meant for another service than these.
    args.choice.url = None;
    args.choice.profile = None;
    let (teller, notices) = mpsc::unbounded_channel();
    let mut watching = pin!(watch::with_notices(&context, &args, notices));
    loop {
        tokio::select! {
            exit = &mut watching => return exit,
            // That one has ended the dashboard sees itself.
            Some(news) = demo.news() => if !matches!(news, News::Ended { .. }) {
                // It may be ending.
                let _ = teller.send(news.to_string());
            },
        }
    }
}

/// What ends a demo without a dashboard.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn install() -> Result<Self, Error> {
        let install = |kind| {
            signal(kind).map_err(|error| Error::usage(format!("cannot listen to signals: {error}")))
        };
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
            hangup: install(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            // 128 and the number of the signal, as a shell would tell it.
            _ = self.hangup.recv() => Exit::Code(129),
        }
    }
}
