//! A JSON body to a value, whatever came: bounded in depth, tolerant of what a JSON text may hold and a machine may not.

use serde_json::Value;

use crate::text::clean;

/// Arrays and objects inside one another; beyond that a body does not decode. serde_json's own limit is
/// 128, and everything that walks a value below is recursive.
pub(super) const MAX_DEPTH: usize = 64;

/// Reads a body, or says why it is no JSON.
pub(super) fn parse(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // A stray byte in an error message must not hide the rest of the report.
    let text = String::from_utf8_lossy(body);
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

/// The deepest nesting outside of strings.
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

/// A piece of a JSON text, as far as this file cares.
enum Token<'a> {
    /// A string with its quotes.
    Text(&'a str),
    /// A run of characters that numbers are made of.
    Number(&'a str),
    /// Any other byte.
    Other(u8),
}

/// Cuts a text into pieces; never fails, because the parser behind it is the one to complain.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let first = *bytes.first()?;
        let length = match first {
            b'"' => string_length(bytes),
            b'-' | b'0'..=b'9' => bytes
                .iter()
                .take_while(|b| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                .count(),
            _ => 1,
        };
        // Outside of strings a cut can fall into a character; such a text is no JSON anyway.
        let cut = (length..=bytes.len())
            .find(|&at| rest.is_char_boundary(at))
            .unwrap_or(bytes.len());
        let (piece, after) = rest.split_at(cut);
        rest = after;
        Some(match first {
            b'"' => Token::Text(piece),
            b'-' | b'0'..=b'9' => Token::Number(piece),
            other if piece.len() == 1 => Token::Other(other),
            _ => Token::Text(piece),
        })
    })
}

/// The length of the string that starts here, quotes included; all that is left where it has no end.
fn string_length(bytes: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// The text with numbers that no machine number holds (`1e400`) as null and halves of a surrogate pair
/// replaced. Both are JSON by the letter, and neither should cost the rest of the report.
fn without_impossible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in tokens(text) {
        match token {
            Token::Text(piece) => whole_characters(piece, &mut out),
            Token::Number(piece) if piece.parse::<f64>().is_ok_and(f64::is_infinite) => {
                out.push_str("null");
            }
            Token::Number(piece) => out.push_str(piece),
            Token::Other(byte) => out.push(char::from(byte)),
        }
    }
    out
}

/// Copies a string, `\ud800` without its other half as `\ufffd`.
fn whole_characters(piece: &str, out: &mut String) {
    let mut rest = piece;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let unit = |text: &str| {
            text.strip_prefix("\\u")
                .and_then(|hex| hex.get(..4))
                .and_then(|hex| u16::from_str_radix(hex, 16).ok())
        };
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            // A backslash and what it escapes belong together: `\\` must not be taken for the start of another.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (whole, after) = escape.split_at(length);
        out.push_str(whole);
        rest = after;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_DEPTH, parse};

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
