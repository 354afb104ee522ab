//! What we have started and who acts on a service just now: one record and one lock file for each service, in the
//! user's state directory.
//!
//! A record names a process by its pid, its kernel start and the boot of the machine, so that it never stands for
//! another one that was given the same pid. Must not start, end or judge anything.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::process::{Running, process, session_of, writes_to};
use crate::health::Process;
use crate::text;

/// No record and no note of a lock is longer.
const LONGEST: u64 = 1024 * 1024;

/// Names the record of a service: two inventories may have services of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The first file of its inventory.
    pub(crate) inventory: PathBuf,
    /// Its name.
    pub(crate) service: String,
}

/// A service that we have started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its name.
    pub(crate) service: String,
    /// The first file of its inventory, absolute.
    pub(crate) inventory: PathBuf,
    /// The process; it may have ended since.
    #[serde(with = "Numbers")]
    pub(crate) process: Process,
    /// The boot of the machine that its kernel start counts from.
    pub(crate) boot: String,
    /// When it was started, RFC 3339, UTC.
    pub(crate) started_at: Timestamp,
    /// The fingerprint of the `start` entry that it was started by.
    pub(crate) entry: String,
    /// Its command, for people.
    pub(crate) command: Vec<String>,
    /// Where its output goes, absolute.
    pub(crate) log: PathBuf,
    /// The length of that file, in bytes, when it was started.
    pub(crate) log_offset: u64,
}

/// [`Process`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Process")]
struct Numbers {
    pid: u32,
    start_ticks: u64,
}

/// Who acts on a service, as its lock file tells it to others.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    doing: String,
    since: Timestamp,
}

/// Nobody else acts on a service while this is held. It ends with its process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// Why a record or a lock cannot be had. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// It is there and cannot be read, or cannot be written.
    #[error("{} cannot be {what}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// `read`, `written` or `removed`.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// Another process acts on the service.
    #[error("another healthctl acts on it{0}")]
    Busy(String),
}

/// The records of a user.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    directory: PathBuf,
}

impl Key {
    /// A name for its files: readable, and different for the same service of another inventory.
    fn file_name(&self) -> String {
        let path = absolute(&self.inventory);
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let number = digest
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{}-{number:016x}", self.service)
    }
}

impl Record {
    /// A record of this process.
    pub(crate) fn new(key: &Key, process: Process) -> Self {
        Self {
            service: key.service.clone(),
            inventory: absolute(&key.inventory),
            process,
            boot: boot(),
            started_at: Timestamp::now(),
            entry: String::new(),
            command: Vec::new(),
            log: PathBuf::new(),
            log_offset: 0,
        }
    }

    /// The very process that was started, where that still runs.
    pub(crate) fn leader(&self) -> Option<Running> {
        let running = process(self.process.pid).filter(|running| running.process == self.process);
        running.filter(|_| self.boot == boot())
    }

    /// Its process, where that still runs; else the first of what it has left in its session.
    pub(crate) fn running(&self) -> Option<Running> {
        self.leader()
            .or_else(|| self.session(false).into_iter().next())
    }

    /// What else runs in the session that its process has begun. A session is known by a pid, and by that alone nobody
    /// is told: unless the process was `seen` to run a moment ago, one of the members has to write to its log, as it
    /// did.
    pub(crate) fn session(&self, seen: bool) -> Vec<Running> {
        let given_out = || {
            let running = process(self.process.pid);
            running.is_some_and(|running| running.process != self.process)
        };
        if self.boot != boot() || given_out() {
            return Vec::new();
        }
        let members = session_of(self.process);
        let is_ours = |member: &Running| writes_to(member.process, &self.log);
        if seen || members.iter().any(is_ours) {
            members
        } else {
            Vec::new()
        }
    }
}

