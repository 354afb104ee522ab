//! Text that fits a number of terminal cells. A CJK character takes two cells, a combining one none.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Returns how many terminal cells the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cuts the text to `cells`, with `…` at the end when something was left out.
pub fn cut(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    if cells == 0 {
        return Cow::Borrowed("");
    }
    Cow::Owned(format!("{}…", head(text, cells - 1)))
}

/// Cuts the text to `cells` with `…` in the middle: long names often differ only at their end.
pub fn cut_middle(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    if cells < 3 {
        return cut(text, cells);
    }
    let tail_cells = (cells - 1) / 2;
    let tail = tail(text, tail_cells);
    let head = head(text, cells - 1 - width(tail));
    Cow::Owned(format!("{head}…{tail}"))
}

/// Breaks the text at spaces into lines of at most `cells`; a word that is longer than a line is broken too.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) <= cells {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while width(rest) > cells {
            let mut part = head(rest, cells);
            if part.is_empty() {
                // A single character is wider than the line; it must go somewhere, or the loop would never end.
                part = rest.graphemes(true).next().unwrap_or(rest);
            }
            lines.push(part.to_owned());
            rest = rest.get(part.len()..).unwrap_or("");
        }
        rest.clone_into(&mut line);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

fn head(text: &str, cells: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += width(grapheme);
        if used > cells {
            return text.get(..at).unwrap_or("");
        }
    }
    text
}

fn tail(text: &str, cells: usize) -> &str {
    let mut used = 0;
    let mut from = text.len();
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        used += width(grapheme);
        if used > cells {
            break;
        }
        from = at;
    }
    text.get(from..).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_cells() {
        let cases = [
            ("orders", 6, "orders"),
            ("orders", 5, "orde…"),
            ("orders", 1, "…"),
            ("orders", 0, ""),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ];
        for (text, cells, expected) in cases {
            assert_eq!(cut(text, cells), expected, "{text} {cells}");
            assert!(width(&cut(text, cells)) <= cells);
        }
    }

    #[test]
    fn names_keep_both_ends() {
        let cases = [
            ("orders", 6, "orders"),
            ("orders-service-eu-3", 13, "orders…e-eu-3"),
            ("orders-service-eu-4", 13, "orders…e-eu-4"),
            ("abcdef", 4, "ab…f"),
            ("abcdef", 2, "a…"),
            ("日本語日本語", 6, "日…語"),
        ];
        for (text, cells, expected) in cases {
            assert_eq!(cut_middle(text, cells), expected, "{text} {cells}");
            assert!(width(&cut_middle(text, cells)) <= cells);
        }
    }

    #[test]
    fn long_text_is_broken_at_spaces() {
        let cases: [(&str, usize, &[&str]); 5] = [
            ("", 4, &[""]),
            ("one two three", 7, &["one two", "three"]),
            ("abcdefghij", 4, &["abcd", "efgh", "ij"]),
            ("a abcdefghij", 4, &["a", "abcd", "efgh", "ij"]),
            ("日本", 1, &["日", "本"]),
        ];
        for (text, cells, expected) in cases {
            assert_eq!(wrap(text, cells), expected, "{text}");
        }
    }
}
