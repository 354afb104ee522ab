//! Expectations of an answer.

use crate::yaml::{Entry, Fields, Node, Problem, Problems};

use super::super::StatusRange;
use super::secret::check_header_name;
use super::{At, Expect};

impl Expect {
    /// Reads `expect:`.
    pub(super) fn read(entry: &Entry, problems: &mut Problems) -> Self {
        let mut expect = Self::default();
        let Some(mut fields) = Fields::read(
            &entry.value,
            "a map with `status`, `body`, `json` or `headers`",
            problems,
        ) else {
            return expect;
        };
        expect.status = fields
            .take("status")
            .and_then(|entry| status(&entry.value, problems));
        expect.body = fields
            .take("body")
            .and_then(|entry| body(&entry.value, problems));
        if let Some(entry) = fields.take("json") {
            expect.json = json(&entry.value, problems);
        }
        if let Some(entry) = fields.take("headers") {
            expect.headers = headers(&entry.value, problems);
        }
        fields.finish(problems);
        expect
    }
}

/// One code or range, or a list of them.
fn status(node: &Node, problems: &mut Problems) -> Option<At<Vec<StatusRange>>> {
    const EXPECTED: &str = "status codes such as `200`, `200-299` or a list of them";
    let items = match &node.value {
        crate::yaml::Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        problems.push(
            Problem::at(&node.place, "no status code would be accepted")
                .label(format!("expected {EXPECTED}")),
        );
        return None;
    }
    let mut ranges = Vec::with_capacity(items.len());
    let mut complete = true;
    for item in items {
        let Some(text) = item.as_text() else {
            problems.push(item.wrong(EXPECTED));
            complete = false;
            continue;
        };
        match range(text) {
            Ok(range) => ranges.push(range),
            Err((reason, hint)) => {
                problems.push(
                    Problem::at(&item.place, format!("{} {reason}", item.shown()))
                        .label(format!("expected {EXPECTED}"))
                        .maybe_hint(hint),
                );
                complete = false;
            }
        }
    }
    complete.then(|| At::new(ranges, node))
}

/// `200` or `200-299`.
fn range(text: &str) -> Result<StatusRange, (String, Option<String>)> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if let Some(class) = lower.strip_suffix("xx")
        && class.len() == 1
    {
        return Err((
            "is not a range".to_owned(),
            Some(format!("did you mean `{class}00-{class}99`?")),
        ));
    }
    let code = |part: &str| -> Result<u16, (String, Option<String>)> {
        let part = part.trim();
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            let hint = ["..=", "..", "–", ",", " to ", ":"]
                .iter()
                .find_map(|sign| text.split_once(sign))
                .map(|(a, b)| format!("did you mean `{}-{}`?", a.trim(), b.trim()));
            return Err(("is not a status code".to_owned(), hint));
        }
        match part.parse() {
            Ok(code @ 100..=599) => Ok(code),
            _ => Err((
                "is no status code that HTTP has".to_owned(),
                Some("status codes are 100 to 599".to_owned()),
            )),
        }
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (code(first)?, code(last)?),
        None => (code(text)?, code(text)?),
    };
    if first > last {
        return Err((
            "is a range that ends before it begins".to_owned(),
            Some(format!("did you mean `{last}-{first}`?")),
        ));
    }
    Ok(StatusRange { first, last })
}

/// `{contains: text}`, or several.
fn body(node: &Node, problems: &mut Problems) -> Option<At<Vec<String>>> {
    const EXPECTED: &str = "`{contains: text}`";
    if let Some(text) = node.as_text() {
        problems.push(
            node.wrong(EXPECTED)
                .hint(format!("write `{{contains: {text}}}`")),
        );
        return None;
    }
    let mut fields = Fields::read(node, EXPECTED, problems)?;
    let contains = fields.take("contains");
    fields.finish(problems);
    let Some(contains) = contains else {
        problems.push(
            Problem::at(&node.place, "nothing is expected of the body")
                .label(format!("expected {EXPECTED}")),
        );
        return None;
    };
    let items = match &contains.value.value {
        crate::yaml::Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&contains.value),
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let text = item.text("text that the body has to contain", problems)?;
        if text.is_empty() {
            problems.push(
                Problem::at(&item.place, "every body contains nothing")
                    .label("expected text that the body has to contain"),
            );
            return None;
        }
        texts.push(text);
    }
    if texts.is_empty() {
        problems.push(contains.value.wrong("text that the body has to contain"));
        return None;
    }
    Some(At::new(texts, node))
}

