//! One line of the log. Pure: what it tells is handed in.
//!
//! A value stays within its line, whatever is in it: control characters are escaped.

use std::fmt::Write;

use serde_json::{Map, Value};
use tracing::Level;

use super::Format;

/// What one line tells.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub(super) at: String,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: String,
    /// The rest, in order.
    pub(super) fields: Map<String, Value>,
}

impl Line<'_> {
    pub(super) fn render(self, format: Format) -> String {
        let mut text = match format {
            Format::Text => self.text(),
            Format::Json => self.json(),
        };
        text.push('\n');
        text
    }

    fn text(self) -> String {
        let mut text = format!("{} {:>5} {}", self.at, self.level, visible(&self.message));
        for (key, value) in &self.fields {
            // Writing to a string cannot fail.
            let _ = write!(text, " {key}={}", word(value));
        }
        text
    }

    fn json(self) -> String {
        let mut line = Map::new();
        line.insert("at".to_owned(), self.at.into());
        line.insert("level".to_owned(), name(self.level).into());
        line.insert("message".to_owned(), self.message.into());
        line.insert("target".to_owned(), self.target.into());
        for (key, value) in self.fields {
            // What a line always tells is not overwritten.
            line.entry(key).or_insert(value);
        }
        Value::Object(line).to_string()
    }
}

const fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// A value as one word, in quotes where it would not be one.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
            if !text.is_empty() && text.chars().all(plain) {
                text.clone()
            } else {
                format!("{text:?}")
            }
        }
        other => other.to_string(),
    }
}

fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines() {
        let check = |message: &str, fields: Value, text: &str, json: &str| {
            let Value::Object(fields) = fields else {
                unreachable!("a test's own")
            };
            let line = Line {
                at: "2026-11-22T10:00:00.123456Z".to_owned(),
                level: Level::INFO,
                target: "orders",
                message: message.to_owned(),
                fields,
            };
            let expected = format!("2026-11-22T10:00:00.123456Z  INFO {text}\n");
            assert_eq!(line.clone().render(Format::Text), expected);
            let expected =
                format!("{{\"at\":\"2026-11-22T10:00:00.123456Z\",\"level\":\"info\",{json}}}\n");
            assert_eq!(line.render(Format::Json), expected);
        };
        check(
            "warmed up",
            json!({"orders": 3, "from": "disk"}),
            "warmed up orders=3 from=disk",
            r#""message":"warmed up","target":"orders","orders":3,"from":"disk""#,
        );
        check(
            "two\nlines\u{1b}[31m",
            json!({"reason": "a b", "empty": "", "quote": "\"", "bell": "\u{7}"}),
            r#"two\nlines\u{1b}[31m reason="a b" empty="" quote="\"" bell="\u{7}""#,
            r#""message":"two\nlines\u001b[31m","target":"orders","reason":"a b","empty":"","quote":"\"","bell":"\u0007""#,
        );
        check(
            "hostile",
            json!({"level": "error", "at": "never"}),
            "hostile level=error at=never",
            r#""message":"hostile","target":"orders""#,
        );
    }
}
