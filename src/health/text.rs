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

/// Control characters, and those that reorder or hide what stands around them.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::clean;

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
}
