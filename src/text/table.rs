//! Plain text tables: no lines, two spaces between the columns.

use std::fmt;

use comfy_table::{Attribute, CellAlignment, presets};
pub use comfy_table::{Cell, Color};

use super::clean;

/// The longest cell of a foreign text, in characters.
const LONGEST: usize = 200;

/// A table for people. Cells are not cleaned: foreign text must have passed [`super::clean()`].
#[derive(Debug)]
pub struct TextTable(comfy_table::Table);

impl TextTable {
    /// Makes a table with these titles. With `color`, titles are bold and the colours of cells are kept.
    pub fn new(titles: &[&str], color: bool) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(titles.iter().map(|title| {
            let cell = Cell::new(title);
            if color {
                cell.add_attribute(Attribute::Bold)
            } else {
                cell
            }
        }));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self(table)
    }

    /// Aligns columns to the right, given by their index.
    #[must_use]
    pub fn align_right(mut self, columns: &[usize]) -> Self {
        for index in columns {
            if let Some(column) = self.0.column_mut(*index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// Adds a row of foreign texts. Each is cleaned; `-` stands for `None` and for an empty text.
    pub fn add_texts<const N: usize>(&mut self, texts: [Option<String>; N]) {
        self.add_row(texts.map(|text| match text {
            Some(text) if !text.is_empty() => clean(&text, LONGEST),
            _ => "-".to_owned(),
        }));
    }

    /// Adds a row of texts, or of [`Cell`]s where one has a colour.
    pub fn add_row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        self.0
            .add_row(cells.into_iter().map(Into::into).collect::<Vec<Cell>>());
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .lines()
            .try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::TextTable;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = TextTable::new(&["NAME", "COUNT"], false).align_right(&[1]);
        table.add_row(["a", "1"]);
        table.add_row(["long name", "12"]);
        assert_eq!(
            table.to_string(),
            "NAME       COUNT\na              1\nlong name     12\n"
        );
    }
}
