//! Carries out one means once. What comes back tells how far it got, and proves nothing.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::action::{Way, shown_command};
use crate::health::{FailureKind, Process, text};
use crate::host::signals::{self, SignalError};
use crate::inventory::{HttpRequest, Means, Signal};
use crate::probe::{Asker, Reply};

/// So much of a reply or of a command's last words is kept.
const KEPT: usize = 160;
/// So long after its end a command's last words are waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// A reply is a sentence, not a download.
const MAX_BODY: u64 = 64 * 1024;

/// What became of the sending itself.
#[derive(Debug)]
pub(super) enum Went {
    /// It was answered.
    Replied(Reply),
    /// The head of an answer came, and what was to follow it is lost: the code, and why.
    Cut(u16, String),
    /// A signal was delivered, or a command ended with status 0: which.
    Done(String),
    /// The command failed: which, and how.
    Failed {
        /// The command.
        command: String,
        /// Its status and last words.
        how: String,
    },
    /// It went out, and what became of it is not known: why.
    Lost(String),
    /// Nothing went out, since nobody was there any more: why.
    NobodyThere(String),
    /// Nothing went out: why.
    Unsent(String),
}

/// How far a request to stop got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was taken: what was said to it.
    Taken(String),
    /// It was turned down: how.
    TurnedDown(String),
    /// It went out, and what became of it is not known: why.
    Unclear(String),
    /// Nothing went out, since nobody was there any more: why.
    NobodyThere(String),
    /// Nothing went out: why.
    Unsent(String),
}

/// Carries out the means, once.
pub(super) async fn send(
    asker: &Asker,
    way: &Way,
    pin: Option<SocketAddr>,
    process: Option<Process>,
) -> Went {
    match (&way.means, process) {
        (Means::Http(request), _) => http(asker, request, pin, way.timeout).await,
        (Means::Signal(signal), Some(process)) => deliver(process, *signal),
        (Means::Signal(_), None) => Went::Unsent("its process is not known".to_owned()),
        (Means::Exec(command), _) => exec(command, way.timeout).await,
    }
}

async fn http(
    asker: &Asker,
    request: &HttpRequest,
    pin: Option<SocketAddr>,
    limit: Duration,
) -> Went {
    match asker.send(request, pin, limit, MAX_BODY).await {
        Ok(reply) => Went::Replied(reply),
        Err(error) if error.before_sending && error.refused => {
            Went::NobodyThere(error.failure.message)
        }
        Err(error) if error.before_sending => Went::Unsent(error.failure.message),
        Err(error) => match error.code {
            Some(code) => Went::Cut(code, error.failure.message),
            None if error.failure.kind == FailureKind::Timeout => {
                Went::Lost(format!("no reply: {}", error.failure.message))
            }
            None => Went::Lost(format!(
                "the connection was lost after the request was sent: {}",
                error.failure.message
            )),
        },
    }
}

impl From<Went> for Sent {
    fn from(went: Went) -> Self {
        match went {
            Went::Replied(reply) => by_code(reply.code, &reply.body),
            Went::Cut(code, _) => by_code(code, &[]),
            Went::Done(what) => Self::Taken(what),
            Went::Failed { command, how } => {
                Self::TurnedDown(format!("was not stopped by `{command}` ({how})"))
            }
            Went::Lost(why) => Self::Unclear(why),
            Went::NobodyThere(why) => Self::NobodyThere(why),
            Went::Unsent(why) => Self::Unsent(why),
        }
    }
}

/// A server that takes a request and goes down may still answer with a fault of its own, and so may a proxy in
/// front of it; what is a plain no, is one.
fn by_code(code: u16, body: &[u8]) -> Sent {
    let answer = answered(code, body);
    match code {
        200..=299 => Sent::Taken(answer),
        // Too early, in conflict with a shutdown under way, too often: it may go down all the same.
        408 | 409 | 425 | 429 => Sent::Unclear(answer),
        300..=499 => Sent::TurnedDown(answer),
        _ => Sent::Unclear(answer),
    }
}

/// `answered 403 Forbidden: Lifecycle API is not enabled.`
pub(super) fn answered(code: u16, body: &[u8]) -> String {
    let body = text::clean(String::from_utf8_lossy(body).trim(), KEPT);
    if body.is_empty() {
        format!("answered {}", status(code))
    } else {
        format!("answered {}: {body}", status(code))
    }
}

/// `403 Forbidden`
fn status(code: u16) -> String {
    let reason = reqwest::StatusCode::from_u16(code)
        .ok()
        .and_then(|code| code.canonical_reason());
    match reason {
        Some(reason) => format!("{code} {reason}"),
        None => code.to_string(),
    }
}

