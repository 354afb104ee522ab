//! Records of started services, and locks on services that are acted on: one record and one lock file for each service, in
//! the user's state directory.
//!
//! A record names a process by its pid, its kernel start, the boot of the machine and the pid namespace, so that it never
//! stands for another one that was given the same pid. Must not start, end or judge anything.

mod exits;
mod record;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::directories::absolute;
use super::process::{RunningProcess, session_number};
use crate::health::Process;
use crate::text;

pub(crate) use exits::ExitRecord;
pub(super) use exits::{note_exit, note_orphan_exit, start_files};
pub(super) use record::file_id;
use record::{ProcessList, boot};
pub(crate) use record::{Record, RecordKey};

/// The longest record or lock file, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// The content of a lock file.
#[derive(Debug, Serialize, Deserialize)]
struct LockOwner {
    pid: u32,
    doing: String,
    since: Timestamp,
}

/// A lock on a service. The kernel releases it when the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// Why a record cannot be read or written, or a lock cannot be taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// A file cannot be read, written or removed.
    #[error("{} cannot be {what}: {error}", path.display())]
    File {
        path: PathBuf,
        what: &'static str,
        error: io::Error,
    },
    /// Another process acts on the service.
    #[error("another healthctl acts on it{0}")]
    Busy(String),
}

/// The records and locks of a user.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    directory: PathBuf,
}

/// The directory of the records in the state directory.
const SERVICES: &str = "services";
/// The directory of the logs that the inventory does not name.
const LOGS: &str = "logs";
/// The extension of the file that notes that a service is to be down.
const DOWN: &str = "down";
/// The extension of the file with the processes that the last stop of a service was for.
const STOPPING: &str = "stopping";
/// The extension of the file that notes when a service has read its configuration again.
const RELOADED: &str = "reloaded";

impl Records {
    /// Opens the records in this state directory.
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            directory: state.to_owned(),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the directory of the records.
    pub(super) fn services(&self) -> PathBuf {
        self.directory.join(SERVICES)
    }

    /// Reads the record of a service, where it was started here.
    ///
    /// # Errors
    /// The record cannot be read, or is none.
    pub(crate) fn read(&self, key: &RecordKey) -> Result<Option<Record>, RecordError> {
        match (read(&self.path(key, "json"))?, key.earlier()) {
            (None, Some(earlier)) => self.read(&earlier),
            (record, _) => Ok(record),
        }
    }

    /// Reads the records of the services of these files of which a process still runs, with that process, in the order of their names. The
    /// error of a record that cannot be read stands in its place.
    pub(crate) fn of_inventory(
        &self,
        files: &[PathBuf],
    ) -> Vec<Result<(Record, RunningProcess), RecordError>> {
        let wanted: Vec<PathBuf> = files.iter().map(|file| absolute(file)).collect();
        let paths = self.paths();
        let records = paths
            .iter()
            .filter_map(|path| read::<Record>(path).transpose());
        records
            .filter_map(|record| match record {
                Ok(record) if !wanted.contains(&record.inventory) => None,
                Ok(record) => {
                    let running = record.running()?;
                    Some(Ok((record, running)))
                }
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    /// Reads the records of all inventories, as far as they can be read.
    pub(crate) fn all(&self) -> Vec<Record> {
        let paths = self.paths();
        let records = paths.iter().filter_map(|path| read(path).ok()?);
        records.collect()
    }

    /// Returns the paths of all records, in the order of their names.
    fn paths(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.services());
        let mut paths: Vec<PathBuf> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|it| it == "json"))
            .collect();
        paths.sort();
        paths
    }

    /// Notes that the service is to be down, so that nothing starts it by itself.
    ///
    /// # Errors
    /// The note cannot be written.
    pub(crate) fn mark_stopped(&self, key: &RecordKey) -> Result<(), RecordError> {
        let path = self.path(key, DOWN);
        // The time of the file is the time of the note.
        let note = self.open(&path).and_then(|file| file.set_len(0));
        note.map_err(RecordError::of(&path, "written"))
    }

