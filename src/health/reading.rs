//! What a payload said, decoded into our words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{DependencyStatus, Start, State};

/// A status word: what it means to us, and what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusWord {
    /// The state that the word means; never `paused` or `blocked`, which only flags say.
    pub state: State,
    /// The word as the service wrote it, cleaned; `None` where the state comes from a rule, a code or a flag.
    pub raw: Option<String>,
}

/// An age that a service reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Age {
    /// The payload has no such field for this entry.
    #[default]
    NotReported,
    /// Reported as never (`-1`, null, the zero time).
    Never,
    /// This long ago at the time of the answer.
    Ago(Duration),
}

/// When a sign of life was given, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// None was given yet.
    Never,
    /// At this time of the reporter's clock, which need not agree with ours.
    At(Timestamp),
    /// This long before the answer.
    Ago(Duration),
}

/// A sign of life that is given again and again: a lease that is renewed, an agent that reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The time of the last heartbeat.
    pub beat: Beat,
    /// The age at which a heartbeat counts as missed; `None` means that none is ever missed.
    pub fresh_for: Option<Duration>,
    /// The time between two missed heartbeats; `None` means the same as `fresh_for`.
    pub every: Option<Duration>,
    /// The holder, cleaned; a heartbeat may pass to another holder.
    pub holder: Option<String>,
    /// This heartbeat announces that no other will follow.
    pub is_final: bool,
    /// A sentence of the sender about what it is doing, cleaned.
    pub message: Option<String>,
}

/// A component that a service reports on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// The name, which no other entry has; nested names are joined by `/`.
    pub name: String,
    /// The name as it was reported, where another entry has it too: `name` is a number longer then.
    pub repeats: Option<String>,
    /// The meaning of the status word.
    pub status: DependencyStatus,
    /// The word as written, cleaned.
    pub word: Option<String>,
    /// The profile or the payload calls the dependency required. The list of the inventory comes on top.
    pub required: bool,
    /// The error in the service's words, cleaned.
    pub error: Option<String>,
    /// Successes since the process started.
    pub success_count: Option<u64>,
    /// Failures since the process started.
    pub failure_count: Option<u64>,
    /// Time since the last success.
    pub last_success: Age,
    /// Time since the last failure.
    pub last_failure: Age,
    /// The duration of the check that the service made.
    pub latency: Option<Duration>,
    /// The heartbeat of the dependency.
    pub heartbeat: Option<Heartbeat>,
    /// All else of the entry, cleaned.
    pub details: Arc<BTreeMap<String, serde_json::Value>>,
}

impl Dependency {
    /// A dependency of which only name and status are known.
    pub fn new(name: impl Into<String>, status: DependencyStatus) -> Self {
        Self {
            name: name.into(),
            status,
            ..Self::default()
        }
    }

    /// Returns the name as it was reported. A rule on that name holds for every entry that has it.
    pub fn reported_name(&self) -> &str {
        self.repeats.as_ref().unwrap_or(&self.name)
    }
}

/// A decoded payload. Every field is what this one answer said; nothing is remembered here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The state that word, code, flags, rules and dependencies of the payload amount to, as the profile combines them.
    pub status: Option<StatusWord>,
    /// True where the payload (word, header or flag) says that the service is draining.
    pub draining: bool,
    /// The version of the service.
    pub version: Option<String>,
    /// The service's own name for itself.
    pub service: Option<String>,
    /// A name for the instance that answered, new for each process.
    pub instance: Option<String>,
    /// When the process started.
    pub started: Option<Start>,
    /// The uptime of the process.
    pub uptime: Option<Duration>,
    /// A sentence of the service about itself, or the note of a rule.
    pub message: Option<String>,
    /// The heartbeat, where the payload is about one.
    pub heartbeat: Option<Heartbeat>,
    /// Free numbers about the process.
    pub resources: BTreeMap<String, serde_json::Value>,
    /// True where the profile lets the status word or the code alone decide: a dependency in error is shown, and
    /// counts only where the inventory requires it.
    pub ignores_dependencies: bool,
    /// True where only what fails is listed: what is not there is well.
    pub lists_failures_only: bool,
    /// `None` where the payload has no dependency table; empty where it has one without entries.
    pub dependencies: Option<Vec<Dependency>>,
}

impl Reading {
    /// Returns the sum of the counters of its dependencies, or `None` when no dependency has one.
    pub(crate) fn counted(&self) -> Option<u64> {
        let dependencies = self.dependencies.iter().flatten();
        let counts = dependencies.flat_map(|it| [it.success_count, it.failure_count]);
        counts.flatten().reduce(u64::saturating_add)
    }
}
