//! Gathers all that decides which processes are a service's own: see [`Evidence`] for what counts, and `ownership` for how.
//!
//! Blocks. Must not decide anything itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::command_line::{StartLine, compare, file_head};
use super::others::OtherProcesses;
use super::owners::{is_forwarder, is_named};
use crate::action::shown_command;
use crate::execute::ownership::{
    AnswerKind, CommandMatch, Evidence, Exception, PidFileClaim, RecordedAs, SeenProcess,
};
use crate::health::Process;
use crate::host::keeper::{is_keeper, unit_in};
use crate::host::pid_file::PidFile;
use crate::host::records::Record;
use crate::host::{
    Endpoint, Listening, Owners, ProcessLine, ProcessTable, ProcessTraits, RunningProcess,
    one_of_a_pool,
};
use crate::inventory::Service;
use crate::text;

/// Terminals, multiplexers of terminals and servers for logins, by the names that the kernel keeps. A name that ends in `*` is
/// the beginning of several.
const MULTIPLEXERS: &str = "tmux* screen SCREEN zellij abduco dtach mosh-server sshd* dropbear login getty agetty \
    gnome-terminal* konsole xterm* urxvt* alacritty kitty wezterm* foot ghostty terminator tilix xfce4-terminal ptyxis* \
    code-tunnel ttyd gotty";

/// Daemons that supervise the programs of all that somebody works on, by the names that the kernel keeps.
const SUPERVISORS: &str = "PM2*";

/// The circumstances of a decision that are not facts of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Circumstances {
    pub(crate) answer: AnswerKind,
    /// Set where a person sees the process before anything is sent.
    pub(crate) is_shown: bool,
    /// The pid that the person has named.
    pub(crate) named: Option<u32>,
    /// Set where the service has no address that anything could be asked at.
    pub(crate) without_address: bool,
    /// Looks only at who listens and what is above: enough to tell strangers, not to signal anybody.
    pub(crate) listeners_only: bool,
}

/// The processes that are known before anything is decided.
#[derive(Clone, Copy)]
pub(super) struct KnownProcesses<'a> {
    /// The record of the service's start.
    pub(super) record: Option<&'a Record>,
    /// Set where the recorded process itself was seen to run.
    pub(super) leader_seen: bool,
    /// The processes of the last stop that still run: they were put on record then.
    pub(super) survivors: &'a [Process],
    pub(super) pid_file: Option<&'a PidFile>,
    /// The owners of the socket that listens at its address.
    pub(super) owners: Option<&'a Owners>,
}

/// Gathers the evidence for a service.
pub(super) fn gather(
    service: &Service,
    facts: KnownProcesses<'_>,
    endpoints: &[Endpoint],
    other_processes: &OtherProcesses,
    circumstances: Circumstances,
) -> Evidence {
    let mut table = other_processes.table();
    let own = table.get(std::process::id());
    let ours = own.map_or_else(Vec::new, |own| {
        let mut ours = table.ancestors(&own);
        ours.push(own);
        ours
    });
    let mut search = Search {
        service,
        facts,
        endpoints,
        other_processes,
        start: StartLine::of(service).filter(|_| !service.supervised),
        is_silent: circumstances.without_address || matches!(facts.owners, Some(Owners::Nobody)),
        table,
        lines: BTreeMap::new(),
        ours,
        recorded: Vec::new(),
        kept: Vec::new(),
    };
    search.look_up_record(circumstances.listeners_only);
    search.add_survivors();
    let mut wanted = search.candidates(circumstances);
    if !circumstances.listeners_only {
        search.add_families(&mut wanted);
    }
    let sockets = search.sockets();
    let processes = wanted.into_values();
    let processes = processes
        .map(|running| search.seen(running, &sockets))
        .collect();
    let session = facts.record.map(|record| {
        let maker = record.keeper.unwrap_or(record.process);
        maker.pid
    });
    Evidence {
        processes,
        pid_file: match facts.pid_file {
            Some(PidFile::Names(named)) => {
                PidFileClaim::Names(named.running.process, named.doubt.clone())
            }
            _ => PidFileClaim::Nothing,
        },
        session,
        declares: service.start.is_some() || service.pid_file.is_some(),
        supervised: service.supervised,
        has_address: !circumstances.without_address,
        somebody_listens: facts.owners.is_some_and(|it| *it != Owners::Nobody),
        sees_all_owners: matches!(facts.owners, Some(Owners::All(_))),
        replicas: service.replicas,
        answer: circumstances.answer,
        is_shown: circumstances.is_shown,
        named: circumstances.named,
    }
}

