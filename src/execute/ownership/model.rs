//! What is decided from, and what is decided: the evidence on a service's processes, and which of them are its own.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::health::Process;
use crate::host::RunningProcess;

/// The proof that a process is the service's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProcessProof {
    /// The pid file names it.
    PidFile,
    /// It is below the keeper that was started for the service.
    Keeper,
    /// The record of a start names it.
    Record,
    /// It runs the start command.
    StartCommand,
    /// It alone owns the listening socket, and answered.
    SoleOwner,
    /// The person has named it.
    Named,
}

/// Why a process is left alone, whatever else speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exception {
    /// It is on record for another service: which, and since when, in words.
    OtherService(String),
    /// It listens at the address of another service as well: which, in words.
    OtherAddress(String),
    /// It is below the keeper of another service: whose.
    OtherKeeper(String),
    /// It has a controlling terminal of its own.
    Terminal,
    /// It is a terminal, a multiplexer of terminals or a server for logins.
    Multiplexer,
    /// It belongs to the init system.
    Init,
    /// It runs in a container.
    Container,
    /// It is a part of the kernel.
    Kernel,
    /// It is this run of healthctl, or has started it.
    Ourselves,
    /// It keeps a service that was started.
    Keeper,
    /// It supervises whatever anybody has told it to.
    Supervisor,
}

/// Whether a process runs the start command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandMatch {
    /// It does.
    Runs,
    /// It would have to be equal and is not: what differs.
    Differs(&'static str),
    /// Nothing that could be compared tells: why.
    Unclear(&'static str),
}

/// A process, with all that counts for a proof.
#[derive(Debug, Clone)]
pub(crate) struct SeenProcess {
    pub(crate) running: RunningProcess,
    /// The number of its session.
    pub(crate) session: u32,
    /// The number of its controlling terminal; 0 where it has none.
    pub(crate) terminal: i64,
    /// Set where it owns the socket that listens at the service's address.
    pub(crate) owns: bool,
    /// The inodes of those sockets.
    pub(crate) sockets: BTreeSet<u64>,
    pub(crate) command: CommandMatch,
    /// Its command line, and its directory, for people.
    pub(crate) line: String,
    pub(crate) cwd: Option<PathBuf>,
    /// Set where it only passes connections on to another process.
    pub(crate) forwards: bool,
    /// The supervisor that holds it, in words.
    pub(crate) held_by: Option<String>,
    pub(crate) exception: Option<Exception>,
    pub(crate) recorded: RecordedAs,
    /// Set where several processes of one program share the work that their parent gave them.
    pub(crate) is_one_of_a_pool: bool,
}

/// What the record of a start says of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordedAs {
    /// It is the process that was started.
    pub(crate) leader: bool,
    /// It is below the keeper of that start.
    pub(crate) below_keeper: bool,
    /// It is in the session that was made for that start and writes to its log, or is a recorded descendant.
    pub(crate) member: bool,
}

impl RecordedAs {
    pub(super) const fn any(self) -> bool {
        self.leader || self.below_keeper || self.member
    }
}

/// What a pid file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum PidFileClaim {
    /// Nothing: there is none, it is a predecessor's, or its process has exited.
    #[default]
    Nothing,
    /// It names this process; why that is in doubt unless the process owns the socket.
    Names(Process, Option<String>),
}

/// The kind of answer that the service gave at its own address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AnswerKind {
    /// None, or only a connection; or behind a proxy or a redirect, so that somebody else may have given it.
    #[default]
    None,
    /// Bytes came directly from the address.
    Bytes,
    /// The profile recognised the answer as its own convention.
    Recognised,
}

/// All that decides which processes are the service's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// Each process that counts, once: the owners of the socket, what is above and below them, who is on record.
    pub(crate) processes: Vec<SeenProcess>,
    pub(crate) pid_file: PidFileClaim,
    /// The number of the session that was made for the start on record.
    pub(crate) session: Option<u32>,
    /// Set where the inventory gives `start` or `pid_file`.
    pub(crate) declares: bool,
    /// Set where something else starts the service, so that its command line tells nothing.
    pub(crate) supervised: bool,
    /// Set where the service has an address on this machine.
    pub(crate) has_address: bool,
    /// Set where somebody listens at its address, whether that process is known or not.
    pub(crate) somebody_listens: bool,
    /// Set where every owner of the socket can be seen.
    pub(crate) sees_all_owners: bool,
    /// Set where several processes are meant to answer.
    pub(crate) replicas: bool,
    pub(crate) answer: AnswerKind,
    /// Set where a person sees the process before anything is sent.
    pub(crate) is_shown: bool,
    /// The pid that the person has named.
    pub(crate) named: Option<u32>,
}

