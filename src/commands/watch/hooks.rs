//! The `on_change` commands of the services: run on a turn of a state, beside everything else and never in its way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::action::{StateTurn, Turns};
use crate::engine::{self, Feed, Teller};
use crate::event::Event;
use crate::health::{Picture, text};
use crate::host::Clock;
use crate::inventory::{Hook, Secret, Service};
use crate::probe;

/// So many run at once; the others wait for their turn, and probes for none of them.
const AT_ONCE: usize = 4;
/// A command is shown no longer than this.
const LONGEST: usize = 200;
/// What is shorter than this is no secret, and is found everywhere.
const SHORTEST: usize = 4;

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
            let shown = text::clean(&hook.shown.join(" "), LONGEST);
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
            let env = env(&hook, &service, turn);
            let ran = probe::run(&hook, &env).await;
            let failure = match ran {
                Ok(()) => None,
                Err(failure) => Some(masked(&failure.message, &secrets(&hook).await)),
            };
            Ended { service, failure }
        });
    }
}

/// The environment of the command: what tells of the turn is added to what the inventory says.
fn env(hook: &Hook, service: &str, turn: StateTurn) -> BTreeMap<String, Secret> {
    let mut env = hook.env.clone();
    env.extend(
        [
            ("HEALTHCTL_SERVICE", service.to_owned()),
            ("HEALTHCTL_STATE", turn.state.to_string()),
            ("HEALTHCTL_PREVIOUS_STATE", turn.previous.to_string()),
            ("HEALTHCTL_REASON", turn.reason),
            ("HEALTHCTL_AT", turn.at.wall.strftime("%FT%TZ").to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::Plain(value))),
    );
    env
}

/// What the command was given that is not to be told, each with what is told in its place.
async fn secrets(hook: &Hook) -> Vec<(String, String)> {
    let mut secrets: Vec<(String, String)> = std::iter::zip(&hook.command, &hook.shown)
        .map(|(word, shown)| different(word, shown))
        .collect();
    for (name, secret) in &hook.env {
        // What cannot be read was not given either.
        if !matches!(secret, Secret::Plain(_))
            && let Ok(value) = probe::reveal(secret).await
        {
            secrets.push((value, format!("${{{name}}}")));
        }
    }
    secrets.retain(|(secret, _)| secret.len() >= SHORTEST);
    // The longest first: one may be part of another.
    secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    secrets
}

/// The part of a word that is shown as another: the value of a variable, and what was written for it.
fn different(word: &str, shown: &str) -> (String, String) {
    let alike = |pair: &(char, char)| pair.0 == pair.1;
    let before = std::iter::zip(word.chars(), shown.chars());
    let before: usize = before.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let (word, shown) = (
        word.get(before..).unwrap_or_default(),
        shown.get(before..).unwrap_or_default(),
    );
    let behind = std::iter::zip(word.chars().rev(), shown.chars().rev());
    let behind: usize = behind.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let part = |text: &str| {
        let part = text.get(..text.len() - behind).unwrap_or_default();
        part.to_owned()
    };
    (part(word), part(shown))
}

fn masked(message: &str, secrets: &[(String, String)]) -> String {
    secrets
        .iter()
        .fold(message.to_owned(), |message, (secret, shown)| {
            message.replace(secret, shown)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_what_differs() {
        for (word, shown, expected) in [
            ("plain", "plain", ("", "")),
            ("hunter22", "${TOKEN}", ("hunter22", "${TOKEN}")),
            (
                "--token=hunter22/x",
                "--token=${TOKEN}/x",
                ("hunter22", "${TOKEN}"),
            ),
            ("aa", "a", ("a", "")),
        ] {
            let (secret, instead) = different(word, shown);
            assert_eq!((secret.as_str(), instead.as_str()), expected, "{word}");
        }
    }

    #[test]
    fn a_message_does_not_tell_what_a_command_was_given() {
        let secrets = [("hunter22".to_owned(), "${TOKEN}".to_owned())];
        assert_eq!(
            masked("exit status 1: no user hunter22, hunter22", &secrets),
            "exit status 1: no user ${TOKEN}, ${TOKEN}"
        );
    }
}