    /// Returns when the service was noted to be down; `None` where it has been started since.
    pub(crate) fn stopped_since(&self, key: &RecordKey) -> Option<Timestamp> {
        let earlier = key.earlier();
        let keys = [Some(key), earlier.as_ref()].into_iter().flatten();
        let mut notes = keys.filter_map(|key| fs::metadata(self.path(key, DOWN)).ok());
        Timestamp::try_from(notes.next()?.modified().ok()?).ok()
    }

    /// Puts on record the processes that a stop is for, in place of those of the stop before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn note_stopping(
        &self,
        key: &RecordKey,
        processes: &[Process],
    ) -> Result<(), RecordError> {
        self.replace(&self.path(key, STOPPING), &ProcessList::of(processes))
    }

    /// Returns those of the processes of the last stop that still run.
    pub(crate) fn survivors(&self, key: &RecordKey) -> Vec<Process> {
        // A list that cannot be read proves nothing.
        let list = read(&self.path(key, STOPPING));
        list.ok()
            .flatten()
            .map_or_else(Vec::new, |list: ProcessList| list.running())
    }

    /// Notes that the service has read its configuration again, as it was at this time.
    ///
    /// # Errors
    /// The note cannot be written.
    pub(crate) fn mark_reloaded(&self, key: &RecordKey, at: Timestamp) -> Result<(), RecordError> {
        let path = self.path(key, RELOADED);
        let note = self
            .open(&path)
            .and_then(|file| file.set_modified(at.into()));
        note.map_err(RecordError::of(&path, "written"))
    }

    /// Returns the time of the configuration that the service has read again; `None` where it has not.
    pub(crate) fn reloaded_at(&self, key: &RecordKey) -> Option<Timestamp> {
        let note = fs::metadata(self.path(key, RELOADED)).ok()?;
        Timestamp::try_from(note.modified().ok()?).ok()
    }

    /// Notes that the service is to run.
    ///
    /// # Errors
    /// The note that it is to be down cannot be removed.
    pub(crate) fn clear_stopped(&self, key: &RecordKey) -> Result<(), RecordError> {
        self.remove(key, DOWN)
    }

    /// Writes a record in place of the one before: all of it, or nothing.
    ///
    /// # Errors
    /// The record cannot be written.
    pub(crate) fn write(&self, key: &RecordKey, record: &Record) -> Result<(), RecordError> {
        self.replace(&self.path(key, "json"), record)?;
        // The record by the earlier key is out of date; where it cannot be removed, this one is found first.
        if let Some(earlier) = key.earlier() {
            let _ = fs::remove_file(self.path(&earlier, "json"));
        }
        Ok(())
    }

    /// Writes a file in place of the one before: all of it, or nothing.
    fn replace(&self, path: &Path, content: &impl Serialize) -> Result<(), RecordError> {
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let write = || {
            let mut file = self.open(&fresh)?;
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec_pretty(content)?)?;
            fs::rename(&fresh, path)
        };
        write().map_err(|error| {
            // A part of a record says nothing that the error does not.
            let _ = fs::remove_file(&fresh);
            RecordError::of(path, "written")(error)
        })
    }

    /// Changes the record of a process, where it is still the one on record. Others that start the service wait meanwhile.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub(crate) fn update(
        &self,
        key: &RecordKey,
        process: Process,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), RecordError> {
        let _alone = self.starting(key)?;
        let Some(mut record) = self.read(key)?.filter(|it| it.process == process) else {
            return Ok(());
        };
        let before = record.clone();
        change(&mut record);
        if record == before {
            return Ok(());
        }
        self.write(key, &record)
    }

    /// Records those of the processes that have left the session of the service, and run below its keeper all the same.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub(crate) fn add_descendants(
        &self,
        key: &RecordKey,
        processes: &[Process],
    ) -> Result<(), RecordError> {
        let Some(record) = self.read(key)? else {
            return Ok(());
        };
        let Some(keeper) = record.keeper else {
            return Ok(());
        };
        let mut unknown: Vec<Process> = processes.to_vec();
        unknown.retain(|one| {
            let has_left = session_number(*one).is_some_and(|number| number != keeper.pid);
            has_left && *one != record.process && !record.descendants.contains(one)
        });
        if unknown.is_empty() {
            return Ok(());
        }
        let below = record.below_keeper();
        unknown.retain(|one| below.iter().any(|it| it.process == *one));
        self.update(key, record.process, |record| {
            let known = std::mem::take(&mut record.descendants);
            let known = known.into_iter().chain(unknown);
            let running = known.filter(|one| record.still_runs(*one).is_some());
            record.descendants = running.collect();
        })
    }

    /// Removes a record.
    ///
    /// # Errors
    /// The record is there and cannot be removed.
    pub(crate) fn forget(&self, key: &RecordKey) -> Result<(), RecordError> {
        self.remove(key, "json")
    }

    /// Returns the path of the log of a service that names none.
    pub(crate) fn default_log(&self, key: &RecordKey) -> PathBuf {
        let name = format!("{}.log", key.file_name());
        self.directory.join(LOGS).join(name)
    }

    /// Creates the directory of these logs, which only their owner may read.
    pub(super) fn make_logs(&self) -> Result<(), RecordError> {
        let error = RecordError::of(&self.directory.join(LOGS), "written");
        self.make(LOGS).map_err(error)
    }

    /// Locks the service against other runs of healthctl, which are told `doing` (`restart api`) meanwhile.
    ///
    /// # Errors
    /// Another run acts on it, or the lock file cannot be written.
    pub(crate) fn lock(&self, key: &RecordKey, doing: &str) -> Result<Lock, RecordError> {
        let path = self.path(key, "lock");
        let unwritable = RecordError::of(&path, "written");
        let mut file = self.open(&path).map_err(&unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(RecordError::Busy(owner(&mut file))),
            Err(errno) => return Err(unwritable(errno.into())),
        }
        let owner = LockOwner {
            pid: std::process::id(),
            doing: doing.to_owned(),
            since: Timestamp::now(),
        };
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(&owner)?)
        };
        write(&mut file).map_err(unwritable)?;
        Ok(Lock(file))
    }

    /// Keeps others from starting the service until the returned file is closed. Waits for another run that does just now,
    /// which takes no longer than running a program.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn starting(&self, key: &RecordKey) -> Result<File, RecordError> {
        let path = self.path(key, "start");
        let lock = || {
            let file = self.open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        lock().map_err(RecordError::of(&path, "written"))
    }

    /// Removes a file of the service, by whichever key it was written.
    fn remove(&self, key: &RecordKey, extension: &str) -> Result<(), RecordError> {
        if let Some(earlier) = key.earlier() {
            remove(&self.path(&earlier, extension))?;
        }
        remove(&self.path(key, extension))
    }

    fn path(&self, key: &RecordKey, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", key.file_name());
        self.services().join(name)
    }

    /// Opens a file beside the records, which only its owner may read; creates it where it is missing.
    fn open(&self, path: &Path) -> io::Result<File> {
        self.make(SERVICES)?;
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    }

    fn make(&self, folder: impl AsRef<Path>) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory.join(folder))
    }
}

impl RecordError {
    fn of(path: &Path, what: &'static str) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::File {
            path: path.clone(),
            what,
            error,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock itself is what counts; the content only says whose it was.
        let _ = self.0.set_len(0);
        // A child that has not run its program yet has the file as well, so closing it is not enough.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(RecordError::of(path, "removed")(error))
        }
        _ => Ok(()),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let unreadable = RecordError::of(path, "read");
    let file = match File::open(path) {
        // Where there can be no file there is no record.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(None),
        opened => opened.map_err(&unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(&unreadable)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let why = format!("{error}; remove it when the service has ended");
        unreadable(io::Error::other(why))
    })
}

/// Describes the owner of a lock, as far as its file tells: `: pid 4711, restart api, since 10:00:00Z`.
fn owner(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let told = file
        .rewind()
        .and_then(|()| file.take(LONGEST).read_to_end(&mut bytes))
        .ok()
        .and_then(|_| serde_json::from_slice::<LockOwner>(&bytes).ok());
    told.map_or_else(String::new, |owner| {
        let doing = text::clean(&owner.doing, 100);
        format!(": pid {}, `{doing}`, since {:.0}", owner.pid, owner.since)
    })
}

#[cfg(test)]
mod tests;
