//! The loop and the terminal guard in a real pseudo-terminal, on services that are scripted.
//!
//! The tests start this very test binary again, as the program in the terminal: `child` is that program.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::actions::Actions;
use super::dashboard::{self, Connections};
use super::terminal::TerminalGuard;
use super::terminal_harness::{CTRL_C, ESC, Ended, Pty};

use crate::automation::Automation;
use crate::commands::arguments::{Color, Global};
use crate::commands::{Context, Signals};
use crate::engine::{self, Ask, Caps, Options};
use crate::execute::{Executor, Policy};
use crate::health::{Fleet, Outcome, ProbeResult, Selection};
use crate::host::Clock;
use crate::inventory::{Inventory, Probe, Service};
use crate::probe::Prober;
use crate::tui::{App, ServiceList, Setup};

/// What the child shall do, as the value of this variable.
const SCRIPT: &str = "HEALTHCTL_TEST_SCRIPT";

/// Answers that come at once and are well; the service `bomb` panics in the task that asks it.
#[derive(Debug, Clone)]
struct Script {
    clock: Clock,
}

impl Ask for Script {
    async fn ask(&self, service: &Service, _probe: &Probe) -> Outcome {
        assert!(service.name != "bomb", "the bomb went off");
        let mut outcome = Outcome::bare(ProbeResult::Pass, self.clock.now());
        outcome.latency = Some(Duration::from_millis(3));
        outcome
    }
}

#[test]
#[ignore = "the program that the other tests start in a pseudo-terminal"]
fn child() {
    let script = std::env::var(SCRIPT).expect("it is started by another test");
    if script == "a frame that panics" {
        let _ = TerminalGuard::take()
            .unwrap()
            .draw(|_| panic!("the frame fell"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let exit = runtime.block_on(dashboard(&script));
    runtime.shutdown_background();
    #[expect(clippy::exit, reason = "the code is what the other tests look at")]
    std::process::exit(exit.into());
}

async fn dashboard(script: &str) -> u8 {
    let clock = Clock::start();
    let services: Vec<Arc<Service>> = script
        .split(' ')
        .map(|name| engine::tests::service(name, 1, "live/1s"))
        .collect();
    let rules = services.iter().map(|service| service.info()).collect();
    let now = clock.now();
    let (sender, events) = engine::channel();
    let options = Options {
        caps: Caps::of_this_machine(),
        unchanged: true,
    };
    let setup = Setup {
        inventory: "scripted".to_owned(),
        selectors: String::new(),
        read_only: false,
        color: true,
        zone: TimeZone::UTC,
    };
    let list = ServiceList::new(Fleet::new(rules, now).snapshots(), Selection::default());
    let app = App::new(setup, list, crossterm::terminal::size().unwrap(), now);
    let engine = engine::watch(
        services,
        Script { clock },
        options,
        clock,
        vec![sender],
        tokio::sync::mpsc::unbounded_channel(),
    );
    let context = Context {
        global: Global {
            file: vec![],
            color: Color::Auto,
            read_only: false,
            verbose: false,
        },
    };
    let executor = Executor::new(Prober::new(clock), clock, Policy::default());
    let inventory = Arc::new(Inventory::default());
    let inputs = engine.inputs.clone();
    let actions = Actions::new(executor.clone(), Arc::clone(&inventory), inputs.clone());
    let events_of_automation = futures_util::stream::pending();
    let automation = Automation::start(
        false,
        executor,
        clock,
        inventory,
        &[],
        events_of_automation,
        inputs,
    );
    let parts = Connections {
        app,
        clock,
        events: Some(events),
        engine,
        actions,
        automation,
    };
    let signals = Signals::new().unwrap();
    match dashboard::run(&context, signals, parts).await {
        Ok(exit) => exit.code(),
        Err(error) => context.report(&error).code(),
    }
}

fn start(script: &str) -> Pty {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "commands::watch::tests::child",
            "--exact",
            "--ignored",
            "--nocapture",
            "--quiet",
        ])
        .env(SCRIPT, script)
        .env("RUST_BACKTRACE", "0");
    Pty::start(&command, 80, 24)
}

fn signal(pty: &Pty, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pty.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn check(ended: &Ended, code: u32) {
    ended.assert_restored();
    assert_eq!(ended.code, code, "{ended:#?}");
}

#[test]
fn leaving_gives_the_terminal_back() {
    for keys in ["q", CTRL_C, "\u{1b}[21~"] {
        let mut pty = start("orders");
        pty.wait_for_line(&["healthy", "orders"]);
        assert!(pty.look(|screen| screen.alternate_screen() && screen.hide_cursor()));
        pty.keys(keys);
        check(&pty.end(), 0);
    }
}

#[test]
fn escape_goes_back_and_does_not_leave() {
    let mut pty = start("orders");
    pty.wait_for_line(&["healthy", "orders"]);
    pty.keys("?");
    pty.wait_for("this help");
    pty.keys(ESC);
    pty.wait_without("this help");
    pty.keys(ESC);
    pty.keys("?");
    pty.wait_for("this help");
    pty.keys(CTRL_C);
    check(&pty.end(), 0);
}

#[test]
fn signals_give_the_terminal_back() {
    use rustix::process::Signal;
    for (number, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let pty = start("orders");
        pty.wait_for_line(&["healthy", "orders"]);
        signal(&pty, number);
        check(&pty.end(), code);
    }
}

#[test]
fn a_panic_in_a_task_gives_the_terminal_back_and_tells_why() {
    let pty = start("bomb");
    let ended = pty.end();
    check(&ended, 101);
    assert!(ended.screen.contains("the bomb went off"), "{ended:#?}");
}

#[test]
fn a_panic_while_drawing_gives_the_terminal_back_and_tells_why() {
    let ended = start("a frame that panics").end();
    check(&ended, 101);
    assert!(ended.screen.contains("the frame fell"), "{ended:#?}");
}

#[test]
fn stopped_and_continued_it_takes_the_terminal_again() {
    use rustix::process::Signal;
    let mut pty = start("orders");
    pty.wait_for_line(&["healthy", "orders"]);
    signal(&pty, Signal::STOP);
    signal(&pty, Signal::CONT);
    pty.keys("?");
    pty.wait_for("this help");
    pty.keys(CTRL_C);
    check(&pty.end(), 0);
}

#[test]
fn a_resized_terminal_is_filled() {
    let mut pty = start("orders");
    pty.wait_for_line(&["healthy", "orders"]);
    pty.resize(160, 45);
    pty.wait_for("VERSION");
    pty.resize(20, 5);
    pty.wait_for("terminal too small");
    pty.keys("q");
    check(&pty.end(), 0);
}
