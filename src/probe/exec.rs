//! Probes by a command: exit status 0 is a pass. It runs without a shell, in a process group of its own, with limits on time
//! and output; processes that it leaves behind are ended with it.

mod group;
mod output;
mod prepared;

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::time::{Instant, timeout, timeout_at};

use crate::health::{Failure, FailureKind, Outcome, ProbeResult};
use crate::host::{descendants, limits};
use crate::inventory::{Exec, ExecLimits, Probe};
use crate::text;

use super::error::{ProbeError, system_message};
use super::exchange;
use super::prober::Prober;
use super::redact::Redactions;
use group::CommandGroup;
use output::CommandOutput;

pub(crate) use group::Commands;
pub(crate) use prepared::PreparedCommand;

/// The time in which a killed command must end; only a process stuck in the kernel takes longer.
const REAPING: Duration = Duration::from_secs(1);

/// Runs a command probe once.
pub(super) async fn probe(
    prober: &Prober,
    probe: &Probe,
    exec: &Exec,
    _pin: Option<SocketAddr>,
) -> Outcome {
    let clock = prober.clock;
    let started = Instant::now();
    let limits = CommandLimits::new(probe.max_body, probe.timeout);
    let (result, ended) = run_within(exec, limits).await;
    let outcome = match result {
        Ok(()) => Outcome::bare(ProbeResult::Pass, clock.now()),
        Err(error) => error.outcome(clock.now()),
    };
    Outcome {
        latency: ended.map(|ended| ended.duration_since(started)),
        ..outcome
    }
}

/// Runs a command that is no probe, with the same limits: it has a process group of its own and no more time than
/// `timeout`, and nothing of it is left running. Only the start of its output is kept.
///
/// # Errors
///
/// Returns the reason why the command cannot be run, failed or was ended, with the first line that it wrote.
pub(crate) async fn run(exec: &Exec, timeout: Duration) -> Result<(), Failure> {
    let limits = CommandLimits::new(u64::MAX, timeout);
    let (result, _) = run_within(exec, limits).await;
    result.map_err(|error| error.failure())
}

/// The limits of a command.
#[derive(Debug, Clone, Copy)]
struct CommandLimits {
    /// The number of bytes that it may write.
    max_output: u64,
    timeout: Duration,
    deadline: Instant,
}

impl CommandLimits {
    fn new(max_output: u64, timeout: Duration) -> Self {
        Self {
            max_output,
            timeout,
            deadline: exchange::deadline(timeout),
        }
    }

    fn timed_out(&self, what: &str, line: &str) -> ProbeError {
        let timeout = text::format_duration(self.timeout);
        let message = with_line(format!("{what} within {timeout}"), line);
        ProbeError::new(FailureKind::Timeout, message)
    }
}

/// The result of a command, and when it ended by itself.
type CommandResult = (Result<(), ProbeError>, Option<Instant>);

async fn run_within(exec: &Exec, limits: CommandLimits) -> CommandResult {
    match timeout_at(limits.deadline, start(exec)).await {
        Ok(Ok(running)) => finish(running, exec, limits).await,
        Ok(Err(error)) => (Err(error), None),
        Err(_) => (Err(limits.timed_out("not even started", "")), None),
    }
}

/// A command that was started. The group is ended before the child is dropped: only then its pid is free for others.
struct StartedCommand {
    group: CommandGroup,
    child: Child,
    output: CommandOutput,
    redactions: Redactions,
}

async fn start(exec: &Exec) -> Result<StartedCommand, ProbeError> {
    let mut prepared = PreparedCommand::of(exec).await?;
    // The start may block on a file system that hangs.
    tokio::task::spawn_blocking(move || {
        let Some(_permit) = group::permit_start() else {
            return Err(ProbeError::local(
                "no command is started any more: we are ending",
            ));
        };
        let tag = descendants::new_value();
        let command = prepared.command();
        command.kill_on_drop(true).env(descendants::VARIABLE, &tag);
        let output = CommandOutput::attach(command)
            .map_err(|error| ProbeError::local(format!("no pipe: {}", system_message(&error))))?;
        // The command holds the last copy of the writing end of the pipe, which must be dropped with it.
        let (child, redactions) = prepared.spawn()?;
        Ok(StartedCommand {
            group: CommandGroup::of(&child, tag),
            child,
            output,
            redactions,
        })
    })
    .await
    .unwrap_or_else(|_| Err(ProbeError::local("the command could not be started")))
}

async fn finish(mut running: StartedCommand, exec: &Exec, limits: CommandLimits) -> CommandResult {
    let max_output = limits.max_output;
    let watching = async {
        tokio::select! {
            biased;
            () = running.output.overflow(max_output) => None,
            () = group::ended(&mut running.child) => Some(Instant::now()),
        }
    };
    let watched = timeout_at(limits.deadline, watching).await;
    running.group.kill();
    running.output.read_rest();
    let line = running.output.first_line(&running.redactions);
    let status = timeout(REAPING, running.child.wait()).await;
    running.group.end_descendants().await;
    let Ok(ended) = watched else {
        return (Err(limits.timed_out("no end", &line)), None);
    };
    let unknown = |why: &str| ProbeError::local(format!("its end cannot be known{why}"));
    let failed = |kind, what| Err(ProbeError::new(kind, with_line(what, &line)));
    let result = match status {
        _ if ended.is_none() => failed(
            FailureKind::BodyLimit,
            format!(
                "its output is larger than {} (max_body)",
                text::long_size(max_output)
            ),
        ),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => match not_run(exec, status, &line) {
            Some(error) => Err(error),
            None => failed(FailureKind::Exit, describe_limited(status, exec.limits)),
        },
        Ok(Err(error)) => Err(unknown(&format!(": {}", system_message(&error)))),
        Err(_) => Err(unknown("")),
    };
    (result, ended)
}

fn with_line(what: String, line: &str) -> String {
    if line.is_empty() {
        return what;
    }
    format!("{what}: {line}")
}

/// Returns why a command with limits was not run at all.
fn not_run(exec: &Exec, status: ExitStatus, line: &str) -> Option<ProbeError> {
    let is_ours = exec.limits.any() && status.code() == Some(limits::NOT_RUN);
    let reason = limits::reason(line).filter(|_| is_ours)?;
    Some(prepared::not_become(exec, &reason))
}

/// Describes a status, and the limit that was exceeded. That the memory did not suffice only the command itself knows.
fn describe_limited(status: ExitStatus, limits: ExecLimits) -> String {
    // A shell says how its command ended by a number above this.
    const BY_SIGNAL: i32 = 128;
    let signal = status
        .signal()
        .or(status.code().map(|code| code - BY_SIGNAL));
    match limits.cpu.map(text::format_duration) {
        Some(cpu) if signal == Some(Signal::XCPU.as_raw()) => {
            return format!("exceeded its CPU time of {cpu}");
        }
        Some(cpu) if signal == Some(Signal::KILL.as_raw()) => {
            return format!("{}, with its CPU time limited to {cpu}", describe(status));
        }
        _ => {}
    }
    match limits.memory.map(text::format_size) {
        Some(memory) => format!("{}, with its memory limited to {memory}", describe(status)),
        None => describe(status),
    }
}

/// Describes a status: `exit status 2`, `ended by signal 11 (SIGSEGV)`.
fn describe(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("exit status {code}");
    }
    let text = status.to_string();
    let signal = text.trim_start_matches("signal: ");
    format!(
        "ended by signal {}",
        signal.trim_end_matches(" (core dumped)")
    )
}
