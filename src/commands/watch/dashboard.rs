//! The loop around the dashboard: wait for a message and take all that are ready, update, draw once.
//!
//! Nothing but the `select!` is awaited in it, so a dead service can never freeze a key.

use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures_util::{FutureExt, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::actions::Actions;
use super::terminal::{self, Screen};
use crate::automation::{AutoRestartStatus, Automation};
use crate::commands::{Context, Error, Signals};
use crate::engine::{EventReceiver, Handle};
use crate::event::Input;
use crate::exit::Exit;
use crate::host::Clock;
use crate::tui::{self, App, Effect, Message};

/// While snapshots pour in, this much time lies between two frames. A key is drawn at once.
const FRAME: Duration = Duration::from_millis(33);
/// Ages tick.
const TICK: Duration = Duration::from_secs(1);
/// So many messages are taken before the next frame, however many are ready.
const BATCH: usize = 10_000;

/// What the dashboard is connected to.
pub(super) struct Parts {
    pub(super) app: App,
    pub(super) clock: Clock,
    pub(super) events: EventReceiver,
    pub(super) engine: Handle,
    pub(super) actions: Actions,
    pub(super) automation: Automation,
}

/// Runs until somebody leaves.
pub(super) async fn run(context: &Context, parts: Parts) -> Result<Exit, Error> {
    // Before the terminal is taken, so that no signal can leave it changed.
    let signals = Signals::new()?;
    let resumed = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let screen = Screen::take().map_err(|error| {
        Error::usage_hint(
            format!("cannot use the terminal: {error}"),
            "`-o text` streams changes instead",
        )
    })?;
    let Parts {
        app,
        clock,
        events,
        engine,
        actions,
        automation,
    } = parts;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut dashboard = Dashboard {
        app,
        clock,
        events: Some(events),
        engine: &engine,
        actions,
        automation,
        keys: EventStream::new(),
        signals,
        resumed,
        ticks,
        screen,
        waiting: None,
        suspended: false,
    };
    let exit = dashboard.run().await;
    let Dashboard {
        actions,
        automation,
        screen,
        ..
    } = dashboard;
    // The terminal is given back before anything is waited for or said.
    drop(screen);
    let (acted, by_itself) = tokio::join!(actions.end(), automation.end());
    for done in acted.into_iter().chain(by_itself) {
        context.tell(&format!(
            "{} of {}: {}: {}",
            done.action, done.service, done.verdict, done.text
        ));
    }
    engine.stop().await;
    exit
}

struct Dashboard<'a> {
    app: App,
    clock: Clock,
    /// Gone once nothing will be told any more.
    events: Option<EventReceiver>,
    engine: &'a Handle,
    actions: Actions,
    automation: Automation,
    keys: EventStream,
    signals: Signals,
    /// The shell has continued us: somebody else had the terminal meanwhile.
    resumed: Signal,
    ticks: Interval,
    screen: Screen,
    /// When a frame that waits for its turn is drawn.
    waiting: Option<Instant>,
    /// The shell has the terminal.
    suspended: bool,
}

/// What the loop was woken by.
enum Wake {
    /// The end.
    End(Exit),
    /// Something to be seen at once.
    Now(Message),
    /// Something that can wait for the next frame.
    Soon(Message),
    /// The terminal is another one, or ours again: all is drawn anew.
    Redraw,
    /// A frame is due.
    Frame,
    /// Nothing of interest.
    Nothing,
}

