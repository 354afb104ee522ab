//! Sends one request, once: an HTTP request, a signal or a command. What comes back tells how far it got, and proves
//! nothing.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use super::PlannedRequest;
use super::signal::{ProvenTarget, send_signal};
use crate::action::{has_done_nothing, shown_command};
use crate::health::FailureKind;
use crate::host::descendants;
use crate::host::signals::SignalError;
use crate::inventory::{Exec, HttpRequest, Means, Signal};
use crate::probe::{HttpReply, PreparedCommand, Prober, Redactions};
use crate::text;

/// The number of characters that are kept of a reply, of a command, and of the last line that it wrote.
const KEPT: usize = 160;
/// The number of bytes at the end of what a command wrote in which its last line is looked for.
const TAIL: u64 = 4096;
/// The number of last lines that are told of a check.
const LAST_LINES: usize = 4;
/// The largest body of a reply, in bytes: it is a sentence, not a download.
const MAX_BODY: u64 = 64 * 1024;

/// The fate of a request that was to be sent.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The service answered the request.
    Replied(HttpReply),
    /// The head of an answer came, and the rest is lost: the status code, and why.
    Cut(u16, String),
    /// A signal was delivered, or a command ended with status 0: which.
    Done(String),
    /// The command failed: which, and how.
    Failed { command: String, how: String },
    /// The request went out, and what became of it is not known: why.
    Lost(String),
    /// The request did not go out.
    NotSent(NotSent),
}

/// Why a request did not go out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotSent {
    /// The process was not there any more.
    #[error("{0}")]
    Gone(String),
    /// The service takes no connection.
    #[error("{0}")]
    Unreached(String),
    /// It failed for another reason.
    #[error("{0}")]
    Failed(String),
}

/// The response to a request to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopResponse {
    /// The request was taken: the answer.
    Taken(String),
    /// The route is not offered, not enabled or not allowed, so nothing was done: the answer.
    NotOffered(String),
    /// The request was rejected: how.
    Rejected(String),
    /// The request went out, and what became of it is not known: why.
    Unclear(String),
    /// The request did not go out.
    NotSent(NotSent),
}

/// Sends the request, once; an HTTP request goes to the IP address `pin`, where there is one.
pub(super) async fn send(
    prober: &Prober,
    request: &PlannedRequest,
    pin: Option<SocketAddr>,
) -> Delivery {
    let method = &request.method;
    match (&method.means, request.first()) {
        (Means::Http(request), _) => send_http(prober, request, pin, method.timeout).await,
        (Means::Signal(signal), Some(target)) => deliver(target, *signal),
        (Means::Signal(_), None) => {
            Delivery::NotSent(NotSent::Gone("its process had exited already".to_owned()))
        }
        (Means::Exec(exec), _) => run_command(exec, method.timeout).await,
    }
}

fn not_sent(why: impl Into<String>) -> Delivery {
    Delivery::NotSent(NotSent::Failed(why.into()))
}

async fn send_http(
    prober: &Prober,
    request: &HttpRequest,
    pin: Option<SocketAddr>,
    limit: Duration,
) -> Delivery {
    let error = match prober.send(request, pin, limit, MAX_BODY).await {
        Ok(reply) => return Delivery::Replied(reply),
        Err(error) => error,
    };
    let timed_out = error.failure.kind == FailureKind::Timeout;
    let why = error.failure.message;
    match error.code {
        _ if error.before_sending && error.refused => Delivery::NotSent(NotSent::Gone(why)),
        _ if error.before_sending && timed_out => Delivery::NotSent(NotSent::Unreached(why)),
        _ if error.before_sending => not_sent(why),
        Some(code) => Delivery::Cut(code, why),
        None if timed_out => Delivery::Lost(format!("no reply: {why}")),
        None => Delivery::Lost(format!(
            "the connection was lost after the request was sent: {why}"
        )),
    }
}