/// JSON pointers to values.
fn json(node: &Node, problems: &mut Problems) -> Vec<(At<String>, serde_json::Value)> {
    let Some(entries) = node.map("a map of JSON pointers to values", problems) else {
        return Vec::new();
    };
    let mut list = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some((reason, hint)) = bad_pointer(&entry.key) {
            problems.push(
                Problem::at(&entry.key_place, format!("`{}` {reason}", entry.key))
                    .label("expected a JSON pointer such as `/status`")
                    .hint(hint),
            );
            continue;
        }
        let pointer = At {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        };
        list.push((pointer, entry.value.to_json()));
    }
    list
}

/// What is wrong with an RFC 6901 pointer; the empty one is the whole document.
fn bad_pointer(text: &str) -> Option<(&'static str, String)> {
    if text.is_empty() {
        return None;
    }
    if !text.starts_with('/') {
        let path = text.trim_start_matches('$').trim_start_matches('.');
        let meant = path.replace(['.', '['], "/").replace(']', "");
        return Some((
            "is not a JSON pointer",
            format!("did you mean `/{}`?", meant.trim_start_matches('/')),
        ));
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('~') {
        if !after.starts_with(['0', '1']) {
            return Some((
                "is not a JSON pointer",
                "a `~` in a name is written `~0`, a `/` `~1`".to_owned(),
            ));
        }
        rest = after;
    }
    None
}

/// Headers with the value they have to carry.
fn headers(node: &Node, problems: &mut Problems) -> Vec<(At<String>, String)> {
    let Some(entries) = node.map("a map of headers to values", problems) else {
        return Vec::new();
    };
    let mut list: Vec<(At<String>, String)> = Vec::with_capacity(entries.len());
    for entry in entries {
        if !check_header_name(entry, problems) {
            continue;
        }
        let name = entry.key.to_ascii_lowercase();
        if let Some((first, _)) = list.iter().find(|(known, _)| known.value == name) {
            problems.push(
                Problem::at(
                    &entry.key_place,
                    format!("duplicate header `{}`", entry.key),
                )
                .label("here again")
                .related(&first.place, "first here")
                .hint("case makes no difference in the name of a header"),
            );
            continue;
        }
        let Some(value) = entry
            .value
            .text("the value that the header has to carry", problems)
        else {
            continue;
        };
        let name = At {
            value: name,
            place: entry.key_place.clone(),
        };
        list.push((name, value));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::{bad_pointer, range};

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("200", "200-200"),
            ("200-299", "200-299"),
            ("100-599", "100-599"),
            ("200 - 299", "200-299"),
            (
                "299-200",
                "is a range that ends before it begins | did you mean `200-299`?",
            ),
            (
                "99",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            (
                "700",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            (
                "200-700",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            (
                "99999999999",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            ("2xx", "is not a range | did you mean `200-299`?"),
            ("200..299", "is not a status code | did you mean `200-299`?"),
            ("200,299", "is not a status code | did you mean `200-299`?"),
            ("-200", "is not a status code | "),
            ("ok", "is not a status code | "),
            ("", "is not a status code | "),
            ("200.0", "is not a status code | "),
        ] {
            let found = match range(text) {
                Ok(range) => format!("{}-{}", range.first, range.last),
                Err((reason, hint)) => format!("{reason} | {}", hint.unwrap_or_default()),
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn pointers() {
        for (text, expected) in [
            ("", None),
            ("/", None),
            ("/a/b~1c~0", None),
            ("status", Some("did you mean `/status`?")),
            ("$.a.b[0]", Some("did you mean `/a/b/0`?")),
            ("/a~2", Some("a `~` in a name is written `~0`, a `/` `~1`")),
            ("/a~", Some("a `~` in a name is written `~0`, a `/` `~1`")),
        ] {
            let found = bad_pointer(text).map(|(_, hint)| hint);
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
