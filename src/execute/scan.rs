//! The host scan: looks at this machine for what no probe can tell of services, whether the code that runs is old, whether a
//! process of another program listens at an address, whether two do.
//!
//! Must not ask any service or resolve a name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;

use super::address::ServiceAddress;
use super::facts::{
    Circumstances, ForeignFinding, KnownOwners, OtherProcesses, ProcessFacts, StartCommands, heads,
    merge_owners, owners_cached,
};
use super::record_key;
use crate::health::{
    ChangedFile, CodeFiles, Flag, HostFinding, OnRecord, Process, ProcessExit, is_crash_loop,
};
use crate::host::directories::below_inventory;
use crate::host::log::last_line;
use crate::host::mtime::{executable, matching_files, modified};
use crate::host::pid_file::PidFile;
use crate::host::records::{ExitRecord, Record, RecordKey, Records};
use crate::host::{
    Endpoint, Owners, ProcessLine, RunningProcess, alive, ancestors, ended, image, loaded,
    local_process, runs_another_file_than, started_at,
};
use crate::inventory::{Inventory, Secret, Service, StartSpec};
use crate::probe::{Redactions, known_addresses};
use crate::text;

/// The services that are looked at, again and again.
#[derive(Debug, Clone)]
pub(crate) struct HostScan {
    services: Arc<Vec<ScannedService>>,
    records: Option<Records>,
    commands: StartCommands,
    /// The owners of the sockets at the last look.
    listened: Option<KnownOwners>,
    /// The processes whose end the next look has to tell: those of started services, their keepers, and what no longer
    /// listens.
    started: Vec<Process>,
    /// The process of each service at the last look.
    known: Vec<Option<Process>>,
}

/// A service, and where it listens on this machine.
#[derive(Debug)]
struct ScannedService {
    service: Arc<Service>,
    key: RecordKey,
    endpoints: Vec<Endpoint>,
}

/// The result of one look at this machine.
#[derive(Debug, Default)]
pub(crate) struct HostSnapshot {
    pub(crate) findings: Vec<(String, HostFinding)>,
    started: Vec<Process>,
    known: Vec<Option<Process>>,
    /// A sentence on each thing that could not be looked at.
    pub(crate) problems: Vec<String>,
}

impl HostScan {
    /// Those of the services of which anything can be seen on this machine; `None` where there are none.
    pub(crate) fn new(
        services: &[Arc<Service>],
        inventory: &Inventory,
        records: Option<Records>,
    ) -> Option<Self> {
        let services: Vec<ScannedService> = services
            .iter()
            .map(|service| ScannedService {
                key: record_key(inventory, &service.name),
                endpoints: endpoints(service),
                service: Arc::clone(service),
            })
            .filter(ScannedService::can_be_seen)
            .collect();
        (!services.is_empty()).then(|| Self {
            services: Arc::new(services),
            records,
            commands: StartCommands::of(inventory.services.values()),
            listened: None,
            started: Vec::new(),
            known: Vec::new(),
        })
    }

    /// Looks at every service once.
    pub(crate) async fn look(&mut self) -> HostSnapshot {
        let endpoints = self.services.iter().flat_map(|it| it.endpoints.clone());
        let endpoints = endpoints.collect();
        let (owners, listened) = owners_cached(endpoints, self.listened.take()).await;
        self.listened = listened;
        let (services, records) = (Arc::clone(&self.services), self.records.clone());
        let commands = self.commands.clone();
        let mut known = std::mem::take(&mut self.known).into_iter();
        let search = tokio::task::spawn_blocking(move || {
            let mut found = HostSnapshot::default();
            let mut owners = owners.into_iter();
            let other_processes = OtherProcesses::with_commands(&commands);
            for subject in services.iter() {
                let owners = owners.by_ref().take(subject.endpoints.len());
                let known = known.next().flatten();
                let finding = subject.look(
                    owners,
                    &other_processes,
                    known,
                    records.as_ref(),
                    &mut found,
                );
                found.findings.push((subject.service.name.clone(), finding));
            }
            found
        });
        let found = search.await.unwrap_or_else(|error| HostSnapshot {
            problems: vec![format!("this machine could not be looked at: {error}")],
            ..HostSnapshot::default()
        });
        self.started.clone_from(&found.started);
        self.known.clone_from(&found.known);
        found
    }

