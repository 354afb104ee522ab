//! Logs as they are found on disks: cut, rotated, without end.

use std::fs::OpenOptions;
use std::io::Write;

use super::*;

/// A folder with a log.
struct Place(tempfile::TempDir);

impl Place {
    fn with(text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path(), text).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("api.log")
    }

    fn add(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn log(&self, since: u64, lines: Option<usize>, until: Until) -> Log {
        Log::new(self.path(), Begin { since, lines }, until)
    }
}

/// All that there is just now, and what happened.
fn all(log: &mut Log) -> (Vec<String>, Vec<News>) {
    let (mut lines, mut news) = (Vec::new(), Vec::new());
    loop {
        let piece = log.read().unwrap();
        let texts = piece.lines.into_iter().map(|line| line.bytes);
        lines.extend(texts.map(|bytes| String::from_utf8(bytes).unwrap()));
        news.extend(piece.news);
        if !piece.more {
            return (lines, news);
        }
    }
}

#[test]
fn it_begins_with_the_lines_that_were_asked_for() {
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
        // Another file than the one that was measured.
        (20, Some(9), "one two three four"),
    ] {
        let place = Place::with(text);
        let (found, news) = all(&mut place.log(since, lines, Until::End));
        assert_eq!(found.join(" "), expected, "{since} {lines:?}");
        let wanted = if since <= 19 {
            text[usize::try_from(since).unwrap()..].lines().count()
        } else {
            4
        };
        assert_eq!(news == [News::Cut], found.len() < wanted);
    }
}

#[test]
fn a_last_line_without_its_end_counts_as_one() {
    let place = Place::with("one\ntwo\nthr");
    let mut log = place.log(0, Some(2), Until::End);
    assert_eq!(all(&mut log).0, ["two"]);
    assert_eq!(log.unfinished().unwrap().bytes, b"thr");
}

#[test]
fn lines_are_found_across_blocks() {
    let line = "x".repeat(1000);
    let place = Place::with(&format!("{line}\n").repeat(500));
    for lines in [1, 64, 66, 200, 499] {
        let (found, _) = all(&mut place.log(0, Some(lines), Until::End));
        assert_eq!(found.len(), lines);
        assert!(found.iter().all(|found| *found == line));
    }
}

#[test]
fn the_beginning_of_an_endless_line_is_not_looked_for_in_all_of_it() {
    let place = Place::with("first\n");
    let file = OpenOptions::new().append(true).open(place.path()).unwrap();
    // A hole takes no place on the disk.
    file.set_len(1 << 36).unwrap();
    let mut log = place.log(0, Some(1), Until::End);
    assert_eq!(log.read().unwrap().news, Some(News::Cut));
    assert!(log.open.unwrap().position >= (1 << 36) - FARTHEST - BLOCK as u64);
}

#[test]
fn what_is_written_while_it_is_read_is_waited_for_only_where_it_is_followed() {
    for (until, expected) in [(Until::End, vec!["one"]), (Until::Ever, vec!["one", "two"])] {
        let place = Place::with("one\n");
        let mut log = place.log(0, None, until);
        log.read().unwrap();
        place.add("two\n");
        assert_eq!(all(&mut log).0, expected);
    }
}

#[test]
fn it_is_followed_through_whatever_becomes_of_its_file() {
    let place = Place::with("one\n");
    let mut log = place.log(0, Some(10), Until::Ever);
    assert_eq!(all(&mut log), (vec!["one".to_owned()], vec![]));
    place.add("two\nhal");
    assert_eq!(all(&mut log).0, ["two"]);
    fs::write(place.path(), "new\n").unwrap();
    let told = all(&mut log);
    assert_eq!(
        told,
        (
            vec!["hal".to_owned(), "new".to_owned()],
            vec![News::Truncated]
        )
    );
    place.add("last words\n");
    fs::rename(place.path(), place.path().with_extension("1")).unwrap();
    // As long as there is no other, the old one goes on.
    assert_eq!(all(&mut log).0, ["last words"]);
    fs::write(place.path(), "fresh\n").unwrap();
    assert_eq!(
        all(&mut log),
        (vec!["fresh".to_owned()], vec![News::Replaced])
    );
}

#[test]
fn what_the_old_file_still_got_comes_before_the_new_one() {
    let place = Place::with("one\n");
    let mut log = place.log(0, None, Until::Ever);
    all(&mut log);
    let mut old = OpenOptions::new().append(true).open(place.path()).unwrap();
    fs::rename(place.path(), place.path().with_extension("1")).unwrap();
    fs::write(place.path(), "new\n").unwrap();
    // It sees the other file; then the old one grows once more.
    log.read().unwrap();
    old.write_all(b"late\n").unwrap();
    assert_eq!(all(&mut log).0, ["late", "new"]);
}

#[test]
fn one_that_is_not_there_yet_is_read_from_its_first_line() {
    let place = Place::with("");
    fs::remove_file(place.path()).unwrap();
    let mut log = place.log(700, Some(1), Until::Ever);
    assert_eq!(all(&mut log), (vec![], vec![News::Missing]));
    fs::write(place.path(), "one\ntwo\n").unwrap();
    assert_eq!(all(&mut log).0, ["one", "two"]);
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Begin::at_first();
    let mut log = Log::new(folder.path().to_owned(), begin, Until::End);
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains("no regular file"), "{error}");
}
