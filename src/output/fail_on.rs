//! `--fail-on`: what counts as a failure besides what the states say.

use std::collections::BTreeSet;

use crate::health::{CheckVerdict, Flag, ServiceSnapshot, State};
use crate::text::{clean, nearest};

/// The levels and flags that are a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FailOn {
    states: BTreeSet<State>,
    flags: BTreeSet<Flag>,
    warn: bool,
}

/// A word that `--fail-on` does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct FailOnError {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Flags that nothing raises yet: a `--fail-on` that can never fail would be a lie.
const NOT_YET: [Flag; 1] = [Flag::Certificate];

const EXPECTED: &str =
    "expected states (degraded, unready, …), `warn`, or flags (flapping, success-age, …)";

impl FailOn {
    /// Reads words that are separated by commas: `degraded,stale`; `warn` is the verdict.
    pub(crate) fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, FailOnError> {
        let mut fail_on = Self::default();
        for word in words.into_iter().flat_map(|list| list.split(',')) {
            let word = word.trim();
            if let Some(state) = State::parse(word) {
                fail_on.states.insert(state);
            } else if let Some(flag) = Flag::parse(word) {
                if NOT_YET.contains(&flag) {
                    return Err(FailOnError {
                        message: format!("`--fail-on {flag}` is not supported yet"),
                        hint: None,
                    });
                }
                fail_on.flags.insert(flag);
            } else if word == "warn" {
                fail_on.warn = true;
            } else {
                let states = State::ALL.iter().map(|state| state.as_str());
                let flags = Flag::ALL.iter().map(|flag| flag.as_str());
                let near = nearest(word, states.chain(flags).chain(["warn"]));
                let hint = near.map_or_else(
                    || EXPECTED.to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(FailOnError {
                    message: format!("`--fail-on {}`: not a level or flag", clean(word, 60)),
                    hint: Some(hint),
                });
            }
        }
        Ok(fail_on)
    }

    /// The verdict of a service, with what was named made a failure.
    pub(crate) fn verdict(&self, snapshot: &ServiceSnapshot) -> CheckVerdict {
        let named = self.states.contains(&snapshot.state)
            || !self.flags.is_disjoint(&snapshot.flags)
            || (self.warn && snapshot.verdict == CheckVerdict::Warn);
        if named {
            CheckVerdict::Fail
        } else if self.undetermined(snapshot).next().is_some() {
            snapshot.verdict.max(CheckVerdict::Unknown)
        } else {
            snapshot.verdict
        }
    }

    /// Why a flag that was named cannot be told of a service: `stale cannot be told: …`.
    pub(crate) fn undetermined(&self, snapshot: &ServiceSnapshot) -> impl Iterator<Item = String> {
        let undetermined = snapshot.undetermined.iter();
        let named = undetermined.filter(|(flag, _)| self.flags.contains(flag));
        named.map(|(flag, why)| format!("{flag} cannot be told: {why}"))
    }
}
