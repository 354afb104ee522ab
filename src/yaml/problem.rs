//! A file, a place in it, and a mistake there: what was expected and what to do.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

/// A file that was read, kept to show the marked lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as a user would write it.
    pub path: PathBuf,
    /// The whole text of the file.
    pub text: String,
}

impl SourceFile {
    /// Makes a file of its bytes, without a byte order mark.
    ///
    /// # Errors
    ///
    /// Returns a problem with the offset of the first byte that is not UTF-8.
    pub fn from_bytes(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self, Box<Problem>> {
        let path = path.into();
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let hint = match bytes {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; save it as UTF-8",
                _ => "save it as UTF-8",
            };
            let line = String::from_utf8_lossy(bytes.get(..valid).unwrap_or(bytes))
                .matches('\n')
                .count()
                + 1;
            Box::new(
                Problem::general(format!(
                    "`{}` is not UTF-8: byte {valid}, in line {line}",
                    path.display()
                ))
                .hint(hint),
            )
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        Ok(Self { path, text })
    }

    /// Makes a file of its text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Returns the line of a byte, counted from 1.
    pub fn line_of(&self, byte: usize) -> usize {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        before.matches('\n').count() + 1
    }
}

/// A range of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file of the range.
    pub file: Arc<SourceFile>,
    /// The byte offset of the first character.
    pub start: usize,
    /// The byte offset after the last character.
    pub end: usize,
}

impl Place {
    /// Returns the range of a whole file.
    pub fn whole(file: &Arc<SourceFile>) -> Self {
        Self {
            file: Arc::clone(file),
            start: 0,
            end: file.text.len(),
        }
    }

    /// Returns the text of the range.
    pub fn text(&self) -> &str {
        self.file.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns the line of the range, counted from 1.
    pub fn line(&self) -> usize {
        self.file.line_of(self.start)
    }

    /// Returns the place for messages: `healthctl.yaml:7`.
    pub fn short(&self) -> String {
        format!("{}:{}", self.file.path.display(), self.line())
    }
}

/// A mistake in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// The message: one lower-case sentence without a full stop, such as ``unknown key `timeuot` ``.
    pub message: String,
    /// The place; `None` only when no file is the cause.
    pub place: Option<Place>,
    /// The text under the marked place: what was expected.
    pub label: Option<String>,
    /// A hint such as ``did you mean `timeout`?``.
    pub hint: Option<String>,
    /// A second place (that of the first definition), with its label.
    pub related: Option<(Place, String)>,
    /// True for a problem with which the file is valid all the same.
    pub warning: bool,
}

impl Problem {
    /// Makes a problem at a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Self::general(message).placed(place)
    }

    /// Makes a problem without a place.
    pub fn general(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Sets the place that the problem is reported at.
    #[must_use]
    pub fn placed<'a>(mut self, place: impl Into<Option<&'a Place>>) -> Self {
        self.place = place.into().cloned();
        self
    }

    /// Sets the text under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the text under the marked place to what was expected there.
    #[must_use]
    pub fn expected(self, what: impl Display) -> Self {
        self.label(format!("expected {what}"))
    }

    /// Sets the hint: what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the hint, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// Sets the second place.
    #[must_use]
    pub fn related(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.related = Some((place.clone(), label.into()));
        self
    }

    /// Makes the problem a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.warning = true;
        self
    }

    /// Adds the problem to a collection, unless it is a consequence of another one.
    pub fn report(self, problems: &mut Problems) {
        problems.push(self);
    }

    /// Reports the problem, and returns `None` in place of the value that could not be read.
    pub fn reject<T>(self, problems: &mut Problems) -> Option<T> {
        self.report(problems);
        None
    }
}

/// All mistakes that were found.
#[derive(Debug, Default)]
pub struct Problems {
    /// The mistakes in the order in which they were found.
    pub list: Vec<Problem>,
    /// Places of values that are not known: any other problem there is only a consequence.
    unknown: Vec<Place>,
}

impl Problems {
    /// Adds a problem, unless it is a consequence of another one.
    pub fn push(&mut self, problem: Problem) {
        let consequence = problem
            .place
            .as_ref()
            .is_some_and(|place| self.unknown.contains(place));
        if !consequence {
            self.list.push(problem);
        }
    }

    /// Adds a problem after which no other one is reported at its place.
    pub fn push_last(&mut self, problem: Problem) {
        let place = problem.place.clone();
        self.push(problem);
        self.unknown.extend(place);
    }

    /// Adds all problems of another collection.
    pub fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
        self.unknown.append(&mut other.unknown);
    }

    /// Returns whether one of the problems makes the file invalid.
    pub fn has_errors(&self) -> bool {
        self.error_count() > 0
    }

    /// Returns the number of problems that make the file invalid.
    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|problem| !problem.warning).count()
    }

    /// Returns whether there is no problem.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            list: vec![problem],
            unknown: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SourceFile;

    #[test]
    fn a_byte_order_mark_is_taken_off() {
        let file = SourceFile::from_bytes("x", b"\xef\xbb\xbfa: 1".to_vec()).unwrap();
        assert_eq!(file.text, "a: 1");
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_offset() {
        let latin = SourceFile::from_bytes("x", b"a: 1\nb: caf\xe9\n".to_vec()).unwrap_err();
        assert_eq!(latin.message, "`x` is not UTF-8: byte 11, in line 2");
        let wide = SourceFile::from_bytes("x", b"\xff\xfea\0:\0".to_vec()).unwrap_err();
        assert_eq!(
            wide.hint.as_deref(),
            Some("it looks like UTF-16; save it as UTF-8")
        );
    }

    #[test]
    fn lines_count_from_one() {
        let file = SourceFile::new("x", "a\nb\nc");
        assert_eq!(file.line_of(0), 1);
        assert_eq!(file.line_of(2), 2);
        assert_eq!(file.line_of(999), 3);
    }
}