fn deliver(target: &ProvenTarget, signal: Signal) -> Delivery {
    let pid = target.process().pid;
    match send_signal(target, kernel_signal(signal)) {
        Ok(()) => Delivery::Done(format!("SIG{} delivered to pid {pid}", signal.as_str())),
        Err(SignalError::Gone) => {
            Delivery::NotSent(NotSent::Gone(format!("pid {pid} had exited already")))
        }
        Err(error) => not_sent(format!("pid {pid} cannot be signalled: {error}")),
    }
}

/// Runs a command to its end, and tells the last line of its errors. A command that takes longer than `limit` goes on.
pub(super) async fn run_command(exec: &Exec, limit: Duration) -> Delivery {
    run_and_tell(exec, limit, KeptOutput::LastError).await
}

/// Runs a command that only checks something, and tells the end of its output. One that takes longer than `limit` is killed.
pub(super) async fn run_check(exec: &Exec, limit: Duration) -> Delivery {
    run_and_tell(exec, limit, KeptOutput::LastLines).await
}

async fn run_and_tell(exec: &Exec, limit: Duration, kept: KeptOutput) -> Delivery {
    let shown = shown_command(exec.shown.iter().map(String::as_str));
    let shown = text::clean(&shown, KEPT);
    let began = Instant::now();
    let ready = match timeout(limit, PreparedCommand::to_run(exec)).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(why)) => return not_sent(why),
        Err(_) => return not_sent(format!("what `{shown}` needs could not be read in time")),
    };
    let left = || limit.saturating_sub(began.elapsed());
    let lost = |how| Delivery::Lost(format!("`{shown}` {how}"));
    // A file system that hangs would hold up everybody else.
    let starting = tokio::task::spawn_blocking(move || RunningCommand::start(ready, kept));
    let mut running = match timeout(left(), starting).await {
        Ok(Ok(Ok(running))) => running,
        Ok(Ok(Err(why))) => return not_sent(why),
        Ok(Err(_)) => return lost("could not be started"),
        Err(_) => return lost("has not started in time, and may yet"),
    };
    let status = match timeout(left(), running.child.wait()).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Delivery::Lost(format!("`{shown}`: {error}")),
        Err(_) if kept == KeptOutput::LastLines => {
            // It may have ended just now.
            let _ = running.child.kill().await;
            return lost("has not ended in time and was killed");
        }
        Err(_) => return lost("has not ended in time and goes on"),
    };
    if status.success() {
        return Delivery::Done(format!("`{shown}` ended with status 0"));
    }
    let line = tokio::task::spawn_blocking(move || running.last_line()).await;
    let how = match line.as_deref() {
        Err(_) | Ok("") => status.to_string(),
        Ok(line) => format!("{status}: {line}"),
    };
    Delivery::Failed {
        command: shown,
        how,
    }
}

/// What is told of the output of a command that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeptOutput {
    /// The last line of its standard error.
    LastError,
    /// The last lines of both outputs.
    LastLines,
}

/// A command under way, with the file that holds its standard error; `None` where there is no room for one.
struct RunningCommand {
    child: Child,
    redactions: Redactions,
    stderr: Option<File>,
    kept: KeptOutput,
}

impl RunningCommand {
    fn start(mut ready: PreparedCommand, kept: KeptOutput) -> Result<Self, String> {
        let written = unnamed_file().ok();
        let output = || {
            let file = written.as_ref().and_then(|file| file.try_clone().ok());
            file.map_or_else(Stdio::null, Stdio::from)
        };
        let stdout = match kept {
            // What it says goes to nobody, and what it starts may go on saying it for ever.
            KeptOutput::LastError => Stdio::null(),
            KeptOutput::LastLines => output(),
        };
        ready
            .command()
            .stdout(stdout)
            .stderr(output())
            // What a probe or a hook leaves behind is ended by this; what an action leaves behind is meant to stay.
            .env_remove(descendants::VARIABLE);
        let (child, redactions) = ready.start()?;
        Ok(Self {
            child,
            redactions,
            stderr: written,
            kept,
        })
    }

