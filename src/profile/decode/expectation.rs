//! Compares a response with the expectations of the inventory.

use serde_json::Value;

use super::{HttpResponse, json};
use crate::health::{Failure, FailureKind};
use crate::profile::Expect;
use crate::text::clean;

/// The number of characters that are shown of a text.
const SHOWN: usize = 80;

/// Returns the first expectation that is not met; the status code is judged elsewhere.
pub(super) fn unmet(expect: &Expect, response: &HttpResponse<'_>) -> Option<Failure> {
    let message = unmet_header(expect, response)
        .or_else(|| unmet_text(expect, response))
        .or_else(|| unmet_value(expect, response))?;
    Some(Failure::new(FailureKind::Expect, message))
}

fn unmet_header(expect: &Expect, response: &HttpResponse<'_>) -> Option<String> {
    expect.headers.iter().find_map(|(name, wanted)| {
        let headers = response.headers.iter();
        let found: Vec<&str> = headers
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        if found.contains(&wanted.trim()) {
            return None;
        }
        let wanted = clean(wanted, SHOWN);
        Some(if found.is_empty() {
            format!("expected header `{name}: {wanted}`, and there is no such header")
        } else {
            let found = clean(&found.join(", "), SHOWN);
            format!("expected header `{name}: {wanted}`, found `{found}`")
        })
    })
}

fn unmet_text(expect: &Expect, response: &HttpResponse<'_>) -> Option<String> {
    let body = String::from_utf8_lossy(response.body);
    let mut texts = expect.body_contains.iter();
    let missing = texts.find(|text| !body.contains(text.as_str()))?;
    let wanted = clean(missing, SHOWN);
    Some(match body.trim() {
        "" => format!("expected `{wanted}` in the body, and the body is empty"),
        body => format!(
            "expected `{wanted}` in the body, found `{}`",
            clean(body, SHOWN)
        ),
    })
}

fn unmet_value(expect: &Expect, response: &HttpResponse<'_>) -> Option<String> {
    let (pointer, wanted) = expect.json.first()?;
    let body = match json::parse(response.body) {
        Ok(body) => body,
        Err(reason) => {
            return Some(format!(
                "expected {} at `{pointer}`, but {reason}",
                shown(wanted)
            ));
        }
    };
    expect.json.iter().find_map(|(pointer, wanted)| {
        let message = |found| format!("expected {} at `{pointer}`, {found}", shown(wanted));
        match body.pointer(pointer) {
            Some(found) if equal(found, wanted) => None,
            Some(found) => Some(message(format!("found {}", shown(found)))),
            // `null` means that nothing is expected to be there.
            None if wanted.is_null() => None,
            None => Some(message("and there is nothing".to_owned())),
        }
    })
}

/// Returns whether two values are equal as JSON, `1` and `1.0` included.
fn equal(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => {
            found == wanted || found.as_f64() == wanted.as_f64()
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| equal(a, b))
        }
        (Value::Object(found), Value::Object(wanted)) => {
            let mut pairs = found.iter().map(|(key, a)| (a, wanted.get(key)));
            found.len() == wanted.len() && pairs.all(|(a, b)| b.is_some_and(|b| equal(a, b)))
        }
        (found, wanted) => found == wanted,
    }
}

/// Returns a value with its type when that could be mistaken: `"1"` is text, `1` is not.
fn shown(value: &Value) -> String {
    format!("`{}`", clean(&value.to_string(), SHOWN))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::unmet;
    use crate::health::{FailureKind, Moment};
    use crate::profile::{Expect, HttpResponse};

    fn check(expect: &Expect, body: &str, expected: Option<&str>) {
        let headers = [
            ("x-role".to_owned(), "replica".to_owned()),
            ("x-many".to_owned(), "one".to_owned()),
            ("x-many".to_owned(), " two ".to_owned()),
        ];
        let response = HttpResponse {
            code: 200,
            headers: &headers,
            body: body.as_bytes(),
            at: Moment::at_seconds(0.0),
            latency: Duration::ZERO,
        };
        let found = unmet(expect, &response);
        assert!(
            found
                .as_ref()
                .is_none_or(|failure| failure.kind == FailureKind::Expect)
        );
        assert_eq!(found.map(|failure| failure.message).as_deref(), expected);
    }

    #[test]
    fn headers() {
        let expecting = |name: &str, value: &str| Expect {
            headers: vec![(name.to_owned(), value.to_owned())],
            ..Expect::default()
        };
        for (name, value, expected) in [
            ("x-role", "replica", None),
            ("X-Role", "replica", None),
            ("x-many", "two", None),
            (
                "x-role",
                "primary",
                Some("expected header `x-role: primary`, found `replica`"),
            ),
            (
                "x-many",
                "three",
                Some("expected header `x-many: three`, found `one, two`"),
            ),
            (
                "x-none",
                "1",
                Some("expected header `x-none: 1`, and there is no such header"),
            ),
        ] {
            check(&expecting(name, value), "", expected);
        }
    }

    #[test]
    fn text_in_the_body() {
        let expect = Expect {
            body_contains: vec!["ok".to_owned(), "db".to_owned()],
            ..Expect::default()
        };
        for (body, expected) in [
            ("db ok", None),
            ("ok", Some("expected `db` in the body, found `ok`")),
            (
                "DB OK\u{1b}[0m",
                Some("expected `ok` in the body, found `DB OK\\u{1b}[0m`"),
            ),
            ("", Some("expected `ok` in the body, and the body is empty")),
        ] {
            check(&expect, body, expected);
        }
    }

    #[test]
    fn values_in_json() {
        let expecting = |pointer: &str, value: serde_json::Value| Expect {
            json: vec![("/a".to_owned(), json!(1)), (pointer.to_owned(), value)],
            ..Expect::default()
        };
        let body = r#"{"a":1.0,"s":"up","n":5,"l":[1,{"x":2}],"z":null,"e":""}"#;
        for (pointer, value, expected) in [
            ("/s", json!("up"), None),
            ("/l", json!([1, {"x": 2.0}]), None),
            ("/l/1/x", json!(2), None),
            ("/z", json!(null), None),
            ("/none", json!(null), None),
            (
                "/e",
                json!(null),
                Some("expected `null` at `/e`, found `\"\"`"),
            ),
            (
                "/s",
                json!("Up"),
                Some("expected `\"Up\"` at `/s`, found `\"up\"`"),
            ),
            (
                "/n",
                json!("5"),
                Some("expected `\"5\"` at `/n`, found `5`"),
            ),
            (
                "/none",
                json!(1),
                Some("expected `1` at `/none`, and there is nothing"),
            ),
        ] {
            check(&expecting(pointer, value), body, expected);
        }
        let message = "expected `1` at `/a`, but the body is empty";
        check(&expecting("/b", json!(2)), "", Some(message));
    }
}
