//! A mistake in a file: where it is, what was expected and what to do.

use std::path::PathBuf;
use std::sync::Arc;

/// A file that was read, kept for showing the marked line.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as the user would write it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset behind its last character.
    pub end: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: one lower-case sentence without a full stop, e.g. ``unknown key `timeuot` ``.
    pub message: String,
    /// Where; `None` only where no file is to blame.
    pub place: Option<Place>,
    /// What stands under the marked text: what was expected.
    pub label: Option<String>,
    /// What to do, e.g. ``did you mean `timeout`?``.
    pub hint: Option<String>,
    /// A second place that belongs to it (the first definition), with its label.
    pub related: Option<(Place, String)>,
    /// A warning does not make the file invalid.
    pub warning: bool,
}

/// Collects every mistake.
#[derive(Debug, Default)]
pub struct Problems {
    /// In the order in which they were found.
    pub list: Vec<Problem>,
}
