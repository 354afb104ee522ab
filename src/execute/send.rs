//! Sends one request, once: an HTTP request, a signal or a command. What comes back tells how far it got, and proves
//! nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::PlannedRequest;
use super::command::{self, CommandEnd};
use super::signal::{ProvenTarget, send_signal};
use crate::health::FailureKind;
use crate::host::signals::SignalError;
use crate::inventory::{HttpRequest, Means, Signal};
use crate::probe::{Asker, Reply};
use crate::text;

/// The number of characters of a reply that are kept.
const KEPT: usize = 160;
/// The largest body of a reply, in bytes: it is a sentence, not a download.
const MAX_BODY: u64 = 64 * 1024;

/// How far a request got.
#[derive(Debug)]
pub(super) enum Delivery {
    /// It was answered.
    Replied(Reply),
    /// The head of an answer came, and the rest is lost: the status code, and why.
    Cut(u16, String),
    /// A signal was delivered, or a command ended with status 0: which.
    Done(String),
    /// The command failed: which, and how.
    Failed { command: String, how: String },
    /// It went out, and what became of it is not known: why.
    Lost(String),
    /// Nothing went out.
    NotSent(NotSent),
}

/// Why a request did not go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotSent {
    /// Nobody was there any more.
    Gone(String),
    /// The service takes no connection.
    Unreached(String),
    /// Anything else.
    Failed(String),
}

impl NotSent {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Gone(why) | Self::Unreached(why) | Self::Failed(why) => why,
        }
    }
}

/// How far a request to stop got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopResponse {
    /// It was taken: what was answered.
    Taken(String),
    /// It was rejected: how.
    Rejected(String),
    /// It went out, and what became of it is not known: why.
    Unclear(String),
    /// Nothing went out.
    NotSent(NotSent),
}

/// Sends the request, once; an HTTP request goes to the IP address `pin`, where there is one.
pub(super) async fn send(
    asker: &Asker,
    PlannedRequest {
        method, signalled, ..
    }: &PlannedRequest,
    pin: Option<SocketAddr>,
) -> Delivery {
    match (&method.means, signalled) {
        (Means::Http(request), _) => send_http(asker, request, pin, method.timeout).await,
        (Means::Signal(signal), Some(target)) => deliver(target, *signal),
        (Means::Signal(_), None) => not_sent("its process is not known"),
        (Means::Exec(exec), _) => match command::run(exec, method.timeout).await {
            CommandEnd::Succeeded(what) => Delivery::Done(what),
            CommandEnd::Failed { command, how } => Delivery::Failed { command, how },
            CommandEnd::NotStarted(why) => not_sent(why),
            CommandEnd::Unknown(why) => Delivery::Lost(why),
        },
    }
}

fn not_sent(why: impl Into<String>) -> Delivery {
    Delivery::NotSent(NotSent::Failed(why.into()))
}

async fn send_http(
    asker: &Asker,
    request: &HttpRequest,
    pin: Option<SocketAddr>,
    limit: Duration,
) -> Delivery {
    let error = match asker.send(request, pin, limit, MAX_BODY).await {
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
        Ok(()) => Delivery::Done(format!("{} delivered to pid {pid}", signal.name())),
        Err(SignalError::Gone) => {
            Delivery::NotSent(NotSent::Gone(format!("pid {pid} had exited already")))
        }
        Err(error) => not_sent(format!("pid {pid} cannot be signalled: {error}")),
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
pub(super) fn masked_body(reply: &Reply) -> Vec<u8> {
    let text = String::from_utf8_lossy(&reply.body);
    reply.masks.apply(&text).into_bytes()
}

/// Reads a status code. A server that takes a request and goes down may still answer with a fault of its own, and so may a
/// proxy in front of it; a plain rejection is one.
fn by_code(code: u16, body: &[u8]) -> StopResponse {
    let answer = answered(code, body);
    match code {
        200..=299 => StopResponse::Taken(answer),
        // Too early, in conflict with a shutdown under method, too often: it may go down all the same.
        408 | 409 | 425 | 429 => StopResponse::Unclear(answer),
        300..=499 => StopResponse::Rejected(answer),
        _ => StopResponse::Unclear(answer),
    }
}

/// `answered 403 Forbidden: Lifecycle API is not enabled.`
pub(super) fn answered(code: u16, body: &[u8]) -> String {
    let body = text::clean(String::from_utf8_lossy(body).trim(), KEPT);
    let status = reqwest::StatusCode::from_u16(code).ok();
    let status = match status.and_then(|status| status.canonical_reason()) {
        Some(reason) => format!("{code} {reason}"),
        None => code.to_string(),
    };
    if body.is_empty() {
        format!("answered {status}")
    } else {
        format!("answered {status}: {body}")
    }
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
            (401, "rejected"),
            (404, "rejected"),
            (405, "rejected"),
            (409, "unclear"),
            (500, "unclear"),
            (502, "unclear"),
            (503, "unclear"),
        ] {
            let found = match by_code(code, &[]) {
                StopResponse::Taken(_) => "taken",
                StopResponse::Rejected(_) => "rejected",
                StopResponse::Unclear(_) => "unclear",
                StopResponse::NotSent(_) => "?",
            };
            assert_eq!(found, expected, "{code}");
        }
    }
}
