//! The excerpt of a log: its first and last lines, for a service that did not start.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{LogLine, LogMode, LogReader, LogStart};
use crate::text;

/// The number of first lines that are shown.
const FIRST: usize = 20;
/// The number of last lines that are shown, where there are more.
const LAST: usize = 5;
/// The number of reads in which the end of a log has to be reached for its lines to be counted.
const READS: usize = 3;

/// Returns the lines that were written to a log after `offset`, cleaned: the first ones and, where there are more, how many
/// follow and the last of them, as some programs say at the end what went wrong. Empty where the log cannot be read. Blocks.
pub(crate) fn excerpt(log: &Path, offset: u64) -> Vec<String> {
    let read = |lines| {
        let start = LogStart { offset, lines };
        read(LogReader::new(log.to_owned(), start, LogMode::ToEnd))
    };
    let (mut shown, is_whole) = read(None);
    let rest = shown.split_off(shown.len().min(FIRST));
    let mut last = if is_whole { rest } else { read(Some(LAST)).0 };
    let omitted = last.len().saturating_sub(LAST);
    let last = last.split_off(omitted);
    if !is_whole {
        shown.push("… much later:".to_owned());
    } else if omitted > 0 {
        shown.push(format!("… {omitted} lines later:"));
    }
    shown.extend(last);
    shown
}

/// Returns the line among these bytes of a log that tells most of an end, cleaned: the last one with text, and of a trace of
/// Java the last cause. Blocks.
pub(crate) fn last_line(log: &Path, written: &Range<u64>) -> Option<String> {
    const TAIL: u64 = 16 * 1024;
    let start = written.start.max(written.end.saturating_sub(TAIL));
    let mut bytes = vec![0; usize::try_from(written.end.checked_sub(start)?).ok()?];
    let length = File::open(log).ok()?.read_at(&mut bytes, start).ok()?;
    let text = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
    let lines: Vec<String> = text.lines().map(|line| cleaned(line, 160)).collect();
    most_telling(&lines).map(str::to_owned)
}

/// Returns the last line with text; where that is a frame of a trace, the last cause before it.
fn most_telling(lines: &[String]) -> Option<&str> {
    let has_text = |line: &&str| line.contains(|c: char| c.is_alphanumeric());
    let lines = || lines.iter().rev().map(|line| line.trim()).filter(has_text);
    let is_frame = |line: &&str| line.starts_with("at ") || line.starts_with("... ");
    let last = lines().next()?;
    if !is_frame(&last) {
        return Some(last);
    }
    let cause = lines().find(|line| line.starts_with("Caused by:"));
    cause
        .or_else(|| lines().find(|line| !is_frame(line)))
        .or(Some(last))
}

/// Returns a line without its colour codes, cleaned.
fn cleaned(line: &str, longest: usize) -> String {
    text::clean(text::clean_line(line, text::Colors::Drop).trim(), longest)
}

/// Reads lines, and returns whether the end of the log was reached.
fn read(mut log: LogReader) -> (Vec<String>, bool) {
    let clean = |line: LogLine| {
        let line = String::from_utf8_lossy(&line.bytes);
        text::clean(&text::clean_line(&line, text::Colors::Drop), 300)
    };
    let mut lines = Vec::new();
    for _ in 0..READS {
        let chunk = log.read().unwrap_or_default();
        lines.extend(chunk.lines.into_iter().map(clean));
        if !chunk.has_more {
            lines.extend(log.take_partial_line().map(clean));
            return (lines, true);
        }
    }
    (lines, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt_of(content: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("api.log");
        std::fs::write(&log, format!("before\n{content}")).unwrap();
        excerpt(&log, 7)
    }

    #[test]
    fn the_most_telling_line_is_the_last_one_with_text_or_the_last_cause() {
        for (content, expected) in [
            ("one\ntwo\n\n", Some("two")),
            (
                "ERROR port 8080 is taken\n\u{1b}[0m\u{1b}[0m\n",
                Some("ERROR port 8080 is taken"),
            ),
            ("\u{1b}[31mred\u{1b}[0m\n---\n", Some("red")),
            (
                "java.lang.A: a\n\tat x.Y(Z.java:1)\nCaused by: b\n\tat x\nCaused by: c\n\tat y\n\t... 12 more\n",
                Some("Caused by: c"),
            ),
            (
                "Exception in thread main A: a\n\tat x.Y(Z.java:1)\n",
                Some("Exception in thread main A: a"),
            ),
            ("", None),
            ("\n\u{1b}[0m\n", None),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let log = directory.path().join("api.log");
            std::fs::write(&log, content).unwrap();
            let length = u64::try_from(content.len()).unwrap();
            assert_eq!(
                last_line(&log, &(0..length)).as_deref(),
                expected,
                "{content:?}"
            );
        }
    }

    fn lines(numbers: std::ops::RangeInclusive<u32>) -> String {
        let lines: Vec<String> = numbers.map(|number| format!("line {number}")).collect();
        lines.join("\n")
    }

    #[test]
    fn of_many_lines_the_first_and_the_last_are_shown() {
        assert_eq!(excerpt_of("").join("|"), "");
        assert_eq!(excerpt_of("one\ntwo").join("|"), "one|two");
        let all = excerpt_of(&lines(1..=25));
        assert_eq!(all.len(), 25, "{all:?}");
        let most = excerpt_of(&lines(1..=27));
        assert_eq!(most[19..=21], ["line 20", "… 2 lines later:", "line 23"]);
        assert_eq!(most.last().map(String::as_str), Some("line 27"));
        let long = excerpt_of(&lines(1..=20_000));
        assert_eq!(long[19..=21], ["line 20", "… much later:", "line 19996"]);
        assert_eq!(long.last().map(String::as_str), Some("line 20000"));
    }
}
