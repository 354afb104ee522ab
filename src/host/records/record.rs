//! The record of a start: which process was started for which service, and what is known to be left of it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::health::Process;
use crate::host::directories::absolute;
use crate::host::process::{
    FileId, RunningProcess, alive, below, holds_for_writing, process, session_of,
};

/// The key of a record: two inventories may have services of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordKey {
    /// The file that declares the service.
    pub(crate) inventory: PathBuf,
    pub(crate) service: String,
    /// The file by which an earlier version has known it, where that is another one.
    #[serde(default)]
    legacy_inventory: Option<PathBuf>,
}

/// A service that was started here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) service: String,
    /// The file that declares the service, absolute.
    pub(crate) inventory: PathBuf,
    /// The process that was started; it may have ended since.
    #[serde(with = "Numbers")]
    pub(crate) process: Process,
    /// The boot of the machine that its kernel start counts from.
    pub(crate) boot: String,
    /// When it was started, RFC 3339, UTC.
    pub(crate) started_at: Timestamp,
    /// The fingerprint of the `start` entry that it was started by.
    pub(crate) entry: String,
    /// The command as it is shown.
    pub(crate) command: Vec<String>,
    /// The file that has its output, absolute.
    pub(crate) log: PathBuf,
    /// The length of that file, in bytes, when it was started.
    pub(crate) log_offset: u64,
    /// The device and inode of that file, where it is a regular one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_file: Option<FileId>,
    /// The keeper below which it runs, which leads its session; `None` where an earlier version has started it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "keeper")]
    pub(crate) keeper: Option<Process>,
    /// The pid namespace that its pids belong to: the inode of `/proc/PID/ns/pid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid_namespace: Option<u64>,
    /// Processes that have left its session, and were seen below the keeper to listen at its address.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "processes")]
    pub(crate) descendants: Vec<Process>,
    /// The fingerprint of its sources when it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sources: Option<String>,
    /// Set once the service was seen ready after this start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ready: bool,
}

/// Processes by which a later run knows them again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProcessList {
    boot: String,
    pid_namespace: Option<u64>,
    #[serde(with = "processes")]
    processes: Vec<Process>,
}

/// [`Process`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Process")]
struct Numbers {
    pid: u32,
    start_ticks: u64,
}

