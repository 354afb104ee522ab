//! Splits bytes into lines and limits the memory that a line can take.

/// The number of bytes of a line that are kept.
const MAX_LINE_LENGTH: usize = 16 * 1024;

/// A line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// The first bytes of the line.
    pub(crate) bytes: Vec<u8>,
    /// The number of bytes that follow and were not kept.
    pub(crate) omitted: u64,
}

/// Splits a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    kept: Vec<u8>,
    omitted: u64,
}

impl LineSplitter {
    /// Adds bytes and returns the lines that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(last) => {
                    self.keep(last);
                    lines.push(self.finish());
                }
                None => self.keep(part),
            }
        }
        lines
    }

    /// Takes the incomplete last line, if there is one.
    pub(super) fn take_partial(&mut self) -> Option<LogLine> {
        (!self.kept.is_empty()).then(|| self.finish())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_LENGTH
            .saturating_sub(self.kept.len())
            .min(bytes.len());
        let (kept, rest) = bytes.split_at(room);
        self.kept.extend_from_slice(kept);
        self.omitted = self.omitted.saturating_add(rest.len() as u64);
    }

    fn finish(&mut self) -> LogLine {
        LogLine {
            bytes: std::mem::take(&mut self.kept),
            omitted: std::mem::take(&mut self.omitted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine {
            bytes: text.as_bytes().to_vec(),
            omitted: 0,
        }
    }

    #[test]
    fn a_line_may_arrive_in_pieces() {
        let mut lines = LineSplitter::default();
        assert_eq!(lines.push(b"one\n\ntw"), [line("one"), line("")]);
        assert_eq!(lines.push(b"o"), []);
        assert_eq!(lines.push(b"\nthree"), [line("two")]);
        assert_eq!(lines.take_partial(), Some(line("three")));
        assert_eq!(lines.take_partial(), None);
    }

    #[test]
    fn the_memory_of_a_line_is_limited() {
        let mut lines = LineSplitter::default();
        for _ in 0..1000 {
            assert_eq!(lines.push(&[b'x'; MAX_LINE_LENGTH]), []);
        }
        assert_eq!(lines.kept.capacity(), MAX_LINE_LENGTH);
        let ended = lines.push(b"y\nnext\n");
        assert_eq!(ended[0].omitted, 999 * MAX_LINE_LENGTH as u64 + 1);
        assert_eq!(ended[1], line("next"));
    }
}
