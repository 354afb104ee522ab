//! Reads a JSON body into a value, with a limit on its depth, and tolerates what JSON allows and no machine number or
//! UTF-8 string can hold.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::text::clean;

/// The deepest nesting of arrays and objects that decodes. serde_json's own limit is 128, and everything that walks a
/// value is recursive.
pub(super) const MAX_DEPTH: usize = 64;

/// Returns the text of a body without a byte order mark.
pub(super) fn body_text(body: &[u8]) -> Cow<'_, str> {
    // A stray byte in an error message must not hide the rest of the report.
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

/// Reads a body, or returns the reason why it is not JSON. Of several values with one key the last counts.
pub(super) fn parse(body: &[u8]) -> Result<Value, String> {
    parse_as(body)
}

/// Reads a body as [`parse`] does, and keeps the values that a later one of the same key replaces, each with a key of
/// its own: see [`key`].
pub(super) fn parse_all(body: &[u8]) -> Result<Value, String> {
    parse_as(body).map(|Body(value)| value)
}

fn parse_as<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let text = body_text(body);
    let text = text.trim();
    if text.is_empty() {
        return Err("the body is empty".to_owned());
    }
    if depth(text) > MAX_DEPTH {
        return Err(format!("the body is nested deeper than {MAX_DEPTH} levels"));
    }
    serde_json::from_str(text).or_else(|error| {
        serde_json::from_str(&without_impossible(text)).map_err(|_| {
            format!(
                "the body is not JSON: {error}; it begins with `{}`",
                clean(text, 40)
            )
        })
    })
}

/// What stands behind the key of a value that a later one of the same key has replaced, before its number. No key that
/// people write holds it.
const REPEATED: char = '\0';

/// Returns the key as it was written.
pub(super) fn key(key: &str) -> &str {
    key.split_once(REPEATED).map_or(key, |(written, _)| written)
}

/// Returns whether the value of this key was replaced by a later one: only a list of all entries has a use for it.
pub(super) fn is_replaced(key: &str) -> bool {
    key.contains(REPEATED)
}

/// A body in which no value is lost: of several with one key the last has it, as everywhere, and the others are kept
/// beside it.
struct Body(Value);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor).map(Self)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Body(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Body(value))) = entries.next_entry::<String, Body>()? {
            if let Some(replaced) = map.insert(key.clone(), value) {
                map.insert(format!("{key}{REPEATED}{}", map.len()), replaced);
            }
        }
        Ok(Value::Object(map))
    }
}

/// Returns the deepest nesting outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut within, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if within => escaped = true,
            b'"' => within = !within,
            b'[' | b'{' if !within => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !within => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Replaces numbers that no machine number holds (`1e400`) by null, and single surrogates (`\ud800`) by the replacement
/// character. Both are valid JSON, and neither should cost the rest of the report.
fn without_impossible(text: &str) -> Cow<'_, str> {
    TOKEN.replace_all(text, |token: &Captures<'_>| {
        let token = &token[0];
        if token.starts_with('"') {
            let whole = ESCAPE.replace_all(token, |escape: &Captures<'_>| {
                let lone = escape.name("lone").is_some();
                if lone { "\\ufffd" } else { &escape[0] }.to_owned()
            });
            whole.into_owned()
        } else if token.parse::<f64>().is_ok_and(f64::is_infinite) {
            "null".to_owned()
        } else {
            token.to_owned()
        }
    })
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

/// A string, which may lack its end, or the characters of a number.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?s)"(?:[^"\\]|\\.)*"?|[-0-9][-+.eE0-9]*"#));

/// A pair of surrogates, a single one, or any other escape.
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    let high = r"\\u[dD][89abAB][[:xdigit:]]{2}";
    let low = r"\\u[dD][c-fC-F][[:xdigit:]]{2}";
    regex(&format!(r"(?s){high}{low}|(?<lone>{high}|{low})|\\."))
});

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_DEPTH, is_replaced, key, parse, parse_all};

    #[test]
    fn what_is_json_by_the_letter_decodes() {
        let cases: &[(&[u8], Value)] = &[
            (b"null", Value::Null),
            (b"\xef\xbb\xbf{\"a\":1}\r\n", json!({"a": 1})),
            (
                b"{\"a\":1e400,\"b\":[-1e999,2]}",
                json!({"a": null, "b": [null, 2]}),
            ),
            (
                b"{\"a\":\"1e400\",\"b\":1e400}",
                json!({"a": "1e400", "b": null}),
            ),
            (b"\"\\ud800\"", json!("\u{fffd}")),
            (
                b"\"\\ud83d\\ude00 \\udc00 \\\\ud800\"",
                json!("\u{1f600} \u{fffd} \\ud800"),
            ),
            (b"{\"e\":\"caf\xe9\"}", json!({"e": "caf\u{fffd}"})),
            (b"{\"a\":1,\"a\":2}", json!({"a": 2})),
            (b"18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        ];
        for (body, expected) in cases {
            assert_eq!(parse(body).as_ref(), Ok(expected), "{body:?}");
        }
    }

    #[test]
    fn no_value_is_lost() {
        let body = br#"{"a": 1, "b": {"c": true, "c": null}, "a": [1.5, -2], "a": "x"}"#;
        let all =
            json!({"a": "x", "b": {"c": null, "c\x001": true}, "a\x002": 1, "a\x003": [1.5, -2]});
        assert_eq!(parse_all(body), Ok(all));
        assert_eq!((key("a\x002"), key("b"), key("")), ("a", "b", ""));
        assert!(is_replaced("a\x002") && !is_replaced("a2"));
    }

    #[test]
    fn what_is_none_says_why() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "the body is empty"),
            (b" \r\n", "the body is empty"),
            (b"\xef\xbb\xbf", "the body is empty"),
            (
                b"<html>\x1b[31m",
                "not JSON: expected value at line 1 column 1; it begins with `<html>\\u{1b}[31m`",
            ),
            (b"{\"a\":NaN}", "not JSON"),
            (b"{\"a\":1} x", "trailing characters"),
            (b"{\"a\":\"", "EOF while parsing"),
            (b"\"\\ud8", "not JSON"),
            (b"\"\\", "not JSON"),
            (b"{\"a\":1", "EOF while parsing"),
        ];
        for (body, expected) in cases {
            let error = parse(body).unwrap_err();
            assert!(error.contains(expected), "{body:?}: {error}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        let error = parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!(error, "the body is nested deeper than 64 levels");
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(parse(format!("\"{}\"", "[".repeat(1_000)).as_bytes()).is_ok());
    }
}