/// A process as a value of its own.
#[derive(Serialize, Deserialize)]
struct Written(#[serde(with = "Numbers")] Process);

/// How several processes are written.
mod processes {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::health::Process;
    use crate::host::records::record::Written;

    pub(super) fn serialize<S: Serializer>(all: &[Process], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(all.iter().map(|one| Written(*one)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Process>, D::Error> {
        let all = Vec::<Written>::deserialize(from)?;
        Ok(all.into_iter().map(|one| one.0).collect())
    }
}

/// How the keeper is written.
mod keeper {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::health::Process;
    use crate::host::records::record::Written;

    #[expect(clippy::ref_option, reason = "serde passes the field")]
    pub(super) fn serialize<S: Serializer>(
        one: &Option<Process>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        one.map(Written).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Process>, D::Error> {
        Ok(Option::<Written>::deserialize(from)?.map(|one| one.0))
    }
}

impl RecordKey {
    pub(crate) fn new(inventory: &Path, service: &str) -> Self {
        Self {
            inventory: inventory.to_owned(),
            service: service.to_owned(),
            legacy_inventory: None,
        }
    }

    /// Returns the file that declares the service.
    pub(crate) fn inventory(&self) -> &Path {
        &self.inventory
    }

    /// The same key, by which files are found as well that earlier versions have written: these took the first file of an
    /// inventory for the key of all its services.
    pub(crate) fn with_legacy_inventory(mut self, first: &Path) -> Self {
        self.legacy_inventory = (first != self.inventory).then(|| first.to_owned());
        self
    }

    /// The key by which an earlier version has known it.
    pub(in crate::host) fn earlier(&self) -> Option<Self> {
        let first = self.legacy_inventory.as_ref()?;
        Some(Self::new(first, &self.service))
    }

    /// Makes its paths absolute, for a process in another directory.
    pub(in crate::host) fn make_absolute(&mut self) -> io::Result<()> {
        self.inventory = std::path::absolute(&self.inventory)?;
        if let Some(first) = &mut self.legacy_inventory {
            *first = std::path::absolute(&*first)?;
        }
        Ok(())
    }

    /// Returns the name of its files: readable, and different for the same service of another inventory.
    pub(in crate::host) fn file_name(&self) -> String {
        let path = absolute(&self.inventory);
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let bytes = digest.iter().take(8);
        let number = bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{}-{number:016x}", self.service)
    }
}

impl ProcessList {
    pub(super) fn of(processes: &[Process]) -> Self {
        Self {
            boot: boot(),
            pid_namespace: pid_namespace(),
            processes: processes.to_vec(),
        }
    }

    /// Returns those of the processes that still run.
    pub(super) fn running(&self) -> Vec<Process> {
        let all = self.processes.iter().copied();
        let is_here = are_of_this_boot(&self.boot, self.pid_namespace);
        all.filter(|one| is_here && alive(*one) != Some(false))
            .collect()
    }
}

/// Returns whether the pids of a file mean here what they meant when it was written.
fn are_of_this_boot(boot_then: &str, namespace: Option<u64>) -> bool {
    boot_then == boot() && namespace.is_none_or(|it| pid_namespace() == Some(it))
}

impl Record {
    /// Makes a record of this process.
    pub(crate) fn new(key: &RecordKey, process: Process) -> Self {
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
            log_file: None,
            keeper: None,
            pid_namespace: pid_namespace(),
            descendants: Vec::new(),
            sources: None,
            ready: false,
        }
    }

    /// Returns whether its pids mean here what they meant when it was written.
    pub(in crate::host) fn is_of_this_boot(&self) -> bool {
        are_of_this_boot(&self.boot, self.pid_namespace)
    }

    /// Returns the recorded process, where it still runs.
    pub(in crate::host) fn still_runs(&self, recorded: Process) -> Option<RunningProcess> {
        let running = process(recorded.pid).filter(|running| running.process == recorded);
        running.filter(|_| self.is_of_this_boot())
    }

    /// Returns whether the process that was started may still run: one that `/proc` hides is not known to have ended.
    pub(crate) fn may_run(&self) -> bool {
        self.is_of_this_boot() && alive(self.process) != Some(false)
    }

    /// Returns the process that was started, where it still runs.
    pub(crate) fn leader(&self) -> Option<RunningProcess> {
        self.still_runs(self.process)
    }

    /// Returns the process that was started, where it still runs; else the first that it has left behind.
    pub(crate) fn running(&self) -> Option<RunningProcess> {
        self.leader()
            .or_else(|| self.session(false).into_iter().next())
    }

    /// Returns the keeper, where it still runs.
    pub(crate) fn live_keeper(&self) -> Option<Process> {
        Some(self.still_runs(self.keeper?)?.process)
    }

    /// Returns all that runs below the keeper; nothing where the keeper has ended.
    pub(crate) fn below_keeper(&self) -> Vec<RunningProcess> {
        self.live_keeper().map_or_else(Vec::new, below)
    }

    /// Returns what else of it runs: the members of the session that was made for it, without its own process and the keeper,
    /// and the recorded descendants that have left that session.
    ///
    /// A session is known by a pid, and a pid alone proves nothing. So while neither the keeper runs nor the process was
    /// `seen` to run a moment ago, a member has to hold the recorded log open for writing, as the process did.
    pub(crate) fn session(&self, seen: bool) -> Vec<RunningProcess> {
        if !self.is_of_this_boot() {
            return Vec::new();
        }
        let first = self.keeper.unwrap_or(self.process);
        let pid_was_reused = process(first.pid).is_some_and(|running| running.process != first);
        let mut members = if pid_was_reused {
            Vec::new()
        } else {
            session_of(first)
        };
        members.retain(|member| member.process != self.process);
        if !seen && self.live_keeper().is_none() {
            let log = self.log_file.or_else(|| file_id(&self.log));
            let is_ours = |member: &RunningProcess| {
                log.is_some_and(|log| holds_for_writing(member.process, log))
            };
            members.retain(is_ours);
        }
        let descendants = self.descendants.iter();
        for one in descendants.filter_map(|one| self.still_runs(*one)) {
            if one.process != self.process && !members.contains(&one) {
                members.push(one);
            }
        }
        members
    }
}

/// Returns the device and inode of a file, where it is a regular one.
pub(in crate::host) fn file_id(path: &Path) -> Option<FileId> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino()))
}

/// Returns the pid namespace of this process.
fn pid_namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

/// Returns the id of this boot; empty where the system does not tell, as then no process is known either.
pub(super) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}
