//! Parts of a payload that are shown as they are: cleaned, and limited in number, depth and length.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field::{FieldSpecs, PayloadPath, PayloadView};
use super::parser::{FieldKind, Parser};
use super::{json, pointer};
use crate::text::clean;
use crate::yaml::{Entry, Value as Yaml};

/// The number of values kept of one entry; the rest is cut off with `…`.
const MOST_VALUES: usize = 200;
/// The levels kept of one entry.
const MOST_LEVELS: usize = 8;
/// The longest text, in characters.
const LONGEST_TEXT: usize = 500;
/// The longest key, in characters.
const LONGEST_KEY: usize = 100;
/// The longest name of a single figure, in characters.
const LONGEST_NAME: usize = 128;

/// Returns the fields of an entry without those at the paths that were `read`.
pub(super) fn rest(entry: &Value, read: &[&PayloadPath]) -> BTreeMap<String, Value> {
    let Value::Object(map) = entry else {
        return BTreeMap::new();
    };
    let pointers = || {
        read.iter().filter_map(|source| match source {
            PayloadPath::Pointer(pointer) => Some(pointer.as_str()),
            PayloadPath::Header(_) => None,
        })
    };
    // Nearly always only fields of the entry itself were read: then nothing needs to be copied to be removed.
    let taken: Vec<_> = pointers().filter_map(pointer::field).collect();
    let kept = map
        .iter()
        .filter(|(key, _)| !taken.iter().any(|taken| taken == key.as_str()));
    let mut nested = pointers()
        .filter(|place| pointer::field(place).is_none())
        .peekable();
    if nested.peek().is_none() {
        return tidy_fields(kept);
    }
    let kept = kept.map(|(key, value)| (key.clone(), value.clone()));
    let mut kept = Value::Object(kept.collect());
    nested.for_each(|place| remove(&mut kept, place));
    fields(&kept)
}

/// Returns the fields of a map, fit to be shown.
fn fields(value: &Value) -> BTreeMap<String, Value> {
    match value {
        Value::Object(map) => tidy_fields(map.iter()),
        _ => BTreeMap::new(),
    }
}

fn tidy_fields<'a>(map: impl Iterator<Item = (&'a String, &'a Value)>) -> BTreeMap<String, Value> {
    tidy_map(map, &mut (MOST_VALUES - 1), MOST_LEVELS - 1)
}

/// Returns one value, fit to be shown.
fn single(value: &Value) -> Value {
    let mut budget = MOST_VALUES;
    tidy(value, &mut budget, MOST_LEVELS)
}

/// Removes the value at a pointer, and the maps that this leaves empty.
fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    let key = pointer::key(key);
    let Some(Value::Object(map)) = value.pointer_mut(parent) else {
        // An item of a list stays: the others would move up.
        return;
    };
    map.shift_remove(&*key);
    if map.is_empty() && !parent.is_empty() {
        remove(value, parent);
    }
}

fn more() -> Value {
    Value::String("…".to_owned())
}

fn tidy_map<'a, M: FromIterator<(String, Value)>>(
    map: impl Iterator<Item = (&'a String, &'a Value)>,
    budget: &mut usize,
    levels: usize,
) -> M {
    let mut cut = false;
    let map = map.filter(|(key, _)| !json::is_replaced(key));
    map.map_while(|(key, item)| match *budget {
        _ if cut => None,
        0 => {
            cut = true;
            Some(("…".to_owned(), more()))
        }
        _ => Some((clean(key, LONGEST_KEY), tidy(item, budget, levels))),
    })
    .collect()
}

fn tidy(value: &Value, budget: &mut usize, levels: usize) -> Value {
    *budget = budget.saturating_sub(1);
    match value {
        Value::String(text) => Value::String(clean(text, LONGEST_TEXT)),
        Value::Array(items) if levels > 0 => {
            let mut kept = Vec::new();
            for item in items {
                if *budget == 0 {
                    kept.push(more());
                    break;
                }
                kept.push(tidy(item, budget, levels - 1));
            }
            Value::Array(kept)
        }
        Value::Object(map) if levels > 0 => Value::Object(tidy_map(map.iter(), budget, levels - 1)),
        Value::Array(items) if !items.is_empty() => more(),
        Value::Object(map) if !map.is_empty() => more(),
        other => other.clone(),
    }
}

