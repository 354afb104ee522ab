//! The `on_change` commands of the services: run on a turn of a state, beside everything else and never in its way.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::action::{StateTurn, Turns};
use crate::engine::{self, Feed, Teller};
use crate::event::Event;
use crate::health::Picture;
use crate::host::Clock;
use crate::inventory::{Exec, Hook, Secret, Service};
use crate::probe;
use crate::text;

/// So many run at once; the others wait for their turn, and probes for none of them.
const AT_ONCE: usize = 4;
/// A command is shown no longer than this.
const LONGEST: usize = 200;

/// Hands on what is told, and runs the commands that it asks for. With the engine's end ends whatever is under way.
pub(super) fn between(services: &[Arc<Service>], mut feed: Feed, clock: Clock) -> Feed {
    let hooks: HashMap<String, Listener> = services
        .iter()
        .filter_map(|service| {
            let hook = Arc::new(service.on_change.clone()?);
            let turns = Turns::default();
            Some((service.name.clone(), Listener { hook, turns }))
        })
        .collect();
    if hooks.is_empty() {
        return feed;
    }
    let (teller, told) = engine::feed();
    let mut hooks = Hooks {
        listeners: hooks,
        places: Arc::new(Semaphore::new(AT_ONCE)),
        running: JoinSet::new(),
        teller,
        clock,
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                event = feed.recv() => {
                    let Some(event) = event else { return };
                    if let Event::Picture { picture, .. } = &event {
                        hooks.see(picture);
                    }
                    hooks.teller.tell(event);
                }
                // A panic was reported where it happened; nothing more is told to that service's command.
                Some(Ok(ended)) = hooks.running.join_next() => hooks.ended(ended),
            }
        }
    });
    told
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
    teller: Teller,
    clock: Clock,
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
            self.teller.tell(Event::Notice {
                at: self.clock.now(),
                text: format!("{}: on_change `{shown}` failed: {failure}", ended.service),
            });
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
