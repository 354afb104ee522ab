//! Carries out one means once. What comes back tells how far it got, and proves nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::command;
use crate::action::Method;
use crate::health::{FailureKind, Process};
use crate::host::signals::{self, SignalError};
use crate::inventory::{HttpRequest, Means, Signal};
use crate::probe::{Asker, Reply};
use crate::text;

/// So much of a reply is kept.
const KEPT: usize = 160;
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
    /// Nothing went out, since it takes no connection: why.
    Unreached(String),
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
    /// Nothing went out, since it takes no connection: why.
    Unreached(String),
    /// Nothing went out: why.
    Unsent(String),
}

/// Carries out the means, once.
pub(super) async fn send(
    asker: &Asker,
    method: &Method,
    pin: Option<SocketAddr>,
    process: Option<Process>,
) -> Went {
    match (&method.means, process) {
        (Means::Http(request), _) => http(asker, request, pin, method.timeout).await,
        (Means::Signal(signal), Some(process)) => deliver(process, *signal),
        (Means::Signal(_), None) => Went::Unsent("its process is not known".to_owned()),
        (Means::Exec(exec), _) => command::run(exec, method.timeout).await,
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
        Err(error) if error.before_sending && error.failure.kind == FailureKind::Timeout => {
            Went::Unreached(error.failure.message)
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
            Went::Replied(reply) => by_code(reply.code, &told(&reply)),
            Went::Cut(code, _) => by_code(code, &[]),
            Went::Done(what) => Self::Taken(what),
            Went::Failed { command, how } => {
                Self::TurnedDown(format!("was not stopped by `{command}` ({how})"))
            }
            Went::Lost(why) => Self::Unclear(why),
            Went::NobodyThere(why) => Self::NobodyThere(why),
            Went::Unreached(why) => Self::Unreached(why),
            Went::Unsent(why) => Self::Unsent(why),
        }
    }
}

/// The body of a reply as it may be told.
pub(super) fn told(reply: &Reply) -> Vec<u8> {
    let text = String::from_utf8_lossy(&reply.body);
    reply.masks.apply(&text).into_bytes()
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
                Sent::NobodyThere(_) | Sent::Unreached(_) | Sent::Unsent(_) => "?",
            };
            assert_eq!(found, expected, "{code}");
        }
    }
}
