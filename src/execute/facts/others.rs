//! What the other services of an inventory have on this machine: who listens at their addresses, what is on record for them,
//! which commands start them. Nothing of theirs is taken for a service's own.
//!
//! Blocks. Must not decide anything itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::command_line::StartLine;
use crate::execute::ownership::Exception;
use crate::health::Process;
use crate::host::pid_file::{self, PidFile};
use crate::host::records::{Record, Records};
use crate::host::{Endpoint, Listening, ProcessTable, ProcessTraits, RunningProcess, directory_of};
use crate::inventory::Service;

/// What other services have on this machine, so that nothing of theirs is taken for a service's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct OtherProcesses {
    /// Each address of another service: whose, and who listens there.
    listening: Vec<(String, Endpoint, Vec<Process>)>,
    /// Each process on record, with the service that it was started for, and since when it runs.
    recorded: Vec<RecordedStart>,
    /// The start commands of other services, each with its service.
    commands: Arc<Vec<(String, StartLine)>>,
    /// The process that the pid file of another service names: whose, and which.
    in_pid_files: Vec<(String, Process)>,
    /// All processes of this machine, so that they are listed once for all services.
    table: ProcessTable,
    /// The processes of this user by their directories, as soon as one is looked for there.
    by_directory: OnceLock<BTreeMap<PathBuf, Vec<RunningProcess>>>,
}

#[derive(Debug, Clone)]
struct RecordedStart {
    service: String,
    /// Set where it is a service of the same inventory.
    is_of_inventory: bool,
    processes: Vec<Process>,
    keeper: Option<Process>,
    started: Timestamp,
}

/// Where the services of an inventory listen on this machine, and where it is on record what was started for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct OtherServices {
    pub(crate) files: Vec<PathBuf>,
    /// Each service with its endpoints on this machine, as far as they are known without resolving a name.
    pub(crate) endpoints: Vec<(String, Vec<Endpoint>)>,
    pub(crate) pid_files: Vec<(String, PathBuf)>,
    pub(crate) commands: StartCommands,
    pub(crate) records: Option<Records>,
}

/// The start commands of the services of an inventory, by which their processes are told apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartCommands(Arc<Vec<(String, StartLine)>>);

impl StartCommands {
    /// Returns those of these services.
    pub(crate) fn of<'a>(services: impl Iterator<Item = &'a Arc<Service>>) -> Self {
        let services = services.filter(|service| !service.supervised);
        let lines = services.filter_map(|it| Some((it.name.clone(), StartLine::of(it)?)));
        Self(Arc::new(lines.collect()))
    }
}