/// `resources:` of a profile: figures about a process, under the names of the payload or of the profile.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resources {
    /// A map of figures, or a single one, at the first path with a value.
    At(FieldSpecs),
    /// A field for each, under the profile's name for it.
    Named(Vec<(String, FieldSpecs)>),
}

impl Resources {
    /// Reads a field, or a map from names to fields.
    pub(super) fn parse(entry: Option<&Entry>, parser: &mut Parser<'_>) -> Self {
        let named = entry.and_then(|entry| match &entry.value.value {
            Yaml::Map(named) => {
                let of_field = ["at", "unit", "never", "words"];
                let is_field = named.iter().any(|it| of_field.contains(&it.key.as_str()));
                (!is_field).then_some(named)
            }
            _ => None,
        });
        let Some(named) = named else {
            return Self::At(parser.field(entry, FieldKind::Text));
        };
        let mut field = |entry| parser.field(Some(entry), FieldKind::Duration);
        let named = named.iter().map(|entry| (entry.key.clone(), field(entry)));
        Self::Named(named.collect())
    }

    /// Returns the figures of a payload. A named one with a unit is in seconds.
    pub(super) fn read(&self, view: PayloadView<'_>) -> BTreeMap<String, Value> {
        let named = match self {
            Self::At(field) => {
                return match field.find(view) {
                    None => BTreeMap::new(),
                    Some((_, value)) if value.is_object() => fields(&value),
                    Some((spec, value)) => [(last_name(&spec.path), single(&value))].into(),
                };
            }
            Self::Named(named) => named,
        };
        let found = named.iter().filter_map(|(name, field)| {
            let (spec, value) = field.find(view)?;
            let value = if spec.unit.is_some() {
                field.duration(view)?.as_secs_f64().into()
            } else {
                single(&value)
            };
            Some((name.clone(), value))
        });
        found.collect()
    }
}

/// Returns the name of a value that has no name in the profile.
fn last_name(path: &PayloadPath) -> String {
    let name = match path {
        PayloadPath::Pointer(path) => pointer::key(path.rsplit('/').next().unwrap_or_default()),
        PayloadPath::Header(name) => name.into(),
    };
    clean(&name, LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MOST_VALUES, PayloadPath, fields, rest};

    #[test]
    fn what_was_read_is_left_out() {
        let entry = json!({"status": "error", "data": {"a": {"x": 1}}, "n/m": 2, "list": [1, 2], "free": null});
        let read = [
            "/status",
            "/data/a/x",
            "/n~1m",
            "/list/0",
            "/nothing/there",
            "",
        ]
        .map(|pointer| PayloadPath::Pointer(pointer.to_owned()));
        let read: Vec<&PayloadPath> = read.iter().collect();
        let kept: Value = rest(&entry, &read).into_iter().collect();
        assert_eq!(kept, json!({"list": [1, 2], "free": null}));
        assert!(rest(&json!("text"), &read).is_empty());
    }

    #[test]
    fn what_is_kept_is_clean_and_bounded() {
        let kept: Value = fields(&json!({"a\u{1b}": "x\u{202e}y"}))
            .into_iter()
            .collect();
        assert_eq!(kept, json!({"a\\u{1b}": "x\\u{202e}y"}));
        let many: Value = (0..10_000).map(|n| (format!("k{n}"), json!(n))).collect();
        let kept = fields(&many);
        assert!(kept.len() <= MOST_VALUES + 1);
        assert_eq!(kept.get("…"), Some(&json!("…")));
        let mut deep = json!({"end": 1});
        for _ in 0..50 {
            deep = json!({"in": deep});
        }
        let kept: Value = fields(&deep).into_iter().collect();
        assert!(kept.to_string().ends_with(":\"…\"}}}}}}}}"), "{kept}");
    }
}
