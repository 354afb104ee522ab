//! Reading one value as what was expected of it, or telling what it is instead.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Entry, Node, Problem, Problems, Value};
use crate::text::{is_hidden, nearest, parse_duration, parse_size};

impl Node {
    /// The problem that it is something else than what was expected.
    pub fn wrong(&self, expected: &str) -> Problem {
        Problem::at(
            &self.place,
            format!("expected {expected}, found {}", self.kind()),
        )
        .label(format!("expected {expected}"))
    }

    /// Its text: what was written for numbers and truth values too.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number { text, .. } => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Text; a number or a truth value is taken as it was written.
    pub fn text(&self, expected: &str, problems: &mut Problems) -> Option<String> {
        let text = self.as_text();
        if text.is_none() {
            problems.push(self.wrong(expected));
        }
        text.map(str::to_owned)
    }

    /// Text that is not empty, fits on a line and hides nothing.
    pub fn line(&self, expected: &str, problems: &mut Problems) -> Option<String> {
        let text = self.text(expected, problems)?;
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            problems.push(self.wrong(expected));
            return None;
        }
        if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
            problems.push(
                Problem::at(
                    &self.place,
                    format!(
                        "a control character ({}) in what is shown to people",
                        hidden.escape_unicode()
                    ),
                )
                .label(format!("expected {expected}"))
                .hint("take it out"),
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// `true` or `false`.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        if let Value::Bool(value) = self.value {
            return Some(value);
        }
        let meant = match self.as_text().map(str::to_ascii_lowercase).as_deref() {
            Some("yes" | "on" | "y" | "1" | "true") => Some("true"),
            Some("no" | "off" | "n" | "0" | "false") => Some("false"),
            _ => None,
        };
        problems.push(
            self.wrong("`true` or `false`")
                .maybe_hint(meant.map(|word| format!("write `{word}`, without quotes"))),
        );
        None
    }

    /// A whole number within bounds.
    pub fn whole(&self, range: RangeInclusive<u64>, problems: &mut Problems) -> Option<u64> {
        let expected = if *range.end() >= u64::from(u32::MAX) {
            format!("a whole number of at least {}", range.start())
        } else {
            format!("a whole number from {} to {}", range.start(), range.end())
        };
        match &self.value {
            Value::Number { number, .. } => {
                let value = number.as_u64().filter(|value| range.contains(value));
                if value.is_none() {
                    problems.push(
                        Problem::at(&self.place, format!("{} is not {expected}", self.shown()))
                            .label(format!("expected {expected}")),
                    );
                }
                value
            }
            Value::Text(text) if text.parse::<u64>().is_ok() => {
                problems.push(
                    self.wrong(&expected)
                        .hint(format!("write {text} without quotes")),
                );
                None
            }
            _ => {
                problems.push(self.wrong(&expected));
                None
            }
        }
    }

    /// The items of a list; nothing at all is an empty list.
    pub fn list(&self, expected: &str, problems: &mut Problems) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Null => Some(&[]),
            _ => {
                let hint = self.as_text().map(|text| format!("write `[{text}]`"));
                problems.push(self.wrong(expected).maybe_hint(hint));
                None
            }
        }
    }

    /// The entries of a map; nothing at all is an empty map.
    pub fn map(&self, expected: &str, problems: &mut Problems) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => {
                problems.push(self.wrong(expected));
                None
            }
        }
    }

    /// One word of a closed set.
    pub fn word<T: Copy>(&self, words: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let list = words
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let expected = match words {
            [_] => list,
            _ => format!("one of {list}"),
        };
        let Some(text) = self.as_text() else {
            problems.push(self.wrong(&expected));
            return None;
        };
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let near = nearest(text, words.iter().map(|(word, _)| *word));
            problems.push(
                Problem::at(&self.place, format!("{} is not known here", self.shown()))
                    .label(format!("expected {expected}"))
                    .maybe_hint(near.map(|near| format!("did you mean `{near}`?"))),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// A duration with its unit: `500ms`, `2s`, `1m 30s`.
    pub fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        self.quantity("a duration such as `5s`", problems, parse_duration)
    }

    /// A duration that is not zero.
    pub fn positive_duration(&self, problems: &mut Problems) -> Option<Duration> {
        let duration = self.duration(problems)?;
        if duration.is_zero() {
            problems.push(
                Problem::at(&self.place, format!("{} is no time at all", self.shown()))
                    .label("expected more than zero")
                    .hint("a duration such as `5s`"),
            );
            return None;
        }
        Some(duration)
    }

    /// A size in bytes with its unit: `64KiB`, `10MB`.
    pub fn size(&self, problems: &mut Problems) -> Option<u64> {
        self.quantity("a size such as `1MiB`", problems, parse_size)
    }

    fn quantity<T>(
        &self,
        expected: &str,
        problems: &mut Problems,
        parse: impl Fn(&str) -> Result<T, (String, Option<String>)>,
    ) -> Option<T> {
        let (Value::Text(text) | Value::Number { text, .. }) = &self.value else {
            problems.push(self.wrong(expected));
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err((reason, hint)) => {
                let hint = match self.style {
                    // The value may be a secret that was put in here by mistake.
                    super::Style::Interpolated => None,
                    _ => hint,
                };
                problems.push(
                    Problem::at(&self.place, format!("{} {reason}", self.shown()))
                        .label(format!("expected {expected}"))
                        .maybe_hint(hint),
                );
                None
            }
        }
    }
}
