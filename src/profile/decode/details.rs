//! What is kept of a payload as it is: cleaned, and bounded in number, depth and length.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::place::Source;
use super::pointer;
use crate::text::clean;

/// Values kept of one entry; the rest is cut off with `…`.
const MOST_VALUES: usize = 200;
/// Levels kept of one entry.
const MOST_LEVELS: usize = 8;
/// Characters of one text.
const LONGEST_TEXT: usize = 500;
/// Characters of one key.
const LONGEST_KEY: usize = 100;

/// The fields of an entry without those that were read, `read` being the places of the ones that were.
pub(super) fn rest(entry: &Value, read: &[&Source]) -> BTreeMap<String, Value> {
    let Value::Object(map) = entry else {
        return BTreeMap::new();
    };
    let pointers = || {
        read.iter().filter_map(|source| match source {
            Source::Pointer(pointer) => Some(pointer.as_str()),
            Source::Header(_) => None,
        })
    };
    // Nearly always the fields of the entry itself were read: no need to copy them first to take them out.
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

/// The fields of a map, fit to be shown; a single value under its own name.
pub(super) fn fields(value: &Value) -> BTreeMap<String, Value> {
    match value {
        Value::Object(map) => tidy_fields(map.iter()),
        _ => BTreeMap::new(),
    }
}

fn tidy_fields<'a>(map: impl Iterator<Item = (&'a String, &'a Value)>) -> BTreeMap<String, Value> {
    let mut budget = MOST_VALUES - 1;
    let mut kept = BTreeMap::new();
    for (key, item) in map {
        if budget == 0 {
            kept.insert("…".to_owned(), Value::String("…".to_owned()));
            break;
        }
        kept.insert(
            clean(key, LONGEST_KEY),
            tidy(item, &mut budget, MOST_LEVELS - 1),
        );
    }
    kept
}

/// One value, fit to be shown.
pub(super) fn single(value: &Value) -> Value {
    let mut budget = MOST_VALUES;
    tidy(value, &mut budget, MOST_LEVELS)
}

/// Takes the value at a pointer out, and what it leaves empty.
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

fn tidy(value: &Value, budget: &mut usize, levels: usize) -> Value {
    let more = || Value::String("…".to_owned());
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
        Value::Object(map) if levels > 0 => {
            let mut kept = Map::new();
            for (key, item) in map {
                if *budget == 0 {
                    kept.insert("…".to_owned(), more());
                    break;
                }
                kept.insert(clean(key, LONGEST_KEY), tidy(item, budget, levels - 1));
            }
            Value::Object(kept)
        }
        Value::Array(items) if !items.is_empty() => more(),
        Value::Object(map) if !map.is_empty() => more(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MOST_VALUES, Source, fields, rest};

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
        .map(|pointer| Source::Pointer(pointer.to_owned()));
        let read: Vec<&Source> = read.iter().collect();
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