    /// Returns the last line that it wrote, cleaned, and without the secrets that it was given.
    fn last_line(&self) -> String {
        let read = || {
            let file = self.stderr.as_ref()?;
            let length = file.metadata().ok()?.len();
            let start = length.saturating_sub(TAIL);
            let mut bytes = vec![0; usize::try_from(length - start).ok()?];
            let count = file.read_at(&mut bytes, start).ok()?;
            bytes.truncate(count);
            Some((bytes, start > 0))
        };
        let Some((bytes, is_cut)) = read() else {
            return String::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = if is_cut {
            self.redactions.apply_to_end(&text)
        } else {
            self.redactions.apply(&text)
        };
        let lines = text.lines().rev().map(str::trim);
        let count = match self.kept {
            KeptOutput::LastError => 1,
            KeptOutput::LastLines => LAST_LINES,
        };
        let lines = lines.filter(|line| !line.is_empty()).take(count);
        let mut lines: Vec<String> = lines.map(|line| text::clean(line, KEPT)).collect();
        lines.reverse();
        lines.join(" / ")
    }
}

/// Opens a file without a name for what a command writes. A pipe would break when healthctl ends, and end the command that
/// writes into it.
fn unnamed_file() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    // Whoever opens it anew by `/dev/stderr` must not write over what is there.
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::APPEND)?;
    Ok(file)
}

impl std::fmt::Display for StopResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(what) | Self::Unclear(what) => f.write_str(what),
            Self::NotOffered(how) | Self::Rejected(how) => write!(f, "it {how}"),
            Self::NotSent(why) => write!(f, "nothing was sent: {why}"),
        }
    }
}

impl From<Delivery> for StopResponse {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Replied(reply) => by_code(reply.code, &masked_body(&reply)),
            Delivery::Cut(code, _) => by_code(code, &[]),
            Delivery::Done(what) => Self::Taken(what),
            Delivery::Failed { command, how } => {
                Self::Rejected(format!("was not stopped by `{command}` ({how})"))
            }
            Delivery::Lost(why) => Self::Unclear(why),
            Delivery::NotSent(why) => Self::NotSent(why),
        }
    }
}

/// Returns the body of a reply without the secrets of its request.
pub(super) fn masked_body(reply: &HttpReply) -> Vec<u8> {
    let text = String::from_utf8_lossy(&reply.body);
    reply.redactions.apply(&text).into_bytes()
}

/// Reads a status code. A server that takes a request and goes down may still answer with a fault of its own, and so may a
/// proxy in front of it; a plain rejection is one.
fn by_code(code: u16, body: &[u8]) -> StopResponse {
    let answer = answered(code, body);
    match code {
        200..=299 => StopResponse::Taken(answer),
        _ if has_done_nothing(code) => StopResponse::NotOffered(answer),
        // Too early, in conflict with a shutdown under way, too often: it may go down all the same.
        408 | 409 | 425 | 429 => StopResponse::Unclear(answer),
        300..=499 => StopResponse::Rejected(answer),
        _ => StopResponse::Unclear(answer),
    }
}

/// `answered 403 Forbidden: Lifecycle API is not enabled.`
pub(super) fn answered(code: u16, body: &[u8]) -> String {
    let body = text::clean(String::from_utf8_lossy(body).trim(), KEPT);
    let status = reqwest::StatusCode::from_u16(code).ok();
    let reason = status.and_then(|status| status.canonical_reason());
    let reason = reason.map_or_else(String::new, |reason| format!(" {reason}"));
    let colon = if body.is_empty() { "" } else { ": " };
    format!("answered {code}{reason}{colon}{body}")
}

