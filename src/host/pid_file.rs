//! A pid file: the process that it names, and what speaks against it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::details::ProcessTraits;
use super::process::{RunningProcess, available, is_hidden, process, started_at};

/// File systems keep whole seconds, FAT every other; the clock of the machine may be set meanwhile.
const TOLERANCE: Duration = Duration::from_secs(2);
/// A program writes its file soon after its start.
const SOON: Duration = Duration::from_secs(5 * 60);

/// The content of a pid file, compared with the process that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PidFile {
    /// The file does not exist, is empty, or a predecessor has left it.
    Missing,
    /// The process that it names runs.
    Names(NamedProcess),
    /// The process that it names has exited.
    Exited(u32),
    /// The file cannot be read, or may have been written by anybody: why.
    Unknown(String),
}

/// The process that a pid file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedProcess {
    pub(crate) running: RunningProcess,
    /// Why the process may not be the one that was meant, with both times; `None` where nothing speaks against it.
    pub(crate) doubt: Option<String>,
}

/// Reads a pid file and looks at the process that it names. One that was written before `since`, when the service was
/// started, is a predecessor's.
pub(crate) fn read(path: &Path, since: Option<Timestamp>) -> PidFile {
    let shown = path.display();
    let content = match content(path) {
        // A file that changes is being written just now.
        Ok(first) => match self::content(path) {
            Ok(second) if second.text == first.text => first,
            _ => return PidFile::Unknown(format!("{shown} changes while it is read")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return PidFile::Missing,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return PidFile::Unknown(format!("{shown} is a symbolic link"));
        }
        Err(error) => return PidFile::Unknown(format!("cannot read {shown}: {error}")),
    };
    let written = content.written;
    if since.is_some_and(|since| written.saturating_add(TOLERANCE).unwrap_or(written) < since) {
        return PidFile::Missing;
    }
    if content.text.trim().is_empty() {
        // `nginx -t` leaves one.
        return PidFile::Missing;
    }
    let Some(pid) = pid_in(&content.text) else {
        return PidFile::Unknown(format!("{shown} holds no pid"));
    };
    if content.for_everybody {
        return PidFile::Unknown(format!("{shown} may be written by everybody"));
    }
    if !available() {
        return PidFile::Unknown("pid files are not available here: needs /proc".to_owned());
    }
    let Some(running) = process(pid) else {
        // Unless the process is gone, it is not said to be.
        return if is_hidden(pid) {
            PidFile::Unknown(format!("{shown} names pid {pid}, which is hidden"))
        } else {
            PidFile::Exited(pid)
        };
    };
    let users = [Some(0), Some(rustix::process::geteuid().as_raw())];
    let user = ProcessTraits::of(pid).user;
    if !users.contains(&Some(content.user)) && user != Some(content.user) {
        return PidFile::Unknown(format!(
            "{shown} belongs to user {}, who is neither root nor you, and pid {pid} is not theirs",
            content.user
        ));
    }
    let Some(started) = started_at(running.process) else {
        return PidFile::Unknown(format!("the start of pid {pid} cannot be told"));
    };
    PidFile::Names(NamedProcess {
        running,
        doubt: doubt(pid, started, written).map(|why| format!("{shown} names pid {pid}, {why}")),
    })
}

/// What is read of a file.
struct Content {
    text: String,
    written: Timestamp,
    user: u32,
    for_everybody: bool,
}

/// Reads the beginning of the file, and when and by whom it was written.
fn content(path: &Path) -> io::Result<Content> {
    // A named pipe in its place would block until another process writes to it.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).unwrap_or_default();
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
    Ok(Content {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        written,
        user: metadata.uid(),
        for_everybody: metadata.mode() & 0o002 != 0,
    })
}

/// Returns the pid on the first line; some servers write more lines below it. 0 names nobody, and 1 is never a service that
/// may be signalled.
fn pid_in(text: &str) -> Option<u32> {
    let word = text.lines().next()?.trim();
    let pid: u32 = word.parse().ok()?;
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && pid > 1 && i32::try_from(pid).is_ok()).then_some(pid)
}

/// Says why a process with this start may not be the one that the file was written for.
fn doubt(pid: u32, started: Timestamp, written: Timestamp) -> Option<String> {
    let start = format!("which started at {started:.0}");
    if started > written.saturating_add(TOLERANCE).unwrap_or(written) {
        return Some(format!(
            "{start}, but the file was written before that, at {written:.0}: pid {pid} may have been given out again"
        ));
    }
    let latest = started.saturating_add(SOON).unwrap_or(started);
    (latest < written).then(|| {
        format!("{start}, but the file was written more than five minutes later, at {written:.0}")
    })
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
            ("+5", None),
            ("4711 x", None),
        ] {
            assert_eq!(pid_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_file_is_written_soon_after_the_start() {
        let written: Timestamp = "2026-11-22T10:00:00.5Z".parse().unwrap();
        for (started, expected) in [
            ("2026-11-22T09:54:00Z", Some("more than five minutes later")),
            ("2026-11-22T09:55:01Z", None),
            ("2026-11-22T10:00:00.5Z", None),
            ("2026-11-22T10:00:02.4Z", None),
            (
                "2026-11-22T10:00:03Z",
                Some("may have been given out again"),
            ),
        ] {
            let found = doubt(7, started.parse().unwrap(), written);
            match expected {
                None => assert_eq!(found, None, "{started}"),
                Some(text) => assert!(found.unwrap().contains(text), "{started}"),
            }
        }
    }

    #[test]
    fn a_missing_file_says_nothing() {
        assert_eq!(read(Path::new("/nowhere/x.pid"), None), PidFile::Missing);
        assert!(matches!(read(Path::new("/"), None), PidFile::Unknown(_)));
    }

    #[test]
    fn an_empty_file_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        for text in ["", "\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path, None), PidFile::Missing, "{text:?}");
        }
    }

    #[test]
    fn a_named_pipe_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let PidFile::Unknown(why) = read(&path, None) else {
            panic!("a named pipe holds no pid");
        };
        assert!(why.contains("not a regular file"), "{why}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_are_held_against_the_process() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        std::fs::write(&path, format!("{}\n", child.id())).unwrap();
        let found = read(&path, None);
        assert!(matches!(found, PidFile::Names(found) if found.doubt.is_none()));
        let later = Timestamp::now() + Duration::from_secs(60);
        assert_eq!(read(&path, Some(later)), PidFile::Missing);
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        let found = read(&path, None);
        assert!(matches!(found, PidFile::Names(found) if found.doubt.is_some()));
        let link = directory.path().join("link.pid");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let permissions = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(&path, permissions).unwrap();
        for (path, expected) in [(&link, "symbolic link"), (&path, "by everybody")] {
            let found = read(path, None);
            assert!(matches!(found, PidFile::Unknown(why) if why.contains(expected)));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
