//! Bytes from outside made fit for a terminal, a file and a CI log.

use std::borrow::Cow;

/// Returns foreign text on one line: hidden characters are escaped (`\u{202e}`), line breaks and tabs become spaces,
/// and what is longer than `limit` characters is cut and marked with `…`.
pub fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    for (count, c) in text.chars().enumerate() {
        if count >= limit {
            out.push('…');
            break;
        }
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Tells [`clean_line`] what to do with colour codes. All that they can do is change how text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Keep colour codes, and reset the colour at the end of the line.
    Keep,
    /// Remove colour codes, for output without colour.
    Drop,
}

/// Returns a line of a log with hidden characters other than tabs escaped, and colour codes kept or dropped.
/// A colour code that conceals the text after it is escaped like any other control sequence.
pub fn clean_line(line: &str, colors: Colors) -> String {
    let mut out = String::with_capacity(line.len());
    let mut colored = false;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = if let Some(code) = color_code(rest) {
            if colors == Colors::Keep {
                out.push_str(code);
                colored = !matches!(code, "\u{1b}[m" | "\u{1b}[0m");
            }
            code.len()
        } else {
            match c {
                '\t' => out.push('\t'),
                '\r' => out.push(' '),
                c if is_hidden(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
            c.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    if colored {
        out.push_str("\u{1b}[0m");
    }
    out
}

/// Returns the colour code at the start of the text, such as `ESC [ 1 ; 31 m`.
fn color_code(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let length = parameters.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    let (parameters, end) = parameters.split_at(length);
    if !end.starts_with('m') || conceals(parameters) {
        return None;
    }
    text.get(.."\u{1b}[".len() + length + 1)
}

/// Returns whether one of the parameters is 8 (conceal). The numbers after 38, 48 and 58 are colours.
fn conceals(parameters: &str) -> bool {
    let mut words = parameters.split([';', ':']);
    while let Some(word) = words.next() {
        match word.trim_start_matches('0') {
            "8" => return true,
            "38" | "48" | "58" => {
                let numbers = match words.next() {
                    Some("5") => 1,
                    Some("2") => 3,
                    _ => 0,
                };
                for _ in 0..numbers {
                    words.next();
                }
            }
            _ => {}
        }
    }
    false
}

/// Returns whether a terminal obeys the character, or whether it hides or reorders what stands around it.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Replaces each hidden character but tabs and line breaks by one visible character, so that columns stay right.
pub fn visible(text: &str) -> String {
    let mut rest = text.chars().peekable();
    std::iter::from_fn(|| rest.next().map(|c| (c, rest.peek().copied())))
        .map(|(c, next)| match c {
            '\t' | '\n' => c,
            '\r' if next == Some('\n') => c,
            '\u{7f}' => '\u{2421}',
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            c if is_hidden(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Cuts the text to `limit` characters and marks the cut with `…`.
pub fn shorten(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((at, _)) => Cow::Owned(format!("{}…", text.get(..at).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{Colors, clean, clean_line, shorten, visible};

    #[test]
    fn escapes_are_made_visible() {
        assert_eq!(clean("a\u{1b}[31mred", 99), "a\\u{1b}[31mred");
        assert_eq!(clean("x\u{202e}y", 99), "x\\u{202e}y");
        assert_eq!(clean("one\r\ntwo\tthree", 99), "one  two three");
        assert_eq!(clean("\u{9b}31m", 99), "\\u{9b}31m");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(clean("äöüß", 2), "äö…");
        assert_eq!(clean("äö", 2), "äö");
    }

    #[test]
    fn of_a_log_colours_stay_where_they_are_wanted_and_nothing_else_does() {
        for (line, kept, dropped) in [
            ("a\tb", "a\tb", "a\tb"),
            ("\u{1b}[31mred\u{1b}[0m", "\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[1;32mgo", "\u{1b}[1;32mgo\u{1b}[0m", "go"),
            (
                "\u{1b}[38;5;8mgrey\u{1b}[m",
                "\u{1b}[38;5;8mgrey\u{1b}[m",
                "grey",
            ),
            ("\u{1b}[1;8mpw", "\\u{1b}[1;8mpw", "\\u{1b}[1;8mpw"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            (
                "\u{1b}]0;title\u{7}",
                "\\u{1b}]0;title\\u{7}",
                "\\u{1b}]0;title\\u{7}",
            ),
            ("\u{1b}[31", "\\u{1b}[31", "\\u{1b}[31"),
            ("10%\r20%", "10% 20%", "10% 20%"),
            ("x\u{202e}y", "x\\u{202e}y", "x\\u{202e}y"),
        ] {
            assert_eq!(clean_line(line, Colors::Keep), kept, "{line:?}");
            assert_eq!(clean_line(line, Colors::Drop), dropped, "{line:?}");
        }
    }

    #[test]
    fn shortened_text_is_marked() {
        assert_eq!(shorten("äöüß", 2), "äö…");
        assert_eq!(shorten("äö", 2), "äö");
    }

    #[test]
    fn hidden_characters_get_a_visible_sign() {
        assert_eq!(
            visible("a\u{1b}[31m\u{9b}1m\u{202e}b"),
            "a\u{241b}[31m\u{fffd}1m\u{fffd}b"
        );
    }
}
