//! `env_file:`, lines of `NAME=value` as shells and containers know them.
//!
//! Values are secrets as often as not, so none is ever shown: problems mark lines in which values are stars.

use std::path::Path;
use std::sync::Arc;

use crate::profile::raw::secret::Variables;
use crate::yaml::{Place, Problem, Problems, SourceFile};

const FORM: &str = "`NAME=value`";

/// Reads the variables of an `env_file`.
pub(super) fn parse(path: &Path, text: &str, problems: &mut Problems) -> Variables {
    let mut reader = EnvFileReader {
        text,
        at: 0,
        shown: Arc::new(SourceFile::new(path, starred(text))),
        found: Vec::new(),
        problems,
    };
    while reader.at < text.len() {
        reader.line();
    }
    reader
        .found
        .into_iter()
        .map(|(name, value, _)| (name, value))
        .collect()
}

/// Returns the text with a star for each byte that may be of a value.
fn starred(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    for line in text.split_inclusive('\n') {
        let seen = if quote.is_some() { 0 } else { visible(line) };
        let (name, value) = line.split_at_checked(seen).unwrap_or(("", line));
        out.push_str(name);
        out.extend(value.bytes().map(|byte| match byte {
            b'\n' | b'\r' => char::from(byte),
            _ => '*',
        }));
        quote = open_quote(quote, value);
    }
    out
}

/// Returns the length of the part of a line that is a name or a remark, and no value: part of a key or of a token may
/// stand alone on its line.
fn visible(line: &str) -> usize {
    const LONGEST_NAME: usize = 40;
    let begin = line.len() - line.trim_start().len();
    let rest = line.get(begin..).unwrap_or_default();
    if rest.starts_with('#') {
        return line.len();
    }
    let export = if rest.starts_with("export ") { 7 } else { 0 };
    let rest = rest.get(export..).unwrap_or_default();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'));
    match end.and_then(|end| Some((end, rest.get(end..)?.chars().next()?))) {
        Some((end, '=' | ':' | ' ')) if end <= LONGEST_NAME => begin + export + end + 1,
        _ => begin + export,
    }
}

/// Returns the quote that is open behind this part of a line.
fn open_quote(before: Option<char>, part: &str) -> Option<char> {
    let mut rest = part;
    let quote = if let Some(quote) = before {
        quote
    } else {
        rest = rest.trim_start();
        let first = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest = rest.get(1..).unwrap_or_default();
        first
    };
    let mut escaped = false;
    for c in rest.chars() {
        match c {
            '\\' if quote == '"' && !escaped => escaped = true,
            c if c == quote && !escaped => return None,
            _ => escaped = false,
        }
    }
    Some(quote)
}

struct EnvFileReader<'a> {
    text: &'a str,
    at: usize,
    shown: Arc<SourceFile>,
    found: Vec<(String, String, Place)>,
    problems: &'a mut Problems,
}

