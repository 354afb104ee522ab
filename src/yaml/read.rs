//! Reads a value as what is expected there, or reports what it is instead.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::node::{Entry, Node, Style, Value};
use super::problem::{Problem, Problems};
use crate::text::{is_hidden, nearest, parse_duration, parse_size};

impl Entry {
    /// Returns a problem with the key: the key and the reason.
    pub fn problem(&self, reason: impl Display) -> Problem {
        Problem::at(&self.key_place, format!("`{}` {reason}", self.key))
    }
}

impl Node {
    /// Returns a problem with the value: the value as it is shown and the reason.
    pub fn problem(&self, reason: impl Display) -> Problem {
        Problem::at(&self.place, format!("{} {reason}", self.shown()))
    }

    /// Returns the problem that the value is not what was expected.
    pub fn wrong(&self, expected: &str) -> Problem {
        let message = format!("expected {expected}, found {}", self.kind());
        Problem::at(&self.place, message).expected(expected)
    }

    /// Returns the text of a scalar: numbers and booleans as they were written.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number { text, .. } => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Reads text; a number or a boolean counts as it was written.
    pub fn text(&self, expected: &str, problems: &mut Problems) -> Option<String> {
        let text = self.as_text();
        if text.is_none() {
            problems.push(self.wrong(expected));
        }
        text.map(str::to_owned)
    }

    /// Reads text that is not empty, is one line and has no hidden characters.
    pub fn line(&self, expected: &str, problems: &mut Problems) -> Option<String> {
        let text = self.text(expected, problems)?;
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return self.wrong(expected).reject(problems);
        }
        if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
            let hidden = hidden.escape_unicode();
            let message = format!("a control character ({hidden}) in what is shown to people");
            return Problem::at(&self.place, message)
                .expected(expected)
                .hint("take it out")
                .reject(problems);
        }
        Some(text.to_owned())
    }

    /// Reads `true` or `false`.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        if let Value::Bool(value) = self.value {
            return Some(value);
        }
        let meant = match self.as_text().map(str::to_ascii_lowercase).as_deref() {
            Some("yes" | "on" | "y" | "1" | "true") => Some("true"),
            Some("no" | "off" | "n" | "0" | "false") => Some("false"),
            _ => None,
        };
        self.wrong("`true` or `false`")
            .maybe_hint(meant.map(|word| format!("write `{word}`, without quotes")))
            .reject(problems)
    }

    /// Reads a whole number in a range.
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
                    self.problem(format!("is not {expected}"))
                        .expected(expected)
                        .report(problems);
                }
                value
            }
            Value::Text(text) if text.parse::<u64>().is_ok() => self
                .wrong(&expected)
                .hint(format!("write {text} without quotes"))
                .reject(problems),
            _ => self.wrong(&expected).reject(problems),
        }
    }

    /// Returns the items of a list, or the node itself when it is no list.
    pub fn one_or_many(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Reads the items of a list; a null is an empty list.
    pub fn list(&self, expected: &str, problems: &mut Problems) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Null => Some(&[]),
            _ => {
                let hint = self.as_text().map(|text| format!("write `[{text}]`"));
                self.wrong(expected).maybe_hint(hint).reject(problems)
            }
        }
    }

    /// Reads the entries of a map; a null is an empty map.
    pub fn map(&self, expected: &str, problems: &mut Problems) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => self.wrong(expected).reject(problems),
        }
    }

    /// Reads one word of a closed set.
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
            return self.wrong(&expected).reject(problems);
        };
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let near = nearest(text, words.iter().map(|(word, _)| *word));
            self.problem("is not known here")
                .expected(expected)
                .maybe_hint(near.map(|near| format!("did you mean `{near}`?")))
                .report(problems);
        }
        found.map(|(_, value)| *value)
    }

    /// Reads a duration with its unit: `500ms`, `2s`, `1m 30s`.
    pub fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        self.quantity("a duration such as `5s`", problems, parse_duration)
    }

    /// Reads a duration that is not zero.
    pub fn positive_duration(&self, problems: &mut Problems) -> Option<Duration> {
        let duration = self.duration(problems)?;
        if duration.is_zero() {
            return self
                .problem("is no time at all")
                .label("expected more than zero")
                .hint("a duration such as `5s`")
                .reject(problems);
        }
        Some(duration)
    }

    /// Reads a size in bytes with its unit: `64KiB`, `10MB`.
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
            return self.wrong(expected).reject(problems);
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err((reason, hint)) => {
                let hint = match self.style {
                    // The value may be a secret that was put in here by mistake.
                    Style::Interpolated => None,
                    _ => hint,
                };
                self.problem(reason)
                    .expected(expected)
                    .maybe_hint(hint)
                    .reject(problems)
            }
        }
    }
}

/// A map that is read key by key, so that a key that nobody asked for is an unknown key.
#[derive(Debug)]
pub struct Fields<'a> {
    /// The node of the map.
    pub node: &'a Node,
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Begins to read a map; a null is an empty map. `expected` is what should be there: `a map of services`.
    pub fn read(node: &'a Node, expected: &str, problems: &mut Problems) -> Option<Self> {
        let entries = node.map(expected, problems)?;
        Some(Self {
            node,
            entries,
            taken: vec![false; entries.len()],
            known: Vec::new(),
        })
    }

    /// Takes a key. The keys that are asked for are the valid ones.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        self.take_other_name(key)
    }

    /// Takes a key and reads its entry.
    pub fn read_key<T>(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
        read: impl FnOnce(&'a Entry, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|entry| read(entry, problems))
    }

    /// Takes a key that is valid, but is not suggested.
    pub fn take_other_name(&mut self, key: &str) -> Option<&'a Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = true;
        }
        self.entries.get(index)
    }

    /// Reports a key that a later version will know.
    pub fn not_yet(&mut self, key: &'static str, problems: &mut Problems) {
        if let Some(entry) = self.take_other_name(key) {
            problems.push(Problem::not_yet(entry));
        }
    }

    /// Reports all other keys as unknown. `explain` may return a hint to replace the nearest valid key.
    pub fn finish_with(self, problems: &mut Problems, explain: impl Fn(&str) -> Option<String>) {
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if *taken {
                continue;
            }
            let hint = explain(&entry.key).unwrap_or_else(|| {
                nearest(&entry.key, self.known.iter().copied()).map_or_else(
                    || format!("known here: {}", self.known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                )
            });
            Problem::at(&entry.key_place, format!("unknown key `{}`", entry.key))
                .label("not known here")
                .hint(hint)
                .report(problems);
        }
    }

    /// Reports all other keys as unknown.
    pub fn finish(self, problems: &mut Problems) {
        self.finish_with(problems, |_| None);
    }
}

impl Problem {
    /// Makes a problem of a key that a later version will know.
    pub fn not_yet(entry: &Entry) -> Self {
        let message = format!("`{}` is not supported yet", entry.key);
        Self::at(&entry.key_place, message)
            .label("not supported yet")
            .hint("take it out; this version would ignore it, and nothing is ignored silently")
    }
}
