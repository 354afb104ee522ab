//! Which services a command is about: names, globs, groups, labels, states, flags.
//!
//! Pure: a selector is checked against what the inventory holds, and asked about snapshots after a round of probes.

mod selection;
mod selector;
mod term;

use crate::text;

pub use selection::{Candidate, Selection};
pub use selector::Selector;

/// What is wrong with a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectError {
    /// What is wrong, with the selector and the nearest valid one.
    pub message: String,
    /// What else to do about it.
    pub hint: Option<String>,
}

impl SelectError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// With the nearest of these in the message, where one is near.
    fn near<'a>(
        message: impl std::fmt::Display,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::new(match text::nearest(word, candidates) {
            Some(near) => format!("{message}; did you mean `{near}`?"),
            None => message.to_string(),
        })
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}
