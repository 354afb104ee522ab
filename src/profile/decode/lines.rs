//! A body of lines, one thing a line, to a map that the places of a profile are looked up in.
//!
//! `[+]etcd ok` becomes `{"etcd": {"status": "ok"}}`; where a pattern has no more than a name and a value,
//! `ActiveState=active` becomes `{"ActiveState": "active"}`.

use std::collections::HashMap;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::dependencies::{EntryKind, Required, Shape, Table};
use super::place::{Place, Places, Source};
use super::words::{Vocabulary, plain};
use crate::health::State;
use crate::text::clean;

/// `[+]NAME ok`, `[+]NAME excluded: ok`, `[-]NAME failed: reason`: the verbose text of Kubernetes and etcd.
const BRACKET: &str =
    r"^\[[+-]\](?<name>.+?) (?<status>ok|excluded|failed)(?::(?: ok| (?<error>.*))?)?$";

/// Lines that are looked at; a status is no log.
const MOST_LINES: usize = 10_000;

/// How a line is read.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pattern: Regex,
    /// A body may also be nothing but a word: it is so when nobody asked for the lines.
    word_alone: bool,
}

impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.word_alone == other.word_alone
    }
}

impl Lines {
    /// `preset: bracket`.
    pub(super) fn bracket() -> Option<Self> {
        Some(Self {
            pattern: Regex::new(BRACKET).ok()?,
            word_alone: true,
        })
    }

    /// `pattern:`, a regular expression that a whole line, or a part of it, matches.
    ///
    /// # Errors
    ///
    /// Why it is none that can be used here.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let pattern = Regex::new(pattern).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            reason.trim_start_matches("error: ").to_owned()
        })?;
        let groups: Vec<&str> = pattern.capture_names().flatten().collect();
        if !groups.contains(&"name") {
            return Err("it has no group `(?<name>…)`".to_owned());
        }
        if groups.len() < 2 {
            return Err("it has no group beside `name`, such as `(?<value>.*)`".to_owned());
        }
        Ok(Self {
            pattern,
            word_alone: false,
        })
    }

    /// The dependencies of a preset, which needs no description of them; of a pattern only its author knows.
    pub(super) fn table(&self) -> Option<Table> {
        self.word_alone.then(|| {
            let at = |pointer: &str| Place::plain(Source::Pointer(pointer.to_owned()));
            Table {
                at: Places(vec![at("")]),
                name: Places::default(),
                ignore: Vec::new(),
                shape: Some(Shape::Map),
                kind: Some(EntryKind::Object),
                failures_only: false,
                recurse: Vec::new(),
                required: Required::Names(Vec::new()),
                status: vec![(at("/status"), None)],
                words: None,
                error: Places(vec![at("/error")]),
                last_success: Places::default(),
                last_failure: Places::default(),
                last_check: Places::default(),
                success_count: Places::default(),
                failure_count: Places::default(),
                latency: Places::default(),
                heartbeat: None,
            }
        })
    }

    /// The lines that are as the pattern says, by name; why there are none.
    pub(super) fn read(&self, body: &[u8]) -> Result<Value, String> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = String::from_utf8_lossy(body);
        if text.trim().is_empty() {
            return Err("the body is empty".to_owned());
        }
        let mut map = Map::new();
        let mut seen = HashMap::new();
        for line in text.lines().take(MOST_LINES) {
            let Some(found) = self.pattern.captures(line) else {
                continue;
            };
            let name = found.name("name").map_or("", |name| name.as_str().trim());
            if !name.is_empty() {
                map.insert(unused(&map, &mut seen, name), self.entry(&found));
            }
        }
        let is_word = || self.word_alone && State::known(&plain(&text)).is_some();
        if map.is_empty() && !is_word() {
            return Err(format!(
                "no line of the body is as the pattern says; it begins with `{}`",
                clean(text.trim(), 40)
            ));
        }
        Ok(Value::Object(map))
    }

    fn entry(&self, found: &Captures<'_>) -> Value {
        let groups = self.pattern.capture_names().flatten();
        let entry: Map<String, Value> = groups
            .filter(|group| *group != "name")
            .filter_map(|group| {
                let text = found.name(group)?.as_str().trim();
                Some((group.to_owned(), Value::String(text.to_owned())))
            })
            .collect();
        match entry.get("value") {
            Some(value) if entry.len() == 1 => value.clone(),
            _ => Value::Object(entry),
        }
    }
}

