//! The loop around the dashboard: wait for a message and take all that are ready, update, draw once.
//!
//! Nothing but the `select!` is awaited in it, so a dead service can never freeze a key.

use std::time::Duration;

use crossterm::event::Event as TerminalEvent;
use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::actions::Actions;
use super::terminal::{self, TerminalGuard};
use crate::automation::Automation;
use crate::commands::{Context, Error, Signals};
use crate::engine::{EventReceiver, Handle};
use crate::event::Input;
use crate::exit::Exit;
use crate::host::Clock;
use crate::tui::{self, App, Effect, Message};

/// While snapshots pour in, this much time lies between two frames. A key is drawn at once.
const FRAME: Duration = Duration::from_millis(33);
/// The time between two updates of the ages.
const TICK: Duration = Duration::from_secs(1);
/// The most messages that are handled before the next frame.
const BATCH: usize = 10_000;

/// Everything that the loop connects.
pub(super) struct Connections {
    pub(super) app: App,
    pub(super) clock: Clock,
    /// `None` once no event will come any more.
    pub(super) events: Option<EventReceiver>,
    pub(super) engine: Handle,
    pub(super) actions: Actions,
    pub(super) automation: Automation,
}

/// Runs the dashboard until somebody leaves it.
///
/// The signals are taken over before the terminal is, so that none can leave it changed.
pub(super) async fn run(
    context: &Context,
    signals: Signals,
    parts: Connections,
) -> Result<Exit, Error> {
    let resumed = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let screen = TerminalGuard::take().map_err(|error| {
        Error::usage_hint(
            format!("cannot use the terminal: {error}"),
            "`-o text` streams changes instead",
        )
    })?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut dashboard = Dashboard {
        parts,
        keys: keys(),
        signals,
        resumed,
        ticks,
        screen,
        waiting: None,
        suspended: false,
    };
    let exit = dashboard.run().await;
    let Dashboard { parts, screen, .. } = dashboard;
    // The terminal is restored before anything is waited for or printed.
    drop(screen);
    let (acted, by_itself) = tokio::join!(parts.actions.end(), parts.automation.end());
    for done in acted.into_iter().chain(by_itself) {
        context.message(&done.line());
    }
    parts.engine.stop().await;
    exit
}

struct Dashboard {
    parts: Connections,
    keys: UnboundedReceiver<std::io::Result<TerminalEvent>>,
    signals: Signals,
    /// SIGCONT: the shell has continued this process, and another one had the terminal meanwhile.
    resumed: Signal,
    ticks: Interval,
    screen: TerminalGuard,
    /// The time of the next frame, where one is due.
    waiting: Option<Instant>,
    /// The process is suspended: the shell has the terminal.
    suspended: bool,
}

/// The input that woke the loop.
enum LoopInput {
    End(Exit),
    /// A message that is drawn at once.
    Now(Message),
    /// A message that can wait for the next frame.
    Soon(Message),
    /// The terminal is ours again: everything is drawn again.
    Redraw,
    Frame,
    Nothing,
}

impl Dashboard {
    async fn run(&mut self) -> Result<Exit, Error> {
        self.draw()?;
        loop {
            let mut batch = Vec::new();
            let now = match self.wait().await {
                LoopInput::End(exit) => return Ok(exit),
                LoopInput::Now(message) => {
                    batch.push(message);
                    true
                }
                LoopInput::Soon(message) => {
                    batch.push(message);
                    false
                }
                LoopInput::Redraw => {
                    self.resume()?;
                    true
                }
                LoopInput::Frame => true,
                LoopInput::Nothing => continue,
            };
            let now = self.take_ready(&mut batch) || now;
            for effect in self.parts.app.update_all(batch) {
                if effect == Effect::Quit {
                    return Ok(Exit::Done);
                }
                self.perform(effect);
            }
            if now {
                self.draw()?;
            } else if self.waiting.is_none() {
                self.waiting = Some(Instant::now() + FRAME);
            }
        }
    }