impl<'a> EnvFileReader<'a> {
    fn place(&self, start: usize, end: usize) -> Place {
        Place {
            file: Arc::clone(&self.shown),
            start,
            end,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Returns the rest of the line, without its break.
    fn rest_of_line(&self) -> &'a str {
        let line = self.rest().split('\n').next().unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn next_line(&mut self) {
        let end = self.rest().find('\n').map(|at| self.at + at + 1);
        self.at = end.unwrap_or(self.text.len());
    }

    /// Reads a line: a variable, a comment or nothing.
    fn line(&mut self) {
        let line = self.rest_of_line();
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            self.next_line();
            return;
        }
        let mut begin = self.at + (line.len() - trimmed.len());
        let mut words = trimmed;
        if let Some(rest) = trimmed.strip_prefix("export") {
            let rest_trimmed = rest.trim_start();
            if rest_trimmed.len() < rest.len() && rest_trimmed.contains('=') {
                begin += trimmed.len() - rest_trimmed.len();
                words = rest_trimmed;
            }
        }
        let Some((name, _)) = words.split_once('=') else {
            let word = words.split_whitespace().next().unwrap_or_default();
            let place = self.place(begin, begin + word.len());
            let hint = word
                .ends_with(':')
                .then(|| "this file is no YAML: write `=`, without spaces".to_owned());
            Problem::at(&place, "a line that sets no variable")
                .expected(FORM)
                .maybe_hint(hint)
                .report(self.problems);
            self.next_line();
            return;
        };
        let place = self.place(begin, begin + name.len());
        self.at = begin + name.len() + 1;
        let good = self.check_name(name, &place);
        let value = self.value();
        self.next_line();
        if let Some(value) = value.filter(|_| good) {
            self.keep(name.to_owned(), value, place);
        }
    }

    fn keep(&mut self, name: String, value: String, place: Place) {
        if let Some((_, known, first)) = self.found.iter_mut().find(|(known, ..)| *known == name) {
            Problem::at(&place, format!("`{name}` is set twice"))
                .label("this one counts")
                .related(first, "first here")
                .warning()
                .report(self.problems);
            *known = value;
            return;
        }
        self.found.push((name, value, place));
    }

    fn check_name(&mut self, name: &str, place: &Place) -> bool {
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        if !valid {
            let hint = (name.trim_end() != name)
                .then(|| "no space stands before or behind the `=`".to_owned());
            Problem::at(place, "what stands before the `=` names no variable")
                .expected(FORM)
                .maybe_hint(hint)
                .report(self.problems);
        }
        valid
    }

    /// Reads the value behind the `=`.
    fn value(&mut self) -> Option<String> {
        let line = self.rest_of_line();
        let trimmed = line.trim_start();
        let quote = trimmed.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some(quote) = quote else {
            let mut before_signs = trimmed
                .match_indices('#')
                .map(|(at, _)| trimmed.split_at(at).0);
            let before_comment = before_signs
                .find(|before| before.is_empty() || before.ends_with(char::is_whitespace));
            let value = before_comment.unwrap_or(trimmed).trim_end().to_owned();
            return self.checked(value, self.at, self.at + line.len());
        };
        let open = self.at + (line.len() - trimmed.len());
        self.at = open + 1;
        let Some(value) = self.quoted(quote) else {
            let place = self.place(open, open + 1);
            Problem::at(&place, "a quote that is never closed")
                .label(format!("expected another {quote}"))
                .report(self.problems);
            self.at = self.text.len();
            return None;
        };
        let behind = self.rest_of_line().trim();
        if !behind.is_empty() && !behind.starts_with('#') {
            let place = self.place(self.at, self.at + self.rest_of_line().len());
            return Problem::at(&place, "text behind the closing quote")
                .label("expected the end of the line")
                .hint("put the whole value into the quotes")
                .reject(self.problems);
        }
        self.checked(value, open, self.at)
    }

    /// The value up to the closing quote, over line breaks, with escapes in double quotes.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + 1;
                    return Some(value);
                }
                '\\' if quote == '"' => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    c @ ('"' | '\\' | '$' | '`') => value.push(c),
                    other => value.extend(['\\', other]),
                },
                c => value.push(c),
            }
        }
        None
    }

    fn checked(&mut self, value: String, start: usize, end: usize) -> Option<String> {
        let place = self.place(start, end);
        if value.contains('\0') {
            return Problem::at(&place, "the environment cannot hold a null byte")
                .reject(self.problems);
        }
        if value.contains("${") {
            Problem::at(&place, "a `${…}` is taken as it is written")
                .label("no variable is put in here")
                .hint("variables are put into the inventory, not into what sets them")
                .warning()
                .report(self.problems);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;
    use crate::yaml::Problems;

    #[test]
    fn lines_become_variables() {
        let text = "# all forms\r\nA=1\r\nexport B=two words  # remark\nC='single $x \"q\"'\n\
                    D=\"a\\tb\\n\\\"\\$\\q\" # remark\nE=\nF=\"\"\nG=a#b\nH = 1\nmulti=\"one\ntwo\"\n\
                    export=x\ndotted.name=y\n\n  I=indented\nJ=a=b";
        let mut problems = Problems::default();
        let found = parse(Path::new(".env"), text, &mut problems);
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        assert_eq!(
            found,
            [
                "A=\"1\"",
                "B=\"two words\"",
                "C=\"single $x \\\"q\\\"\"",
                "D=\"a\\tb\\n\\\"$\\\\q\"",
                "E=\"\"",
                "F=\"\"",
                "G=\"a#b\"",
                "I=\"indented\"",
                "J=\"a=b\"",
                "dotted.name=\"y\"",
                "export=\"x\"",
                "multi=\"one\\ntwo\"",
            ]
        );
        let reported: Vec<_> = problems.list.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(reported, ["what stands before the `=` names no variable"]);
    }

    #[test]
    fn mistakes_are_marked_and_no_value_is_shown() {
        let text = "PASSWORD hunter2\nKEY: hunter2\n1A=hunter2\nhunter2/+==\nA=\"hunter2\" hunter2\nB=hunter2\nB=${HUNTER2} hunter2\n\
                    C='hunter2\nhunter2";
        let mut problems = Problems::default();
        let found = parse(Path::new(".env"), text, &mut problems);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("B".to_owned(), "${HUNTER2} hunter2".to_owned())]
        );
        let reported = problems.render(false);
        assert!(!reported.to_lowercase().contains("hunter2"), "{reported}");
        let messages: Vec<_> = problems.list.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "a line that sets no variable",
                "a line that sets no variable",
                "what stands before the `=` names no variable",
                "what stands before the `=` names no variable",
                "text behind the closing quote",
                "a `${…}` is taken as it is written",
                "`B` is set twice",
                "a quote that is never closed",
            ]
        );
        assert!(
            reported.contains(".env:1:1") && reported.contains(".env:8:3"),
            "{reported}"
        );
    }
}
