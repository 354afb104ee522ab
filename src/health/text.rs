//! Bytes from outside made fit for a terminal, a file and a CI log.

/// The text with control and bidirectional characters made visible (`\x1b`, `\u{202e}`), line breaks and tabs
/// turned into spaces, and cut to `limit` characters with `…`.
pub fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    for (count, c) in text.chars().enumerate() {
        if count >= limit {
            out.push('…');
            break;
        }
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_hostile(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// What becomes of colour codes. All that they can do is change how text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// They stay, and end with the line.
    Keep,
    /// They go: they say nothing where there is no colour.
    Drop,
}

/// A line of a log: control and bidirectional characters made visible, but for tabs, and colour codes kept or dropped.
/// One that hides what follows it is made visible like any other code.
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
                c if is_hostile(c) => out.extend(c.escape_unicode()),
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

/// The colour code that a text begins with: `ESC [ 1 ; 31 m`.
fn color_code(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let length = parameters.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    let (parameters, end) = parameters.split_at(length);
    if !end.starts_with('m') || hides(parameters) {
        return None;
    }
    text.get(.."\u{1b}[".len() + length + 1)
}

/// Whether one of the parameters is 8, conceal. Behind 38, 48 and 58 stand numbers of colours.
fn hides(parameters: &str) -> bool {
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

/// Control characters, and those that reorder or hide what stands around them.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::{Colors, clean, clean_line};

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
}
