//! How started services have ended: one file for each start, in which the keeper writes the exit of the process that the
//! file names.
//!
//! The file holds a JSON value on each line: the start, and what became of it since. Lines are only ever appended, each by
//! one write, so that nobody waits for anybody, and whoever is killed leaves whole lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LONGEST, Record, RecordError, RecordKey, Records, boot};
use crate::health::Process;

/// The directory of the starts in the state directory; each service has a directory of its own in it.
const STARTS: &str = "starts";
/// The version of the files.
const VERSION: u32 = 1;
/// The time after which the end of a process that was asked to end is one by itself.
const ASKED: Duration = Duration::from_secs(5 * 60);
/// The time for which an exit is recent, and its file is kept.
const RECENT: Duration = Duration::from_secs(60 * 60);

/// How a started process has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExitRecord {
    pub(crate) process: Process,
    /// The exit code, unless a signal has ended it.
    pub(crate) code: Option<i32>,
    /// The number of the signal that has ended it.
    pub(crate) signal: Option<i32>,
    /// When it has ended, UTC.
    pub(crate) at: Timestamp,
    /// When it was started, UTC.
    pub(crate) started_at: Timestamp,
    /// Set where healthctl had asked it to end.
    pub(crate) asked: bool,
    /// The file that has its output, and the part of it, in bytes, that was written while it ran.
    pub(crate) log: PathBuf,
    pub(crate) written: std::ops::Range<u64>,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct StartHeader {
    version: u32,
    pid: u32,
    start_ticks: u64,
    boot: String,
    started_at: Timestamp,
    log: PathBuf,
    log_offset: u64,
}

/// A line behind the first one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StartEvent {
    /// Healthctl asked the process to end.
    Asked { at: Timestamp },
    /// The process has ended, or one that it had left behind.
    Exited {
        pid: u32,
        start_ticks: u64,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// The length of its log then.
        log_length: u64,
    },
}

/// What a file tells.
#[derive(Debug)]
struct StartFile {
    start: StartHeader,
    events: Vec<StartEvent>,
}

impl ExitRecord {
    /// Returns the status as shells and `start.success_codes` have it: 128 and the number for a signal.
    pub(crate) fn status(&self) -> i32 {
        self.code
            .or(self.signal.map(|signal| 128 + signal))
            .unwrap_or(-1)
    }

    /// Returns the status in words: `exit status: 1`, `signal: 9 (SIGKILL)`.
    pub(crate) fn how(&self) -> String {
        let raw = self.signal.or(self.code.map(|code| code << 8));
        raw.map_or_else(
            || "its status is not known".to_owned(),
            |raw| ExitStatus::from_raw(raw).to_string(),
        )
    }
}

impl Records {
    /// Returns the directory with the starts of a service.
    pub(in crate::host) fn starts(&self, key: &RecordKey) -> PathBuf {
        self.directory.join(STARTS).join(key.file_name())
    }

    /// Begins the file of the start of the recorded process, and removes those that are no longer recent.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn note_start(&self, key: &RecordKey, record: &Record) -> Result<(), RecordError> {
        let directory = self.starts(key);
        let path = file(&directory, record.process);
        let line = StartHeader {
            version: VERSION,
            pid: record.process.pid,
            start_ticks: record.process.start_ticks,
            boot: record.boot.clone(),
            started_at: record.started_at,
            log: record.log.clone(),
            log_offset: record.log_offset,
        };
        let write = || {
            let folder = Path::new(STARTS).join(key.file_name());
            self.make(&folder)?;
            remove_old(&directory);
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            write_line(&mut file, &line)
        };
        write().map_err(RecordError::of(&path, "written"))
    }

    /// Removes the file of a start that did not come about.
    pub(in crate::host) fn forget_start(&self, key: &RecordKey, process: Process) {
        // It is not missed, and it is removed when it is old.
        let _ = fs::remove_file(file(&self.starts(key), process));
    }

    /// Notes that healthctl asks the service to end: the process of each of its recent starts, and what these have left behind.
    pub(crate) fn note_asked(&self, key: &RecordKey) {
        let event = StartEvent::Asked {
            at: Timestamp::now(),
        };
        // What a process that has ended well by itself has left behind may still run.
        let may_run = |path: &PathBuf| {
            let exit = read(path).and_then(|start| start.exit());
            exit.is_none_or(|exit| exit.code == Some(0) && !exit.asked)
        };
        for path in files(&self.starts(key)).filter(may_run) {
            // Without the note its end counts as one by itself, which is told and changes nothing.
            let _ = append(&path, &event);
        }
    }

    /// Returns how the process of a start has ended; `None` while it runs, and where nobody has seen its end.
    pub(crate) fn exit_of(&self, key: &RecordKey, process: Process) -> Option<ExitRecord> {
        read(&file(&self.starts(key), process))?.exit()
    }

    /// Returns how the process on record has ended. The service itself has ended only where none of its descendants listens
    /// at its address either.
    pub(crate) fn exit(&self, key: &RecordKey) -> Option<ExitRecord> {
        let record = self.read(key).ok()??;
        self.exit_of(key, record.process)
    }

    /// Returns how the processes of the service have ended in the last hour, the first one first.
    pub(crate) fn recent_exits(&self, key: &RecordKey) -> Vec<ExitRecord> {
        let now = Timestamp::now();
        let is_recent = |exit: &ExitRecord| now.duration_since(exit.at).unsigned_abs() <= RECENT;
        let mut exits: Vec<ExitRecord> = files(&self.starts(key))
            .filter_map(|path| read(&path)?.exit())
            .filter(is_recent)
            .collect();
        exits.sort_by_key(|exit| exit.at);
        exits
    }
}

