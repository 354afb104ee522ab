//! Status words: what a convention calls the states that we know.

use crate::health::{DependencyStatus, ReloadStatus, State};

/// A closed set of states that words can stand for.
pub(super) trait Vocabulary: Copy + PartialEq + std::fmt::Debug + 'static {
    /// What the state is called as a key of `words:`; `None` for a key that is none.
    fn from_key(key: &str) -> Option<Self>;
    /// The keys that [`Vocabulary::from_key`] knows.
    const KEYS: &'static [&'static str];
    /// What a word means where the profile has no `words:`; the word is already [`plain`].
    fn known(plain: &str) -> Option<Self>;
}

impl Vocabulary for State {
    const KEYS: &'static [&'static str] = &[
        "healthy",
        "degraded",
        "unready",
        "unhealthy",
        "unknown",
        "starting",
        "draining",
    ];

    fn from_key(key: &str) -> Option<Self> {
        // A service that answers is not stopped, whatever it says.
        Self::parse(key).filter(|state| *state != Self::Stopped)
    }

    fn known(plain: &str) -> Option<Self> {
        Some(match plain {
            "healthy"
            | "ok"
            | "pass"
            | "passing"
            | "up"
            | "green"
            | "live"
            | "ready"
            | "serving"
            | "serverisready"
            | "serverisnotshuttingdown"
            | "running"
            | "pong"
            | "active"
            | "true" => Self::Healthy,
            "degraded" | "warn" | "warning" | "yellow" | "partiallyavailable" => Self::Degraded,
            "unhealthy" | "fail" | "failed" | "failing" | "error" | "down" | "outofservice"
            | "red" | "critical" | "unavailable" | "notserving" | "serverisnotready" | "exited"
            | "false" => Self::Unhealthy,
            "unknown" | "serviceunknown" => Self::Unknown,
            "starting" | "preinitializing" | "initializing" | "activating" => Self::Starting,
            "shuttingdown"
            | "shutdownscheduled"
            | "shutdowncomplete"
            | "draining"
            | "serverisshuttingdown"
            | "deactivating" => Self::Draining,
            _ => return None,
        })
    }
}

impl Vocabulary for DependencyStatus {
    const KEYS: &'static [&'static str] = &["working", "degraded", "error", "not_used", "unknown"];

    fn from_key(key: &str) -> Option<Self> {
        Self::parse(key)
    }

    fn known(plain: &str) -> Option<Self> {
        Some(match plain {
            "working" => Self::Working,
            "notused" | "excluded" | "disabled" | "none" => Self::NotUsed,
            // A component is called the same names as a service.
            other => match State::known(other)? {
                State::Healthy => Self::Working,
                State::Degraded => Self::Degraded,
                State::Unhealthy | State::Unready | State::Stopped => Self::Error,
                State::Unknown | State::Starting | State::Draining => Self::Unknown,
            },
        })
    }
}

impl Vocabulary for ReloadStatus {
    const KEYS: &'static [&'static str] = &[
        "reloaded",
        "unchanged",
        "partial",
        "rejected",
        "needs-restart",
        "accepted",
        "unknown",
    ];

    fn from_key(key: &str) -> Option<Self> {
        Self::parse(key)
    }

    fn known(plain: &str) -> Option<Self> {
        Some(match plain {
            "reloaded" | "success" | "successful" | "succeeded" | "ok" | "updated" | "changed"
            | "applied" | "refreshed" | "done" | "completed" | "complete" | "true" => {
                Self::Reloaded
            }
            "unchanged" | "same" | "nochange" | "nochanges" | "notmodified" | "notchanged"
            | "skipped" | "uptodate" | "noop" => Self::Unchanged,
            "partial" | "partiallyreloaded" | "partiallyapplied" | "partialsuccess" | "mixed" => {
                Self::Partial
            }
            "rejected" | "refused" | "error" | "fail" | "failed" | "failure" | "invalid"
            | "false" => Self::Rejected,
            "needsrestart" | "needrestart" | "restartneeded" | "restartrequired"
            | "requiresrestart" | "pendingrestart" | "notreloadable" => Self::NeedsRestart,
            "accepted" | "scheduled" | "queued" | "pending" | "inprogress" | "reloading" => {
                Self::Accepted
            }
            _ => return None,
        })
    }
}

/// A word without what is ignored in comparing: case, `-`, `_` and space.
pub(super) fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_') && !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A text with its words still apart, so that `ready` is not found in `already`… but `shutting down` in
/// `shutting_down` is.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// Whether a text can be looked for at all.
pub(super) fn is_phrase(text: &str) -> bool {
    text.contains(char::is_alphanumeric)
}

/// The `words:` of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Words<S> {
    /// Plain words, each with what it means.
    exact: Vec<(String, S)>,
    /// Phrases to be found in a longer text, each with what it means.
    contains: Vec<(String, S)>,
    /// What every other word means; without it, an unlisted word is not known.
    pub(super) default: Option<S>,
}

