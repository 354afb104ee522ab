//! Cuts the marked lines out of their files. Only these are searched for secrets, because a large file has many lines.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Element, Snippet};

use super::mask::{safe, secrets};
use super::problem::{Place, Problem, SourceFile};
use crate::text::visible;

/// The number of lines from which on two places of one problem are shown as two snippets.
const TOGETHER: usize = 200;

/// The longest text that is shown whole, in bytes; a longer one is cut to the surroundings of the mark.
const LONG: usize = 2_000;

/// The number of bytes that are kept on each side of the mark of a long line.
const AROUND: usize = 200;

/// The files at which problems point, with what was computed for them.
#[derive(Default)]
pub(super) struct Snippets {
    /// The offsets of the lines of each file.
    lines: HashMap<*const SourceFile, Vec<usize>>,
    /// The range in which secrets were hidden last: the next problem is often in the same line.
    last: Option<(*const SourceFile, Range<usize>, String)>,
}

/// A place with the kind of its mark and the text under it.
type MarkedPlace<'a> = (&'a Place, AnnotationKind, Option<String>);

impl Snippets {
    /// Returns one snippet, or two when the places are in two files or far from each other.
    pub(super) fn marked(&mut self, place: &Place, problem: &Problem) -> Vec<Element<'static>> {
        let main: MarkedPlace<'_> = (
            place,
            AnnotationKind::Primary,
            problem.label.as_deref().map(safe),
        );
        let Some((other, label)) = &problem.related else {
            return self.snippet(&[main]);
        };
        let related: MarkedPlace<'_> = (other, AnnotationKind::Context, Some(safe(label)));
        let together = Arc::ptr_eq(&place.file, &other.file)
            && self.line(place).abs_diff(self.line(other)) <= TOGETHER
            && place.start.abs_diff(other.start) <= LONG;
        if together {
            return self.snippet(&[main, related]);
        }
        let mut elements = self.snippet(&[main]);
        elements.extend(self.snippet(&[related]));
        elements
    }

    /// Returns the line of a place, counted from 0.
    fn line(&mut self, place: &Place) -> usize {
        let begins = self.begins(place);
        begins
            .partition_point(|begin| *begin <= place.start)
            .saturating_sub(1)
    }

    fn begins(&mut self, place: &Place) -> &[usize] {
        let text = &place.file.text;
        self.lines
            .entry(Arc::as_ptr(&place.file))
            .or_insert_with(|| {
                let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
                std::iter::once(0).chain(breaks).collect()
            })
    }

    /// Returns the lines from the first marked one to the last.
    fn snippet(&mut self, marks: &[MarkedPlace<'_>]) -> Vec<Element<'static>> {
        let places = || marks.iter().map(|(place, ..)| *place);
        let (Some(first), Some(last)) = (
            places().min_by_key(|place| place.start),
            places().max_by_key(|place| place.start),
        ) else {
            return Vec::new();
        };
        let file = &first.file;
        let line = self.line(first);
        let begin = self.begins(first).get(line).copied().unwrap_or(0);
        let end = file
            .text
            .get(last.start..)
            .and_then(|text| text.find('\n'))
            .map_or(file.text.len(), |n| last.start + n);
        let end = match file.text.get(begin..end) {
            Some(text) if text.ends_with('\r') => end - 1,
            _ => end,
        };
        let path = visible(&file.path.display().to_string());
        let masked = self.masked(file, begin..end);
        let (window, offset) = cut(masked, first.start - begin, last.start - begin);
        // Blanks keep the columns right; the renderer cuts them off.
        let blanks = masked.get(..offset).map_or(0, |text| text.chars().count());
        let text = " ".repeat(blanks) + &visible(window);
        let annotations: Vec<Annotation<'static>> = marks
            .iter()
            .map(|(place, kind, label)| {
                let start = place.start.saturating_sub(begin + offset);
                let end = place.end.saturating_sub(begin + offset);
                let range = shown_range(window, start, end);
                kind.span(range.start + blanks..range.end + blanks)
                    .label(label.clone())
            })
            .collect();
        let snippet = Snippet::source(text)
            .line_start(line + 1)
            .path(path)
            .annotations(annotations);
        vec![snippet.into()]
    }

    fn masked(&mut self, file: &Arc<SourceFile>, range: Range<usize>) -> &str {
        let key = (Arc::as_ptr(file), range.clone());
        let known = self
            .last
            .take()
            .filter(|(file, range, _)| (*file, range.clone()) == key)
            .map(|(.., text)| text);
        let text =
            known.unwrap_or_else(|| secrets(file.text.get(range.clone()).unwrap_or_default()));
        let (.., text) = self.last.insert((key.0, range, text));
        text
    }
}

/// Returns the surroundings of the marks in a long line, and the number of bytes that were cut off before them.
fn cut(text: &str, first: usize, last: usize) -> (&str, usize) {
    if text.len() <= LONG || text.get(first..last).is_none_or(|text| text.contains('\n')) {
        return (text, 0);
    }
    let from = character(text, first.saturating_sub(AROUND));
    let to = character(text, last.saturating_add(LONG));
    (text.get(from..to).unwrap_or(text), from)
}

/// Returns the start of the character at a byte.
fn character(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Returns a range of the window after hidden characters were replaced; for several lines, that of the first.
fn shown_range(window: &str, start: usize, end: usize) -> Range<usize> {
    let length = |to: usize| visible(window.get(..to).unwrap_or(window)).len();
    let line = window.get(start..).and_then(|text| text.find(['\n', '\r']));
    let line_end = line.map_or(window.len(), |n| start + n);
    length(start)..length(end.min(line_end).max(start))
}
