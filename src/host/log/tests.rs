//! Logs that are truncated, rotated, or without line breaks.

use std::fs::OpenOptions;
use std::io::Write;

use super::*;

/// A directory with a log.
struct LogDirectory(tempfile::TempDir);

impl LogDirectory {
    fn with(text: &str) -> Self {
        let directory = Self(tempfile::tempdir().unwrap());
        fs::write(directory.path(), text).unwrap();
        directory
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("api.log")
    }

    fn add(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn log(&self, offset: u64, lines: Option<usize>, mode: LogMode) -> LogReader {
        LogReader::new(self.path(), LogStart { offset, lines }, mode)
    }
}

/// Reads everything that is available, and returns the lines and events.
fn all(log: &mut LogReader) -> (Vec<String>, Vec<LogFileEvent>) {
    let (mut lines, mut events) = (Vec::new(), Vec::new());
    loop {
        let chunk = log.read().unwrap();
        let texts = chunk.lines.into_iter().map(|line| line.bytes);
        lines.extend(texts.map(|bytes| String::from_utf8(bytes).unwrap()));
        events.extend(chunk.event);
        if !chunk.has_more {
            return (lines, events);
        }
    }
}

#[test]
fn reading_starts_with_the_requested_lines() {
    let text = "one\ntwo\nthree\nfour\n";
    for (since, lines, expected) in [
        (0, None, "one two three four"),
        (0, Some(0), ""),
        (0, Some(1), "four"),
        (0, Some(3), "two three four"),
        (0, Some(4), "one two three four"),
        (0, Some(99), "one two three four"),
        (8, None, "three four"),
        (8, Some(1), "four"),
        (8, Some(9), "three four"),
        (19, Some(9), ""),
        // The file is not the one that was measured.
        (20, Some(9), "one two three four"),
    ] {
        let directory = LogDirectory::with(text);
        let (found, events) = all(&mut directory.log(since, lines, LogMode::ToEnd));
        assert_eq!(found.join(" "), expected, "{since} {lines:?}");
        let wanted = if since <= 19 {
            text[usize::try_from(since).unwrap()..].lines().count()
        } else {
            4
        };
        assert_eq!(events == [LogFileEvent::Skipped], found.len() < wanted);
    }
}

#[test]
fn an_incomplete_last_line_counts_as_a_line() {
    let directory = LogDirectory::with("one\ntwo\nthr");
    let mut log = directory.log(0, Some(2), LogMode::ToEnd);
    assert_eq!(all(&mut log).0, ["two"]);
    assert_eq!(log.take_partial_line().unwrap().bytes, b"thr");
}

#[test]
fn lines_are_found_across_blocks() {
    let line = "x".repeat(1000);
    let directory = LogDirectory::with(&format!("{line}\n").repeat(500));
    for lines in [1, 64, 66, 200, 499] {
        let (found, _) = all(&mut directory.log(0, Some(lines), LogMode::ToEnd));
        assert_eq!(found.len(), lines);
        assert!(found.iter().all(|found| *found == line));
    }
}

#[test]
fn the_search_for_the_beginning_of_a_line_is_limited() {
    let directory = LogDirectory::with("first\n");
    let file = OpenOptions::new()
        .append(true)
        .open(directory.path())
        .unwrap();
    // A hole takes no space on the disk.
    file.set_len(1 << 36).unwrap();
    let mut log = directory.log(0, Some(1), LogMode::ToEnd);
    assert_eq!(log.read().unwrap().event, Some(LogFileEvent::Skipped));
    assert!(log.open.unwrap().position >= (1 << 36) - MAX_SEARCH - BLOCK as u64);
}

#[test]
fn bytes_appended_while_reading_are_read_only_when_following() {
    for (mode, expected) in [
        (LogMode::ToEnd, vec!["one"]),
        (LogMode::Follow, vec!["one", "two"]),
    ] {
        let directory = LogDirectory::with("one\n");
        let mut log = directory.log(0, None, mode);
        log.read().unwrap();
        directory.add("two\n");
        assert_eq!(all(&mut log).0, expected);
    }
}

#[test]
fn a_log_is_followed_when_its_file_is_truncated_and_replaced() {
    let directory = LogDirectory::with("one\n");
    let mut log = directory.log(0, Some(10), LogMode::Follow);
    assert_eq!(all(&mut log), (vec!["one".to_owned()], vec![]));
    directory.add("two\nhal");
    assert_eq!(all(&mut log).0, ["two"]);
    fs::write(directory.path(), "new\n").unwrap();
    let read = all(&mut log);
    assert_eq!(
        read,
        (
            vec!["hal".to_owned(), "new".to_owned()],
            vec![LogFileEvent::Truncated]
        )
    );
    directory.add("last words\n");
    fs::rename(directory.path(), directory.path().with_extension("1")).unwrap();
    // The old file is followed until there is another one.
    assert_eq!(all(&mut log).0, ["last words"]);
    fs::write(directory.path(), "fresh\n").unwrap();
    assert_eq!(
        all(&mut log),
        (vec!["fresh".to_owned()], vec![LogFileEvent::Replaced])
    );
}

#[test]
fn the_rest_of_the_old_file_comes_before_the_new_one() {
    let directory = LogDirectory::with("one\n");
    let mut log = directory.log(0, None, LogMode::Follow);
    all(&mut log);
    let mut old = OpenOptions::new()
        .append(true)
        .open(directory.path())
        .unwrap();
    fs::rename(directory.path(), directory.path().with_extension("1")).unwrap();
    fs::write(directory.path(), "new\n").unwrap();
    // The reader notices the other file; then the old one grows once more.
    log.read().unwrap();
    old.write_all(b"late\n").unwrap();
    assert_eq!(all(&mut log).0, ["late", "new"]);
}

#[test]
fn a_log_that_does_not_exist_yet_is_read_from_its_first_line() {
    let directory = LogDirectory::with("");
    fs::remove_file(directory.path()).unwrap();
    let mut log = directory.log(700, Some(1), LogMode::Follow);
    assert_eq!(all(&mut log), (vec![], vec![LogFileEvent::Missing]));
    fs::write(directory.path(), "one\ntwo\n").unwrap();
    assert_eq!(all(&mut log).0, ["one", "two"]);
}

#[test]
fn only_regular_files_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let start = LogStart::default();
    let mut log = LogReader::new(folder.path().to_owned(), start, LogMode::ToEnd);
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}