/// A search for the processes that count for one service.
struct Search<'a> {
    service: &'a Service,
    facts: KnownProcesses<'a>,
    endpoints: &'a [Endpoint],
    other_processes: &'a OtherProcesses,
    start: Option<StartLine>,
    /// Set where nobody listens at its address, or it has none: then no socket tells whose a process is.
    is_silent: bool,
    table: ProcessTable,
    lines: BTreeMap<u32, ProcessLine>,
    /// This run of healthctl, and what has started it.
    ours: Vec<RunningProcess>,
    /// What else of the start on record runs: its session, its recorded descendants.
    recorded: Vec<RunningProcess>,
    /// What runs below the keeper of that start.
    kept: Vec<RunningProcess>,
}

impl Search<'_> {
    fn owners(&self) -> &[RunningProcess] {
        self.facts.owners.map_or(&[], Owners::processes)
    }

    /// Looks for all that is left of the start on record. To tell strangers this is left out where the recorded process is
    /// above all that listens.
    fn look_up_record(&mut self, listeners_only: bool) {
        let Some(record) = self.facts.record else {
            return;
        };
        let owners = self.owners().to_vec();
        let is_above = |table: &mut ProcessTable, one: &RunningProcess| {
            one.process == record.process
                || table
                    .ancestors(one)
                    .iter()
                    .any(|it| it.process == record.process)
        };
        if listeners_only && owners.iter().all(|one| is_above(&mut self.table, one)) {
            return;
        }
        let Some(keeper) = record.live_keeper() else {
            self.recorded = record.session(false);
            return;
        };
        // All that it keeps is below it, whatever its session.
        let descendants = record.descendants.iter();
        self.recorded = descendants
            .filter_map(|one| self.table.get(one.pid).filter(|it| it.process == *one))
            .collect();
        self.kept = if listeners_only {
            let is_kept = |table: &mut ProcessTable, one: &RunningProcess| {
                let above = table.ancestors(one);
                above.iter().any(|it| it.process == keeper)
            };
            let mut kept = owners;
            kept.retain(|one| is_kept(&mut self.table, one));
            kept
        } else {
            self.table.descendants(keeper.pid)
        };
    }

    /// Adds what was put on record by the last stop to what is on record by the start.
    fn add_survivors(&mut self) {
        let survivors = self.facts.survivors.iter();
        let survivors: Vec<RunningProcess> = survivors
            .filter_map(|one| self.table.get(one.pid).filter(|it| it.process == *one))
            .collect();
        for one in survivors {
            if !is_among(&self.recorded, &one) && !self.is_leader(&one) {
                self.recorded.push(one);
            }
        }
    }

    fn line(&mut self, running: &RunningProcess) -> &ProcessLine {
        self.lines
            .entry(running.process.pid)
            .or_insert_with(|| ProcessLine::of(running.process))
    }

    fn command(&mut self, running: &RunningProcess) -> CommandMatch {
        let owns = self.owns(running);
        let line = self.line(running).clone();
        match &self.start {
            Some(start) => match compare(start, &line, owns, &file_head) {
                CommandMatch::Runs if !owns && self.is_silent => {
                    let others = self.other_processes.commands(&self.service.name);
                    start.compare_environment(&line, others)
                }
                found => found,
            },
            None => CommandMatch::Unclear("no command line of its own is known"),
        }
    }

    fn is_leader(&self, running: &RunningProcess) -> bool {
        let record = self.facts.record;
        self.facts.leader_seen && record.is_some_and(|it| it.process == running.process)
    }

    fn owns(&self, running: &RunningProcess) -> bool {
        let mut owners = self.owners().iter();
        owners.any(|owner| owner.process == running.process)
    }

    /// Returns who owns the socket, is on record or in the pid file, and what is above each, by pid.
    fn candidates(&mut self, circumstances: Circumstances) -> BTreeMap<u32, RunningProcess> {
        let mut first: Vec<RunningProcess> = self.owners().to_vec();
        if let Some(PidFile::Names(named)) = self.facts.pid_file {
            first.push(named.running.clone());
        }
        first.extend(self.facts.record.and_then(Record::leader));
        first.extend(self.recorded.iter().chain(&self.kept).cloned());
        if let Some(pid) = circumstances.named {
            first.extend(self.table.get(pid));
        }
        // Where it has an address, who runs its command is looked for only while nobody listens there.
        let is_searched =
            self.is_silent && (circumstances.without_address || !circumstances.listeners_only);
        let place = self.start.as_ref().map(|start| start.cwd.clone());
        if let Some(place) = place.filter(|_| is_searched) {
            first.extend(self.running_command(&place));
        }
        let mut wanted = BTreeMap::new();
        for one in first {
            for above in self.table.ancestors(&one) {
                wanted.insert(above.process.pid, above);
            }
            wanted.insert(one.process.pid, one);
        }
        wanted
    }

    /// Returns the processes of this user that run the start command.
    fn running_command(&mut self, start: &Path) -> Vec<RunningProcess> {
        let all = self.other_processes.in_directory(start).to_vec();
        let mut found = all;
        found.retain(|running| self.command(running) == CommandMatch::Runs);
        found
    }

    /// Adds all that is below a process which may be proved.
    fn add_families(&mut self, wanted: &mut BTreeMap<u32, RunningProcess>) {
        let mut heads: Vec<RunningProcess> = Vec::new();
        for one in wanted.values() {
            let in_file = matches!(self.facts.pid_file, Some(PidFile::Names(it)) if it.running.process == one.process);
            let recorded = self.is_leader(one);
            if self.owns(one) || in_file || recorded || self.command(one) == CommandMatch::Runs {
                heads.push(one.clone());
            }
        }
        for head in heads {
            for below in self.table.descendants(head.process.pid) {
                wanted.insert(below.process.pid, below);
            }
        }
    }

    /// Returns the listening sockets that each owner has open, where several own them.
    fn sockets(&self) -> BTreeMap<u32, BTreeSet<u64>> {
        if self.owners().len() < 2 {
            return BTreeMap::new();
        }
        Listening::at(self.endpoints).open_by_pid()
    }

    fn seen(
        &mut self,
        running: RunningProcess,
        sockets: &BTreeMap<u32, BTreeSet<u64>>,
    ) -> SeenProcess {
        let pid = running.process.pid;
        let traits = ProcessTraits::of(pid);
        let command = self.command(&running);
        let above = self.table.ancestors(&running);
        let recorded = RecordedAs {
            leader: self.is_leader(&running),
            member: is_among(&self.recorded, &running),
            below_keeper: is_among(&self.kept, &running),
        };
        let exception = self.exception(&running, &above, &traits, &command);
        let line = self.line(&running).clone();
        SeenProcess {
            session: traits.session,
            terminal: traits.terminal,
            owns: self.owns(&running),
            sockets: sockets.get(&pid).cloned().unwrap_or_default(),
            command,
            line: self.shown(&line),
            cwd: line.cwd,
            forwards: is_forwarder(&running.name, self.service.profile.as_deref()),
            held_by: supervisor(&traits.control_groups, &above),
            exception,
            recorded,
            is_one_of_a_pool: one_of_a_pool(&running),
            running,
        }
    }

    /// Returns the command line for people, without the secrets that were put into it.
    fn shown(&self, line: &ProcessLine) -> String {
        let mut shown = shown_command(line.words.iter().map(String::as_str));
        let start = self.service.start.as_ref();
        for (secret, written) in start.iter().flat_map(|start| &start.exec.hidden) {
            shown = shown.replace(secret, written);
        }
        text::clean(&shown, 200)
    }

    fn exception(
        &self,
        running: &RunningProcess,
        above: &[RunningProcess],
        traits: &ProcessTraits,
        command: &CommandMatch,
    ) -> Option<Exception> {
        let process = running.process;
        if process.pid == 1 || in_init_scope(&traits.control_groups) {
            Some(Exception::Init)
        } else if self.ours.iter().any(|it| it.process == process) {
            Some(Exception::Ourselves)
        } else if traits.is_kernel_thread {
            Some(Exception::Kernel)
        } else if traits.is_nested {
            Some(Exception::Container)
        } else if self
            .other_processes
            .keepers()
            .any(|keeper| keeper == process)
            || is_keeper(process)
        {
            Some(Exception::Keeper)
        } else if let Some(kept) = self.other_processes.kept_for(above, &self.service.name) {
            Some(kept)
        } else if above.iter().any(|it| self.is_foreign_keeper(it)) {
            let whose = "a service that is not on record here";
            Some(Exception::OtherKeeper(whose.to_owned()))
        } else if is_named(SUPERVISORS, &running.name) && *command != CommandMatch::Runs {
            Some(Exception::Supervisor)
        } else if is_named(MULTIPLEXERS, &running.name)
            && !(*command == CommandMatch::Runs && self.owns(running))
        {
            // A server of tmux has the command line of its first client, which may be the start command.
            Some(Exception::Multiplexer)
        } else {
            let service = &self.service.name;
            self.other_processes
                .owner(process, above, service, self.endpoints)
        }
    }
}

