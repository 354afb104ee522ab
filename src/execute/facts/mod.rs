//! The facts of a service's processes, gathered in one place: the record of its start, its pid file, the owners of its
//! listening socket, and which of them are decided to be its own. [`ServiceFacts`] adds what its address and its own answers
//! tell.
//!
//! Must not decide what is done about them.

mod command_line;
mod evidence;
mod identity;
mod launchers;
mod others;
mod owners;
mod service;

use evidence::KnownProcesses;

use super::ownership::{Ownership, ProcessProof, decide};
use crate::health::Process;
use crate::host::pid_file::{self, PidFile};
use crate::host::records::Record;
use crate::host::{Endpoint, Owners, RunningProcess, ancestors};
use crate::inventory::Service;

pub(super) use command_line::{shown, start_command};
pub(super) use evidence::Circumstances;
pub(super) use identity::{IdentityAnswer, IdentityQuestion};
pub(super) use launchers::is_shell;
pub(super) use others::{OtherProcesses, OtherServices, StartCommands};
pub(super) use owners::{KnownOwners, merge_owners, owners_cached};
pub(super) use service::{FactsQuestion, ServiceFacts, StoredState, find_owners};

/// All that is known of the processes of a service, but for what it says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct ProcessFacts {
    /// The record of its start, where it was started here, whether the process still runs or not.
    pub(super) record: Option<Record>,
    /// Set where the recorded process itself was seen to run.
    pub(super) leader_seen: bool,
    /// The processes of the last stop that still run: they were put on record then.
    pub(super) survivors: Vec<Process>,
    /// The content of its pid file; `None` where the inventory names none.
    pub(super) pid_file: Option<PidFile>,
    /// The owners of its listening socket; `None` where it does not listen on this machine.
    pub(super) owners: Option<Owners>,
    /// Which of the processes are decided to be its own, once that is decided.
    pub(super) ownership: Ownership,
}

/// Whether the process that listens at a service's address is another program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ForeignFinding {
    /// It is not, as far as anything tells.
    No,
    /// It is: who listens, and what contradicts it.
    Yes(String),
    /// It cannot be told: who listens, and why.
    Unclear(String),
}

impl ProcessFacts {
    /// Reads the pid file of the service. Blocks. The owners of the socket are searched for all services at once, later.
    pub(super) fn read(service: &Service, record: Option<Record>) -> Self {
        let since = record.as_ref().map(|record| record.started_at);
        let recorded = record.as_ref().map(|record| record.process);
        let read = |path| match pid_file::read(path, since) {
            // The file means the process on record, whose pid was given out again since.
            PidFile::Names(named)
                if recorded.is_some_and(|one| {
                    one.pid == named.running.process.pid && one != named.running.process
                }) =>
            {
                PidFile::Exited(named.running.process.pid)
            }
            read => read,
        };
        Self {
            leader_seen: record.as_ref().is_some_and(|one| one.leader().is_some()),
            pid_file: service.pid_file.as_deref().map(read),
            record,
            survivors: Vec::new(),
            owners: None,
            ownership: Ownership::default(),
        }
    }

    /// Decides which processes are the service's own, now that the owners of its socket are known. Blocks.
    pub(super) fn decide(
        &mut self,
        service: &Service,
        endpoints: &[Endpoint],
        other_processes: &OtherProcesses,
        circumstances: Circumstances,
    ) {
        let known = KnownProcesses {
            record: self.record.as_ref(),
            leader_seen: self.leader_seen,
            survivors: &self.survivors,
            pid_file: self.pid_file.as_ref(),
            owners: self.owners.as_ref(),
        };
        let evidence = evidence::gather(service, known, endpoints, other_processes, circumstances);
        self.ownership = decide(&evidence);
    }

    /// The process that was started here, where it still runs; else the first that it has left behind.
    pub(super) fn recorded(&self) -> Option<RunningProcess> {
        self.record.as_ref().and_then(Record::running)
    }

    /// The process that the pid file names, where nothing speaks against it.
    pub(super) fn in_pid_file(&self) -> Option<&RunningProcess> {
        match &self.pid_file {
            Some(PidFile::Names(named)) if named.doubt.is_none() => Some(&named.running),
            _ => None,
        }
    }

    /// The processes that own its listening socket.
    pub(super) fn owning(&self) -> &[RunningProcess] {
        self.owners.as_ref().map_or(&[], Owners::processes)
    }

    /// All processes that own its listening socket, where all of them can be seen.
    pub(super) fn all_owners(&self) -> Option<Vec<Process>> {
        self.owners.as_ref()?.all()
    }

    /// The first of the processes that are decided to be its own, by more than that it listens.
    pub(super) fn leader(&self) -> Option<&RunningProcess> {
        let mut own = self.ownership.own.iter();
        let found = own.find(|one| one.proof != ProcessProof::SoleOwner)?;
        Some(&found.running)
    }

    /// Every process that is known to be the service's own or listens in its place, each once, the one to signal first in
    /// front.
    pub(super) fn all(&self) -> Vec<RunningProcess> {
        let own = self.ownership.own.iter().map(|one| one.running.clone());
        let mut all: Vec<RunningProcess> = own.collect();
        for one in self.owning() {
            if !all.iter().any(|other| other.process == one.process) {
                all.push(one.clone());
            }
        }
        all
    }

    /// Names the listeners that are independent of each other, where there are several and that is not meant.
    pub(super) fn split(&self) -> Option<String> {
        let heads: Vec<String> = self.ownership.split.iter().map(name).collect();
        (!heads.is_empty()).then(|| {
            format!(
                "{} listen at its address independently of each other",
                heads.join(" and ")
            )
        })
    }

    /// Says whether what listens at the address is another program than the service.
    pub(super) fn foreign(&self, service: &Service) -> ForeignFinding {
        let unproven = self.ownership.unproven.iter();
        let strangers: Vec<_> = unproven.filter(|one| one.listens).collect();
        let Some(command) = start_command(service).filter(|_| !service.supervised) else {
            return ForeignFinding::No;
        };
        if let Some(Owners::Unknown(why)) = &self.owners {
            return ForeignFinding::Unclear(why.clone());
        }
        let all_differ = strangers.iter().all(|one| one.differs.is_some());
        if strangers.is_empty() || strangers.len() < self.owning().len() {
            return ForeignFinding::No;
        }
        let who: Vec<String> = strangers.iter().map(|one| one.described()).collect();
        let listening = format!("{} listens at its address", who.join(" and "));
        let why = strangers.first().map_or("", |one| one.why.as_str());
        if all_differ && matches!(self.owners, Some(Owners::All(_))) {
            let differs = strangers[0].differs.unwrap_or_default();
            ForeignFinding::Yes(format!(
                "{listening} and is not its start command, {command}: {differs}"
            ))
        } else {
            ForeignFinding::Unclear(format!("{listening}: {why}"))
        }
    }
}

/// Returns pid and name: `pid 4711 (api)`.
pub(super) fn name(running: &RunningProcess) -> String {
    running.to_string()
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