impl OtherServices {
    /// Looks who listens there and what is on record.
    pub(crate) async fn look(self: &Arc<Self>) -> Arc<OtherProcesses> {
        let other_services = Arc::clone(self);
        let search = tokio::task::spawn_blocking(move || OtherProcesses::find(&other_services));
        match search.await {
            Ok(found) => Arc::new(found),
            // Without what belongs to others nothing can be decided.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl OtherProcesses {
    /// Looks for the processes of these services, and of all that is on record. Blocks for up to about a second.
    fn find(services: &OtherServices) -> Self {
        let listens: Vec<(String, Endpoint)> = services
            .endpoints
            .iter()
            .flat_map(|(name, endpoints)| endpoints.iter().map(|it| (name.clone(), it.clone())))
            .collect();
        let endpoints: Vec<Endpoint> = listens.iter().map(|(_, it)| it.clone()).collect();
        let owners = Listening::at(&endpoints).owners();
        let listening = listens
            .into_iter()
            .zip(owners)
            .map(|((name, endpoint), owners)| {
                let owners = owners.processes().iter().map(|one| one.process);
                (name, endpoint, owners.collect())
            });
        let own = services.files.iter().map(std::fs::canonicalize);
        let own: Vec<PathBuf> = own.flatten().collect();
        let records = services.records.as_ref();
        let recorded = records.map_or_else(Vec::new, Records::all);
        let mut table = ProcessTable::default();
        table.pids();
        let recorded = recorded.into_iter().map(|record| RecordedStart {
            is_of_inventory: own.contains(&record.inventory),
            processes: recorded_processes(&record, &mut table),
            keeper: record.keeper,
            started: record.started_at,
            service: record.service,
        });
        let in_pid_files =
            services
                .pid_files
                .iter()
                .filter_map(|(name, path)| match pid_file::read(path, None) {
                    PidFile::Names(named) if named.doubt.is_none() => {
                        Some((name.clone(), named.running.process))
                    }
                    _ => None,
                });
        Self {
            recorded: recorded.collect(),
            listening: listening.collect(),
            commands: Arc::clone(&services.commands.0),
            in_pid_files: in_pid_files.collect(),
            table,
            by_directory: OnceLock::new(),
        }
    }

    /// Returns what a look at who listens needs of other services.
    pub(crate) fn with_commands(commands: &StartCommands) -> Self {
        Self {
            commands: Arc::clone(&commands.0),
            ..Self::default()
        }
    }

    /// Returns the processes of this user that run in a directory.
    pub(super) fn in_directory(&self, directory: &Path) -> &[RunningProcess] {
        let by_directory = self.by_directory.get_or_init(|| {
            let own = rustix::process::geteuid().as_raw();
            let mut table = self.table.clone();
            let mut found: BTreeMap<PathBuf, Vec<RunningProcess>> = BTreeMap::new();
            for pid in table.pids() {
                let Some(running) = table.get(pid) else {
                    continue;
                };
                let is_own = || ProcessTraits::of(pid).user == Some(own);
                if let Some(directory) = directory_of(running.process).filter(|_| is_own()) {
                    found.entry(directory).or_default().push(running);
                }
            }
            found
        });
        by_directory.get(directory).map_or(&[], Vec::as_slice)
    }

    /// Returns all processes of this machine, as they were listed for all services.
    pub(super) fn table(&self) -> ProcessTable {
        self.table.clone()
    }

    /// Returns the start commands of the services but this one.
    pub(super) fn commands(&self, service: &str) -> impl Iterator<Item = &StartLine> {
        let others = self
            .commands
            .iter()
            .filter(move |(name, _)| name != service);
        others.map(|(_, command)| command)
    }

    /// Returns the keepers of all services.
    pub(super) fn keepers(&self) -> impl Iterator<Item = Process> {
        self.recorded.iter().filter_map(|one| one.keeper)
    }

    /// Says whose a process is, where it is another service's than this one with these endpoints.
    pub(super) fn owner(
        &self,
        process: Process,
        above: &[RunningProcess],
        service: &str,
        endpoints: &[Endpoint],
    ) -> Option<Exception> {
        let recorded = self.recorded.iter().find(|one| {
            let mut all = std::iter::once(process).chain(above.iter().map(|it| it.process));
            one.is_of_inventory
                && one.service != service
                && all.any(|it| one.processes.contains(&it))
        });
        if let Some(one) = recorded {
            let text = format!("{}, started {:.0}", one.service, one.started);
            return Some(Exception::OtherService(text));
        }
        let mut in_pid_files = self.in_pid_files.iter();
        if let Some((name, _)) = in_pid_files.find(|(name, it)| name != service && *it == process) {
            return Some(Exception::OtherService(format!(
                "{name}, whose pid file names it"
            )));
        }
        let is_theirs = |(name, endpoint, owners): &&(String, Endpoint, Vec<Process>)| {
            name != service && !endpoints.contains(endpoint) && owners.contains(&process)
        };
        let (name, endpoint, _) = self.listening.iter().find(is_theirs)?;
        Some(Exception::OtherAddress(format!(
            "{name}, which listens at {endpoint},"
        )))
    }

    /// Returns whose keeper a process is below, where it is another service's.
    pub(super) fn kept_for(&self, above: &[RunningProcess], service: &str) -> Option<Exception> {
        let mut others = self.recorded.iter().filter(|one| {
            !(one.is_of_inventory && one.service == service)
                && one
                    .keeper
                    .is_some_and(|keeper| above.iter().any(|it| it.process == keeper))
        });
        let one = others.next()?;
        Some(if one.is_of_inventory {
            Exception::OtherService(format!("{}, started {:.0}", one.service, one.started))
        } else {
            Exception::OtherKeeper(format!("{} of another inventory", one.service))
        })
    }
}

/// Returns the processes of a start that still run: the one that was started, or what it has left behind.
fn recorded_processes(record: &Record, table: &mut ProcessTable) -> Vec<Process> {
    let left = match (record.leader(), record.live_keeper()) {
        (Some(leader), _) => vec![leader],
        (None, Some(keeper)) => table.descendants(keeper.pid),
        (None, None) => record.session(false),
    };
    left.iter().map(|one| one.process).collect()
}
