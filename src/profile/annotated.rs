//! YAML line by line, each with a remark behind it: what `show` prints.

use serde_yaml::{Mapping, Value};

/// The widest line that is lengthened so that remarks stand in a column.
const COLUMN: usize = 56;

/// The lines that were written so far.
#[derive(Debug, Default)]
pub(crate) struct AnnotatedYaml {
    lines: Vec<(String, Option<String>)>,
    depth: usize,
}

impl AnnotatedYaml {
    fn indent(&self) -> String {
        "  ".repeat(self.depth)
    }

    /// Writes a key that holds a map; what is written next stands in it.
    pub(crate) fn open(&mut self, key: &str, remark: Option<String>) {
        let line = format!("{}{}:", self.indent(), scalar(key));
        self.lines.push((line, remark));
        self.depth += 1;
    }

    /// Ends the map that was opened last.
    pub(crate) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Writes a key with its value and its origin; an empty origin is left out.
    pub(crate) fn leaf(&mut self, key: &str, value: impl Into<Value>, origin: impl Into<String>) {
        let mut map = Mapping::new();
        map.insert(key.into(), value.into());
        let text = serde_yaml::to_string(&map).unwrap_or_default();
        let mut origin = Some(origin.into()).filter(|origin| !origin.is_empty());
        for line in text.lines() {
            let line = format!("{}{line}", self.indent());
            self.lines.push((line, origin.take()));
        }
    }

    /// Writes a remark on a line of its own.
    pub(crate) fn remark(&mut self, text: &str) {
        let line = format!("{}# {text}", self.indent());
        self.lines.push((line, None));
    }

    /// Returns the whole text.
    pub(crate) fn finish(self) -> String {
        let width = |line: &String| line.chars().count();
        let annotated = self.lines.iter().filter(|(_, remark)| remark.is_some());
        let widths = annotated.map(|(line, _)| width(line));
        let column = widths.filter(|width| *width <= COLUMN).max().unwrap_or(0);
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

/// Returns a key as YAML wants it.
fn scalar(key: &str) -> String {
    let text = serde_yaml::to_string(key).unwrap_or_default();
    text.trim_end().to_owned()
}
