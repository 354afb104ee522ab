//! Rows of cells in columns: each cell is cut or padded to its column, so that figures never jump.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::text::{cut, cut_middle, width};
use crate::tui::theme::Look;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: usize,
    pub(super) fit: Fit,
}

/// How text stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// At the left, its end cut off.
    Left,
    /// At the left, cut in the middle: both ends tell names apart.
    Name,
    /// At the right.
    Right,
}

/// What stands in a column of a row.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// A glyph before the text.
    mark: Option<(&'static str, Style)>,
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::styled(text, Style::new())
    }

    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            mark: None,
            text: text.into(),
            style,
        }
    }

    /// Takes its colours away.
    pub(super) fn fade(&mut self, style: Style) {
        self.style = style;
        if let Some((_, mark)) = &mut self.mark {
            *mark = style;
        }
    }

    /// A glyph with its word.
    pub(super) fn look(look: Look, word: impl Into<String>) -> Self {
        Self {
            mark: Some((look.glyph, look.mark)),
            text: word.into(),
            style: look.word,
        }
    }
}

pub(super) fn column(title: &'static str, width: usize, fit: Fit) -> Column {
    Column { title, width, fit }
}

/// The titles of the columns.
pub(super) fn titles(columns: &[Column], indent: usize, style: Style) -> Line<'static> {
    let cells = columns
        .iter()
        .map(|column| Cell::styled(column.title, style))
        .collect();
    row(columns, indent, cells)
}

/// One row; columns and cells come in pairs.
pub(super) fn row(columns: &[Column], indent: usize, cells: Vec<Cell>) -> Line<'static> {
    let mut spans = vec![Span::raw(" ".repeat(indent))];
    for (n, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if n > 0 {
            spans.push(Span::raw(" "));
        }
        place(*column, &cell, &mut spans);
    }
    Line::from(spans)
}

fn place(column: Column, cell: &Cell, spans: &mut Vec<Span<'static>>) {
    let taken = if cell.mark.is_some() { 2 } else { 0 };
    let room = column.width.saturating_sub(taken);
    let text = match column.fit {
        Fit::Name => cut_middle(&cell.text, room),
        Fit::Left | Fit::Right => cut(&cell.text, room),
    }
    .into_owned();
    let pad = " ".repeat(room.saturating_sub(width(&text)));
    if column.fit == Fit::Right && !pad.is_empty() {
        spans.push(Span::raw(pad.clone()));
    }
    if let Some((glyph, style)) = cell.mark {
        spans.push(Span::styled(glyph, style));
        // A badge is one piece; a coloured glyph beside a plain word is two.
        let gap = if style.bg.is_some() {
            style
        } else {
            Style::new()
        };
        spans.push(Span::styled(" ", gap));
    }
    spans.push(Span::styled(text, cell.style));
    if column.fit != Fit::Right && !pad.is_empty() {
        spans.push(Span::raw(pad));
    }
}

/// The row that has the focus: reversed, but for badges, whose colours mean something.
pub(super) fn selected(
    mut line: Line<'static>,
    marker: &'static str,
    columns: usize,
) -> Line<'static> {
    let rest = columns.saturating_sub(line.width());
    line.push_span(Span::raw(" ".repeat(rest)));
    if let Some(first) = line.spans.first_mut() {
        let rest = first.content.get(marker.len()..).unwrap_or("").to_owned();
        *first = Span::raw(format!("{marker}{rest}"));
    }
    for span in &mut line.spans {
        if span.style.bg.is_none() {
            span.style = span.style.add_modifier(Modifier::REVERSED);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &Line<'_>) -> String {
        line.spans
            .iter()
            .map(|span| span.content.as_ref())
            .collect()
    }

    #[test]
    fn cells_fill_their_columns_exactly() {
        let columns = [
            column("NAME", 6, Fit::Name),
            column("N", 4, Fit::Right),
            column("WHY", 5, Fit::Left),
        ];
        let check = |cells: [&str; 3], expected: &str| {
            let line = row(&columns, 1, cells.into_iter().map(Cell::new).collect());
            assert_eq!(text(&line), expected);
        };
        check(["a", "1", "x"], " a         1 x    ");
        check(["abcdefgh", "12345", "because"], " abc…gh 123… beca…");
        check(["日本語日", "1", "日本語"], " 日…日     1 日本…");
    }

    #[test]
    fn a_mark_takes_room_from_its_text() {
        let look = Look {
            glyph: "✗",
            mark: Style::new(),
            word: Style::new(),
        };
        let columns = [column("STATE", 8, Fit::Left), column("X", 1, Fit::Left)];
        let line = row(
            &columns,
            0,
            vec![Cell::look(look, "unhealthy"), Cell::new("x")],
        );
        assert_eq!(text(&line), "✗ unhea… x");
    }
}
