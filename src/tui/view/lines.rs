//! TextLines of text that fit the columns of a pane: wrapped sentences, labelled fields, lists of facts.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::text::{cut, wrap};
use crate::tui::theme;

/// TextLines of text under construction.
#[derive(Debug, Default)]
pub(super) struct TextLines {
    pub(super) columns: usize,
    pub(super) lines: Vec<Line<'static>>,
}

impl TextLines {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            columns,
            lines: Vec::new(),
        }
    }

    /// Adds a line as it is.
    pub(super) fn push(&mut self, line: impl Into<Line<'static>>) {
        self.lines.push(line.into());
    }

    /// Adds a line in one style, as it is.
    pub(super) fn styled(&mut self, text: impl Into<String>, style: Style) {
        self.push(Line::styled(text.into(), style));
    }

    /// Adds a wrapped text.
    pub(super) fn text(&mut self, text: &str, style: Style) {
        self.hanging("", 0, text, style);
    }

    /// Adds a text with its label before it, which takes `width` cells.
    pub(super) fn field(&mut self, label: &str, width: usize, text: &str, style: Style) {
        let label = Span::styled(format!("{label:width$}"), theme::quiet());
        self.hanging(label, width, text, style);
    }

    /// Adds a wrapped text after `lead`. The lines after the first one are indented.
    pub(super) fn hanging(
        &mut self,
        lead: impl Into<Line<'static>>,
        indent: usize,
        text: &str,
        style: Style,
    ) {
        self.hanging_at_most(usize::MAX, lead, indent, text, style);
    }

    /// Adds a sentence of the detail. What takes more than `most` lines is cut.
    pub(super) fn sentence(&mut self, text: &str, style: Style, most: usize) {
        self.hanging_at_most(most, " ", 3, text, style);
    }

    fn hanging_at_most(
        &mut self,
        most: usize,
        lead: impl Into<Line<'static>>,
        indent: usize,
        text: &str,
        style: Style,
    ) {
        let mut lead: Line<'static> = lead.into();
        let room = self.columns.saturating_sub(indent.max(lead.width()));
        let mut texts = wrap(text, room);
        if texts.len() > most {
            texts.truncate(most);
            if let Some(last) = texts.last_mut() {
                *last = format!("{}…", cut(last, room.saturating_sub(1)));
            }
        }
        for text in texts {
            lead.push_span(Span::styled(text, style));
            self.push(lead);
            lead = Line::raw(" ".repeat(indent));
        }
    }
}

/// Joins the facts that are known, or returns `None` where none is.
pub(super) fn joined<const N: usize>(
    facts: [Option<String>; N],
    separator: &str,
) -> Option<String> {
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    (!facts.is_empty()).then(|| facts.join(separator))
}

/// Returns a count with its noun: `1 service`, `3 services`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
