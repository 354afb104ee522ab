//! One term of a selector: `api`, `api-*`, `group:backend`, `tier=web`, `state:unhealthy`, `flag:stale`, each with an
//! optional `!` before it.

use globset::{GlobBuilder, GlobMatcher};

use super::{Candidate, SelectError};
use crate::health::{Flag, ServiceSnapshot, State};
use crate::text::clean;

/// A term and whether it is meant the other way round.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) is_negated: bool,
    pub(super) test: Test,
}

/// The test of a term.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Name(String),
    Glob(GlobMatcher),
    Group(String),
    Label(String, String),
    State(State),
    Flag(Flag),
}

impl Term {
    pub(super) fn parse(text: &str) -> Result<Self, SelectError> {
        let text = text.trim();
        let (is_negated, bare) = match text.strip_prefix('!') {
            Some(bare) => (true, bare.trim_start()),
            None => (false, text),
        };
        if bare.is_empty() {
            return Err(SelectError::new("a selector is empty")
                .hint("give a name, a glob, group:NAME, KEY=VALUE, state:STATE or flag:FLAG"));
        }
        if bare.starts_with('!') {
            let shown = clean(text, 80);
            return Err(SelectError::new(format!(
                "selector `{shown}` is negated twice"
            )));
        }
        Ok(Self {
            is_negated,
            test: Test::parse(bare)?,
        })
    }

    /// Returns whether a service passes the term, as far as the inventory tells; `None` where only probes can tell.
    pub(super) fn holds(&self, candidate: Candidate<'_>) -> Option<bool> {
        self.test
            .holds(candidate)
            .map(|holds| holds != self.is_negated)
    }

    /// Returns whether a service passes the term after a round of probes.
    pub(super) fn holds_in(&self, snapshot: &ServiceSnapshot) -> bool {
        let holds = match self.test {
            Test::State(state) => snapshot.state == state,
            Test::Flag(flag) => snapshot.flags.contains(&flag),
            _ => self.test.holds(Candidate::of(snapshot)).unwrap_or(false),
        };
        holds != self.is_negated
    }
}

impl Test {
    fn parse(text: &str) -> Result<Self, SelectError> {
        let shown = clean(text, 80);
        let colon = text.split_once(':');
        match colon {
            Some(("group", word)) => return named(word, &shown, "group:NAME").map(Self::Group),
            Some(("state", word)) => {
                return word_of(word, "state", State::ALL, State::as_str).map(Self::State);
            }
            Some(("flag", word)) => {
                return word_of(word, "flag", Flag::ALL, Flag::as_str).map(Self::Flag);
            }
            _ => {}
        }
        if let Some((key, value)) = text.split_once('=') {
            return named(key, &shown, "KEY=VALUE").map(|key| Self::Label(key, value.to_owned()));
        }
        if let Some((kind, _)) = colon {
            let message = format!("selector `{shown}` is of no kind that there is");
            return Err(SelectError::near(message, kind, ["group", "state", "flag"])
                .hint("with a colon there are group:NAME, state:STATE and flag:FLAG"));
        }
        if !text.contains(['*', '?', '[', '{']) {
            return Ok(Self::Name(text.to_owned()));
        }
        let glob = GlobBuilder::new(text).backslash_escape(true).build();
        glob.map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| {
                SelectError::new(format!("selector `{shown}` is no glob: {}", error.kind()))
            })
    }

    fn holds(&self, candidate: Candidate<'_>) -> Option<bool> {
        Some(match self {
            Self::Name(name) => candidate.name == name,
            Self::Glob(glob) => glob.is_match(candidate.name),
            Self::Group(group) => candidate.group == Some(group),
            Self::Label(key, value) => candidate.labels.get(key) == Some(value),
            Self::State(_) | Self::Flag(_) => return None,
        })
    }

    /// Returns the error for a term that no service of the inventory passes.
    pub(super) fn matches_nothing(&self, inventory: &[Candidate<'_>]) -> SelectError {
        let groups = || inventory.iter().filter_map(|candidate| candidate.group);
        match self {
            Self::Name(name) => {
                let shown = clean(name, 80);
                let message = format!("no service is named `{shown}`");
                if groups().any(|group| group == name) {
                    return SelectError::new(message)
                        .hint(format!("for the group of that name write group:{shown}"));
                }
                let names = inventory.iter().map(|candidate| candidate.name);
                SelectError::near(message, name, names)
            }
            Self::Glob(glob) => SelectError::new(format!(
                "no service has a name like `{}`",
                clean(glob.glob().glob(), 80)
            )),
            Self::Group(group) => {
                let message = format!("no service is of the group `{}`", clean(group, 80));
                SelectError::near(message, group, groups())
            }
            Self::Label(key, value) => {
                let label = format!("{key}={value}");
                let message = format!("no service has the label `{}`", clean(&label, 80));
                let labels: Vec<_> = inventory
                    .iter()
                    .flat_map(|candidate| candidate.labels)
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                SelectError::near(message, &label, labels.iter().map(String::as_str))
            }
            Self::State(_) | Self::Flag(_) => SelectError::new("no service can be meant"),
        }
    }
}

fn named(name: &str, shown: &str, form: &str) -> Result<String, SelectError> {
    if name.is_empty() {
        return Err(SelectError::new(format!(
            "selector `{shown}` lacks a name: it has the form {form}"
        )));
    }
    Ok(name.to_owned())
}

fn word_of<T: Copy>(
    word: &str,
    what: &str,
    all: &'static [T],
    spell: impl Fn(T) -> &'static str,
) -> Result<T, SelectError> {
    let named = all.iter().copied().find(|one| spell(*one) == word);
    named.ok_or_else(|| {
        let all: Vec<&str> = all.iter().map(|one| spell(*one)).collect();
        let message = format!("`{}` is no {what}", clean(word, 80));
        SelectError::near(message, word, all.iter().copied())
            .hint(format!("{what} is one of: {}", all.join(", ")))
    })
}