    /// Waits until a process of a started service has ended that ran at the last look, so that the next look tells it.
    pub(crate) async fn process_end(&self) {
        let ends = self.started.iter().map(|process| ended(*process));
        let mut ends: FuturesUnordered<_> = ends.collect();
        while let Some(is_known) = ends.next().await {
            if is_known {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

impl ScannedService {
    fn can_be_seen(&self) -> bool {
        let service = &self.service;
        !self.endpoints.is_empty()
            || service.start.is_some()
            || service.sources.is_some()
            || service.config_files.is_some()
            || service.pid_file.is_some()
    }

    fn look(
        &self,
        owners: impl Iterator<Item = Owners>,
        other_processes: &OtherProcesses,
        last_seen: Option<Process>,
        records: Option<&Records>,
        HostSnapshot {
            problems,
            started,
            known,
            ..
        }: &mut HostSnapshot,
    ) -> HostFinding {
        let service = &self.service;
        let mut problem = |what: String| {
            problems.push(text::clean(&format!("{}: {what}", service.name), 300));
        };
        let owners = owners.reduce(merge_owners);
        let all_records = records;
        // What cannot be started has no record, and looking for a thousand of them takes its time.
        let is_silent = matches!(owners, None | Some(Owners::Nobody));
        let shut_down = records.filter(|_| service.start.is_some() || is_silent);
        let mut shut_down = shut_down.and_then(|records| records.stopped_since(&self.key));
        let records = records.filter(|_| service.start.is_some());
        let record = match records.map(|records| records.read(&self.key)).transpose() {
            Ok(record) => record.flatten(),
            Err(error) => {
                problem(error.to_string());
                None
            }
        };
        let mut facts = ProcessFacts {
            owners,
            ..ProcessFacts::read(service, record)
        };
        let circumstances = Circumstances {
            without_address: ServiceAddress::of(service, None) == ServiceAddress::Nowhere,
            listeners_only: true,
            ..Circumstances::default()
        };
        facts.decide(service, &self.endpoints, other_processes, circumstances);
        let recorded = facts.recorded();
        // Somebody has started it again: whatever ends from here on has not ended by that shutdown.
        let leader = facts.leader().and_then(|leader| started_at(leader.process));
        if let Some(records) = records
            && leader
                .zip(shut_down)
                .is_some_and(|(started, at)| started > at)
        {
            shut_down = None;
            if let Err(error) = records.clear_stopped(&self.key) {
                problem(error.to_string());
            }
        }
        let owners: Vec<Process> = facts.owning().iter().map(|owner| owner.process).collect();
        if let (Some(records), Some(_)) = (records, &facts.record)
            && let Err(error) = records.add_descendants(&self.key, &owners)
        {
            problem(error.to_string());
        }
        started.extend(recorded.as_ref().map(|running| running.process));
        started.extend(facts.record.as_ref().and_then(Record::live_keeper));
        let (foreign, foreign_unclear) = match facts.foreign(service) {
            ForeignFinding::Yes(why) => (Some(why), None),
            ForeignFinding::No => (None, None),
            ForeignFinding::Unclear(why) => (None, Some(why)),
        };
        let process = match (facts.leader(), heads(facts.owning()).as_slice()) {
            (Some(leader), _) => Some(leader.process),
            (None, [head]) if foreign.is_none() => Some(head.process),
            // It may go on for a while after it has closed its port.
            (None, []) => last_seen.filter(|process| alive(*process) == Some(true)),
            (None, _) => None,
        };
        known.push(process);
        let listens = facts.owners.as_ref().is_none_or(|it| *it != Owners::Nobody);
        started.extend(process.filter(|_| !listens));
        let undetermined = self.undetermined(&facts, foreign_unclear, process);
        let running = facts.record.as_ref().filter(|_| recorded.is_some());
        let code = self.code_files(&facts, running, process, all_records, &mut problem);
        let process = process.map(|process| reader(process, facts.owning()));
        let (exit, crash_loop) = self.exits(&facts, running, records, shut_down.is_some());
        let gone = process.is_none() && self.is_gone(&facts);
        let on_record = match shut_down {
            Some(at) => OnRecord::ShutDown(at),
            None => self.on_record(&facts, running, gone && records.is_some()),
        };
        HostFinding {
            gone,
            on_record,
            undetermined,
            image: process.and_then(image),
            process: process.and_then(local_process),
            code,
            split: facts.split().filter(|_| foreign.is_none()),
            foreign: foreign.map(|why| text::clean(&why, 300)),
            exit,
            crash_loop,
        }
    }

    /// Looks at the files that the service runs from, and reports what cannot be looked at. `running` is the record of a
    /// start of which something still runs.
    fn code_files(
        &self,
        facts: &ProcessFacts,
        running: Option<&Record>,
        process: Option<Process>,
        records: Option<&Records>,
        problem: &mut impl FnMut(String),
    ) -> CodeFiles {
        let service = &self.service;
        let start = service.start.as_ref();
        let mut code = CodeFiles {
            entry_differs: running
                .zip(start)
                .is_some_and(|(record, start)| !is_entry_of(record, start, &self.key)),
            hot: service.hot_reload.clone(),
            recorded_at: facts.record.as_ref().map(|record| record.started_at),
            first_until: facts
                .record
                .as_ref()
                .zip(start)
                .and_then(|(record, start)| {
                    record.started_at.checked_add(start.ready_timeout).ok()
                }),
            ..CodeFiles::default()
        };
        let reader = process.map(|process| reader(process, facts.owning()));
        let mut unreadable = |what: &str, why: String| {
            let why = format!("its {what} cannot be looked through: {why}");
            problem(why.clone());
            Some(why)
        };
        if let Some(sources) = &service.sources {
            match matching_files(&sources.root, &sources.patterns) {
                Ok(found) => {
                    let earlier = running.and_then(|record| record.sources.as_deref());
                    code.differs = earlier.is_some_and(|earlier| found.differ_from(earlier));
                    let newest = found.newest.as_ref().map(|(path, _)| path.as_path());
                    code.built = newest
                        .filter(|path| is_compiled(path))
                        .and_then(|_| built_below(&sources.root, reader?));
                    code.newest = found.newest.map(|(path, at)| changed_file(&path, at));
                    if code.newest.is_none() {
                        code.unreadable = Some(no_match("sources", &sources.patterns));
                    }
                }
                Err(why) => code.unreadable = unreadable("sources", why),
            }
        }
        if let Some(files) = &service.config_files {
            match matching_files(&files.root, &files.patterns) {
                Ok(found) => {
                    code.config = found.newest.map(|(path, at)| changed_file(&path, at));
                    if code.config.is_none() {
                        code.unreadable = Some(no_match("config_files", &files.patterns));
                    }
                }
                Err(why) => code.unreadable = unreadable("`config_files`", why),
            }
            code.reloaded = records.and_then(|records| records.reloaded_at(&self.key));
        }
        if let Some(start) = start {
            look_at_executable(start, process, &mut code);
        }
        let answering = reader.and_then(|process| oldest_fork(process, facts.owning()));
        code.read_by = answering.and_then(local_process);
        code
    }

    /// Returns how the process that was started has ended, where nothing of it runs, and a sentence on a crash loop.
    fn exits(
        &self,
        facts: &ProcessFacts,
        running: Option<&Record>,
        records: Option<&Records>,
        is_shut_down: bool,
    ) -> (Option<ProcessExit>, Option<String>) {
        let (Some(records), Some(start)) = (records, &self.service.start) else {
            return (None, None);
        };
        let exits = records.recent_exits(&self.key);
        let is_gone = self.is_gone(facts);
        let exit = match &facts.record {
            Some(_) if is_gone && !facts.leader_seen => {
                let exit = records.exit(&self.key);
                let exit = exit.map(|exit| process_exit(&exit, start));
                // What it has left behind may be about to listen, unless it has failed.
                exit.filter(|exit| {
                    running.is_none() || (exit.is_failure && !self.endpoints.is_empty())
                })
            }
            // Where it was shut down, its record is gone, and its end is that of the latest start.
            None if is_gone && is_shut_down => {
                let last = exits.last().filter(|last| last.asked);
                last.map(|last| process_exit(last, start))
            }
            _ => None,
        };
        (exit, crash_loop(&exits, start))
    }

    /// Returns what the records tell of the life of a service that was not shut down; `is_gone` where they can be read and
    /// nothing of it runs.
    fn on_record(&self, facts: &ProcessFacts, running: Option<&Record>, is_gone: bool) -> OnRecord {
        match (running, &self.service.start) {
            (Some(record), Some(start)) if !record.ready => {
                let until = record.started_at.checked_add(start.ready_timeout);
                until.map_or(OnRecord::Nothing, OnRecord::StartedUntil)
            }
            (None, Some(_)) if facts.record.is_none() && is_gone && self.could_be_started() => {
                OnRecord::NeverStarted
            }
            _ => OnRecord::Nothing,
        }
    }

    /// Returns the flags that cannot be told of the service, each with the reason.
    fn undetermined(
        &self,
        facts: &ProcessFacts,
        foreign_unclear: Option<String>,
        process: Option<Process>,
    ) -> BTreeMap<Flag, String> {
        let service = &self.service;
        let hidden = match &facts.owners {
            Some(Owners::Unknown(why)) => Some(why.clone()),
            Some(Owners::Visible(_)) => {
                Some("the process of another user listens at its address too".to_owned())
            }
            None => Some("it does not listen on this machine".to_owned()),
            Some(Owners::Nobody | Owners::All(_)) => None,
        };
        let mut undetermined = BTreeMap::new();
        let has_code =
            service.sources.is_some() || service.config_files.is_some() || service.start.is_some();
        let is_seen = process.is_some() || facts.owners == Some(Owners::Nobody);
        if has_code && !is_seen {
            let unknown = || "which process runs its code is not known".to_owned();
            let why = foreign_unclear.clone().or_else(|| hidden.clone());
            undetermined.insert(Flag::Stale, why.unwrap_or_else(unknown));
        }
        let is_proved = facts.leader().is_some();
        let compares = service.start.is_some() || service.pid_file.is_some();
        let elsewhere = hidden
            .clone()
            .filter(|_| compares && !is_proved && !service.supervised);
        if let Some(why) = foreign_unclear.or(elsewhere) {
            undetermined.insert(Flag::Foreign, why);
        }
        if let (Some(why), Some(_), false) = (hidden, &facts.owners, service.replicas) {
            undetermined.insert(Flag::Split, why);
        }
        for why in undetermined.values_mut() {
            *why = text::clean(why, 300);
        }
        undetermined
    }

    /// Returns whether only healthctl starts the service, and only on this machine.
    fn could_be_started(&self) -> bool {
        !self.service.supervised && !self.endpoints.is_empty()
    }

    /// Returns whether nothing listens where the service would, and its pid file is no contradiction.
    fn is_gone(&self, facts: &ProcessFacts) -> bool {
        let (owners, pid_file) = (&facts.owners, &facts.pid_file);
        let silent = owners.as_ref().is_none_or(|it| *it == Owners::Nobody);
        let has_trace = owners.is_some() || self.service.start.is_some() || pid_file.is_some();
        silent && has_trace && !matches!(pid_file, Some(PidFile::Unknown(_)))
    }
}

/// Returns whether a process was started by this entry, as it is now. Earlier versions have written its paths down as they
/// were named.
fn is_entry_of(record: &Record, start: &StartSpec, key: &RecordKey) -> bool {
    let below = |path: &Path| below_inventory(key.inventory(), path);
    record.entry == start.fingerprint(below) || record.entry == start.fingerprint(Path::to_path_buf)
}

/// Tells how a process has ended.
fn process_exit(exit: &ExitRecord, start: &StartSpec) -> ProcessExit {
    // What it wrote may hold a secret that it was given, and that is not read for this.
    let mut env = start.exec.env.values();
    let keeps_secrets = env.any(|from| !matches!(from, Secret::Plain(_)));
    let line = (!keeps_secrets).then(|| last_line(&exit.log, &exit.written));
    let line = line.flatten().map(|line| {
        let line = Redactions::new(&start.exec, Vec::new()).apply(&line);
        format!("; its last line: {line}")
    });
    ProcessExit {
        pid: exit.process.pid,
        at: exit.at,
        how: exit.how() + &line.unwrap_or_default(),
        is_failure: !start.success_codes.contains(&exit.status()),
        asked: exit.asked,
    }
}

/// Tells a crash loop.
fn crash_loop(exits: &[ExitRecord], start: &StartSpec) -> Option<String> {
    let is_failure =
        |exit: &&ExitRecord| !exit.asked && !start.success_codes.contains(&exit.status());
    let failures: Vec<&ExitRecord> = exits.iter().filter(is_failure).collect();
    let times: Vec<Timestamp> = failures.iter().map(|exit| exit.at).collect();
    let last = process_exit(failures.last()?, start);
    let now = Timestamp::now();
    is_crash_loop(&times, now).then(|| {
        let since = times.first().map(|first| now.duration_since(*first));
        let since = since.and_then(|since| Duration::try_from(since).ok());
        format!(
            "it has ended by itself {} times in {}, last with {}",
            times.len(),
            text::long_age(since.unwrap_or_default()),
            last.how
        )
    })
}

/// Returns where a service listens on this machine, as far as that is known without resolving a name.
pub(super) fn endpoints(service: &Service) -> Vec<Endpoint> {
    match ServiceAddress::of(service, None) {
        ServiceAddress::Nowhere | ServiceAddress::Proxied(_) => Vec::new(),
        ServiceAddress::Socket(path) => vec![Endpoint::Socket(path)],
        ServiceAddress::Name { host, port } => {
            let addresses = known_addresses(&host, port).unwrap_or_default();
            let endpoints = addresses.into_iter().map(Endpoint::Tcp);
            endpoints.filter(Endpoint::is_local).collect()
        }
    }
}

/// The process that has read the code last of all that answers: where `process`, which was started, has others serve in
/// its place, as a reloader does, the oldest of the programs that they run. Forked workers run what their master has
/// read.
fn reader(process: Process, owning: &[RunningProcess]) -> Process {
    if owning.iter().all(|one| one.process == process) {
        return process;
    }
    let ancestry: Vec<Vec<Process>> = owning.iter().map(|one| ancestors(one.process)).collect();
    let serving = owning.iter().zip(&ancestry).filter(|(one, _)| {
        // A reloader holds the socket as well, for those that it starts.
        !ancestry.iter().any(|above| above.contains(&one.process))
    });
    let mut oldest: Option<Process> = None;
    for (one, above) in serving {
        if one.process != process && !above.contains(&process) {
            return process;
        }
        let loaded = loaded(one.process);
        if oldest.is_none_or(|known| loaded.start_ticks < known.start_ticks) {
            oldest = Some(loaded);
        }
    }
    oldest
        .filter(|loaded| loaded.start_ticks > process.start_ticks)
        .unwrap_or(process)
}

/// The process that has begun last of those that answer, where it was forked after `loaded`, whose program it runs: it may
/// have read code since then. `None` where those that answer have begun with it.
fn oldest_fork(loaded_by: Process, owning: &[RunningProcess]) -> Option<Process> {
    let serving = heads_below(owning);
    let oldest = serving.into_iter().min_by_key(|one| one.start_ticks)?;
    let is_fork = oldest != loaded_by && loaded(oldest) == loaded_by;
    is_fork.then_some(oldest)
}

/// The processes that own the socket without those that have started another one of them.
fn heads_below(owning: &[RunningProcess]) -> Vec<Process> {
    let above: Vec<Vec<Process>> = owning.iter().map(|one| ancestors(one.process)).collect();
    let all = owning.iter().map(|one| one.process);
    all.filter(|one| !above.iter().any(|above| above.contains(one)))
        .collect()
}

fn look_at_executable(start: &StartSpec, process: Option<Process>, code: &mut CodeFiles) {
    let Some(program) = start.exec.command.first() else {
        return;
    };
    let path_variable = match start.exec.env.get("PATH") {
        Some(Secret::Plain(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some(path) = executable(program, path_variable) else {
        return;
    };
    let metadata = std::fs::metadata(&path).ok();
    let changed = metadata.and_then(|metadata| modified(&metadata));
    code.executable = changed.map(|at| changed_file(&path, at));
    code.replaced = process.is_some_and(|process| runs_another_file_than(process, &path));
}

/// The endings of sources that nothing runs as they are.
const COMPILED: [&str; 20] = [
    "c", "cc", "cpp", "cs", "cxx", "d", "fs", "go", "h", "hpp", "hs", "java", "kt", "kts", "ml",
    "nim", "rs", "scala", "swift", "zig",
];

fn is_compiled(source: &Path) -> bool {
    let ending = source.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| COMPILED.contains(&ending))
}

/// Returns the program or the archive of Java that a process runs, where it lies below the root of the sources.
fn built_below(root: &Path, process: Process) -> Option<ChangedFile> {
    let line = ProcessLine::of(process);
    let mut words = line.words.iter().skip_while(|word| *word != "-jar").skip(1);
    let archive = words.next().zip(line.cwd.as_ref());
    let archive = archive.map(|(archive, cwd)| cwd.join(archive));
    let root = std::fs::canonicalize(root.join(".")).ok()?;
    let files = [archive, line.executable.clone()].into_iter().flatten();
    let mut below = files.filter_map(|file| std::fs::canonicalize(file).ok());
    let built = below.find(|file| file.starts_with(&root))?;
    let at = modified(&std::fs::metadata(&built).ok()?)?;
    Some(changed_file(
        built.strip_prefix(&root).unwrap_or(&built),
        at,
    ))
}

/// Returns why changes cannot be told where the patterns match no file, as after a typing error.
fn no_match(key: &str, patterns: &[String]) -> String {
    let patterns = text::clean(&patterns.join(", "), 200);
    format!("its `{key}` match no file: {patterns}")
}

fn changed_file(path: &Path, at: Timestamp) -> ChangedFile {
    ChangedFile {
        path: text::clean(&path.display().to_string(), 200),
        at,
    }
}
