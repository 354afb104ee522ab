//! A terminal's screen as SVG: one rectangle per run of background, text word by word, boxes and blocks as shapes, so
//! that lines meet without seams whatever the font.

use std::fmt::Write as _;

use vt100::{Cell, Screen};

use super::palette;

/// Pixels of a cell.
const WIDTH: u32 = 9;
const HEIGHT: u32 = 20;
/// From the top of a cell to its baseline.
const BASELINE: u32 = 15;
/// Around the cells.
const MARGIN: u32 = 18;
/// The bar at the top of the window.
const BAR: u32 = 30;

/// How a cell looks.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Paint {
    fg: palette::Rgb,
    bg: palette::Rgb,
    bold: bool,
}

/// The first `rows` rows of the screen, in a window with this title.
pub(crate) fn render(screen: &Screen, rows: u16, title: &str) -> String {
    let columns = screen.size().1.get();
    let width = u32::from(columns) * WIDTH + 2 * MARGIN;
    let height = u32::from(rows) * HEIGHT + MARGIN + BAR + 8;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"{}\"/>\n",
        escape(title),
        palette::BACKGROUND
    );
    for (n, color) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        let x = 20 + 20 * n;
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"17\" r=\"6\" fill=\"{color}\"/>"
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"21\" text-anchor=\"middle\" font-family=\"{FONTS}\" font-size=\"13\" fill=\"{}\">{}</text>",
        width / 2,
        palette::TITLE,
        escape(title)
    );
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {})\">", BAR + 8);
    svg.push_str("<g shape-rendering=\"crispEdges\">\n");
    for row in 0..rows {
        backgrounds(screen, row, columns, &mut svg);
    }
    for row in 0..rows {
        shapes(screen, row, columns, &mut svg);
    }
    let _ = writeln!(
        svg,
        "</g>\n<g font-family=\"{FONTS}\" font-size=\"15\" xml:space=\"preserve\">"
    );
    for row in 0..rows {
        texts(screen, row, columns, &mut svg);
    }
    svg.push_str("</g>\n</g>\n</svg>\n");
    svg
}

const FONTS: &str = "JetBrains Mono, DejaVu Sans Mono, Menlo, Consolas, monospace";

fn paint(cell: &Cell) -> Paint {
    let (mut fg, mut bg) = (
        palette::foreground(cell.fgcolor()),
        palette::background(cell.bgcolor()),
    );
    if cell.inverse() {
        std::mem::swap(&mut fg, &mut bg);
    }
    if cell.dim() {
        fg = fg.mixed(bg);
    }
    Paint {
        fg,
        bg,
        bold: cell.bold(),
    }
}

/// The cells of a row with their columns; the second half of a wide character belongs to its first.
fn cells(screen: &Screen, row: u16, columns: u16) -> impl Iterator<Item = (u16, &Cell)> {
    (0..columns).filter_map(move |column| screen.cell(row, column).map(|cell| (column, cell)))
}

fn backgrounds(screen: &Screen, row: u16, columns: u16, svg: &mut String) {
    let mut run: Option<(u16, u16, palette::Rgb)> = None;
    let mut last = palette::BACKGROUND;
    let flush = |run: &mut Option<(u16, u16, palette::Rgb)>, svg: &mut String| {
        if let Some((from, to, color)) = run.take()
            && color != palette::BACKGROUND
        {
            let (x, width) = (u32::from(from) * WIDTH, u32::from(to - from) * WIDTH);
            let y = u32::from(row) * HEIGHT;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{color}\"/>"
            );
        }
    };
    for (column, cell) in cells(screen, row, columns) {
        let color = if cell.is_wide_continuation() {
            last
        } else {
            paint(cell).bg
        };
        last = color;
        match &mut run {
            Some((_, to, running)) if *running == color => *to = column + 1,
            _ => {
                flush(&mut run, svg);
                run = Some((column, column + 1, color));
            }
        }
    }
    flush(&mut run, svg);
}

