//! The tree.

use std::sync::Arc;

use super::{Place, SourceFile};
use crate::text::shorten;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
    /// How it was written.
    pub style: Style,
    /// What was put in for variables, each value with what was written for it.
    pub put_in: Vec<(String, String)>,
}

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes; maps and lists too.
    Plain,
    /// In quotes or as a block of text: always text.
    Quoted,
    /// It holds a variable's value: messages show what was written, never the value, which may be a secret.
    Interpolated,
}

/// A YAML value of the core schema, anchors and merge keys resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A plain scalar that is a number, as written (`0755`, `1.10`) and as a number.
    Number {
        /// The text.
        text: String,
        /// The number.
        number: serde_json::Number,
    },
    /// Text, quoted or not a number.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in file order, keys unique.
    Map(Vec<Entry>),
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub key_place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// What was typed behind a flag; problems point at it as at a line of a file.
    pub fn argument(flag: &str, text: &str) -> Self {
        let file = Arc::new(SourceFile::new(flag, text));
        Self {
            value: match super::scalar::typed(text) {
                number @ Value::Number { .. } => number,
                _ => Value::Text(text.to_owned()),
            },
            place: Place::whole(&file),
            style: Style::Quoted,
            put_in: Vec::new(),
        }
    }

    /// The value as JSON.
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

    /// The entry of a map with this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Returns the items of a list, or the node itself when it is no list.
    pub fn one_or_many(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// What it is, for messages: `a map`, `text`, `nothing`.
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

    /// The value between backticks for a message; what was written where a variable's value is in it.
    pub fn shown(&self) -> String {
        let text = match (&self.value, self.style) {
            (_, Style::Interpolated) => self.place.text(),
            (Value::Text(text) | Value::Number { text, .. }, _) => text,
            _ => return self.kind().to_owned(),
        };
        format!("`{}`", shorten(text, 60))
    }
}
