//! `rules:` of a profile: what follows where a value is what the profile says; the first that matches counts.

use serde_json::Value;

use super::place::{Document, Places, alike};
use crate::health::State;

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// What has to be so.
    pub(super) when: Condition,
    /// What follows of the state, if anything.
    pub(super) state: Option<State>,
    /// What to tell people.
    pub(super) note: Option<String>,
}

/// `{at, is}`: something that a payload may say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    /// Where to look.
    pub(super) at: Places,
    /// What has to stand there, one of these.
    pub(super) is: Vec<Value>,
}

impl Condition {
    /// Whether the value is there. `null` is there where nothing is.
    pub(super) fn holds(&self, document: Document<'_>) -> bool {
        let found = self.at.find(document);
        let value = found.as_ref().map_or(&Value::Null, |(_, value)| value);
        self.is.iter().any(|wanted| alike(value, wanted))
    }
}
