//! `healthctl watch`: the dashboard, or a stream of changes where there is no terminal.

mod actions;
mod dashboard;
mod stream;
mod terminal;
#[cfg(test)]
#[path = "../../../tests/support/terminal.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "shared with the end-to-end tests"
)]
mod terminal_harness;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::tz::TimeZone;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::host_scan::HostScanner;
use super::select::{SelectedServices, ServiceArgs};
use super::{Context, Error, Signals};
use crate::automation::Automation;
use crate::engine::{self, Caps, Options};
use crate::event::{Event, Input};
use crate::execute::{Executor, Policy};
use crate::exit::Exit;
use crate::health::{Change, Fleet};
use crate::host::Clock;
use crate::inventory::{Inventory, Service};
use crate::probe::Prober;
use crate::text;
use crate::tui::{App, ServiceList, Setup};
use actions::Actions;
use stream::StreamFormat;

/// The longest time that the first probes wait for the first scan of this machine.
const FIRST_SCAN: Duration = Duration::from_secs(2);

/// The flags of `watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) choice: ServiceArgs,
    /// Print a stream of changes instead of the dashboard.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        env = "HEALTHCTL_WATCH_OUTPUT"
    )]
    pub(crate) output: Option<StreamFormat>,
    /// Restart what is stale or unhealthy, where `restart_on` permits it, from the start; `a` in the dashboard switches it.
    #[arg(long)]
    pub(crate) restart: bool,
}

/// Runs `healthctl watch`.
///
/// What is selected by state or flag is selected anew with each snapshot: who watches what is unhealthy wants to see
/// what turns unhealthy, and no row should wait for a round of probes.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let (_, nothing) = mpsc::unbounded_channel();
    with_notices(context, args, nothing).await
}

/// Runs `healthctl watch` with further notices among the events.
pub(crate) async fn with_notices(
    context: &Context,
    args: &Args,
    mut notices: mpsc::UnboundedReceiver<String>,
) -> Result<Exit, Error> {
    if args.restart && context.global.read_only {
        return Err(Error::usage_hint(
            "--restart and --read-only exclude each other",
            "leave one of them out",
        ));
    }
    let SelectedServices {
        loaded,
        services,
        selection,
    } = args.choice.services(context)?;
    let inventory = loaded.inventory;
    if args.restart
        && services
            .iter()
            .all(|service| service.restart_on.is_empty() || service.protected)
    {
        return Err(Error::usage_hint(
            "--restart would restart nothing: no watched service has `restart_on`, or all that have it are protected",
            "for example `restart_on: [stale, unhealthy]`",
        ));
    }
    // Before anything is probed: a signal has to end the commands that probes run, too.
    let signals = Signals::new()?;
    let clock = Clock::start();
    let now = clock.now();
    let rules = services.iter().map(|service| service.info()).collect();
    let snapshots = Fleet::new(rules, now).snapshots();
    let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let format = args.output.or((!terminal).then_some(StreamFormat::Text));
    let prober = Prober::new(clock);
    let (sender, events) = engine::channel();
    let options = Options {
        caps: Caps::of_this_machine(),
        unchanged: format.is_none(),
    };
    let scanner = HostScanner::new(context, &services, &inventory);
    let (automation_sender, automation_events) = engine::channel();
    let senders = vec![sender, automation_sender];
    let (inputs, received) = mpsc::unbounded_channel();
    let wake = Arc::new(Notify::new());
    let first_scan = scan_until_end(scanner, inputs.clone(), Arc::clone(&wake));
    let automation_events = automation_events.into_stream().inspect(move |event| {
        if calls_for_scan(event) {
            wake.notify_one();
        }
    });
    let policy = Policy {
        command: "healthctl watch".to_owned(),
        is_shown: format.is_none(),
        ..context.policy()
    };
    let executor = Executor::new(prober.clone(), clock, policy);
    let inventory = Arc::new(inventory);
    let automation = Automation::start(
        args.restart,
        executor.clone().unseen(),
        clock,
        Arc::clone(&inventory),
        &services,
        automation_events,
        inputs.clone(),
    );
    // So that the first answers find what the records tell: a service that was shut down was not unhealthy before.
    let _ = timeout(FIRST_SCAN, first_scan).await;
    let engine = engine::watch(
        services,
        prober,
        options,
        clock,
        senders,
        (inputs, received),
    );
    let inputs = engine.inputs.clone();
    tokio::spawn(async move {
        while let Some(text) = notices.recv().await {
            let _ = inputs.send(Input::Notice { text });
        }
    });
    if let Some(format) = format {
        let exit = stream::run(context, format, &selection, signals, events).await;
        for done in automation.end().await {
            context.message(&done.line());
        }
        engine.stop().await;
        return exit;
    }
    let setup = Setup {
        inventory: inventory_name(&inventory),
        selectors: text::clean(&args.choice.selectors.join(" "), 100),
        read_only: context.global.read_only,
        color: context.color_stdout(),
        zone: TimeZone::system(),
    };
    let list = ServiceList::new(snapshots, selection);
    let app = App::new(setup, list, crossterm::terminal::size()?, now);
    let actions = Actions::new(executor, inventory, engine.inputs.clone());
    dashboard::run(
        context,
        signals,
        dashboard::Connections {
            app,
            clock,
            events: Some(events),
            engine,
            actions,
            automation,
        },
    )
    .await
}

/// Returns whether an event may have to do with another process on this machine: a service answers otherwise than before, or
/// something was done to one.
fn calls_for_scan(event: &Event) -> bool {
    match event {
        Event::Snapshot { changed, .. } => {
            let tells = [Change::State, Change::Result, Change::Start];
            changed.iter().any(|change| tells.contains(change))
        }
        Event::ActionResult(_) => true,
        Event::Load(_) | Event::ActionStep(_) | Event::Notice { .. } => false,
    }
}

/// Scans this machine until the engine ends, and sends it the findings and the problems. Returns what completes with the first
/// scan.
fn scan_until_end(
    scanner: HostScanner,
    engine: UnboundedSender<Input>,
    wake: Arc<Notify>,
) -> oneshot::Receiver<()> {
    let mut scans = scanner.start(engine.clone(), wake);
    let (_, none) = oneshot::channel();
    let first = std::mem::replace(&mut scans.first, none);
    tokio::spawn(async move {
        loop {
            let text = tokio::select! {
                Some(text) = scans.problems.recv() => text,
                () = engine.closed() => return,
            };
            let _ = engine.send(Input::Notice { text });
        }
    });
    first
}

/// Returns the path of the inventory, or the one service that was typed.
fn inventory_name(inventory: &Inventory) -> String {
    let text = match inventory.files.as_slice() {
        [] => inventory
            .services
            .values()
            .next()
            .map_or_else(String::new, |typed| address(typed)),
        [file] => short(file),
        [file, rest @ ..] => format!("{} and {} more", short(file), rest.len()),
    };
    text::clean(&text, 300)
}

/// Returns the URL or the target of a service that was typed, with a password masked.
fn address(service: &Service) -> String {
    let target = || Some(service.probes.first()?.kind.target());
    let url = service.url.as_ref().map(ToString::to_string);
    url.or_else(target).unwrap_or_default()
}

/// Returns a path with `~` for the home directory.
fn short(path: &Path) -> String {
    let home = std::env::home_dir().filter(|home| home.parent().is_some());
    match home
        .as_deref()
        .and_then(|home| path.strip_prefix(home).ok())
    {
        Some(rest) => Path::new("~").join(rest).display().to_string(),
        None => path.display().to_string(),
    }
}