    async fn wait(&mut self) -> LoopInput {
        let frame = self.waiting;
        tokio::select! {
            biased;
            exit = self.signals.recv() => LoopInput::End(exit),
            _ = self.resumed.recv() => LoopInput::Redraw,
            // The report has been printed; the code is that of a panic.
            () = terminal::panicked() => LoopInput::End(Exit::Code(101)),
            event = self.keys.recv() => read(event),
            message = self.parts.actions.next() => LoopInput::Now(message),
            Ok(()) = self.parts.automation.status.changed() => {
                LoopInput::Now(Message::Automatic(self.parts.automation.status.borrow().clone()))
            }
            _ = self.ticks.tick() => {
                if self.suspended { LoopInput::Redraw } else { LoopInput::Now(Message::Tick(self.parts.clock.now())) }
            }
            () = sleep_until(frame.unwrap_or_else(Instant::now)), if frame.is_some() => LoopInput::Frame,
            event = next(&mut self.parts.events) => event.map_or(LoopInput::Nothing, |event| LoopInput::Soon(Message::Event(event))),
        }
    }

    /// Takes all other messages that are ready. Returns whether one of them is drawn at once.
    fn take_ready(&mut self, batch: &mut Vec<Message>) -> bool {
        let mut now = false;
        while batch.len() < BATCH
            && let Ok(event) = self.keys.try_recv()
        {
            match read(Some(event)) {
                LoopInput::Now(message) => {
                    batch.push(message);
                    now = true;
                }
                // The end of the keys shows again when the loop waits for them.
                LoopInput::End(_) => break,
                _ => {}
            }
        }
        while let Some(message) = self.parts.actions.next().now_or_never() {
            batch.push(message);
            now = true;
        }
        while batch.len() < BATCH
            && let Some(event) = self.parts.events.as_mut().and_then(EventReceiver::try_recv)
        {
            batch.push(Message::Event(event));
        }
        now
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Quit => {}
            Effect::Suspend => self.suspend(),
            Effect::SwitchAutomatic => self.parts.automation.toggle_restarts(),
            Effect::ProbeNow { service } => self.parts.engine.send(Input::ProbeNow { service }),
            Effect::Prepare {
                ticket,
                services,
                action,
                permission,
            } => {
                let actions = &mut self.parts.actions;
                actions.prepare(ticket, services, action, permission);
            }
            Effect::Run { ticket } => {
                let news = self.parts.actions.run(ticket);
                let effects = self.parts.app.update_all(news);
                debug_assert!(effects.is_empty(), "it asks for nothing");
            }
            Effect::Forget { ticket } => self.parts.actions.forget(ticket),
        }
    }

    fn draw(&mut self) -> Result<(), Error> {
        self.waiting = None;
        if self.suspended {
            return Ok(());
        }
        self.screen
            .draw(|frame| tui::draw(&self.parts.app, frame))?;
        Ok(())
    }

    /// Gives the terminal to the shell and stops, as Ctrl-Z does to any program.
    fn suspend(&mut self) {
        terminal::give_back();
        self.suspended = true;
        // It fails only where there is no job control; then the next tick takes the terminal again.
        let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
    }

    /// Takes the terminal again after another process had it.
    fn resume(&mut self) -> Result<(), Error> {
        self.suspended = false;
        self.screen.take_again()?;
        let (width, height) = crossterm::terminal::size()?;
        let resized = Message::Resize { width, height };
        let tick = Message::Tick(self.parts.clock.now());
        let effects = self.parts.app.update_all([resized, tick]);
        debug_assert!(effects.is_empty(), "neither asks for anything");
        Ok(())
    }
}

/// Reads the events of the terminal in a thread of its own. Where the terminal has gone, crossterm may never return from
/// reading it; that must not hold up the loop, nor the end of the process.
fn keys() -> UnboundedReceiver<std::io::Result<TerminalEvent>> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        loop {
            let event = crossterm::event::read();
            let has_ended = event.is_err();
            if sender.send(event).is_err() || has_ended {
                return;
            }
        }
    });
    receiver
}

/// Translates an event of the terminal.
fn read(event: Option<std::io::Result<TerminalEvent>>) -> LoopInput {
    match event {
        Some(Ok(TerminalEvent::Key(key))) => LoopInput::Now(Message::Key(key)),
        Some(Ok(TerminalEvent::Resize(width, height))) => {
            LoopInput::Now(Message::Resize { width, height })
        }
        Some(Ok(TerminalEvent::Paste(text))) => LoopInput::Now(Message::Paste(text)),
        Some(Ok(_)) => LoopInput::Nothing,
        // The terminal has gone, as at a hangup.
        Some(Err(_)) | None => LoopInput::End(Exit::HungUp),
    }
}

/// Returns the next event. Waits for ever once none will come.
async fn next(events: &mut Option<EventReceiver>) -> Option<crate::event::Event> {
    let Some(open) = events else {
        return std::future::pending().await;
    };
    let event = open.recv().await;
    if event.is_none() {
        *events = None;
    }
    event
}