impl Records {
    /// Those in this state directory.
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            directory: state.to_owned(),
        }
    }

    /// The state directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the records stand in it.
    pub(super) fn services(&self) -> PathBuf {
        self.directory.join(SERVICES)
    }

    /// The record of a service, where we have started it.
    ///
    /// # Errors
    /// It cannot be read, or is no record.
    pub(crate) fn read(&self, key: &Key) -> Result<Option<Record>, RecordError> {
        read(&self.path(key, "json"))
    }

    /// The records of an inventory of which something still runs, with that, in the order of their names. One that cannot
    /// be read is told in its place.
    pub(crate) fn of_inventory(
        &self,
        inventory: &Path,
    ) -> Vec<Result<(Record, Running), RecordError>> {
        let wanted = absolute(inventory);
        let entries = fs::read_dir(self.services());
        let mut paths: Vec<PathBuf> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|it| it == "json"))
            .collect();
        paths.sort();
        let records = paths.iter().filter_map(|path| read(path).transpose());
        records
            .filter_map(|record| match record {
                Ok(record) if record.inventory != wanted => None,
                Ok(record) => {
                    let running = record.running()?;
                    Some(Ok((record, running)))
                }
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    /// Notes that somebody wants the service to be down, so that nothing starts it again by itself.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn put_down(&self, key: &Key) -> Result<(), RecordError> {
        let path = self.path(key, DOWN);
        let put = || {
            self.make(SERVICES)?;
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
        };
        put().map(drop).map_err(|error| RecordError::File {
            path: path.clone(),
            what: "written",
            error,
        })
    }

    /// When somebody has put the service down, where nobody has started it by us since.
    pub(crate) fn down_since(&self, key: &Key) -> Option<Timestamp> {
        let metadata = fs::metadata(self.path(key, DOWN)).ok()?;
        Timestamp::try_from(metadata.modified().ok()?).ok()
    }

    /// Notes that somebody wants the service to run.
    ///
    /// # Errors
    /// The note that it is to be down cannot be removed.
    pub(crate) fn lift(&self, key: &Key) -> Result<(), RecordError> {
        remove(self.path(key, DOWN))
    }

    /// Keeps a record in place of the one before: all of it, or nothing.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, key: &Key, record: &Record) -> Result<(), RecordError> {
        let path = self.path(key, "json");
        let unwritable = |error| RecordError::File {
            path: path.clone(),
            what: "written",
            error,
        };
        self.make(SERVICES).map_err(unwritable)?;
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(&serde_json::to_vec_pretty(record)?)?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|error| {
            // What is left of it says nothing that is not told.
            let _ = fs::remove_file(&fresh);
            unwritable(error)
        })
    }

    /// Removes a record.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub(crate) fn forget(&self, key: &Key) -> Result<(), RecordError> {
        remove(self.path(key, "json"))
    }

    /// Where the output of a service goes that names no file.
    pub(crate) fn default_log(&self, key: &Key) -> PathBuf {
        let name = format!("{}.log", key.file_name());
        self.directory.join(LOGS).join(name)
    }

    /// Makes the directory of these logs, which only their owner may read.
    pub(super) fn make_logs(&self) -> Result<(), RecordError> {
        self.make(LOGS).map_err(|error| RecordError::File {
            path: self.directory.join(LOGS),
            what: "written",
            error,
        })
    }

    /// Lets nobody else act on the service. `doing` is what others are told meanwhile: `restart api`.
    ///
    /// # Errors
    /// Another process acts on it, or the lock file cannot be written.
    pub(crate) fn lock(&self, key: &Key, doing: &str) -> Result<Lock, RecordError> {
        let path = self.path(key, "lock");
        let unwritable = |error| RecordError::File {
            path: path.clone(),
            what: "written",
            error,
        };
        self.make(SERVICES).map_err(unwritable)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(RecordError::Busy(owner(&mut file))),
            Err(errno) => return Err(unwritable(errno.into())),
        }
        let owner = Owner {
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

    /// Lets nobody else start the service until the file that this gives is closed; waits for whoever does just now,
    /// which takes no longer than a program takes to be run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn starting(&self, key: &Key) -> Result<File, RecordError> {
        let path = self.path(key, "start");
        let lock = || {
            self.make(SERVICES)?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        lock().map_err(|error| RecordError::File {
            path: path.clone(),
            what: "written",
            error,
        })
    }

    fn path(&self, key: &Key, extension: &str) -> PathBuf {
        let name = format!("{}.{extension}", key.file_name());
        self.services().join(name)
    }

    fn make(&self, folder: &str) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory.join(folder))
    }
}

/// Where the records stand in the state directory.
const SERVICES: &str = "services";
/// Where logs stand that the inventory names no place for.
const LOGS: &str = "logs";

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock itself is what counts; the note only says whose it was.
        let _ = self.0.set_len(0);
        // A child of ours that has not run its program yet has the file as well, so closing it is not enough.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// The end of the name of the file that says that a service is to be down.
const DOWN: &str = "down";

fn remove(path: PathBuf) -> Result<(), RecordError> {
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::File {
            path,
            what: "removed",
            error,
        }),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<Option<Record>, RecordError> {
    let unreadable = |error| RecordError::File {
        path: path.to_owned(),
        what: "read",
        error,
    };
    let file = match File::open(path) {
        // Where there can be no file there is no record.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        opened => opened.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let record = serde_json::from_slice(&bytes).map_err(|error| {
        unreadable(io::Error::other(format!(
            "{error}; remove it when the service has ended"
        )))
    })?;
    Ok(Some(record))
}

/// `: pid 4711, restart api, since 10:00:00Z`, as far as the other one has told.
fn owner(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let told = file
        .rewind()
        .and_then(|()| file.take(LONGEST).read_to_end(&mut bytes))
        .ok()
        .and_then(|_| serde_json::from_slice::<Owner>(&bytes).ok());
    told.map_or_else(String::new, |owner| {
        let doing = text::clean(&owner.doing, 100);
        format!(": pid {}, `{doing}`, since {:.0}", owner.pid, owner.since)
    })
}

/// The same path from wherever the same file is named.
fn absolute(path: &Path) -> PathBuf {
    let plain = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    fs::canonicalize(path).unwrap_or_else(|_| plain())
}

/// Names this boot of the machine; empty where the system does not tell, as then no process is known either.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
