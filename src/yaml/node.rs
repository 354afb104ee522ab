//! The tree.

use super::Place;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
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
