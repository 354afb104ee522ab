//! Tables: each cell is cut or padded to its column, so that figures never jump.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::text::{cut, cut_middle, width};
use crate::tui::theme::{self, StatusStyle};

/// A column, with its width in cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) width: usize,
    pub(super) fit: Fit,
}

/// The alignment of a text in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// At the left, its end cut off.
    Left,
    /// At the left, cut in the middle: both ends tell names apart.
    Name,
    /// At the right, its end cut off.
    Right,
}

/// A cell of a table.
#[derive(Debug, Default)]
pub(super) struct Cell {
    glyph: Option<(&'static str, Style)>,
    text: String,
    style: Style,
}

/// The columns of a table from left to right. There is one cell at the left of a row for a marker.
#[derive(Debug)]
pub(super) struct TableLayout {
    pub(super) columns: Vec<Column>,
}

pub(super) fn column(title: &'static str, width: usize, fit: Fit) -> Column {
    Column { title, width, fit }
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::styled(text, Style::new())
    }

    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            glyph: None,
            text: text.into(),
            style,
        }
    }

    /// Returns a cell with a text, or a dash where there is none.
    pub(super) fn or_dash(text: Option<String>) -> Self {
        text.map_or_else(|| Self::styled("–", theme::quiet()), Self::new)
    }

    /// Returns a cell with a glyph and its word.
    pub(super) fn status(style: StatusStyle, word: impl Into<String>) -> Self {
        Self {
            glyph: Some((style.glyph, style.glyph_style)),
            text: word.into(),
            style: style.word_style,
        }
    }

    /// Replaces all styles of the cell by one.
    pub(super) fn restyle(&mut self, style: Style) {
        self.style = style;
        if let Some((_, glyph)) = &mut self.glyph {
            *glyph = style;
        }
    }
}

impl TableLayout {
    /// Returns the table of probes or dependencies: a name of at most `longest` cells, a status, counts, ages, a latency,
    /// and a last column with the rest of the room.
    pub(super) fn of_history(
        name: &'static str,
        longest: usize,
        status: &'static str,
        (last, fit): (&'static str, Fit),
        columns: usize,
    ) -> Self {
        let mut table = vec![
            column(name, longest.clamp(10, (columns / 5).max(10)), Fit::Name),
            column(status, 10, Fit::Left),
            column("OK", 6, Fit::Right),
            column("FAIL", 6, Fit::Right),
            column("LAST OK", 7, Fit::Right),
            column("LAST FAIL", 9, Fit::Right),
            column("LATENCY", 7, Fit::Right),
        ];
        let taken: usize = table.iter().map(|column| column.width + 1).sum::<usize>() + 1;
        table.push(column(last, columns.saturating_sub(taken), fit));
        Self { columns: table }
    }

    /// Returns the row of titles.
    pub(super) fn titles(&self) -> Line<'static> {
        let titles = self.columns.iter().map(|column| column.title);
        self.row(titles.map(|title| Cell::styled(title, theme::strong())))
    }

    /// Returns a row. Columns and cells come in pairs.
    pub(super) fn row(&self, cells: impl IntoIterator<Item = Cell>) -> Line<'static> {
        let mut spans = Vec::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            spans.push(Span::raw(" "));
            place(*column, &cell, &mut spans);
        }
        Line::from(spans)
    }
}

fn place(column: Column, cell: &Cell, spans: &mut Vec<Span<'static>>) {
    let taken = if cell.glyph.is_some() { 2 } else { 0 };
    let room = column.width.saturating_sub(taken);
    let text = match column.fit {
        Fit::Name => cut_middle(&cell.text, room),
        Fit::Left | Fit::Right => cut(&cell.text, room),
    };
    let text = text.into_owned();
    let padding = Span::raw(" ".repeat(room.saturating_sub(width(&text))));
    if column.fit == Fit::Right {
        spans.push(padding.clone());
    }
    if let Some((glyph, style)) = cell.glyph {
        spans.push(Span::styled(glyph, style));
        // A badge is one piece; a coloured glyph beside a plain word is two.
        let badge = style.bg.is_some();
        spans.push(Span::styled(" ", if badge { style } else { Style::new() }));
    }
    spans.push(Span::styled(text, cell.style));
    if column.fit != Fit::Right {
        spans.push(padding);
    }
}

/// Returns the row that has the focus: with a marker, and reversed but for badges, whose colours mean something.
pub(super) fn selected(mut line: Line<'static>, columns: usize) -> Line<'static> {
    let rest = columns.saturating_sub(line.width());
    line.push_span(Span::raw(" ".repeat(rest)));
    if let Some(first) = line.spans.first_mut() {
        *first = Span::raw(">");
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

    fn check(columns: Vec<Column>, cells: Vec<Cell>, expected: &str) {
        let line = TableLayout { columns }.row(cells);
        let spans = line.spans.iter().map(|span| span.content.as_ref());
        assert_eq!(spans.collect::<String>(), expected);
    }

    #[test]
    fn cells_fill_their_columns_exactly() {
        let check = |cells: [&str; 3], expected: &str| {
            let columns = vec![
                column("NAME", 6, Fit::Name),
                column("N", 4, Fit::Right),
                column("WHY", 5, Fit::Left),
            ];
            check(columns, cells.map(Cell::new).into(), expected);
        };
        check(["a", "1", "x"], " a         1 x    ");
        check(["abcdefgh", "12345", "because"], " abc…gh 123… beca…");
        check(["日本語日", "1", "日本語"], " 日…日     1 日本…");
    }

    #[test]
    fn a_glyph_takes_room_from_its_text() {
        let style = StatusStyle {
            glyph: "✗",
            glyph_style: Style::new(),
            word_style: Style::new(),
        };
        let columns = vec![column("STATE", 8, Fit::Left), column("X", 1, Fit::Left)];
        let cells = vec![Cell::status(style, "unhealthy"), Cell::new("x")];
        check(columns, cells, " ✗ unhea… x");
    }
}
