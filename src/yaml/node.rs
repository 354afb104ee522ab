//! The tree of a file: values that know their place, typed by the YAML core schema, and merging of one tree over another.

use std::sync::Arc;

use super::problem::{Place, SourceFile};
use crate::text::shorten;

/// A value and its place in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The typed value of the node.
    pub value: Value,
    /// The place of the value.
    pub place: Place,
    /// The notation of the value.
    pub style: Style,
    /// The values of the variables in it, each with the text that was written for it.
    pub put_in: Vec<(String, String)>,
}

/// The notation of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes, a map or a list.
    Plain,
    /// A scalar in quotes or a block of text: always text.
    Quoted,
    /// A scalar with a variable: messages show what was written and never the value, which may be a secret.
    Interpolated,
}

/// A YAML value of the core schema, with anchors and merge keys resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A boolean: `true` or `false`.
    Bool(bool),
    /// A plain scalar that is a number.
    Number {
        /// The number as written.
        text: String,
        /// The value of the number.
        number: serde_json::Number,
    },
    /// Text, quoted or not a number.
    Text(String),
    /// A list in file order.
    List(Vec<Node>),
    /// A map in file order, keys unique.
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The text of the key.
    pub key: String,
    /// The place of the key.
    pub key_place: Place,
    /// The value of the key.
    pub value: Node,
}

impl Node {
    /// Makes a node of the argument of a flag; problems point at it as at a line of a file.
    pub fn argument(flag: &str, text: &str) -> Self {
        let file = Arc::new(SourceFile::new(flag, text));
        let value = match typed(text) {
            number @ Value::Number { .. } => number,
            _ => Value::Text(text.to_owned()),
        };
        Self::new(value, Place::whole(&file), Style::Quoted)
    }

    /// Makes a node without variables in it.
    pub fn new(value: Value, place: Place, style: Style) -> Self {
        Self {
            value,
            place,
            style,
            put_in: Vec::new(),
        }
    }

    /// Returns the value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number { number, .. } => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect(),
        }
    }

    /// Returns the entry of a map with this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Returns the kind of the value for messages: `a map`, `text`, `nothing`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(true) => "`true`",
            Value::Bool(false) => "`false`",
            Value::Number { .. } => "a number",
            Value::Text(text) if text.is_empty() => "empty text",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Returns the value between backticks for a message, with variables as they were written.
    pub fn shown(&self) -> String {
        let text = match (&self.value, self.style) {
            (_, Style::Interpolated) => self.place.text(),
            (Value::Text(text) | Value::Number { text, .. }, _) => text,
            _ => return self.kind().to_owned(),
        };
        format!("`{}`", shorten(text, 60))
    }
}

/// Types the text of an unquoted scalar. In the core schema, `no`, `on` and `yes` are text.
pub(super) fn typed(text: &str) -> Value {
    let parsed = may_be_typed(text).then(|| serde_yaml::from_str(text));
    match parsed {
        Some(Ok(serde_json::Value::Null)) => Value::Null,
        Some(Ok(serde_json::Value::Bool(value))) => Value::Bool(value),
        Some(Ok(serde_json::Value::Number(number))) => Value::Number {
            text: text.to_owned(),
            number,
        },
        _ => Value::Text(text.to_owned()),
    }
}

/// Returns whether a scalar may be something else than text. Most scalars are words and paths, and parsing each of them
/// would take most of the time of a large inventory. This also keeps the value of a variable a single scalar.
fn may_be_typed(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
            && text.contains(|c: char| c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
        || matches!(
            text.to_ascii_lowercase().as_str(),
            "~" | "null" | "true" | "false"
        )
}

/// The relations between keys when one tree is laid over another.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Returns whether a key of the upper map removes a key of the lower one.
    pub takes_away: fn(above: &str, below: &str) -> bool,
    /// Returns whether the map of a key has names of the user's own as keys, which have no such relations.
    pub holds_names: fn(key: &str) -> bool,
}

impl Node {
    /// Lays another tree over this one: maps are merged by key, everything else is replaced. A null leaves a map as it is.
    /// A value that was replaced has the place of the new one.
    pub fn lay(&mut self, over: Self, keys: Keys) {
        self.lay_in(over, keys, false);
    }

