//! The `on_change` commands of the services: run on a turn of a state, beside everything else and never in its way.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::action::{StateTurn, Turns};
use crate::engine::{self, EventReceiver, EventSender};
use crate::event::{Event, Input};
use crate::health::Picture;
use crate::inventory::{Exec, Hook, Secret, Service};
use crate::probe;
use crate::text;

/// So many run at once; the others wait for their turn, and probes for none of them.
const AT_ONCE: usize = 4;
/// A command is shown no longer than this.
const LONGEST: usize = 200;

/// The commands of the services, before the engine publishes anything.
pub(super) struct Subscription {
    listeners: HashMap<String, Listener>,
    events: EventReceiver,
}

/// Finds the commands of the services; `None` where no service has one. The engine publishes to the sender.
pub(super) fn subscribe(services: &[Arc<Service>]) -> Option<(EventSender, Subscription)> {
    let listeners: HashMap<String, Listener> = services
        .iter()
        .filter_map(|service| {
            let hook = Arc::new(service.on_change.clone()?);
            let turns = Turns::default();
            Some((service.name.clone(), Listener { hook, turns }))
        })
        .collect();
    if listeners.is_empty() {
        return None;
    }
    let (sender, events) = engine::channel();
    Some((sender, Subscription { listeners, events }))
}

impl Subscription {
    /// Runs the commands until the engine ends. Failures are sent to the engine as notices.
    pub(super) fn run(self, engine: UnboundedSender<Input>) {
        let Self {
            listeners,
            mut events,
        } = self;
        let mut hooks = Hooks {
            listeners,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            running: JoinSet::new(),
            engine,
        };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Some(Event::Picture { picture, .. }) => hooks.see(&picture),
                        Some(_) => {}
                        None => return,
                    },
                    // A panic was reported where it happened; nothing more is told to that service's command.
                    Some(Ok(ended)) = hooks.running.join_next() => hooks.ended(ended),
                }
            }
        });
    }
}

/// The command of one service.
struct Listener {
    hook: Arc<Hook>,
    turns: Turns,
}

/// A command that has ended.
struct Ended {
    service: String,
    /// Why it failed, if it did.
    failure: Option<String>,
}

struct Hooks {
    listeners: HashMap<String, Listener>,
    places: Arc<Semaphore>,
    running: JoinSet<Ended>,
    engine: UnboundedSender<Input>,
}

impl Hooks {
    fn see(&mut self, picture: &Picture) {
        let Some(listener) = self.listeners.get_mut(&picture.name) else {
            return;
        };
        if let Some(turn) = listener.turns.see(picture) {
            let hook = Arc::clone(&listener.hook);
            self.start(picture.name.clone(), hook, turn);
        }
    }

    fn ended(&mut self, ended: Ended) {
        let Some(listener) = self.listeners.get_mut(&ended.service) else {
            return;
        };
        let next = listener.turns.ended();
        let hook = Arc::clone(&listener.hook);
        if let Some(failure) = ended.failure {
            let shown = text::clean(&hook.exec.shown.join(" "), LONGEST);
            let text = format!("{}: on_change `{shown}` failed: {failure}", ended.service);
            // An engine that has ended publishes nothing any more.
            let _ = self.engine.send(Input::Notice { text });
        }
        if let Some(turn) = next {
            self.start(ended.service, hook, turn);
        }
    }

    fn start(&mut self, service: String, hook: Arc<Hook>, turn: StateTurn) {
        let places = Arc::clone(&self.places);
        self.running.spawn(async move {
            // It is never closed.
            let _place = places.acquire().await;
            let exec = told(&hook.exec, &service, turn);
            let ran = probe::run(&exec, hook.timeout).await;
            Ended {
                service,
                failure: ran.err().map(|failure| failure.message),
            }
        });
    }
}

/// The command with what tells of the turn in its environment.
fn told(exec: &Exec, service: &str, turn: StateTurn) -> Exec {
    let mut exec = exec.clone();
    exec.env.extend(
        [
            ("HEALTHCTL_SERVICE", service.to_owned()),
            ("HEALTHCTL_STATE", turn.state.to_string()),
            ("HEALTHCTL_PREVIOUS_STATE", turn.previous.to_string()),
            ("HEALTHCTL_REASON", turn.reason),
            ("HEALTHCTL_AT", turn.at.wall.strftime("%FT%TZ").to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::Plain(value))),
    );
    exec
}
