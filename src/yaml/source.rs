//! The text that was read, and stretches of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Problem;

/// A file that was read, kept for showing the marked line.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as the user would write it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// A file from its bytes, without a byte order mark.
    ///
    /// # Errors
    ///
    /// What is not UTF-8 is refused with its offset.
    pub fn from_bytes(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<Self, Box<Problem>> {
        let path = path.into();
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let hint = match bytes {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; save it as UTF-8",
                _ => "save it as UTF-8",
            };
            let line = String::from_utf8_lossy(bytes.get(..valid).unwrap_or(bytes))
                .matches('\n')
                .count()
                + 1;
            Box::new(
                Problem::general(format!(
                    "`{}` is not UTF-8: byte {valid}, in line {line}",
                    path.display()
                ))
                .hint(hint),
            )
        })?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        Ok(Self { path, text })
    }

    /// A file from text that is known to be text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// The line, counted from 1, in which the byte stands.
    pub fn line_of(&self, byte: usize) -> usize {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        before.matches('\n').count() + 1
    }
}

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset behind its last character.
    pub end: usize,
}

impl Place {
    /// The whole of a file.
    pub fn whole(file: &Arc<SourceFile>) -> Self {
        Self {
            file: Arc::clone(file),
            start: 0,
            end: file.text.len(),
        }
    }

    /// The text that stands there.
    pub fn text(&self) -> &str {
        self.file.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Its line, counted from 1.
    pub fn line(&self) -> usize {
        self.file.line_of(self.start)
    }

    /// `healthctl.yaml:7`
    pub fn short(&self) -> String {
        format!("{}:{}", self.file.path.display(), self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::SourceFile;

    #[test]
    fn a_byte_order_mark_is_taken_off() {
        let file = SourceFile::from_bytes("x", b"\xef\xbb\xbfa: 1".to_vec()).unwrap();
        assert_eq!(file.text, "a: 1");
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_offset() {
        let latin = SourceFile::from_bytes("x", b"a: 1\nb: caf\xe9\n".to_vec()).unwrap_err();
        assert_eq!(latin.message, "`x` is not UTF-8: byte 11, in line 2");
        let wide = SourceFile::from_bytes("x", b"\xff\xfea\0:\0".to_vec()).unwrap_err();
        assert_eq!(
            wide.hint.as_deref(),
            Some("it looks like UTF-16; save it as UTF-8")
        );
    }

    #[test]
    fn lines_count_from_one() {
        let file = SourceFile::new("x", "a\nb\nc");
        assert_eq!(file.line_of(0), 1);
        assert_eq!(file.line_of(2), 2);
        assert_eq!(file.line_of(999), 3);
    }
}