    fn lay_in(&mut self, over: Self, keys: Keys, of_names: bool) {
        match (&mut self.value, over.value) {
            (Value::Map(below), Value::Map(above)) => {
                merge(below, above, keys, of_names);
                self.place = over.place;
            }
            (Value::Map(_), Value::Null) => {}
            (_, value) => {
                *self = Self { value, ..over };
            }
        }
    }
}

fn merge(below: &mut Vec<Entry>, above: Vec<Entry>, keys: Keys, of_names: bool) {
    if !of_names {
        below.retain(|entry| {
            !above
                .iter()
                .any(|other| (keys.takes_away)(&other.key, &entry.key))
        });
    }
    for over in above {
        match below.iter_mut().find(|entry| entry.key == over.key) {
            Some(under) => {
                let names = !of_names && (keys.holds_names)(&over.key);
                if !matches!(under.value.value, Value::Map(_)) {
                    under.key_place = over.key_place;
                }
                under.value.lay_in(over.value, keys, names);
            }
            None => below.push(over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Problems, parse};
    use super::*;

    #[test]
    fn the_core_schema_decides() {
        let check = |text: &str, expected: &str| {
            let found = match typed(text) {
                Value::Null => "null".to_owned(),
                Value::Bool(value) => format!("bool {value}"),
                Value::Number { text, number } => format!("number {number} as {text}"),
                Value::Text(text) => format!("text {text}"),
                Value::List(_) | Value::Map(_) => "collection".to_owned(),
            };
            assert_eq!(found, expected, "{text:?}");
        };
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("null", "null"),
            ("true", "bool true"),
            ("False", "bool false"),
            ("yes", "text yes"),
            ("no", "text no"),
            ("on", "text on"),
            ("off", "text off"),
            ("5", "number 5 as 5"),
            ("-5", "number -5 as -5"),
            ("1.10", "number 1.1 as 1.10"),
            ("0755", "text 0755"),
            ("0x1F", "number 31 as 0x1F"),
            ("1e3", "number 1000.0 as 1e3"),
            ("200-299", "text 200-299"),
            ("5s", "text 5s"),
            ("1_000", "text 1_000"),
            (".inf", "text .inf"),
            ("- a", "text - a"),
            ("-", "text -"),
            ("---", "text ---"),
            ("...", "text ..."),
            ("[1]", "text [1]"),
            ("5\nfoo: bar", "text 5\nfoo: bar"),
            ("99999999999999999999999", "text 99999999999999999999999"),
        ] {
            check(text, expected);
        }
    }

    const KEYS: Keys = Keys {
        takes_away: |above, below| above == "tcp" && ["http", "expect"].contains(&below),
        holds_names: |key| key == "probes",
    };

    #[test]
    fn maps_by_key_and_the_rest_replaced() {
        let tree = |text: &str| {
            let mut problems = Problems::default();
            let file = Arc::new(SourceFile::new("t.yaml", text));
            parse(&file, &mut problems).unwrap()
        };
        let check = |below: &str, above: &str, expected: &str| {
            let mut found = tree(below);
            found.lay(tree(above), KEYS);
            assert_eq!(
                found.to_json().to_string(),
                expected,
                "{below} under {above}"
            );
        };
        check("{a: 1, b: 2}", "{b: 3, c: 4}", r#"{"a":1,"b":3,"c":4}"#);
        check("{a: {b: 1, c: 2}}", "{a: {c: 3}}", r#"{"a":{"b":1,"c":3}}"#);
        check("{a: [1, 2]}", "{a: [3]}", r#"{"a":[3]}"#);
        check("{a: {b: 1}}", "{a: x}", r#"{"a":"x"}"#);
        check("{a: x}", "{a: {b: 1}}", r#"{"a":{"b":1}}"#);
        check("{a: {b: 1}}", "{a: }", r#"{"a":{"b":1}}"#);
        check("{a: x}", "{a: }", r#"{"a":null}"#);
        check(
            "{http: /x, expect: 2, b: 1}",
            "{tcp: y}",
            r#"{"b":1,"tcp":"y"}"#,
        );
        check("{tcp: y}", "{http: /x}", r#"{"tcp":"y","http":"/x"}"#);
        check(
            "{probes: {http: 1}}",
            "{probes: {tcp: 2}}",
            r#"{"probes":{"http":1,"tcp":2}}"#,
        );
        check(
            "{probes: {probes: {http: 1}}}",
            "{probes: {probes: {tcp: 2}}}",
            r#"{"probes":{"probes":{"tcp":2}}}"#,
        );
    }
}
