//! Bytes parted into lines, of which only so much is kept that none can fill the memory.

/// So many bytes of a line are kept.
const LONGEST: usize = 16 * 1024;

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it begins with.
    pub(crate) bytes: Vec<u8>,
    /// So many bytes of it are left out behind that.
    pub(crate) left_out: u64,
}

/// Parts what comes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: Vec<u8>,
    left_out: u64,
}

impl Lines {
    /// The lines that end with these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(last) => {
                    self.keep(last);
                    lines.push(self.end());
                }
                None => self.keep(part),
            }
        }
        lines
    }

    /// The line that has begun and not ended, as if it ended here.
    pub(super) fn unfinished(&mut self) -> Option<Line> {
        (!self.kept.is_empty()).then(|| self.end())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.kept.len()).min(bytes.len());
        let (kept, rest) = bytes.split_at(room);
        self.kept.extend_from_slice(kept);
        self.left_out = self.left_out.saturating_add(rest.len() as u64);
    }

    fn end(&mut self) -> Line {
        Line {
            bytes: std::mem::take(&mut self.kept),
            left_out: std::mem::take(&mut self.left_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            bytes: text.as_bytes().to_vec(),
            left_out: 0,
        }
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\n\ntw"), [line("one"), line("")]);
        assert_eq!(lines.take(b"o"), []);
        assert_eq!(lines.take(b"\nthree"), [line("two")]);
        assert_eq!(lines.unfinished(), Some(line("three")));
        assert_eq!(lines.unfinished(), None);
    }

    #[test]
    fn of_a_line_without_end_no_more_is_kept_than_people_read() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.take(&[b'x'; LONGEST]), []);
        }
        assert_eq!(lines.kept.capacity(), LONGEST);
        let ended = lines.take(b"y\nnext\n");
        assert_eq!(ended[0].left_out, 999 * LONGEST as u64 + 1);
        assert_eq!(ended[1], line("next"));
    }
}