/// The signal as the kernel knows it.
pub(super) const fn kernel(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Int => rustix::process::Signal::INT,
        Signal::Hup => rustix::process::Signal::HUP,
        Signal::Quit => rustix::process::Signal::QUIT,
        Signal::Usr1 => rustix::process::Signal::USR1,
        Signal::Usr2 => rustix::process::Signal::USR2,
    }
}

fn deliver(process: Process, signal: Signal) -> Went {
    match signals::send(process, kernel(signal)) {
        Ok(()) => Went::Done(format!(
            "{} delivered to pid {}",
            signal.name(),
            process.pid
        )),
        Err(SignalError::Gone) => {
            Went::NobodyThere(format!("pid {} had exited already", process.pid))
        }
        Err(error) => Went::Unsent(format!("pid {} cannot be signalled: {error}", process.pid)),
    }
}

/// A command without a shell, in a process group of its own, so that Ctrl-C in our terminal does not reach it.
async fn exec(words: &[String], limit: Duration) -> Went {
    let Some((program, arguments)) = words.split_first() else {
        return Went::Unsent("the command is empty".to_owned());
    };
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let shown = text::clean(&shown_command(words.iter().map(String::as_str)), KEPT);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Went::Unsent(format!("cannot run `{shown}`: {error}")),
    };
    let words = tokio::spawn(last_words(child.stderr.take()));
    let ended = timeout(limit, async {
        let status = child.wait().await;
        // What it left behind in the background may hold its stderr open for ever.
        let words = timeout(LAST_WORDS, words).await;
        (status, words.ok().and_then(Result::ok).unwrap_or_default())
    })
    .await;
    match ended {
        // Half a stop may be worse than a late one, so it is left to its work.
        Err(_) => Went::Lost(format!("`{shown}` has not ended in time and goes on")),
        Ok((Err(error), _)) => Went::Lost(format!("`{shown}`: {error}")),
        Ok((Ok(status), _)) if status.success() => {
            Went::Done(format!("`{shown}` ended with status 0"))
        }
        Ok((Ok(status), words)) => {
            let how = if words.is_empty() {
                status.to_string()
            } else {
                format!("{status}: {words}")
            };
            Went::Failed {
                command: shown,
                how,
            }
        }
    }
}

/// The end of what a command wrote, with no more than that kept on the way.
async fn last_words(stderr: Option<tokio::process::ChildStderr>) -> String {
    let Some(mut stderr) = stderr else {
        return String::new();
    };
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stderr.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        kept.extend(buffer.iter().take(count));
        let surplus = kept.len().saturating_sub(4096);
        kept.drain(..surplus);
    }
    let text = String::from_utf8_lossy(&kept);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    text::clean(last.unwrap_or_default().trim(), KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_how_far_a_request_got() {
        for (code, expected) in [
            (200, "taken"),
            (202, "taken"),
            (204, "taken"),
            (301, "turned down"),
            (401, "turned down"),
            (404, "turned down"),
            (405, "turned down"),
            (409, "unclear"),
            (500, "unclear"),
            (502, "unclear"),
            (503, "unclear"),
        ] {
            let found = match by_code(code, &[]) {
                Sent::Taken(_) => "taken",
                Sent::TurnedDown(_) => "turned down",
                Sent::Unclear(_) => "unclear",
                Sent::NobodyThere(_) | Sent::Unsent(_) => "?",
            };
            assert_eq!(found, expected, "{code}");
        }
    }

    #[tokio::test]
    async fn commands_tell_by_their_status() {
        let run = async |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Sent::from(exec(&words, Duration::from_secs(20)).await)
        };
        assert!(matches!(run(&["true"]).await, Sent::Taken(_)));
        let Sent::TurnedDown(text) = run(&["sh", "-c", "echo no such unit >&2; exit 5"]).await
        else {
            panic!("a command that fails has not taken it");
        };
        assert!(text.contains("exit status: 5: no such unit"), "{text}");
        assert!(matches!(run(&["/nowhere/x"]).await, Sent::Unsent(_)));
        assert!(matches!(run(&[]).await, Sent::Unsent(_)));
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_left_to_its_work() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 60", pid_file.display());
        let words = ["sh", "-c", &script].map(str::to_owned);
        let sent = Sent::from(exec(&words, Duration::from_millis(500)).await);
        assert!(matches!(sent, Sent::Unclear(_)), "{sent:?}");
        let text = std::fs::read_to_string(pid_file).unwrap();
        let pid = rustix::process::Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        // It is there to be ended.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}
