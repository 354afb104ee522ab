//! `heartbeat:` of a profile: a last-seen time that ages.

use std::time::Duration;

use serde_json::Value;

use super::field::{FieldSpecs, PayloadPath, PayloadView, alike, as_text};
use super::parser::{FieldKind, Parser};
use super::words::LONGEST_WORD;
use crate::health::{Beat, Heartbeat};
use crate::text::clean;
use crate::yaml::{Entry, Fields, Node, Value as Yaml};

/// The longest holder, in characters.
const LONGEST_HOLDER: usize = 128;
/// The longest sentence of the sender, in characters.
const LONGEST_MESSAGE: usize = 200;

/// The fields of a heartbeat in a payload.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeartbeatDecode {
    /// The time of the last heartbeat.
    at: FieldSpecs,
    /// The age from which on a heartbeat is missed.
    fresh_for: DurationSources,
    /// The time from one missed heartbeat to the next.
    every: DurationSources,
    holder: FieldSpecs,
    /// The condition under which no other heartbeat will follow.
    last: Option<Condition>,
    /// A sentence of the sender about what it is doing.
    message: FieldSpecs,
}

/// `{at, is}`: something that a payload may say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    at: FieldSpecs,
    /// The values of which one must be there.
    is: Vec<Value>,
}

/// A length of time: the first of these that is known.
#[derive(Debug, Clone, Default, PartialEq)]
struct DurationSources(Vec<DurationSource>);

#[derive(Debug, Clone, PartialEq)]
enum DurationSource {
    Fixed(Duration),
    Payload(FieldSpecs),
}

impl Condition {
    /// Returns whether one of the values is there. `null` means that there is no value.
    pub(super) fn holds(&self, view: PayloadView<'_>) -> bool {
        let found = self.at.find(view);
        let value = found.as_ref().map_or(&Value::Null, |(_, value)| value);
        self.is.iter().any(|wanted| alike(value, wanted))
    }

    pub(super) fn parse(node: &Node, parser: &mut Parser<'_>) -> Option<Self> {
        let expected = "a condition, such as `{at: /sealed, is: true}`";
        let mut fields = Fields::read(node, expected, parser.problems)?;
        let (at, is) = (fields.take("at"), fields.take("is"));
        fields.finish(parser.problems);
        let (Some(at), Some(is)) = (at, is) else {
            let missing = if at.is_none() { "at" } else { "is" };
            let message = format!("a condition without `{missing}`");
            parser.missing(&node.place, message, expected);
            return None;
        };
        let at = parser.field(Some(at), FieldKind::Text);
        let is = is.value.one_or_many().iter().map(Node::to_json).collect();
        (!at.is_empty()).then_some(Self { at, is })
    }
}

impl DurationSources {
    /// Reads `30s`, a field, or a list of these.
    fn parse(entry: Option<&Entry>, parser: &mut Parser<'_>) -> Self {
        let nodes = entry.map(|entry| match entry.value.one_or_many() {
            // An empty list is no duration, and is reported as such.
            [] => std::slice::from_ref(&entry.value),
            nodes => nodes,
        });
        let nodes = nodes.unwrap_or_default().iter();
        let sources = nodes.filter_map(|node| {
            let is_field = match &node.value {
                Yaml::Map(_) => true,
                Yaml::Text(text) => text.starts_with('/') || text.starts_with("header:"),
                _ => false,
            };
            if is_field {
                let field = parser.field_at(node, FieldKind::Duration);
                return Some(DurationSource::Payload(field));
            }
            let fixed = node.positive_duration(parser.problems);
            fixed.map(DurationSource::Fixed)
        });
        Self(sources.collect())
    }

    fn read(&self, view: PayloadView<'_>) -> Option<Duration> {
        let mut lengths = self.0.iter().filter_map(|source| match source {
            DurationSource::Fixed(length) => Some(*length),
            DurationSource::Payload(field) => field.duration(view),
        });
        // A length of zero is a field that was not filled in.
        lengths.find(|length| !length.is_zero())
    }

    fn fields(&self) -> impl Iterator<Item = &FieldSpecs> {
        self.0.iter().filter_map(|source| match source {
            DurationSource::Fixed(_) => None,
            DurationSource::Payload(field) => Some(field),
        })
    }
}

impl HeartbeatDecode {
    /// Reads `{at: /last_seen, fresh_for: 30s}`.
    pub(super) fn parse(entry: Option<&Entry>, parser: &mut Parser<'_>) -> Option<Self> {
        let entry = entry?;
        let expected = "a last-seen time and how long it is good for, such as `{at: /last_seen, fresh_for: 30s}`";
        let mut fields = Fields::read(&entry.value, expected, parser.problems)?;
        let (at, fresh_for) = (fields.take("at"), fields.take("fresh_for"));
        let heartbeat = Self {
            at: parser.field(at, FieldKind::Duration),
            fresh_for: DurationSources::parse(fresh_for, parser),
            every: DurationSources::parse(fields.take("every"), parser),
            holder: parser.take_text(&mut fields, "holder"),
            last: fields
                .take("final")
                .and_then(|entry| Condition::parse(&entry.value, parser)),
            message: parser.take_text(&mut fields, "message"),
        };
        fields.finish(parser.problems);
        for (key, entry_of_key) in [("at", at), ("fresh_for", fresh_for)] {
            if entry_of_key.is_none() {
                let message = format!("a heartbeat without `{key}`");
                parser.missing(&entry.key_place, message, expected);
            }
        }
        Some(heartbeat)
    }

    /// Returns the heartbeat of a payload, or `None` when no field of it is there.
    ///
    /// # Errors
    /// The time of the heartbeat is there and cannot be read: a sentence that quotes it.
    pub(super) fn read(&self, view: PayloadView<'_>) -> Result<Option<Heartbeat>, String> {
        let all = [&self.at, &self.holder];
        let mut all = all.into_iter().chain(self.fresh_for.fields());
        if !all.any(|field| field.exists(view)) {
            return Ok(None);
        }
        let beat = match self.at.beat(view) {
            Some(beat) => beat,
            None => self
                .at
                .find(view)
                .map_or(Ok(Beat::Never), |(spec, value)| {
                    let shown = clean(&as_text(&value), LONGEST_WORD);
                    let path = &spec.path;
                    Err(format!("the last heartbeat `{shown}` at {path} is no time"))
                })?,
        };
        Ok(Some(Heartbeat {
            beat,
            fresh_for: self.fresh_for.read(view),
            every: self.every.read(view),
            holder: self.holder.text(view, LONGEST_HOLDER),
            is_final: self.last.as_ref().is_some_and(|last| last.holds(view)),
            message: self.message.text(view, LONGEST_MESSAGE),
        }))
    }

    /// Returns the paths that were read.
    pub(super) fn consumed<'a>(
        &'a self,
        view: PayloadView<'a>,
    ) -> impl Iterator<Item = &'a PayloadPath> + 'a {
        let lengths = self.fresh_for.fields().chain(self.every.fields());
        let all = [&self.at, &self.holder, &self.message]
            .into_iter()
            .chain(lengths);
        all.flat_map(move |field| field.consumed(view, true))
    }

    /// Returns the path of the last heartbeat for people.
    pub(super) fn first_path(&self) -> String {
        self.at.first_path()
    }
}