impl Search<'_> {
    /// Returns whether a process is a keeper, and none that is on record here: of another user, or of a start whose record
    /// is gone.
    fn is_foreign_keeper(&self, running: &RunningProcess) -> bool {
        let own = self.facts.record.and_then(|record| record.keeper);
        let process = running.process;
        running.name == "keeper"
            && own != Some(process)
            && self
                .other_processes
                .keepers()
                .all(|keeper| keeper != process)
            && is_keeper(process)
    }
}

/// Returns whether a process is one of these, whatever its name and parent have become.
fn is_among(processes: &[RunningProcess], running: &RunningProcess) -> bool {
    processes.iter().any(|one| one.process == running.process)
}

fn in_init_scope(control_groups: &str) -> bool {
    control_groups
        .lines()
        .any(|line| line.ends_with("/init.scope"))
}

/// Returns the supervisor that holds a process, in words: a unit of systemd, pm2.
fn supervisor(control_groups: &str, above: &[RunningProcess]) -> Option<String> {
    if let Some(unit) = unit_in(control_groups) {
        let unit = text::clean(&unit, 80);
        return Some(format!("the unit {unit} of systemd"));
    }
    let is_pm2 = |one: &RunningProcess| one.name.starts_with("PM2");
    let pm2 = above.iter().find(|one| is_pm2(one))?;
    Some(format!("pm2 (pid {})", pm2.process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Process;

    #[test]
    fn a_unit_or_pm2_is_named_as_the_supervisor() {
        let pm2 = RunningProcess {
            process: Process {
                pid: 7,
                start_ticks: 1,
            },
            parent: 1,
            name: "PM2 v5.3.0: God".to_owned(),
        };
        for (groups, above, expected) in [
            (
                "0::/system.slice/nginx.service\n",
                vec![],
                Some("the unit nginx.service of systemd"),
            ),
            (
                "1:name=systemd:/system.slice/a.service/b\n0::/\n",
                vec![],
                Some("the unit a.service of systemd"),
            ),
            (
                "0::/user.slice/user-1.slice/user@1.service/app.slice/x.scope\n",
                vec![],
                None,
            ),
            ("0::/\n", vec![pm2], Some("pm2 (pid 7)")),
            ("0::/\n", vec![], None),
        ] {
            let found = supervisor(groups, &above);
            assert_eq!(found.as_deref(), expected, "{groups}");
        }
    }

    #[test]
    fn whatever_belongs_to_the_init_system_is_known_by_its_group() {
        assert!(in_init_scope(
            "0::/user.slice/user@1000.service/init.scope\n"
        ));
        assert!(!in_init_scope("0::/user.slice/x.scope\n"));
        for (name, expected) in [
            ("tmux: server", true),
            ("sshd-session", true),
            ("ssh", false),
        ] {
            assert_eq!(is_named(MULTIPLEXERS, name), expected, "{name}");
        }
    }
}