/// Writes how the process with this pid has ended into the file of its start, where `files` has one. They have to be those
/// that were there before it was waited for: since then another process may have its pid. Returns whether one has it.
pub(in crate::host) fn note_exit(files: &[PathBuf], pid: u32, status: ExitStatus) -> bool {
    let open = of_pid(files, pid).filter_map(|path| Some((path, read(path)?)));
    let open = open.filter(|(_, it)| it.exit().is_none());
    // An earlier process with this pid, whose keeper was killed, may have left its file open.
    let newest = open.max_by_key(|(_, it)| it.start.start_ticks);
    if let Some((path, start)) = &newest {
        let process = Process {
            pid,
            start_ticks: start.start.start_ticks,
        };
        start.append_exit(path, process, status);
    }
    newest.is_some()
}

/// Writes how a process has ended that the one with the pid `of` has left behind, into the file of that one's start.
pub(in crate::host) fn note_orphan_exit(
    files: &[PathBuf],
    of: u32,
    orphan: Process,
    status: ExitStatus,
) {
    let mut ended = of_pid(files, of).filter_map(|path| Some((path, read(path)?)));
    if let Some((path, start)) = ended.find(|(_, start)| start.exit().is_some()) {
        start.append_exit(path, orphan, status);
    }
}

fn of_pid(files: &[PathBuf], pid: u32) -> impl Iterator<Item = &PathBuf> {
    let beginning = format!("{pid}-");
    files.iter().filter(move |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&beginning))
    })
}

/// Returns the files of the starts in this directory.
pub(in crate::host) fn start_files(starts: &Path) -> Vec<PathBuf> {
    files(starts).collect()
}

impl StartFile {
    fn append_exit(&self, path: &Path, process: Process, status: ExitStatus) {
        let log = fs::metadata(&self.start.log);
        let event = StartEvent::Exited {
            pid: process.pid,
            start_ticks: process.start_ticks,
            at: Timestamp::now(),
            code: status.code(),
            signal: status.signal(),
            log_length: log.map_or(0, |metadata| metadata.len()),
        };
        // There is nobody to tell that it cannot be written.
        let _ = append(path, &event);
    }

    /// Returns how the process has ended; where that was no failure, how those have that it has left behind: the first one
    /// that has failed, else the last one.
    fn exit(&self) -> Option<ExitRecord> {
        let (mut asked, mut found) = (None, None::<ExitRecord>);
        for event in &self.events {
            let (pid, start_ticks, at, code, signal, log_length) = match *event {
                StartEvent::Asked { at } => {
                    asked = Some(at);
                    continue;
                }
                StartEvent::Exited {
                    pid,
                    start_ticks,
                    at,
                    code,
                    signal,
                    log_length,
                } => (pid, start_ticks, at, code, signal, log_length),
            };
            if found.as_ref().is_some_and(|exit| exit.code != Some(0)) {
                break;
            }
            found = Some(ExitRecord {
                process: Process { pid, start_ticks },
                code,
                signal,
                at,
                started_at: self.start.started_at,
                // Whoever was asked long ago and went on has not ended for that.
                asked: asked.is_some_and(|asked| at.duration_since(asked).unsigned_abs() <= ASKED),
                log: self.start.log.clone(),
                written: self.start.log_offset..log_length,
            });
        }
        found
    }
}

fn file(starts: &Path, process: Process) -> PathBuf {
    starts.join(format!("{}-{}.jsonl", process.pid, process.start_ticks))
}

fn files(starts: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(starts).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
}

/// Removes the files that were last written to before anything that is recent.
fn remove_old(starts: &Path) {
    let is_old = |path: &PathBuf| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age > RECENT)
    };
    for path in files(starts).filter(is_old) {
        let _ = fs::remove_file(path);
    }
}