/// The name, or one with a number behind it where it was seen before.
fn unused<'a>(
    map: &Map<String, Value>,
    seen: &mut HashMap<&'a str, usize>,
    name: &'a str,
) -> String {
    let number = seen.entry(name).or_insert(0);
    loop {
        *number += 1;
        let candidate = match *number {
            1 => name.to_owned(),
            number => format!("{name}#{number}"),
        };
        if !map.contains_key(&candidate) {
            return candidate;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Lines;

    fn check(lines: &Lines, body: &str, expected: &Value) {
        let found = lines.read(body.as_bytes());
        assert_eq!(found.as_ref(), Ok(expected), "{body:?}");
    }

    #[test]
    fn bracket() {
        let bracket = Lines::bracket().unwrap();
        check(
            &bracket,
            "[+]ping ok\r\n[+]poststarthook/rbac/bootstrap-roles ok\n[+]etcd excluded: ok\n[-]log failed: reason withheld\nwarn: some health checks cannot be excluded: no matches for \"x\"\nlivez check failed\n",
            &json!({
                "ping": {"status": "ok"},
                "poststarthook/rbac/bootstrap-roles": {"status": "ok"},
                "etcd": {"status": "excluded"},
                "log": {"status": "failed", "error": "reason withheld"},
            }),
        );
        check(
            &bracket,
            "[-]serializable_read failed: etcdserver: request timed out\n[-]a b failed\n[+]ping ok\n[+]ping ok",
            &json!({
                "serializable_read": {"status": "failed", "error": "etcdserver: request timed out"},
                "a b": {"status": "failed"},
                "ping": {"status": "ok"},
                "ping#2": {"status": "ok"},
            }),
        );
        check(&bracket, "ok", &json!({}));
        for (body, expected) in [
            ("", "the body is empty"),
            (" \n", "the body is empty"),
            (
                "<html>\n[+]x",
                "no line of the body is as the pattern says; it begins with `<html>",
            ),
            ("[+] ok", "no line of the body"),
        ] {
            let error = bracket.read(body.as_bytes()).unwrap_err();
            assert!(error.starts_with(expected), "{body:?}: {error}");
        }
    }

    #[test]
    fn patterns() {
        let pairs = Lines::parse("^(?<name>[^=]+)=(?<value>.*)$").unwrap();
        check(
            &pairs,
            "ActiveState=active\nno pair\nSubState=\n=x\n",
            &json!({"ActiveState": "active", "SubState": ""}),
        );
        let words = Lines::parse("(?<name>[^:]+): (?:(?<status>OK)|(?<why>.+))").unwrap();
        check(
            &words,
            "cache: gone: away\ndb: OK",
            &json!({"cache": {"why": "gone: away"}, "db": {"status": "OK"}}),
        );
        let error = pairs.read(b"caf\xe9").unwrap_err();
        assert!(error.contains("caf\u{fffd}"), "{error}");
        for (pattern, expected) in [
            ("(?<name>x", "unclosed group"),
            ("^(.*)$", "it has no group `(?<name>…)`"),
            (
                "^(?<name>.*)$",
                "it has no group beside `name`, such as `(?<value>.*)`",
            ),
        ] {
            assert_eq!(Lines::parse(pattern).unwrap_err(), expected, "{pattern}");
        }
    }

    #[test]
    fn many_lines_are_bounded() {
        let bracket = Lines::bracket().unwrap();
        let many = "[+]ping ok\n".repeat(100) + &"x\n".repeat(200_000);
        let found = bracket.read(many.as_bytes()).unwrap();
        assert_eq!(found.as_object().map(serde_json::Map::len), Some(100));
    }
}
