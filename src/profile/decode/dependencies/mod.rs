//! The components that a payload reports on: a map or a list of entries, each to one [`Dependency`].
//!
//! This file holds what a profile says of such a table; `reader` walks a payload, `told` reads the word of one entry,
//! `found` sums up.

mod found;
mod reader;
mod told;

use std::borrow::Cow;

use serde_json::Value;

use super::heartbeat::Pulse;
use super::place::{Document, Place, Places, Source};
use super::words::Words;
use crate::health::{Dependency, DependencyStatus, Moment};

use reader::Reader;

/// Entries kept of one payload; the rest counts towards the state and is left out of the table.
pub(crate) const MOST_DEPENDENCIES: usize = 1_000;
/// Characters of a name.
const LONGEST_NAME: usize = 128;
/// Characters of a word.
pub(crate) const LONGEST_WORD: usize = 100;
/// Characters of an error.
const LONGEST_ERROR: usize = 500;

/// `dependencies:` of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Where the entries are.
    pub(crate) at: Places,
    /// The name of an entry; the key of a map where it is left out.
    pub(crate) name: Places,
    /// Keys that are no dependencies.
    pub(crate) ignore: Vec<String>,
    /// A map or a list; whichever comes where it is left out.
    pub(crate) shape: Option<Shape>,
    /// What an entry is; whatever comes where it is left out.
    pub(crate) kind: Option<EntryKind>,
    /// Only what fails is listed.
    pub(crate) failures_only: bool,
    /// Where an entry has entries of its own.
    pub(crate) recurse: Vec<Source>,
    /// Which ones the service cannot do without.
    pub(crate) required: Required,
    /// The status word, each place with its own words.
    pub(crate) status: Vec<(Place, Option<Words<DependencyStatus>>)>,
    /// The words of the table where a place has none of its own.
    pub(crate) words: Option<Words<DependencyStatus>>,
    /// What is wrong.
    pub(crate) error: Places,
    /// When it last worked.
    pub(crate) last_success: Places,
    /// When it last failed.
    pub(crate) last_failure: Places,
    /// When it was last checked, whatever came of it.
    pub(crate) last_check: Places,
    /// How often it worked.
    pub(crate) success_count: Places,
    /// How often it failed.
    pub(crate) failure_count: Places,
    /// How long its check took.
    pub(crate) latency: Places,
    /// Its sign of life.
    pub(crate) heartbeat: Option<Pulse>,
}

/// `shape:` how the entries stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By name.
    Map,
    /// One after another.
    Array,
}

/// `value:` what an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A map with places in it.
    Object,
    /// A word, or the text of what is wrong.
    Text,
    /// True where it works.
    Bool,
}

/// `required:` of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Required {
    /// These names.
    Names(Vec<String>),
    /// Those whose entry says so.
    Says(Places),
}

/// The dependencies of one payload.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// In payload order.
    pub(crate) list: Vec<Dependency>,
    /// How many there were beyond [`MOST_DEPENDENCIES`].
    pub(crate) left_out: usize,
    /// One that was left out is in error, with the first one's name.
    pub(crate) left_out_error: Option<String>,
}

impl Table {
    /// The entries of a payload; `None` where it has no such table.
    pub(crate) fn read(&self, document: Document<'_>, now: Moment) -> Option<Found> {
        let table = self.entries(document);
        let mut reader = Reader::new(self, document, now);
        match table {
            Some(table) => reader.read(&table, None),
            // Where only failures are listed, no list is the best news.
            None if self.failures_only => {}
            None => return None,
        }
        Some(reader.finish())
    }

    /// The first of its places, for people.
    pub(crate) fn place(&self) -> String {
        let first = self.at.0.first();
        first.map_or_else(String::new, |place| place.source.to_string())
    }

    /// The first place that holds something, else the first that holds a table without entries.
    fn entries<'a>(&self, document: Document<'a>) -> Option<Cow<'a, Value>> {
        if let Some((_, value)) = self.at.find(document) {
            return self.fits(&value).then_some(value);
        }
        let mut all = self.at.0.iter();
        all.find_map(|place| place.source.look(document).filter(|value| self.fits(value)))
    }

    /// Whether a value is such a table. One without entries is, in either shape: some languages cannot tell them
    /// apart.
    fn fits(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => map.is_empty() || self.shape != Some(Shape::Array),
            Value::Array(items) => items.is_empty() || self.shape != Some(Shape::Map),
            _ => false,
        }
    }
}