/// Rectangles in a cell, as x, y, width, height.
fn shape(text: &str) -> Option<Vec<(u32, u32, u32, u32)>> {
    let (w, h, x, y) = (WIDTH, HEIGHT, WIDTH / 2, HEIGHT / 2);
    // A double line is two strokes one pixel away from the middle.
    let (left, right, above, below) = (x - 1, x + 1, y - 1, y + 1);
    Some(match text.chars().next()? {
        block @ '▁'..='█' => {
            let eighths = u32::from(block) - u32::from('▁') + 1;
            let height = (h * eighths).div_ceil(8);
            vec![(1, h - height, w - 1, height)]
        }
        '─' => vec![(0, y, w, 1)],
        '│' => vec![(x, 0, 1, h)],
        '═' => vec![(0, above, w, 1), (0, below, w, 1)],
        '║' => vec![(left, 0, 1, h), (right, 0, 1, h)],
        '╔' => vec![
            (left, above, 1, h - above),
            (right, below, 1, h - below),
            (left, above, w - left, 1),
            (right, below, w - right, 1),
        ],
        '╗' => vec![
            (right, above, 1, h - above),
            (left, below, 1, h - below),
            (0, above, right + 1, 1),
            (0, below, left + 1, 1),
        ],
        '╚' => vec![
            (left, 0, 1, below + 1),
            (right, 0, 1, above + 1),
            (left, below, w - left, 1),
            (right, above, w - right, 1),
        ],
        '╝' => vec![
            (right, 0, 1, below + 1),
            (left, 0, 1, above + 1),
            (0, below, right + 1, 1),
            (0, above, left + 1, 1),
        ],
        '■' => vec![(1, 6, w - 2, w - 2)],
        _ => return None,
    })
}

fn shapes(screen: &Screen, row: u16, columns: u16, svg: &mut String) {
    for (column, cell) in cells(screen, row, columns) {
        let Some(parts) = shape(cell.contents()) else {
            continue;
        };
        let (left, top) = (u32::from(column) * WIDTH, u32::from(row) * HEIGHT);
        let color = paint(cell).fg;
        for (x, y, width, height) in parts {
            let (x, y) = (left + x, top + y);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{color}\"/>"
            );
        }
    }
}

/// Text with one look, begun at a column.
struct Word {
    paint: Paint,
    from: u16,
    /// The column behind its last cell.
    to: u16,
    text: String,
}

impl Word {
    fn write(&self, row: u16, svg: &mut String) {
        let x = u32::from(self.from) * WIDTH;
        let y = u32::from(row) * HEIGHT + BASELINE;
        let weight = if self.paint.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{y}\"{weight} fill=\"{}\">{}</text>",
            self.paint.fg,
            escape(&self.text)
        );
    }

    /// Whether the next cell may stand in the same piece: a font would tie two signs together, and where a font has
    /// no glyph another one comes in, with widths of its own.
    fn takes(&self, column: u16, paint: Paint, text: &str) -> bool {
        let sign = |c: Option<char>| c.is_some_and(|c| c.is_ascii_punctuation());
        self.to == column
            && self.paint == paint
            && self.text.is_ascii()
            && text.is_ascii()
            && !(sign(self.text.chars().last()) && sign(text.chars().next()))
    }
}

fn texts(screen: &Screen, row: u16, columns: u16, svg: &mut String) {
    let mut word: Option<Word> = None;
    for (column, cell) in cells(screen, row, columns) {
        let text = cell.contents();
        if text.trim().is_empty() || shape(text).is_some() {
            continue;
        }
        let mut look = paint(cell);
        // The background has been drawn; only what changes the glyph begins a new piece.
        look.bg = palette::BACKGROUND;
        match &mut word {
            Some(word) if word.takes(column, look, text) => {
                word.text.push_str(text);
                word.to = column + 1;
            }
            _ => {
                if let Some(done) = word.take() {
                    done.write(row, svg);
                }
                word = Some(Word {
                    paint: look,
                    from: column,
                    to: column + 1,
                    text: text.to_owned(),
                });
            }
        }
    }
    if let Some(done) = word {
        done.write(row, svg);
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
