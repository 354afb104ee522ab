//! What one entry says of its state.

use std::borrow::Cow;

use serde_json::Value;

use super::super::place::{Document, Place, Source, holds, raw, truthy};
use super::super::words::{Words, meaning};
use super::{EntryKind, LONGEST_ERROR, LONGEST_WORD, Table};
use crate::health::DependencyStatus;
use crate::text::clean;

/// What the word of an entry means.
pub(super) struct Told {
    pub(super) status: DependencyStatus,
    pub(super) word: Option<String>,
    /// The text of what is wrong where the word itself is it.
    pub(super) error: Option<String>,
    /// Where the word stood.
    pub(super) at: Option<Source>,
}

/// A place, the words that hold there, and the value.
type WordOf<'t, 'a> = (
    &'t Place,
    Option<&'t Words<DependencyStatus>>,
    Cow<'a, Value>,
);

impl Table {
    /// The place of the status word that holds something, and its words.
    pub(super) fn word_of<'a>(&self, document: Document<'a>) -> Option<WordOf<'_, 'a>> {
        self.status.iter().find_map(|(place, words)| {
            let value = place.source.look(document)?;
            let words = words.as_ref().or(self.words.as_ref());
            holds(&value).then_some((place, words, value))
        })
    }

    pub(super) fn told(&self, entry: &Value, document: Document<'_>) -> Told {
        let nothing = Told {
            status: DependencyStatus::Unknown,
            word: None,
            error: None,
            at: None,
        };
        let own = || {
            self.words
                .as_ref()
                .or(self.status.first().and_then(|(_, words)| words.as_ref()))
        };
        match (self.kind, entry) {
            (
                Some(EntryKind::Bool),
                value @ (Value::Bool(_) | Value::Number(_) | Value::String(_)),
            ) => {
                let status = meaning(own(), &raw(value)).unwrap_or(if truthy(value) {
                    DependencyStatus::Working
                } else {
                    DependencyStatus::Error
                });
                Told {
                    status,
                    word: Some(clean(&raw(value), LONGEST_WORD)),
                    ..nothing
                }
            }
            (kind, value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
                let text = raw(value);
                if text.is_empty() {
                    return nothing;
                }
                let known = meaning(own(), &text);
                // In such a map whatever is no word for working is the text of what is wrong.
                let message =
                    known.is_none() && (kind == Some(EntryKind::Text) || self.failures_only);
                Told {
                    status: match known {
                        Some(status) => status,
                        None if message => DependencyStatus::Error,
                        None => DependencyStatus::Unknown,
                    },
                    error: message.then(|| clean(&text, LONGEST_ERROR)),
                    word: Some(clean(&text, LONGEST_WORD)),
                    at: None,
                }
            }
            _ => match self.word_of(document) {
                Some((place, words, value)) => {
                    let text = raw(&value);
                    Told {
                        status: meaning(words, &text).unwrap_or(DependencyStatus::Unknown),
                        word: Some(clean(&text, LONGEST_WORD)),
                        error: None,
                        at: Some(place.source.clone()),
                    }
                }
                None => nothing,
            },
        }
    }
}
