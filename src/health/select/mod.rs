//! Which services a command is about: names, globs, groups, labels, states, flags.
//!
//! Pure: a selector is checked against what the inventory holds, and asked about snapshots after a round of probes.

mod selection;
mod selector;
mod term;

use std::collections::BTreeMap;

use super::ServiceSnapshot;
use crate::text;

pub use selection::Selection;
pub use selector::Selector;

/// A service of the inventory, as far as a selector needs it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The name of the service.
    pub name: &'a str,
    /// The group of the service.
    pub group: Option<&'a str>,
    /// The labels of the service.
    pub labels: &'a BTreeMap<String, String>,
}

impl<'a> Candidate<'a> {
    /// The service of a snapshot.
    pub fn of(snapshot: &'a ServiceSnapshot) -> Self {
        Self {
            name: &snapshot.info.name,
            group: snapshot.info.group.as_deref(),
            labels: &snapshot.info.labels,
        }
    }
}

/// The error of a selector that is malformed or matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectError {
    /// The message, with the selector and the nearest valid one.
    pub message: String,
    /// The hint for the user.
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