impl Dashboard<'_> {
    async fn run(&mut self) -> Result<Exit, Error> {
        self.draw()?;
        loop {
            let mut batch = Vec::new();
            let now = match self.wait().await {
                Wake::End(exit) => return Ok(exit),
                Wake::Now(message) => {
                    batch.push(message);
                    true
                }
                Wake::Soon(message) => {
                    batch.push(message);
                    false
                }
                Wake::Redraw => {
                    self.resume()?;
                    true
                }
                Wake::Frame => true,
                Wake::Nothing => continue,
            };
            let now = self.take_ready(&mut batch) || now;
            for effect in self.app.update_all(batch) {
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

    async fn wait(&mut self) -> Wake {
        let frame = self.waiting;
        tokio::select! {
            biased;
            exit = self.signals.recv() => Wake::End(exit),
            _ = self.resumed.recv() => Wake::Redraw,
            // The report has been printed; the code is that of a panic.
            () = terminal::panicked() => Wake::End(Exit::Code(101)),
            event = self.keys.next() => read(event),
            message = self.actions.next() => Wake::Now(message),
            Ok(()) = self.automation.status.changed() => {
                let AutoRestartStatus { on, given_up } = self.automation.status.borrow().clone();
                Wake::Now(Message::Automatic { on, given_up })
            }
            _ = self.ticks.tick() => {
                if self.suspended { Wake::Redraw } else { Wake::Now(Message::Tick(self.clock.now())) }
            }
            () = sleep_until(frame.unwrap_or_else(Instant::now)), if frame.is_some() => Wake::Frame,
            event = next(&mut self.events) => event.map_or(Wake::Nothing, |event| Wake::Soon(Message::Event(event))),
        }
    }

    /// Takes what else is ready; gives whether something of it is to be seen at once.
    fn take_ready(&mut self, batch: &mut Vec<Message>) -> bool {
        let mut now = false;
        while batch.len() < BATCH
            && let Some(event) = self.keys.next().now_or_never()
        {
            match read(event) {
                Wake::Now(message) => {
                    batch.push(message);
                    now = true;
                }
                // The end of the keys is seen again by who waits for them.
                Wake::End(_) => break,
                _ => {}
            }
        }
        while let Some(message) = self.actions.next().now_or_never() {
            batch.push(message);
            now = true;
        }
        while batch.len() < BATCH
            && let Some(event) = self.events.as_mut().and_then(EventReceiver::try_recv)
        {
            batch.push(Message::Event(event));
        }
        now
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Quit => {}
            Effect::Suspend => self.suspend(),
            Effect::SwitchAutomatic => self.automation.toggle_restarts(),
            Effect::ProbeNow { service } => self.engine.say(Input::ProbeNow { service }),
            Effect::Prepare {
                ticket,
                services,
                action,
            } => {
                self.actions.prepare(ticket, services, action);
            }
            Effect::Run { ticket } => self.actions.run(ticket),
            Effect::Forget { ticket } => self.actions.forget(ticket),
        }
    }

    fn draw(&mut self) -> Result<(), Error> {
        self.waiting = None;
        if self.suspended {
            return Ok(());
        }
        self.screen.draw(|frame| tui::draw(&self.app, frame))?;
        Ok(())
    }

    /// Gives the terminal to the shell and stops, as Ctrl-Z does to any program.
    fn suspend(&mut self) {
        terminal::give_back();
        self.suspended = true;
        // It fails only where there is no job control; then the next tick takes the terminal again.
        let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
    }

    /// Takes the terminal again after somebody else had it.
    fn resume(&mut self) -> Result<(), Error> {
        self.suspended = false;
        self.screen.take_again()?;
        let (width, height) = crossterm::terminal::size()?;
        let resized = Message::Resize { width, height };
        let effects = self
            .app
            .update_all([resized, Message::Tick(self.clock.now())]);
        debug_assert!(effects.is_empty(), "neither asks for anything");
        Ok(())
    }
}

/// What the terminal tells.
fn read(event: Option<std::io::Result<TerminalEvent>>) -> Wake {
    match event {
        Some(Ok(TerminalEvent::Key(key))) => Wake::Now(Message::Key(key)),
        Some(Ok(TerminalEvent::Resize(width, height))) => {
            Wake::Now(Message::Resize { width, height })
        }
        Some(Ok(TerminalEvent::Paste(text))) => Wake::Now(Message::Paste(text)),
        Some(Ok(_)) => Wake::Nothing,
        // The terminal has gone, as at a hangup.
        Some(Err(_)) | None => Wake::End(Exit::Code(129)),
    }
}

/// What is told next; waits for ever once nothing will be.
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
