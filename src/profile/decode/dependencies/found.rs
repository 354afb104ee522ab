//! What the entries of a payload amount to.

use std::fmt::Write as _;

use super::{Found, MOST_DEPENDENCIES};
use crate::health::{Dependency, DependencyStatus, State};

impl Found {
    /// What the entries together amount to; `None` where there is none that counts.
    pub(crate) fn state(&self) -> Option<State> {
        use DependencyStatus::{Degraded, Error, NotUsed, Unknown, Working};
        let has = |wanted| self.list.iter().any(|entry| entry.status == wanted);
        let required = |entry: &Dependency| entry.required && entry.status == Error;
        if self.list.iter().any(required) {
            Some(State::Unhealthy)
        } else if has(Error) || has(Degraded) || self.left_out_error.is_some() {
            Some(State::Degraded)
        } else if has(Working) {
            // Some that nobody has checked yet do not speak against the others.
            Some(State::Healthy)
        } else if has(Unknown) {
            Some(State::Unknown)
        } else {
            debug_assert!(self.list.iter().all(|entry| entry.status == NotUsed));
            None
        }
    }

    /// The first required one in error, in words.
    pub(crate) fn required_error(&self) -> Option<String> {
        let wrong = |entry: &&Dependency| entry.required && entry.status == DependencyStatus::Error;
        let entry = self.list.iter().find(wrong)?;
        let why = entry.error.as_deref().or(entry.word.as_deref());
        Some(format!(
            "required dependency {}: {}",
            entry.name,
            why.unwrap_or("in error")
        ))
    }

    /// A sentence on what is missing in the list.
    pub(crate) fn note(&self) -> Option<String> {
        if self.left_out == 0 {
            return None;
        }
        let mut note = format!(
            "{} more dependencies are left out, {MOST_DEPENDENCIES} are the limit",
            self.left_out
        );
        if let Some(name) = &self.left_out_error {
            let _ = write!(note, "; among them {name} is in error");
        }
        Some(note)
    }
}