/// A process that is decided to be the service's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnProcess {
    pub(crate) running: RunningProcess,
    pub(crate) proof: ProcessProof,
    /// Set where it is below another one of them.
    pub(crate) is_below: bool,
    /// Set where it owns the socket that listens at the service's address.
    pub(crate) owns: bool,
    /// Its command line and directory, for people.
    pub(crate) line: String,
}

/// A process that listens at the service's address, or was named, and is not proved to be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnprovenProcess {
    pub(crate) running: RunningProcess,
    pub(crate) line: String,
    pub(crate) cwd: Option<PathBuf>,
    /// Why it is not proved.
    pub(crate) why: String,
    /// Set where it cannot be the service: what contradicts it.
    pub(crate) differs: Option<&'static str>,
    /// Set where it listens at the service's address.
    pub(crate) listens: bool,
    /// Set where it is known to have been started for another service.
    pub(crate) is_of_another: bool,
    /// The supervisor that holds it, in words.
    pub(crate) held_by: Option<String>,
    /// Set where `--pid` may name it.
    pub(crate) may_be_named: bool,
    /// Set where others than the service depend on it, so that nobody is invited to name it.
    pub(crate) serves_others: bool,
}

/// What was decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ownership {
    /// The service's own processes, the one to signal first in front.
    pub(crate) own: Vec<OwnProcess>,
    /// The owners of the socket, and who the pid file names, as far as they are not proved.
    pub(crate) unproven: Vec<UnprovenProcess>,
    /// What is below a proved process and left alone: who, and why.
    pub(crate) left_alone: Vec<(RunningProcess, String)>,
    /// The listeners that are independent of each other, where there are several and that is not meant.
    pub(crate) split: Vec<RunningProcess>,
    /// Who runs the start command and is not proved, because several do, or because nobody listens.
    pub(crate) copies: Vec<RunningProcess>,
}

impl fmt::Display for ProcessProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PidFile => "its pid file names it",
            Self::Keeper => "healthctl started it and keeps it",
            Self::Record => "it is on record",
            Self::StartCommand => "it runs its start command",
            Self::SoleOwner => "it alone listens at its address, and answered",
            Self::Named => "you named it",
        })
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::OtherService(what) => return write!(f, "is {what}"),
            Self::OtherAddress(what) => return write!(f, "is {what} as well"),
            Self::OtherKeeper(whose) => return write!(f, "was started for {whose}"),
            Self::Terminal => "has a terminal of its own",
            Self::Multiplexer => "serves terminals",
            Self::Init => "belongs to the init system",
            Self::Container => "runs in a container",
            Self::Kernel => "is a part of the kernel",
            Self::Ourselves => "has started this healthctl",
            Self::Keeper => "keeps a service that healthctl started",
            Self::Supervisor => "supervises other programs too",
        };
        f.write_str(text)
    }
}

impl UnprovenProcess {
    /// Returns who it is: pid, name, command line and directory.
    pub(crate) fn described(&self) -> String {
        let line = match self.line.as_str() {
            "" => String::new(),
            line => format!(", `{line}`"),
        };
        let cwd = self.cwd.as_ref();
        let cwd = cwd.map_or_else(String::new, |cwd| format!(" in {}", cwd.display()));
        format!("{}{line}{cwd}", self.running)
    }

    /// Returns its pid, where a person may be invited to name it for once.
    pub(crate) fn nameable(&self) -> Option<u32> {
        let is_invited = self.may_be_named && !self.serves_others;
        is_invited.then_some(self.running.process.pid)
    }

    /// Returns the ways out, as far as they fit: `starts` where the inventory says how the service is started.
    pub(crate) fn ways_out(&self, starts: bool, stops_without_signal: bool) -> String {
        let mut ways = Vec::new();
        if let Some(supervisor) = &self.held_by {
            ways.push(format!("{supervisor} holds it: say `supervised: true`"));
        }
        if starts {
            ways.push("end it, and start the service with healthctl".to_owned());
        }
        ways.push("name its `pid_file`".to_owned());
        if !stops_without_signal {
            ways.push("give `actions.shutdown` a route or a command".to_owned());
        }
        if self.may_be_named {
            let pid = self.running.process.pid;
            ways.push(format!("`--pid {pid}` signals exactly this process, once"));
        }
        ways.join("; or ")
    }
}
