//! Status words: the names that a convention has for our states.

use crate::health::{DependencyStatus, ReloadStatus, State};
use crate::yaml::{Entry, Fields, Node, Problems, Value};

/// The longest word that is shown, in characters.
pub(super) const LONGEST_WORD: usize = 100;

/// A closed set of states that words can stand for.
pub(super) trait Vocabulary: Copy + PartialEq + std::fmt::Debug + 'static {
    /// The states with their keys in `words:`.
    const KEYS: &'static [(&'static str, Self)];
    /// Returns the meaning of a [`plain`] word that no `words:` of the profile list.
    fn known(plain: &str) -> Option<Self>;
}

impl Vocabulary for State {
    // A service that responds is not stopped, whatever it says.
    const KEYS: &'static [(&'static str, Self)] = &[
        ("healthy", Self::Healthy),
        ("degraded", Self::Degraded),
        ("unready", Self::Unready),
        ("unhealthy", Self::Unhealthy),
        ("unknown", Self::Unknown),
        ("starting", Self::Starting),
        ("draining", Self::Draining),
    ];

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
    const KEYS: &'static [(&'static str, Self)] = &[
        ("working", Self::Working),
        ("degraded", Self::Degraded),
        ("error", Self::Error),
        ("not_used", Self::NotUsed),
        ("unknown", Self::Unknown),
    ];

    fn known(plain: &str) -> Option<Self> {
        Some(match plain {
            "working" => Self::Working,
            "notused" | "excluded" | "disabled" | "none" => Self::NotUsed,
            // Components and services have the same names for a state.
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
    const KEYS: &'static [(&'static str, Self)] = &[
        ("reloaded", Self::Reloaded),
        ("unchanged", Self::Unchanged),
        ("partial", Self::Partial),
        ("rejected", Self::Rejected),
        ("needs-restart", Self::NeedsRestart),
        ("accepted", Self::Accepted),
        ("unknown", Self::Unknown),
    ];

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

/// Returns a word without what is ignored in comparing: case, `-`, `_` and space.
pub(super) fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_') && !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Returns a text with exactly one space around each word, so that `ready` is not found in `already`, but
/// `shutting down` is found in `shutting_down`.
fn spaced(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

/// The `words:` of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WordMap<S> {
    /// Plain words with their meanings.
    exact: Vec<(String, S)>,
    /// Phrases to be found in a longer text, with their meanings.
    contains: Vec<(String, S)>,
    /// The meaning of every other word; without it, the vocabulary that all share stands behind these words.
    default: Option<S>,
    /// The words replace the vocabulary: without a default, an unlisted word is not known.
    only: bool,
}

impl<S: Vocabulary> WordMap<S> {
    const fn new() -> Self {
        Self {
            exact: Vec::new(),
            contains: Vec::new(),
            default: None,
            only: false,
        }
    }

    /// Reads `{healthy: [ok, {contains: is fine}], default: unhealthy, only: true}`.
    pub(super) fn parse(entry: Option<&Entry>, problems: &mut Problems) -> Option<Self> {
        let expected = "a map from states to words, such as `{healthy: [ok]}`";
        let mut fields = Fields::read(&entry?.value, expected, problems)?;
        let mut words = Self::new();
        for (key, state) in S::KEYS {
            let items = fields.take(key).map(|entry| entry.value.one_or_many());
            for item in items.unwrap_or_default() {
                words.parse_item(item, *state, problems);
            }
        }
        let default = fields.take("default");
        words.default = default.and_then(|entry| entry.value.word(S::KEYS, problems));
        let only = fields.take("only");
        words.only = only.is_some_and(|entry| entry.value.boolean(problems) == Some(true));
        fields.finish(problems);
        Some(words)
    }

    fn parse_item(&mut self, node: &Node, state: S, problems: &mut Problems) {
        let expected = "a word, or `{contains: phrase}`";
        if let Value::Map(_) = &node.value {
            let Some(mut fields) = Fields::read(node, expected, problems) else {
                return;
            };
            let contains = fields.take("contains");
            fields.finish(problems);
            let Some(contains) = contains else {
                return problems.push(node.wrong(expected));
            };
            for phrase in contains.value.one_or_many() {
                let expected = "a phrase with at least one letter or digit";
                let Some(text) = phrase.text(expected, problems) else {
                    continue;
                };
                if text.contains(char::is_alphanumeric) {
                    Self::add(&mut self.contains, spaced(&text), state, phrase, problems);
                } else {
                    problems.push(phrase.wrong(expected));
                }
            }
            return;
        }
        match node.text(expected, problems) {
            Some(word) if word.trim().is_empty() => problems.push(node.wrong(expected)),
            Some(word) => Self::add(&mut self.exact, plain(&word), state, node, problems),
            None => {}
        }
    }

    fn add(
        list: &mut Vec<(String, S)>,
        word: String,
        state: S,
        node: &Node,
        problems: &mut Problems,
    ) {
        match list.iter().find(|(known, _)| *known == word) {
            Some((_, other)) if *other != state => {
                let other = S::KEYS.iter().find(|(_, state)| state == other);
                let other = other.map_or("", |(key, _)| key);
                node.problem("has two meanings")
                    .label(format!("it already stands for `{other}`"))
                    .hint("case, `-`, `_` and space are ignored in comparing")
                    .report(problems);
            }
            Some(_) => {}
            None => list.push((word, state)),
        }
    }

    /// Returns the meaning of a word or text: that of an exact word, else that of the longest phrase in it, else the
    /// default, else that of the vocabulary which all share.
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
                // `max_by_key` takes the last of equals; the first in the file must win.
                .rev()
                .max_by_key(|(phrase, _)| phrase.len())
        });
        let own = found.map(|(_, state)| *state).or(self.default);
        own.or_else(|| S::known(&word).filter(|_| !self.only))
    }
}

