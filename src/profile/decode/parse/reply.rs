//! `reply:` of an action as a profile or an inventory writes it.

use super::Parser;
use super::places::Setting;
use crate::health::ReloadStatus;
use crate::profile::decode::Format;
use crate::profile::decode::place::{Place, Source};
use crate::profile::decode::reply::{PartsTable, ReplyDecode};
use crate::profile::decode::words::Vocabulary;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, Value};

const TABLE: &str = "a map that says where the parts are, such as `{at: /parts}`";

impl ReplyDecode {
    /// Reads a `reply:`.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let expected = "a map that says how to read a reply, such as `{parts: {at: /parts}}`";
        let mut fields = Fields::read(node, expected, problems)?;
        let mut parser = Parser {
            format: Format::Json,
            format_place: &node.place,
            problems,
        };
        let decode = Self {
            status: parser.places_with_words(fields.take("status")),
            message: parser.places(fields.take("message"), Setting::Text),
            parts: parser.tables(fields.take("parts")),
        };
        fields.finish_with(problems, |key| match key {
            "at" | "name" | "as" => {
                Some(format!("it stands inside `parts`: `parts: {{{key}: …}}`"))
            }
            "error" | "reason" => Some("did you mean `message`?".to_owned()),
            _ => None,
        });
        Some(decode)
    }
}

impl Parser<'_> {
    /// One table, or a list of them.
    fn tables(&mut self, entry: Option<&Entry>) -> Vec<PartsTable> {
        let Some(entry) = entry else {
            return Vec::new();
        };
        let nodes = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        let tables = nodes.iter().filter_map(|node| self.parts(node));
        tables.collect()
    }

    fn parts(&mut self, node: &Node) -> Option<PartsTable> {
        let mut fields = Fields::read(node, TABLE, self.problems)?;
        let Some(at) = fields.take("at") else {
            self.problems.push(
                Problem::at(&node.place, "parts without `at`")
                    .label(format!("expected {TABLE}"))
                    .hint("`at: \"\"` is the whole reply"),
            );
            return None;
        };
        let words: Vec<_> = ReloadStatus::KEYS
            .iter()
            .filter_map(|key| Some((*key, ReloadStatus::from_key(key)?)))
            .collect();
        let all = fields
            .take("as")
            .and_then(|entry| entry.value.word(&words, self.problems));
        let mut status = self.places_with_words(fields.take("status"));
        if status.is_empty() {
            status.push((Place::plain(Source::Pointer("/status".to_owned())), None));
        }
        let table = PartsTable {
            at: self.places(Some(at), Setting::Text),
            name: self.places(fields.take("name"), Setting::Text),
            ignore: self.names(fields.take("ignore"), "a list of names, such as `[total]`"),
            all,
            status,
            message: self.places(fields.take("message"), Setting::Text),
        };
        fields.finish_with(self.problems, |key| match key {
            "error" | "reason" => Some("did you mean `message`?".to_owned()),
            "words" => Some("they stand inside `status`: `status: {at: …, words: …}`".to_owned()),
            _ => None,
        });
        Some(table)
    }
}
