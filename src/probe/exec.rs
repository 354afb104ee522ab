//! A command: exit status 0 is good. No shell, a process group of its own, time and output capped; whatever it leaves
//! behind is ended with it.

mod group;
mod output;
mod ready;

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::{Instant, timeout, timeout_at};

use crate::health::{Failure, FailureKind, Outcome, ProbeResult};
use crate::host::offspring;
use crate::inventory::{Exec, Probe};

use crate::text;

use super::asker::Asker;
use super::exchange;
use super::explain::{self, Cause};
use group::Group;
use output::Output;

use crate::probe::Masks;
pub(crate) use group::Commands;
pub(crate) use ready::Ready;

/// What was killed is waited for so long, that nothing of it is left; only a process stuck in the kernel takes longer.
const REAPING: Duration = Duration::from_secs(1);

/// Runs a command that is nobody's question, as one that is would be: in a group of its own, no longer than it may take,
/// and nothing is left of it. However much it writes, only the beginning is kept.
///
/// # Errors
/// It cannot be run, failed, or was ended: why, with the first line that it wrote.
pub(crate) async fn run(exec: &Exec, limit: Duration) -> Result<(), Failure> {
    let question = Question {
        exec,
        most: u64::MAX,
        timeout: limit,
    };
    match run_to_end(question, exchange::deadline(limit)).await.cause {
        None => Ok(()),
        Some(cause) => Err(cause.failure()),
    }
}

/// Runs the command; an exit status of 0 is a pass.
pub(super) async fn ask(
    asker: &Asker,
    probe: &Probe,
    exec: &Exec,
    _pin: Option<SocketAddr>,
) -> Outcome {
    let question = Question {
        exec,
        most: probe.max_body,
        timeout: probe.timeout,
    };
    let started = Instant::now();
    let ran = run_to_end(question, exchange::deadline(question.timeout)).await;
    let latency = ran.ended.map(|ended| ended.duration_since(started));
    let now = asker.clock.now();
    let outcome = match ran.cause {
        None => Outcome::bare(ProbeResult::Pass, now),
        Some(cause) => {
            let failure = cause.failure();
            Outcome::failed(failure.kind, failure.message, now)
        }
    };
    Outcome { latency, ..outcome }
}

/// What is run.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    exec: &'a Exec,
    /// So many bytes it may write.
    most: u64,
    timeout: Duration,
}

/// What came of it.
struct Ran {
    /// Nothing where it exited with 0.
    cause: Option<Cause>,
    /// When it came to an end by itself.
    ended: Option<Instant>,
}

impl From<Cause> for Ran {
    fn from(cause: Cause) -> Self {
        Self {
            cause: Some(cause),
            ended: None,
        }
    }
}

/// Runs the command to its end, or to its deadline.
async fn run_to_end(question: Question<'_>, deadline: Instant) -> Ran {
    match timeout_at(deadline, start(question)).await {
        Ok(Ok(running)) => finish(running, question, deadline).await,
        Ok(Err(cause)) => cause.into(),
        Err(_) => Cause::new(
            FailureKind::Timeout,
            format!("not even started within {}", limit(question)),
        )
        .into(),
    }
}

fn limit(question: Question<'_>) -> impl std::fmt::Display {
    text::format_duration(question.timeout)
}

/// A command under way. The group is ended before the child is forgotten: its number is free for others only then.
struct Running {
    group: Group,
    child: Child,
    output: Output,
    masks: Masks,
}

async fn start(question: Question<'_>) -> Result<Running, Cause> {
    let mut ready = Ready::of(question.exec).await?;
    // A file system that hangs would hold up everybody else.
    tokio::task::spawn_blocking(move || {
        let Some(_leave) = group::leave() else {
            return Err(Cause::local(
                "no command is started any more: we are ending",
            ));
        };
        let mark = offspring::text();
        let command = ready.command();
        command.kill_on_drop(true).env(offspring::VARIABLE, &mark);
        let output = Output::attach(command)
            .map_err(|error| Cause::local(format!("no pipe: {}", explain::words(&error))))?;
        // Ours is the last copy of the end that is written to, and goes with the command.
        let (child, masks) = ready.spawn()?;
        Ok(Running {
            group: Group::of(&child, mark),
            child,
            output,
            masks,
        })
    })
    .await
    .unwrap_or_else(|_| Err(Cause::local("the command could not be started")))
}

async fn finish(mut running: Running, question: Question<'_>, deadline: Instant) -> Ran {
    let most = question.most;
    let watching = async {
        tokio::select! {
            biased;
            () = running.output.overflow(most) => false,
            () = group::ended(&mut running.child) => true,
        }
    };
    let watched = timeout_at(deadline, watching).await.ok();
    let ended = watched
        .filter(|by_itself| *by_itself)
        .map(|_| Instant::now());
    running.group.kill();
    running.output.rest();
    let words = running.output.first_line(&running.masks);
    let status = timeout(REAPING, running.child.wait()).await;
    running.group.end_offspring().await;
    let cause = match (watched, status) {
        (None, _) => Some(Cause::new(
            FailureKind::Timeout,
            behind(format!("no end within {}", limit(question)), &words),
        )),
        (Some(false), _) => Some(Cause::new(
            FailureKind::BodyLimit,
            behind(
                format!(
                    "its output is larger than {} (max_body)",
                    text::long_size(most)
                ),
                &words,
            ),
        )),
        (Some(true), Ok(Ok(status))) if status.success() => None,
        (Some(true), Ok(Ok(status))) => Some(Cause::new(
            FailureKind::Exit,
            behind(describe(status), &words),
        )),
        (Some(true), Ok(Err(error))) => Some(Cause::local(format!(
            "its end cannot be known: {}",
            explain::words(&error)
        ))),
        (Some(true), Err(_)) => Some(Cause::local("its end cannot be known")),
    };
    Ran { cause, ended }
}

fn behind(what: String, words: &str) -> String {
    if words.is_empty() {
        return what;
    }
    format!("{what}: {words}")
}

/// `exit status 2`, `ended by signal 11 (SIGSEGV)`
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("ended by signal {signal} ({name})"),
            None => format!("ended by signal {signal}"),
        },
        (None, None) => "it ended without a status".to_owned(),
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    let name = match Signal::from_named_raw(number)? {
        Signal::HUP => "SIGHUP",
        Signal::INT => "SIGINT",
        Signal::QUIT => "SIGQUIT",
        Signal::ILL => "SIGILL",
        Signal::TRAP => "SIGTRAP",
        Signal::ABORT => "SIGABRT",
        Signal::BUS => "SIGBUS",
        Signal::FPE => "SIGFPE",
        Signal::KILL => "SIGKILL",
        Signal::SEGV => "SIGSEGV",
        Signal::PIPE => "SIGPIPE",
        Signal::ALARM => "SIGALRM",
        Signal::TERM => "SIGTERM",
        Signal::XCPU => "SIGXCPU",
        Signal::XFSZ => "SIGXFSZ",
        Signal::SYS => "SIGSYS",
        _ => return None,
    };
    Some(name)
}
