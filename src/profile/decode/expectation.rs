//! Whether an answer is what the inventory expects, and if not, what came instead.

use serde_json::Value;

use super::{Answer, json};
use crate::health::{Failure, FailureKind};
use crate::profile::Expect;
use crate::text::clean;

/// Characters shown of what came.
const SHOWN: usize = 80;

/// The first expectation that is not met; the status code is judged elsewhere.
pub(super) fn unmet(expect: &Expect, answer: &Answer<'_>) -> Option<Failure> {
    let message = header(expect, answer)
        .or_else(|| text(expect, answer))
        .or_else(|| values(expect, answer))?;
    Some(Failure::new(FailureKind::Expect, message))
}

fn header(expect: &Expect, answer: &Answer<'_>) -> Option<String> {
    expect.headers.iter().find_map(|(name, wanted)| {
        let came: Vec<&str> = answer
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        if came.contains(&wanted.trim()) {
            return None;
        }
        let wanted = clean(wanted, SHOWN);
        Some(if came.is_empty() {
            format!("expected header `{name}: {wanted}`, and there is no such header")
        } else {
            let came = clean(&came.join(", "), SHOWN);
            format!("expected header `{name}: {wanted}`, found `{came}`")
        })
    })
}

fn text(expect: &Expect, answer: &Answer<'_>) -> Option<String> {
    if expect.body_contains.is_empty() {
        return None;
    }
    let body = String::from_utf8_lossy(answer.body);
    let missing = expect
        .body_contains
        .iter()
        .find(|text| !body.contains(text.as_str()))?;
    let wanted = clean(missing, SHOWN);
    Some(if body.trim().is_empty() {
        format!("expected `{wanted}` in the body, and the body is empty")
    } else {
        format!(
            "expected `{wanted}` in the body, found `{}`",
            clean(body.trim(), SHOWN)
        )
    })
}

fn values(expect: &Expect, answer: &Answer<'_>) -> Option<String> {
    let (pointer, wanted) = expect.json.first()?;
    let body = match json::parse(answer.body) {
        Ok(body) => body,
        Err(reason) => {
            return Some(format!(
                "expected {} at `{pointer}`, but {reason}",
                shown(wanted)
            ));
        }
    };
    expect.json.iter().find_map(|(pointer, wanted)| {
        let came = body.pointer(pointer);
        let met = match came {
            Some(came) => equal(came, wanted),
            // Who expects null expects nothing to be there.
            None => wanted.is_null(),
        };
        (!met).then(|| match came {
            Some(came) => format!(
                "expected {} at `{pointer}`, found {}",
                shown(wanted),
                shown(came)
            ),
            None => format!(
                "expected {} at `{pointer}`, and there is nothing",
                shown(wanted)
            ),
        })
    })
}

/// Equal as JSON values, `1` and `1.0` too.
fn equal(came: &Value, wanted: &Value) -> bool {
    match (came, wanted) {
        (Value::Number(came), Value::Number(wanted)) => {
            came == wanted || came.as_f64() == wanted.as_f64()
        }
        (Value::Array(came), Value::Array(wanted)) => {
            came.len() == wanted.len() && came.iter().zip(wanted).all(|(a, b)| equal(a, b))
        }
        (Value::Object(came), Value::Object(wanted)) => {
            came.len() == wanted.len()
                && came
                    .iter()
                    .all(|(key, a)| wanted.get(key).is_some_and(|b| equal(a, b)))
        }
        (came, wanted) => came == wanted,
    }
}

/// A value with its type where that could be mistaken: `"1"` is text, `1` is none.
fn shown(value: &Value) -> String {
    format!("`{}`", clean(&value.to_string(), SHOWN))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::unmet;
    use crate::health::{FailureKind, Moment};
    use crate::profile::{Answer, Expect};

    fn check(expect: &Expect, body: &str, expected: Option<&str>) {
        let headers = [
            ("x-role".to_owned(), "replica".to_owned()),
            ("x-many".to_owned(), "one".to_owned()),
            ("x-many".to_owned(), " two ".to_owned()),
        ];
        let answer = Answer {
            code: 200,
            headers: &headers,
            body: body.as_bytes(),
            at: Moment::at_seconds(0.0),
            latency: Duration::ZERO,
        };
        let found = unmet(expect, &answer);
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
