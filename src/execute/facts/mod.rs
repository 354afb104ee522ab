//! The facts of a service's processes, gathered in one place: the record of its start, its pid file, the owners of its
//! listening socket. [`ServiceFacts`] adds what its address and its own answers tell.
//!
//! Must not decide what is done about them.

mod command_line;
mod identity;
mod owners;
mod service;

use std::collections::BTreeSet;
use std::path::Path;

use crate::health::Process;
use crate::host::pid_file::{self, PidFile};
use crate::host::records::Record;
use crate::host::{Owners, RunningProcess, ancestors, command_line, one_of_a_pool};
use crate::inventory::Service;

pub(super) use command_line::{shown, start_command};
pub(super) use identity::{IdentityAnswer, IdentityQuestion};
pub(super) use owners::{KnownOwners, merge_owners, owners_cached};
pub(super) use service::{ServiceFacts, StoredState, find_owners};

/// All that is known of the processes of a service, but for what it says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct ProcessFacts {
    /// The record of its start, where it was started here, whether the process still runs or not.
    pub(super) record: Option<Record>,
    /// Set where the recorded process itself was seen to run.
    pub(super) leader_seen: bool,
    /// The content of its pid file; `None` where the inventory names none.
    pub(super) pid_file: Option<PidFile>,
    /// The owners of its listening socket; `None` where it does not listen on this machine.
    pub(super) owners: Option<Owners>,
}

impl ProcessFacts {
    /// Reads the pid file of the service. Blocks. The owners of the socket are searched for all services at once, later.
    pub(super) fn read(service: &Service, record: Option<Record>) -> Self {
        Self {
            leader_seen: record.as_ref().is_some_and(|one| one.leader().is_some()),
            record,
            pid_file: service.pid_file.as_deref().map(pid_file::read),
            owners: None,
        }
    }

    /// The process that was started here, where it still runs; else the first that it has left in its session.
    pub(super) fn recorded(&self) -> Option<RunningProcess> {
        self.record.as_ref().and_then(Record::running)
    }

    /// The process that the pid file proves to be the service's.
    pub(super) fn in_pid_file(&self) -> Option<&RunningProcess> {
        match &self.pid_file {
            Some(PidFile::Proved(running)) => Some(running),
            _ => None,
        }
    }

    /// The process that is proved to be the service's own whoever listens.
    pub(super) fn proved(&self) -> Option<RunningProcess> {
        self.recorded().or_else(|| self.in_pid_file().cloned())
    }

    /// The processes that own its listening socket.
    pub(super) fn owning(&self) -> &[RunningProcess] {
        self.owners.as_ref().map_or(&[], Owners::processes)
    }

    /// All processes that own its listening socket, where all of them can be seen.
    pub(super) fn all_owners(&self) -> Option<Vec<Process>> {
        self.owners.as_ref()?.all()
    }

    /// Returns the processes that run in the session that was made for the process on record, without that one.
    pub(super) fn session(&self) -> Vec<RunningProcess> {
        let record = self.record.as_ref();
        record.map_or_else(Vec::new, |record| record.session(self.leader_seen))
    }

    /// Every process that is known to be the service's own, each once, the one to signal first in front.
    pub(super) fn all(&self) -> Vec<RunningProcess> {
        let mut all: Vec<RunningProcess> = Vec::new();
        let known = self.recorded().into_iter();
        let known = known.chain(self.in_pid_file().cloned());
        for one in known.chain(self.owning().iter().cloned()) {
            if !all.iter().any(|other| other.process == one.process) {
                all.push(one);
            }
        }
        all
    }

    /// Names both, where two processes listen that are no pool of workers and do not all come from `proved`.
    pub(super) fn split(&self, proved: Option<&RunningProcess>) -> Option<String> {
        let heads = heads(self.owning());
        let [first, .., last] = heads.as_slice() else {
            return None;
        };
        let come_from = |proved: &RunningProcess| {
            let is_below = |one: &RunningProcess| {
                one.process == proved.process || ancestors(one.process).contains(&proved.process)
            };
            heads.iter().all(is_below)
        };
        if proved.is_some_and(come_from)
            || (heads.iter().all(one_of_a_pool) && first.parent == last.parent)
        {
            return None;
        }
        let names: Vec<String> = heads.iter().map(name).collect();
        Some(format!(
            "{} listen at its address independently of each other",
            names.join(" and ")
        ))
    }

    /// Says why the processes that listen at the address are not the service's, where something contradicts it.
    /// `recorded` is the process that was started here, where it still runs.
    pub(super) fn foreign(
        &self,
        service: &Service,
        recorded: Option<&RunningProcess>,
    ) -> Option<String> {
        let owners = self.owning();
        let names: Vec<String> = owners.iter().map(name).collect();
        let listening = format!("{} listens at its address", names.join(", "));
        let in_pid_file = self.in_pid_file();
        // Either may be out of date, so one that fits is enough.
        let mut own = recorded.into_iter().chain(in_pid_file);
        if owners.is_empty() || own.any(|one| belongs(one.process, owners)) {
            return None;
        }
        if let Some(started) = recorded {
            let started = name(started);
            return Some(format!("{listening}, but healthctl has started {started}"));
        }
        if let Some(proved) = in_pid_file {
            let file = service.pid_file.as_deref().unwrap_or(Path::new(""));
            let (file, proved) = (file.display(), name(proved));
            return Some(format!("{listening}, but {file} names {proved}"));
        }
        // What a supervisor runs need not look like the command that tells it to.
        let start = service.start.as_ref().filter(|_| !service.supervised)?;
        let lines: Vec<_> = owners.iter().map(|one| command_line(one.process)).collect();
        let is_unlike = |line: &Option<_>| {
            line.as_ref().is_some_and(|line| {
                !command_line::is_like(&start.exec.command, &start.exec.cwd, line)
            })
        };
        lines.iter().all(is_unlike).then(|| {
            let directories = lines.iter().flatten().filter_map(|line| line.cwd.as_ref());
            let directories: BTreeSet<String> =
                directories.map(|cwd| cwd.display().to_string()).collect();
            let directories: Vec<String> = directories.into_iter().collect();
            let lead = if directories.is_empty() { "" } else { " in " };
            let from = format!("{lead}{}", directories.join(" and "));
            let command = start_command(service).unwrap_or_default();
            format!("{listening}{from} and does not come from its start command, {command}")
        })
    }
}

/// Returns pid and name: `pid 4711 (api)`.
pub(super) fn name(running: &RunningProcess) -> String {
    format!("pid {} ({})", running.process.pid, running.name)
}

/// `pid 4711 (api), pid 4712 (api)`
pub(super) fn names<'a>(processes: impl IntoIterator<Item = &'a RunningProcess>) -> String {
    let names: Vec<String> = processes.into_iter().map(name).collect();
    names.join(", ")
}

/// Returns those of the processes that no other of them has started: a master, not its workers.
pub(super) fn heads(processes: &[RunningProcess]) -> Vec<RunningProcess> {
    if processes.len() < 2 {
        return processes.to_vec();
    }
    let is_head = |one: &&RunningProcess| {
        let above = ancestors(one.process);
        !processes
            .iter()
            .any(|other| other.process != one.process && above.contains(&other.process))
    };
    processes.iter().filter(is_head).cloned().collect()
}

/// Returns whether `process` is one of `family`, has started one of them or was started by one.
pub(super) fn belongs(process: Process, family: &[RunningProcess]) -> bool {
    let above = ancestors(process);
    family.iter().any(|one| {
        one.process == process
            || above.contains(&one.process)
            || ancestors(one.process).contains(&process)
    })
}
