//! One selector as typed: terms joined by a comma, all of which have to hold.

use std::collections::BTreeMap;

use crate::health::Picture;

/// What is wrong with a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectError {
    /// What is wrong, with the selector.
    pub message: String,
    /// What to do about it: the nearest valid one.
    pub hint: Option<String>,
}

/// One selector: `api`, `api-*`, `group:backend`, `tier=web`, `state:unhealthy`, `flag:stale`, several joined by a
/// comma, each with an optional `!` before it.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// When it is empty, a glob is malformed, or a word after `state:` or `flag:` is not one.
    pub fn parse(text: &str) -> Result<Self, SelectError> {
        Ok(Self {
            text: text.to_owned(),
        })
    }

    /// The selector as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True where it cannot be told before a round of probes.
    pub fn needs_picture(&self) -> bool {
        todo!("selector")
    }

    /// Whether the service could be meant, as far as the inventory tells: `state:` and `flag:` are left open.
    pub fn matches_static(
        &self,
        _name: &str,
        _group: Option<&str>,
        _labels: &BTreeMap<String, String>,
    ) -> bool {
        todo!("selector")
    }

    /// Whether the service is meant.
    pub fn matches(&self, _picture: &Picture) -> bool {
        todo!("selector")
    }
}