/// Returns the signal as the kernel knows it.
pub(super) const fn kernel_signal(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Int => rustix::process::Signal::INT,
        Signal::Hup => rustix::process::Signal::HUP,
        Signal::Quit => rustix::process::Signal::QUIT,
        Signal::Usr1 => rustix::process::Signal::USR1,
        Signal::Usr2 => rustix::process::Signal::USR2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_tell_how_far_a_request_got() {
        for (code, expected) in [
            (200, "taken"),
            (202, "taken"),
            (204, "taken"),
            (301, "rejected"),
            (400, "rejected"),
            (401, "not offered"),
            (403, "not offered"),
            (404, "not offered"),
            (405, "not offered"),
            (410, "rejected"),
            (409, "unclear"),
            (500, "unclear"),
            (501, "not offered"),
            (502, "unclear"),
            (503, "unclear"),
        ] {
            let found = match by_code(code, &[]) {
                StopResponse::Taken(_) => "taken",
                StopResponse::NotOffered(_) => "not offered",
                StopResponse::Rejected(_) => "rejected",
                StopResponse::Unclear(_) => "unclear",
                StopResponse::NotSent(_) => "?",
            };
            assert_eq!(found, expected, "{code}");
        }
    }

    fn command(words: &[&str]) -> Exec {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Exec {
            shown: words.clone(),
            command: words,
            ..Exec::default()
        }
    }

    #[tokio::test]
    async fn commands_tell_by_their_status() {
        let run =
            async |words: &[&str]| run_command(&command(words), Duration::from_secs(20)).await;
        assert!(matches!(run(&["true"]).await, Delivery::Done(_)));
        assert!(matches!(run(&["/nowhere/x"]).await, Delivery::NotSent(_)));
        assert!(matches!(run(&[]).await, Delivery::NotSent(_)));
        for (script, expected) in [
            (
                "echo no such unit >&2; exit 5",
                "exit status: 5: no such unit",
            ),
            (
                "echo one >&2; echo two >&2; echo >&2; exit 1",
                "exit status: 1: two",
            ),
            ("echo out; exit 1", "exit status: 1"),
            (
                "echo one >&2; echo two > /dev/stderr; exit 1",
                "exit status: 1: two",
            ),
            (
                "head -c 9000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; exit 1",
                "exit status: 1: end",
            ),
            ("kill -KILL $$", "signal: 9 (SIGKILL)"),
        ] {
            let Delivery::Failed { how, .. } = run(&["sh", "-c", script]).await else {
                panic!("a command that fails has not taken it: {script}");
            };
            assert_eq!(how, expected);
        }
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_left_to_its_work() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 60", pid_file.display());
        let exec = command(&["sh", "-c", &script]);
        let end = run_command(&exec, Duration::from_millis(500)).await;
        assert!(matches!(end, Delivery::Lost(_)), "{end:?}");
        let text = std::fs::read_to_string(pid_file).unwrap();
        // It is there to be ended.
        let mut kill = std::process::Command::new("kill");
        assert!(
            kill.args(["-KILL", text.trim()])
                .status()
                .unwrap()
                .success()
        );
    }

    #[tokio::test]
    async fn the_last_line_tells_no_secret() {
        let given = |script: &str| Exec {
            hidden: vec![("hunter22".to_owned(), "${TOKEN}".to_owned())],
            ..command(&["sh", "-c", script])
        };
        // Cut in the middle of it, by what is looked at and by what is shown.
        let long = format!("hunter22{}; exit 1", "y".repeat(4092));
        let late = format!("{}hunter22; exit 1", "y".repeat(157));
        for (script, expected) in [
            ("no user hunter22; exit 1", "no user ${TOKEN}".to_owned()),
            (&long, "y".repeat(KEPT)),
            (&late, format!("{}${{T", "y".repeat(157))),
        ] {
            let exec = given(&format!(
                "echo {} >&2; exit 1",
                script.trim_end_matches("; exit 1")
            ));
            let Delivery::Failed { how, .. } = run_command(&exec, Duration::from_secs(20)).await
            else {
                panic!("it fails")
            };
            assert_eq!(
                how.trim_end_matches('…'),
                format!("exit status: 1: {expected}")
            );
        }
    }
}
