//! Walks an RFC 6901 pointer into a JSON value.
//!
//! Every field of every response is looked up here, so nothing is allocated unless a step has an escape in it;
//! serde_json's own walk allocates two strings for each step.

use std::borrow::Cow;

use serde_json::Value;

/// Returns the value at a pointer; `""` is the value itself.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    let steps = pointer.strip_prefix('/')?;
    steps.split('/').try_fold(value, |value, step| match value {
        Value::Object(map) => map.get(&*key(step)),
        Value::Array(items) => items.get(index(step)?),
        _ => None,
    })
}

/// Returns the key of a step, without escapes.
pub(super) fn key(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

/// Returns the pointer to a key of the value at another pointer.
pub(super) fn within(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Returns the key of a pointer that has a single step.
pub(super) fn field(pointer: &str) -> Option<Cow<'_, str>> {
    let step = pointer.strip_prefix('/')?;
    (!step.contains('/')).then(|| key(step))
}

/// Returns an index into a list: digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    plain.then(|| step.parse().ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{at, field};

    #[test]
    fn the_walk_is_that_of_serde_json() {
        let value = json!({
            "a": {"b": [10, {"c": null}], "": "empty", "0": "zero"},
            "m~n": 1, "o/p": 2, "~1": 3, "é": 4, "": {"": 5}
        });
        let pointers = [
            "",
            "/",
            "//",
            "///",
            "/a",
            "/a/",
            "/a/b",
            "/a/b/0",
            "/a/b/1/c",
            "/a/b/1/c/d",
            "/a/b/2",
            "/a/b/00",
            "/a/b/01",
            "/a/b/+1",
            "/a/b/-",
            "/a/b/-1",
            "/a/b/99999999999999999999",
            "/a/0",
            "/m~0n",
            "/o~1p",
            "/~01",
            "/~1",
            "/~",
            "/m~n",
            "/é",
            "a",
            "a/b",
            "/nothing",
        ];
        for pointer in pointers {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
        assert_eq!(at(&Value::Null, ""), Some(&Value::Null));
    }

    #[test]
    fn fields_are_single_steps() {
        let cases = [
            ("/status", Some("status")),
            ("/n~1m", Some("n/m")),
            ("/", Some("")),
            ("/a/b", None),
            ("", None),
            ("status", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(field(pointer).as_deref(), expected, "{pointer}");
        }
    }
}
