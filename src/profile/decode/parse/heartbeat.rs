//! `heartbeat:` as a profile writes it.

use super::Parser;
use super::places::Setting;
use crate::profile::decode::heartbeat::{Length, Pulse, Span};
use crate::yaml::{Entry, Fields, Node, Problem, Value};

impl Parser<'_> {
    /// `{at: /last_seen, fresh_for: 30s}`
    pub(super) fn heartbeat(&mut self, entry: &Entry) -> Option<Pulse> {
        let expected = "a last-seen time and how long it is good for, such as `{at: /last_seen, fresh_for: 30s}`";
        let mut fields = Fields::read(&entry.value, expected, self.problems)?;
        let (at, fresh_for) = (fields.take("at"), fields.take("fresh_for"));
        let pulse = Pulse {
            at: self.places(at, Setting::Age),
            fresh_for: self.span(fresh_for),
            every: self.span(fields.take("every")),
            holder: self.places(fields.take("holder"), Setting::Text),
            last: fields
                .take("final")
                .and_then(|entry| self.condition(&entry.value)),
        };
        fields.finish(self.problems);
        let missing = [("at", at), ("fresh_for", fresh_for)];
        for (key, _) in missing.iter().filter(|(_, entry)| entry.is_none()) {
            self.problems.push(
                Problem::at(&entry.key_place, format!("a heartbeat without `{key}`"))
                    .label(format!("expected {expected}")),
            );
        }
        Some(pulse)
    }

    /// `30s`, a place, or a list of these.
    fn span(&mut self, entry: Option<&Entry>) -> Span {
        let Some(entry) = entry else {
            return Span::default();
        };
        let nodes = match &entry.value.value {
            Value::List(items) if !items.is_empty() => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        Span(nodes.iter().filter_map(|node| self.length(node)).collect())
    }

    fn length(&mut self, node: &Node) -> Option<Length> {
        let is_place = match &node.value {
            Value::Map(_) => true,
            Value::Text(text) => text.starts_with('/') || text.starts_with("header:"),
            _ => false,
        };
        if is_place {
            let places = self.places_at(node, Setting::Duration);
            return Some(Length::Said(places));
        }
        node.positive_duration(self.problems).map(Length::Fixed)
    }
}