impl<S: Vocabulary> Words<S> {
    /// Without any word.
    pub(super) const fn new() -> Self {
        Self {
            exact: Vec::new(),
            contains: Vec::new(),
            default: None,
        }
    }

    /// Adds a word. Gives back the other meaning where it already has one.
    pub(super) fn add(&mut self, word: &str, state: S) -> Result<(), S> {
        Self::insert(&mut self.exact, plain(word), state)
    }

    /// Adds a phrase. Gives back the other meaning where it already has one.
    pub(super) fn add_phrase(&mut self, phrase: &str, state: S) -> Result<(), S> {
        Self::insert(&mut self.contains, spaced(phrase), state)
    }

    fn insert(list: &mut Vec<(String, S)>, word: String, state: S) -> Result<(), S> {
        match list.iter().find(|(known, _)| *known == word) {
            Some((_, other)) if *other != state => Err(*other),
            Some(_) => Ok(()),
            None => {
                list.push((word, state));
                Ok(())
            }
        }
    }

    /// What this word or text means: an exact word first, then the longest phrase that it contains.
    pub(super) fn lookup(&self, raw: &str) -> Option<S> {
        let word = plain(raw);
        let exact = self.exact.iter().find(|(known, _)| *known == word);
        let found = exact.or_else(|| {
            if self.contains.is_empty() {
                return None;
            }
            let text = spaced(raw);
            self.contains
                .iter()
                .filter(|(phrase, _)| text.contains(phrase.as_str()))
                // `max_by_key` takes the last of equals; the first in the file is the one to win.
                .rev()
                .max_by_key(|(phrase, _)| phrase.len())
        });
        found.map(|(_, state)| *state).or(self.default)
    }
}

/// What a word means: by the profile's words where it has some, else by the vocabulary that all share.
pub(super) fn meaning<S: Vocabulary>(words: Option<&Words<S>>, raw: &str) -> Option<S> {
    match words {
        Some(words) => words.lookup(raw),
        None => S::known(&plain(raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Vocabulary, Words, meaning};
    use crate::health::{DependencyStatus, State};

    #[test]
    fn vocabulary_ignores_case_and_separators() {
        let cases = [
            ("Healthy", Some(State::Healthy)),
            (" ok\n", Some(State::Healthy)),
            ("SERVER_IS_NOT_SHUTTING_DOWN", Some(State::Healthy)),
            ("shutting-down", Some(State::Draining)),
            ("Shutting Down", Some(State::Draining)),
            ("ShuttingDown", Some(State::Draining)),
            ("PRE_INITIALIZING", Some(State::Starting)),
            ("Partially Available", Some(State::Degraded)),
            ("out_of_service", Some(State::Unhealthy)),
            ("SERVICE_UNKNOWN", Some(State::Unknown)),
            ("true", Some(State::Healthy)),
            ("FALSE", Some(State::Unhealthy)),
            ("banana", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(meaning::<State>(None, word), expected, "{word:?}");
        }
    }

    #[test]
    fn dependency_vocabulary() {
        let cases = [
            ("working", Some(DependencyStatus::Working)),
            ("UP", Some(DependencyStatus::Working)),
            ("not used", Some(DependencyStatus::NotUsed)),
            ("disabled", Some(DependencyStatus::NotUsed)),
            ("yellow", Some(DependencyStatus::Degraded)),
            ("failing", Some(DependencyStatus::Error)),
            ("starting", Some(DependencyStatus::Unknown)),
            ("unknown", Some(DependencyStatus::Unknown)),
            ("banana", None),
        ];
        for (word, expected) in cases {
            assert_eq!(
                meaning::<DependencyStatus>(None, word),
                expected,
                "{word:?}"
            );
        }
    }

    #[test]
    fn every_key_is_a_state_and_stopped_is_none() {
        for key in State::KEYS {
            assert!(State::from_key(key).is_some(), "{key}");
        }
        for key in DependencyStatus::KEYS {
            assert!(DependencyStatus::from_key(key).is_some(), "{key}");
        }
        assert_eq!(State::from_key("stopped"), None);
    }

    #[test]
    fn own_words_replace_the_vocabulary() {
        let mut words = Words::new();
        words.add("fine", State::Healthy).unwrap();
        assert_eq!(words.lookup("FINE"), Some(State::Healthy));
        assert_eq!(words.lookup("ok"), None);
        words.default = Some(State::Degraded);
        assert_eq!(words.lookup("ok"), Some(State::Degraded));
        assert_eq!(words.add("F-I-N-E", State::Unhealthy), Err(State::Healthy));
    }

    #[test]
    fn the_longest_phrase_wins_and_an_exact_word_before_it() {
        let mut words = Words::new();
        words.add_phrase("ready", State::Healthy).unwrap();
        words.add_phrase("not ready", State::Unready).unwrap();
        words.add("ready to go away", State::Draining).unwrap();
        let cases = [
            ("Server is Ready.", Some(State::Healthy)),
            ("SERVER_IS_NOT_READY", Some(State::Unready)),
            ("Ready to go away", Some(State::Draining)),
            ("already", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(words.lookup(text), expected, "{text:?}");
        }
    }
}
