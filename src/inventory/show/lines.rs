//! YAML line by line, each with a remark behind it.

use serde_yaml::{Mapping, Value};

/// Remarks stand in a column, where the lines leave room for one.
const COLUMN: usize = 56;

#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<(String, Option<String>)>,
    depth: usize,
}

impl Lines {
    fn indent(&self) -> String {
        "  ".repeat(self.depth)
    }

    /// A key with a map behind it; what follows stands in it.
    pub(super) fn open(&mut self, key: &str, remark: Option<String>) {
        let line = format!("{}{}:", self.indent(), scalar(key));
        self.lines.push((line, remark));
        self.depth += 1;
    }

    /// The end of that map.
    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// A key with a value, and where the value comes from.
    pub(super) fn leaf(&mut self, key: &str, value: impl Into<Value>, from: impl Into<String>) {
        let mut map = Mapping::new();
        map.insert(key.into(), value.into());
        let text = serde_yaml::to_string(&map).unwrap_or_default();
        let mut from = Some(from.into()).filter(|from| !from.is_empty());
        for line in text.lines() {
            let line = format!("{}{line}", self.indent());
            self.lines.push((line, from.take()));
        }
    }

    /// A remark on a line of its own.
    pub(super) fn remark(&mut self, text: &str) {
        let line = format!("{}# {text}", self.indent());
        self.lines.push((line, None));
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        let width = |line: &String| line.chars().count();
        let column = self
            .lines
            .iter()
            .filter(|(_, remark)| remark.is_some())
            .map(|(line, _)| width(line))
            .filter(|width| *width <= COLUMN)
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for (line, remark) in &self.lines {
            out.push_str(line);
            if let Some(remark) = remark {
                let room = column.saturating_sub(width(line));
                out.extend(std::iter::repeat_n(' ', room + 2));
                out.push_str("# ");
                // The path of a file can hold a line break, and a remark ends with its line.
                out.push_str(&crate::text::clean(remark, 300));
            }
            out.push('\n');
        }
        out
    }
}

/// A key as YAML wants it.
fn scalar(key: &str) -> String {
    serde_yaml::to_string(key)
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}