/// Returns the meaning of a word: by the profile's words, and behind them by the vocabulary that all share.
pub(super) fn meaning<S: Vocabulary>(words: Option<&WordMap<S>>, raw: &str) -> Option<S> {
    match words {
        Some(words) => words.lookup(raw),
        None => S::known(&plain(raw)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Vocabulary, WordMap, meaning};
    use crate::health::{DependencyStatus, State};
    use crate::yaml::{Problems, SourceFile, parse};

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

    fn words(yaml: &str) -> (WordMap<State>, Vec<String>) {
        let mut problems = Problems::default();
        let file = SourceFile::new("x", format!("words:\n  {}", yaml.replace('\n', "\n  ")));
        let node = parse(&Arc::new(file), &mut problems).unwrap();
        let words = WordMap::parse(node.get("words"), &mut problems).unwrap();
        let problems = problems.list.into_iter().map(|problem| problem.message);
        (words, problems.collect())
    }

    #[test]
    fn a_service_that_responds_is_not_stopped() {
        assert!(
            State::KEYS
                .iter()
                .all(|(key, state)| State::parse(key) == Some(*state))
        );
        let (_, problems) = words("stopped: [gone]");
        assert_eq!(problems, ["unknown key `stopped`"]);
    }

    #[test]
    fn own_words_stand_before_the_vocabulary() {
        let (own, _) = words("{healthy: [fine], draining: ok}");
        assert_eq!(own.lookup("FINE"), Some(State::Healthy));
        assert_eq!(own.lookup("ok"), Some(State::Draining));
        assert_eq!(own.lookup("Un-Healthy"), Some(State::Unhealthy));
        assert_eq!(own.lookup("banana"), None);
        let (own, _) = words("{healthy: [fine], only: true}");
        assert_eq!(own.lookup("FINE"), Some(State::Healthy));
        assert_eq!(own.lookup("ok"), None);
        let (own, _) = words("{healthy: fine, default: degraded}");
        assert_eq!(own.lookup("ok"), Some(State::Degraded));
        let (_, problems) = words("{healthy: fine, unhealthy: F-I-N-E}");
        assert_eq!(problems, ["`F-I-N-E` has two meanings"]);
    }

    #[test]
    fn the_longest_phrase_wins_and_an_exact_word_before_it() {
        let yaml = "{healthy: {contains: ready}, unready: {contains: not ready}, draining: ready to go away}";
        let (words, _) = words(yaml);
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
