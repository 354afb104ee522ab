//! `dependencies:` as a profile writes it.

use super::Parser;
use super::places::Setting;
use crate::profile::decode::dependencies::{EntryKind, Required, Shape, Table};
use crate::profile::decode::place::{Place, Places, Source};
use crate::yaml::{Entry, Fields, Node, Problem, Value};

impl Parser<'_> {
    pub(super) fn table(&mut self, entry: &Entry) -> Option<Table> {
        if self.without_places().is_some() {
            self.problems.push(
                Problem::at(
                    &entry.key_place,
                    "dependencies can only be read from JSON or lines",
                )
                .label("needs `format: json` or `format: lines`")
                .hint("take it out, or set `format: json`"),
            );
            return None;
        }
        let expected = "a map that says where the dependencies are, such as `{at: /dependencies}`";
        let mut fields = Fields::read(&entry.value, expected, self.problems)?;
        let at = fields.take("at");
        if at.is_none() {
            self.problems.push(
                Problem::at(&entry.key_place, "dependencies without `at`")
                    .label(format!("expected {expected}"))
                    .hint("`at: \"\"` is the whole body"),
            );
        }
        let table = self.columns(&mut fields, at);
        fields.finish(self.problems);
        Some(table)
    }

    fn columns(&mut self, fields: &mut Fields<'_>, at: Option<&Entry>) -> Table {
        let own = |pointer: &str| Place::plain(Source::Pointer(pointer.to_owned()));
        let shape = fields.take("shape").and_then(|entry| {
            let words = [("map", Shape::Map), ("array", Shape::Array)];
            entry.value.word(&words, self.problems)
        });
        let kind = fields.take("value").and_then(|entry| {
            let words = [
                ("object", EntryKind::Object),
                ("string", EntryKind::Text),
                ("bool", EntryKind::Bool),
            ];
            entry.value.word(&words, self.problems)
        });
        let mut status = self.places_with_words(fields.take("status"));
        if status.is_empty() {
            status.push((own("/status"), None));
        }
        Table {
            at: self.places(at, Setting::Text),
            name: self.places(fields.take("name"), Setting::Text),
            ignore: self.names(
                fields.take("ignore"),
                "a list of keys, such as `[status, version]`",
            ),
            shape,
            kind,
            failures_only: fields
                .take("failures_only")
                .and_then(|entry| entry.value.boolean(self.problems))
                .unwrap_or(false),
            recurse: self.recurse(fields.take("recurse")),
            required: self.required(fields.take("required")),
            status,
            words: fields
                .take("words")
                .and_then(|entry| self.words(&entry.value)),
            error: self.places(fields.take("error"), Setting::Text),
            last_success: self.places(fields.take("last_success"), Setting::Duration),
            last_failure: self.places(fields.take("last_failure"), Setting::Duration),
            success_count: self.places(fields.take("success_count"), Setting::Text),
            failure_count: self.places(fields.take("failure_count"), Setting::Text),
            latency: self.places(fields.take("latency"), Setting::Duration),
            last_check: self.places(fields.take("last_check"), Setting::Duration),
            heartbeat: fields
                .take("heartbeat")
                .and_then(|entry| self.heartbeat(entry)),
        }
    }

    fn recurse(&mut self, entry: Option<&Entry>) -> Vec<Source> {
        let Some(entry) = entry else {
            return Vec::new();
        };
        let nodes = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        let mut sources = Vec::new();
        for node in nodes {
            match self.source(node) {
                // A header has no entries, and an entry that is its own part has no end.
                Some(Source::Header(_)) => {
                    self.problems
                        .push(node.wrong("a JSON pointer such as `/components`"));
                }
                Some(Source::Pointer(pointer)) if pointer.is_empty() => {
                    self.problems
                        .push(node.wrong("a JSON pointer such as `/components`"));
                }
                Some(source) => sources.push(source),
                None => {}
            }
        }
        sources
    }

    /// A list of names, or a place in the entry.
    fn required(&mut self, entry: Option<&Entry>) -> Required {
        match entry {
            Some(entry) if matches!(entry.value.value, Value::List(_)) => {
                Required::Names(self.names(Some(entry), "a list of names"))
            }
            Some(_) => Required::Says(self.places(entry, Setting::Text)),
            None => Required::Says(Places::default()),
        }
    }

    pub(super) fn names(&mut self, entry: Option<&Entry>, expected: &str) -> Vec<String> {
        let items = entry.and_then(|entry| entry.value.list(expected, self.problems));
        let mut names = Vec::new();
        for item in items.unwrap_or_default() {
            names.extend(Node::text(item, "a name", self.problems));
        }
        names
    }
}
