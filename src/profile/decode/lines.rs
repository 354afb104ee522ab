//! Reads a body of lines, one entry a line, into a map in which the paths of a profile are looked up.
//!
//! `[+]etcd ok` becomes `{"etcd": {"status": "ok"}}`; when a pattern has only a name and a value,
//! `ActiveState=active` becomes `{"ActiveState": "active"}`.

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::dependencies::{DependencyTable, UniqueNames};
use super::json::body_text;
use super::parser::{BodyFormat, Parser};
use super::words::{Vocabulary, plain};
use crate::health::State;
use crate::text::clean;
use crate::yaml::{Fields, Problem};

/// The verbose text of Kubernetes and etcd: `[+]NAME ok`, `[+]NAME excluded: ok`, `[-]NAME failed: reason`.
const BRACKET: &str =
    r"^\[[+-]\](?<name>.+?) (?<status>ok|excluded|failed)(?::(?: ok| (?<error>.*))?)?$";

/// LineFormat that are looked at; a status is no log.
const MOST_LINES: usize = 10_000;

/// The pattern of a line.
#[derive(Debug, Clone)]
pub(super) struct LineFormat {
    pattern: Regex,
    /// True when the body may also be a single status word, as it is when the verbose text was not requested.
    word_alone: bool,
}

impl PartialEq for LineFormat {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.word_alone == other.word_alone
    }
}

impl LineFormat {
    fn bracket() -> Option<Self> {
        Some(Self {
            pattern: Regex::new(BRACKET).ok()?,
            word_alone: true,
        })
    }

    /// Reads a regular expression that a whole line, or a part of it, matches; fails with the reason why it cannot be
    /// used.
    fn parse(pattern: &str) -> Result<Self, String> {
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

    /// Reads `pattern:` or `preset:`, which are required when the format is `lines`.
    pub(super) fn take(fields: &mut Fields<'_>, parser: &mut Parser<'_>) -> Option<Self> {
        let (pattern, preset) = (fields.take("pattern"), fields.take("preset"));
        let problems = &mut *parser.problems;
        if parser.format != BodyFormat::Lines {
            for entry in [pattern, preset].into_iter().flatten() {
                let key = &entry.key;
                Problem::at(&entry.key_place, format!("`{key}` says how lines are read"))
                    .label("needs `format: lines`")
                    .hint("take it out, or set `format: lines`")
                    .report(problems);
            }
            return None;
        }
        let problem = match (pattern, preset) {
            (Some(pattern), None) => {
                let expected = "a regular expression such as `^(?<name>[^=]+)=(?<value>.*)$`";
                let text = pattern.value.line(expected, problems)?;
                match Self::parse(&text) {
                    Ok(lines) => return Some(lines),
                    Err(reason) => {
                        let shown = pattern.value.shown();
                        let message = format!("{shown} is no pattern for lines: {reason}");
                        Problem::at(&pattern.value.place, message)
                            .expected(expected)
                    }
                }
            }
            (None, Some(preset)) => {
                let () = preset.value.word(&[("bracket", ())], problems)?;
                return Self::bracket();
            }
            (Some(_), Some(preset)) => {
                Problem::at(&preset.key_place, "`preset` is a pattern, and there is one")
                    .label("one of the two is enough")
                    .hint("keep `pattern` or `preset`")
            }
            (None, None) => Problem::at(parser.format_place, "lines without a `pattern`")
                .label("how is a line read?")
                .hint("add `preset: bracket` for `[+]name ok`, or a `pattern` with the group `(?<name>…)`"),
        };
        problem.reject(problems)
    }

    /// Returns the dependencies of a preset, which needs no description of them. Those of a pattern only its author
    /// knows.
    pub(super) fn table(&self) -> Option<DependencyTable> {
        self.word_alone.then(DependencyTable::of_lines)
    }

    /// Returns the lines that match the pattern, by name, or the reason why there are none.
    pub(super) fn read(&self, body: &[u8]) -> Result<Value, String> {
        let text = body_text(body);
        if text.trim().is_empty() {
            return Err("the body is empty".to_owned());
        }
        let mut map = Map::new();
        let mut names = UniqueNames::default();
        for line in text.lines().take(MOST_LINES) {
            let Some(found) = self.pattern.captures(line) else {
                continue;
            };
            let name = found.name("name").map_or("", |name| name.as_str().trim());
            if !name.is_empty() {
                map.insert(names.unique(name), self.entry(&found));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::LineFormat;

    fn check(lines: &LineFormat, body: &str, expected: &Value) {
        let found = lines.read(body.as_bytes());
        assert_eq!(found.as_ref(), Ok(expected), "{body:?}");
    }

    #[test]
    fn bracket() {
        let bracket = LineFormat::bracket().unwrap();
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
        let pairs = LineFormat::parse("^(?<name>[^=]+)=(?<value>.*)$").unwrap();
        check(
            &pairs,
            "ActiveState=active\nno pair\nSubState=\n=x\n",
            &json!({"ActiveState": "active", "SubState": ""}),
        );
        let words = LineFormat::parse("(?<name>[^:]+): (?:(?<status>OK)|(?<why>.+))").unwrap();
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
            assert_eq!(
                LineFormat::parse(pattern).unwrap_err(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn many_lines_are_bounded() {
        let bracket = LineFormat::bracket().unwrap();
        let many = "[+]ping ok\n".repeat(100) + &"x\n".repeat(200_000);
        let found = bracket.read(many.as_bytes()).unwrap();
        assert_eq!(found.as_object().map(serde_json::Map::len), Some(100));
    }
}