/// Reads a file of this boot. Lines that a later version has added are passed over.
fn read(path: &Path) -> Option<StartFile> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(LONGEST)
        .read_to_string(&mut text)
        .ok()?;
    let mut lines = text.lines();
    let start: StartHeader = serde_json::from_str(lines.next()?).ok()?;
    (start.boot == boot()).then(|| StartFile {
        start,
        events: lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    })
}

fn append(path: &Path, event: &StartEvent) -> io::Result<()> {
    // Never created here: without the first line it would be nobody's.
    let mut file = OpenOptions::new().append(true).open(path)?;
    write_line(&mut file, event)
}

fn write_line(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: Process = Process {
        pid: 4711,
        start_ticks: 7,
    };

    fn started(records: &Records, key: &RecordKey, process: Process) {
        let record = Record {
            log: PathBuf::from("/nowhere/log"),
            ..Record::new(key, process)
        };
        records.write(key, &record).unwrap();
        records.note_start(key, &record).unwrap();
    }

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn an_exit_is_written_into_the_file_of_its_start_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        let key = RecordKey::new(home.path(), "api");
        let starts = records.starts(&key);
        note_exit(&start_files(&starts), PROCESS.pid, exited(1));
        assert_eq!(records.exit(&key), None);
        started(&records, &key, PROCESS);
        assert_eq!(records.exit(&key), None);
        note_exit(&start_files(&starts), 471, exited(1));
        assert_eq!(records.exit(&key), None, "another pid");
        note_exit(&start_files(&starts), PROCESS.pid, exited(3));
        let exit = records.exit(&key).unwrap();
        assert_eq!((exit.process, exit.status()), (PROCESS, 3));
        assert_eq!(exit.how(), "exit status: 3");
        assert!(!exit.asked);
        // The next one with the same pid.
        let next = Process {
            start_ticks: 8,
            ..PROCESS
        };
        started(&records, &key, next);
        assert_eq!(records.exit(&key), None);
        records.note_asked(&key);
        note_exit(&start_files(&starts), next.pid, ExitStatus::from_raw(15));
        let exit = records.exit(&key).unwrap();
        assert_eq!((exit.process, exit.status()), (next, 143));
        assert_eq!(exit.how(), "signal: 15 (SIGTERM)");
        assert!(exit.asked);
        let recent = records.recent_exits(&key);
        let statuses: Vec<i32> = recent.iter().map(ExitRecord::status).collect();
        assert_eq!(statuses, [3, 143]);
    }

    #[test]
    fn who_was_left_behind_ends_for_one_that_has_ended_well() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        let key = RecordKey::new(home.path(), "api");
        let orphan = |pid| Process {
            pid,
            start_ticks: 9,
        };
        for (own, orphans, expected) in [
            (0, &[][..], (4711, 0)),
            (0, &[(7, 0)], (7, 0)),
            (0, &[(7, 0), (8, 3), (9, 0)], (8, 3)),
            (1, &[(7, 3)], (4711, 1)),
        ] {
            started(&records, &key, PROCESS);
            let files = start_files(&records.starts(&key));
            note_orphan_exit(&files, PROCESS.pid, orphan(6), exited(9));
            assert!(note_exit(&files, PROCESS.pid, exited(own)));
            assert!(!note_exit(&files, PROCESS.pid, exited(own)));
            for (pid, code) in orphans {
                note_orphan_exit(&files, PROCESS.pid, orphan(*pid), exited(*code));
            }
            let exit = records.exit(&key).unwrap();
            assert_eq!((exit.process.pid, exit.status()), expected);
            assert_eq!(records.recent_exits(&key).len(), 1);
        }
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        let key = RecordKey::new(home.path(), "api");
        started(&records, &key, PROCESS);
        let path = file(&records.starts(&key), PROCESS);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"paused\":{\"at\":\"2026-11-22T10:00:00Z\"}}\n")
            .unwrap();
        note_exit(&start_files(&records.starts(&key)), PROCESS.pid, exited(0));
        assert_eq!(records.exit(&key).unwrap().code, Some(0));
    }

    #[test]
    fn exits_are_forgotten_when_they_are_no_longer_recent() {
        let home = tempfile::tempdir().unwrap();
        let records = Records::new(home.path());
        let key = RecordKey::new(home.path(), "api");
        started(&records, &key, PROCESS);
        let path = file(&records.starts(&key), PROCESS);
        let old = std::time::SystemTime::UNIX_EPOCH;
        let opened = File::options().write(true).open(&path).unwrap();
        opened.set_modified(old).unwrap();
        let next = Process {
            start_ticks: 8,
            ..PROCESS
        };
        started(&records, &key, next);
        assert!(!path.exists());
        records.forget_start(&key, next);
        assert_eq!(files(&records.starts(&key)).count(), 0);
    }
}
