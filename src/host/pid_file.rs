//! What a pid file proves: a process that started before the file was written is the one that it names.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::process::{RunningProcess, available, process, started_at};

/// The content of a pid file, compared with the process that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PidFile {
    /// The file does not exist.
    Missing,
    /// The process that it names runs, and started no later than the file was written.
    Proved(RunningProcess),
    /// The process that it names has exited.
    Exited(u32),
    /// The pid was given to another process since: one that started after the file was written.
    Recycled(u32),
    /// The file cannot be read, or its content cannot be checked: why.
    Unknown(String),
}

/// Reads a pid file and looks at the process that it names.
pub(crate) fn read(path: &Path) -> PidFile {
    let (text, written) = match content(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return PidFile::Missing,
        Err(error) => return PidFile::Unknown(format!("cannot read {}: {error}", path.display())),
    };
    let Some(pid) = pid_in(&text) else {
        return PidFile::Unknown(format!("{} holds no pid", path.display()));
    };
    if !available() {
        return PidFile::Unknown("pid files are not available here: needs /proc".to_owned());
    }
    let Some(running) = process(pid) else {
        return PidFile::Exited(pid);
    };
    let Some(started) = started_at(running.process) else {
        return PidFile::Unknown(format!("the start of pid {pid} cannot be told"));
    };
    if not_later(started, written) {
        PidFile::Proved(running)
    } else {
        PidFile::Recycled(pid)
    }
}

/// The beginning of the file and when it was written.
fn content(path: &Path) -> io::Result<(String, Timestamp)> {
    // A named pipe in its place would block until another process writes to it.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let written = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    file.take(64).read_to_end(&mut bytes)?;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), written))
}

/// The pid on the first line; some servers write more lines below it. 0 names nobody, and 1 is never a service
/// that may be signalled.
fn pid_in(text: &str) -> Option<u32> {
    let pid: u32 = text.lines().next()?.trim().parse().ok()?;
    (pid > 1 && i32::try_from(pid).is_ok()).then_some(pid)
}

/// Returns whether a process with this start can have been there when the file was written, as exactly as the file's
/// time is known.
fn not_later(started: Timestamp, written: Timestamp) -> bool {
    // Some file systems keep whole seconds, FAT every other; the kernel's file times lag by a tick.
    let tolerance = if written.subsec_nanosecond() == 0 {
        Duration::from_secs(2)
    } else {
        Duration::from_millis(50)
    };
    started <= written.saturating_add(tolerance).unwrap_or(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_pid_counts() {
        for (text, expected) in [
            ("4711", Some(4711)),
            (" 4711 \n", Some(4711)),
            ("4711\n/var/lib/postgresql\n5432\n", Some(4711)),
            ("", None),
            ("\n4711", None),
            ("0", None),
            ("1", None),
            ("-4711", None),
            ("4711 4712", None),
            ("4294967295", None),
            ("99999999999999999999", None),
            ("pid: 4711", None),
        ] {
            assert_eq!(pid_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_process_younger_than_the_file_is_not_the_one() {
        let written: Timestamp = "2026-11-22T10:00:00.5Z".parse().unwrap();
        let whole: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        for (started, file, expected) in [
            ("2026-11-22T09:00:00Z", written, true),
            ("2026-11-22T10:00:00.5Z", written, true),
            ("2026-11-22T10:00:00.6Z", written, false),
            ("2026-11-22T10:00:01.9Z", whole, true),
            ("2026-11-22T10:00:03Z", whole, false),
        ] {
            assert_eq!(
                not_later(started.parse().unwrap(), file),
                expected,
                "{started}"
            );
        }
    }

    #[test]
    fn a_missing_file_says_nothing() {
        assert_eq!(read(Path::new("/nowhere/x.pid")), PidFile::Missing);
        assert!(matches!(read(Path::new("/")), PidFile::Unknown(_)));
    }

    #[test]
    fn a_named_pipe_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let PidFile::Unknown(why) = read(&path) else {
            panic!("a named pipe holds no pid");
        };
        assert!(why.contains("not a regular file"), "{why}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_are_held_against_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert!(
            matches!(read(&path), PidFile::Proved(found) if found.process.pid == std::process::id())
        );
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        assert_eq!(read(&path), PidFile::Recycled(std::process::id()));
    }
}
