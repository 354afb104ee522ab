//! The components that a payload reports on: a map or a list of entries, each of which becomes one [`Dependency`].

mod reader;

use std::collections::HashMap;
use std::fmt::Write as _;

use super::field::{FieldSpecs, PayloadPath, WordSpecs};
use super::heartbeat::HeartbeatDecode;
use super::parser::{FieldKind, Parser};
use super::words::WordMap;
use crate::health::{Dependency, DependencyStatus, State};
use crate::yaml::{Entry, Fields, Problem, Value};

/// The number of entries kept of one payload; the others count towards the state, but are not listed.
const MOST_DEPENDENCIES: usize = 1_000;

/// `dependencies:` of a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DependencyTable {
    /// The paths of the entries.
    pub(crate) at: FieldSpecs,
    /// The name of an entry; the key of a map when it is left out.
    name: FieldSpecs,
    /// Keys that are no dependencies.
    ignore: Vec<String>,
    /// A map or a list; whichever comes when it is left out.
    shape: Option<Shape>,
    /// The kind of an entry; whatever comes when it is left out.
    kind: Option<EntryKind>,
    /// True when only failures are listed.
    pub(crate) failures_only: bool,
    /// The paths at which an entry has entries of its own.
    recurse: Vec<PayloadPath>,
    /// The dependencies without which the service cannot work.
    required: Required,
    status: WordSpecs<DependencyStatus>,
    /// The words of a status without words of its own.
    words: Option<WordMap<DependencyStatus>>,
    error: FieldSpecs,
    last_success: FieldSpecs,
    last_failure: FieldSpecs,
    /// The time of the last check, whatever its result.
    last_check: FieldSpecs,
    success_count: FieldSpecs,
    failure_count: FieldSpecs,
    /// The time that a check took.
    latency: FieldSpecs,
    pub(crate) heartbeat: Option<HeartbeatDecode>,
}

/// `shape:` of the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Map,
    Array,
}

/// `value:` of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    /// A map with fields in it.
    Object,
    /// A status word, or the text of an error.
    Text,
    /// A flag: true when the dependency works.
    Bool,
}

/// `required:` of a profile.
#[derive(Debug, Clone, PartialEq)]
enum Required {
    Names(Vec<String>),
    /// A flag in the entry.
    Flag(FieldSpecs),
}

impl Default for Required {
    fn default() -> Self {
        Self::Flag(FieldSpecs::default())
    }
}

/// The dependencies of one payload.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DependencyList {
    /// In the order of the payload.
    pub(crate) list: Vec<Dependency>,
    /// The number of dependencies beyond [`MOST_DEPENDENCIES`].
    left_out: usize,
    /// The name of the first one in error that was left out.
    left_out_error: Option<String>,
}

impl DependencyTable {
    /// Returns the table of [`super::lines`]: a status and an error for each name.
    pub(crate) fn of_lines() -> Self {
        Self {
            at: FieldSpecs::pointers(&[""]),
            shape: Some(Shape::Map),
            kind: Some(EntryKind::Object),
            status: WordSpecs::pointer("/status"),
            error: FieldSpecs::pointers(&["/error"]),
            ..Self::default()
        }
    }

    pub(crate) fn parse(entry: &Entry, parser: &mut Parser<'_>) -> Option<Self> {
        if parser.format_without_paths().is_some() {
            let message = "dependencies can only be read from JSON or lines";
            return Problem::at(&entry.key_place, message)
                .label("needs `format: json` or `format: lines`")
                .hint("take it out, or set `format: json`")
                .reject(parser.problems);
        }
        let expected = "a map that says where the dependencies are, such as `{at: /dependencies}`";
        let mut fields = Fields::read(&entry.value, expected, parser.problems)?;
        let at = fields.take("at");
        if at.is_none() {
            Problem::at(&entry.key_place, "dependencies without `at`")
                .expected(expected)
                .hint("`at: \"\"` is the whole body")
                .report(parser.problems);
        }
        let table = Self::parse_fields(&mut fields, at, parser);
        fields.finish(parser.problems);
        Some(table)
    }

    fn parse_fields(fields: &mut Fields<'_>, at: Option<&Entry>, parser: &mut Parser<'_>) -> Self {
        let shape = fields.take("shape").and_then(|entry| {
            let words = [("map", Shape::Map), ("array", Shape::Array)];
            entry.value.word(&words, parser.problems)
        });
        let kind = fields.take("value").and_then(|entry| {
            let words = [
                ("object", EntryKind::Object),
                ("string", EntryKind::Text),
                ("bool", EntryKind::Bool),
            ];
            entry.value.word(&words, parser.problems)
        });
        let mut status = parser.take_word(fields, "status");
        if status.is_empty() {
            status = WordSpecs::pointer("/status");
        }
        Self {
            at: parser.field(at, FieldKind::Text),
            name: parser.take_text(fields, "name"),
            ignore: parser.names(
                fields.take("ignore"),
                "a list of keys, such as `[status, version]`",
            ),
            shape,
            kind,
            failures_only: fields
                .take("failures_only")
                .and_then(|entry| entry.value.boolean(parser.problems))
                .unwrap_or(false),
            recurse: Self::parse_recurse(fields.take("recurse"), parser),
            required: match fields.take("required") {
                Some(entry) if matches!(entry.value.value, Value::List(_)) => {
                    Required::Names(parser.names(Some(entry), "a list of names"))
                }
                entry => Required::Flag(parser.field(entry, FieldKind::Text)),
            },
            status,
            words: WordMap::parse(fields.take("words"), parser.problems),
            error: parser.take_text(fields, "error"),
            last_success: parser.take_duration(fields, "last_success"),
            last_failure: parser.take_duration(fields, "last_failure"),
            success_count: parser.take_text(fields, "success_count"),
            failure_count: parser.take_text(fields, "failure_count"),
            latency: parser.take_duration(fields, "latency"),
            last_check: parser.take_duration(fields, "last_check"),
            heartbeat: HeartbeatDecode::parse(fields.take("heartbeat"), parser),
        }
    }

    fn parse_recurse(entry: Option<&Entry>, parser: &mut Parser<'_>) -> Vec<PayloadPath> {
        let nodes = entry.map(|entry| entry.value.one_or_many());
        let nodes = nodes.unwrap_or_default().iter();
        let paths = nodes.filter_map(|node| match parser.path(node)? {
            PayloadPath::Pointer(pointer) if !pointer.is_empty() => {
                Some(PayloadPath::Pointer(pointer))
            }
            // A header has no entries, and an entry that is its own part has no end.
            _ => {
                let problem = node.wrong("a JSON pointer such as `/components`");
                problem.reject(parser.problems)
            }
        });
        paths.collect()
    }
}

/// Names that are given once: a repeated name gets a number.
#[derive(Default)]
pub(crate) struct UniqueNames(HashMap<String, usize>);

impl UniqueNames {
    /// Returns the name, or `NAME#2` and so on when it was given before.
    pub(crate) fn unique(&mut self, name: &str) -> String {
        let mut number = self.0.get(name).copied().unwrap_or(0);
        loop {
            number += 1;
            let candidate = match number {
                1 => name.to_owned(),
                _ => format!("{name}#{number}"),
            };
            // The candidate may be the name of another entry.
            if number == 1 || !self.0.contains_key(&candidate) {
                self.0.insert(name.to_owned(), number);
                self.0.entry(candidate.clone()).or_insert(1);
                return candidate;
            }
        }
    }
}

impl DependencyList {
    /// Returns the state that follows from the entries, or `None` when no entry counts.
    pub(crate) fn state(&self) -> Option<State> {
        use DependencyStatus::{Degraded, Error, Unknown, Working};
        let has = |wanted| self.list.iter().any(|entry| entry.status == wanted);
        if self.first_required_error().is_some() {
            Some(State::Unhealthy)
        } else if has(Error) || has(Degraded) || self.left_out_error.is_some() {
            Some(State::Degraded)
        } else if has(Working) {
            // Entries that nobody has checked yet do not count against the others.
            Some(State::Healthy)
        } else {
            has(Unknown).then_some(State::Unknown)
        }
    }

    fn first_required_error(&self) -> Option<&Dependency> {
        let mut list = self.list.iter();
        list.find(|entry| entry.required && entry.status == DependencyStatus::Error)
    }

    /// Returns a sentence about the first required dependency in error.
    pub(crate) fn required_error(&self) -> Option<String> {
        let entry = self.first_required_error()?;
        let why = entry.error.as_deref().or(entry.word.as_deref());
        let why = why.unwrap_or("in error");
        Some(format!("required dependency {}: {why}", entry.name))
    }

    /// Returns a sentence about the entries that are not in the list.
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
