//! What one question has gone through so far, readable at any time, so that a deadline that strikes can say where.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::health::Phases;
use crate::text;

/// The marks of one question. Cheap to clone; the clones share the marks.
#[derive(Debug, Clone)]
pub(super) struct Trail(Arc<Mutex<Marks>>);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    /// An address of the network.
    Address(SocketAddr),
    /// A socket file.
    Socket(Arc<Path>),
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before anything left this machine.
    Prepare,
    /// The name is being looked up.
    Lookup,
    /// Connections are being made.
    Connect,
    /// A connection stands, its TLS handshake is not finished.
    Handshake,
    /// The request is under way; no head has come.
    Head,
    /// The head is here, the body is not complete.
    Body,
}

#[derive(Debug)]
struct Marks {
    lookup: Option<(String, Instant)>,
    resolve: Option<Duration>,
    attempts: Vec<Attempt>,
    claimed: Option<usize>,
    asked: Option<Instant>,
    head: Option<(Instant, u16)>,
    answered_by: Option<Peer>,
    body: u64,
    complete: Option<Instant>,
}

/// One address that was tried.
#[derive(Debug)]
struct Attempt {
    peer: Peer,
    begun: Instant,
    connecting: bool,
    handshake: bool,
    connected: Option<Instant>,
    error: Option<String>,
}

impl Trail {
    /// Nothing has happened.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Marks::new())))
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All begins anew at another URL: a redirect is followed.
    pub(super) fn restart(&self) {
        *self.marks() = Marks::new();
    }

    /// A name is being looked up.
    pub(super) fn looking_up(&self, host: &str) {
        self.marks().lookup = Some((host.to_owned(), Instant::now()));
    }

    /// It was found.
    pub(super) fn looked_up(&self) {
        let mut marks = self.marks();
        marks.resolve = marks.lookup.as_ref().map(|(_, begun)| begun.elapsed());
    }

    /// An address is tried; gives its number.
    pub(super) fn attempt(&self, peer: Peer) -> usize {
        let now = Instant::now();
        let mut marks = self.marks();
        marks.asked.get_or_insert(now);
        marks.attempts.push(Attempt {
            peer,
            begun: now,
            connecting: false,
            handshake: false,
            connected: None,
            error: None,
        });
        marks.attempts.len() - 1
    }

    /// A connection is being made: none was kept.
    pub(super) fn connecting(&self, attempt: usize) {
        if let Some(attempt) = self.marks().attempts.get_mut(attempt) {
            attempt.connecting = true;
        }
    }

    /// The connection itself stands, TLS begins.
    pub(super) fn handshake(&self, attempt: usize) {
        if let Some(attempt) = self.marks().attempts.get_mut(attempt) {
            attempt.handshake = true;
        }
    }

    /// A connection is ready for the request. True for the first one only: that one may send it.
    pub(super) fn claim(&self, attempt: usize) -> bool {
        let mut marks = self.marks();
        if marks.claimed.is_some() {
            return false;
        }
        marks.claimed = Some(attempt);
        if let Some(attempt) = marks.attempts.get_mut(attempt) {
            attempt.connected = Some(Instant::now());
        }
        true
    }

    /// Whether a connection was made and so the request may be on its way.
    pub(super) fn claimed(&self) -> bool {
        self.marks().claimed.is_some()
    }

    /// Whether the request went out on a connection that was kept from before.
    pub(super) fn used_kept_connection(&self) -> bool {
        let marks = self.marks();
        marks.claimed.is_none() && marks.attempts.last().is_some_and(|it| !it.connecting)
    }

    /// Whether this attempt may have sent the request.
    pub(super) fn claimed_by(&self, attempt: usize) -> bool {
        self.marks().claimed == Some(attempt)
    }

    /// An address could not be connected to.
    pub(super) fn failed(&self, attempt: usize, error: &str) {
        if let Some(attempt) = self.marks().attempts.get_mut(attempt) {
            attempt.error = Some(error.to_owned());
        }
    }

    /// The head of the answer has come.
    pub(super) fn head(&self, code: u16, remote: Option<SocketAddr>) {
        let mut marks = self.marks();
        marks.head = Some((Instant::now(), code));
        marks.answered_by = remote.map(Peer::Address);
    }

    /// So much of the body has come.
    pub(super) fn body(&self, bytes: u64) {
        self.marks().body = bytes;
    }

    /// The body is complete.
    pub(super) fn complete(&self) {
        self.marks().complete = Some(Instant::now());
    }

    /// The status code, where a head has come.
    pub(super) fn code(&self) -> Option<u16> {
        self.marks().head.map(|(_, code)| code)
    }

    /// The address that answered, else the one that was connected to, else the last one tried.
    pub(super) fn peer(&self) -> Option<Peer> {
        let marks = self.marks();
        marks.answered_by.clone().or_else(|| {
            let claimed = marks.claimed.and_then(|index| marks.attempts.get(index));
            claimed
                .or(marks.attempts.last())
                .map(|attempt| attempt.peer.clone())
        })
    }

    /// How far an attempt came that could not connect.
    pub(super) fn phase_of(&self, attempt: usize) -> Phase {
        match self.marks().attempts.get(attempt) {
            Some(Attempt {
                handshake: true, ..
            }) => Phase::Handshake,
            _ => Phase::Connect,
        }
    }

    /// Where the time went, as far as it came.
    pub(super) fn phases(&self) -> Phases {
        let marks = self.marks();
        let attempt = marks.claimed.and_then(|index| marks.attempts.get(index));
        let connected = attempt.and_then(|attempt| attempt.connected);
        let head = marks.head.map(|(at, _)| at);
        Phases {
            resolve: marks.resolve,
            connect: attempt
                .and_then(|attempt| Some(attempt.connected?.duration_since(attempt.begun))),
            head: head.and_then(|head| Some(head.duration_since(connected.or(marks.asked)?))),
            body: head.and_then(|head| Some(marks.complete?.duration_since(head))),
        }
    }

    /// The sentence for a deadline that struck now.
    pub(super) fn out_of_time(&self, timeout: Duration) -> String {
        let marks = self.marks();
        let limit = text::format_duration(timeout);
        let connected = |marks: &Marks| {
            marks
                .claimed
                .and_then(|index| marks.attempts.get(index))
                .and_then(|attempt| Some(attempt.connected?.duration_since(attempt.begun)))
                .map(|took| format!("connected in {}, ", milliseconds(took)))
                .unwrap_or_default()
        };
        match marks.phase() {
            Phase::Prepare => {
                format!("not even sent within {limit} (reading secrets and TLS files)")
            }
            Phase::Lookup => format!(
                "no answer within {limit} (looking up {})",
                marks.lookup.as_ref().map_or("the name", |(host, _)| host)
            ),
            Phase::Connect => format!("no connection within {limit} ({})", marks.tried()),
            Phase::Handshake => format!(
                "no answer within {limit} (connected, TLS handshake not finished: {})",
                marks.tried()
            ),
            Phase::Head => format!(
                "no answer within {limit} ({}waiting for the response head)",
                connected(&marks)
            ),
            Phase::Body => format!(
                "no complete answer within {limit} ({}waiting for the rest of the body after {} bytes)",
                connected(&marks),
                marks.body
            ),
        }
    }
}

impl Marks {
    const fn new() -> Self {
        Self {
            lookup: None,
            resolve: None,
            attempts: Vec::new(),
            claimed: None,
            asked: None,
            head: None,
            answered_by: None,
            body: 0,
            complete: None,
        }
    }

    fn phase(&self) -> Phase {
        let alive = || self.attempts.iter().filter(|it| it.error.is_none());
        if self.head.is_some() {
            Phase::Body
        } else if self.claimed.is_some() || alive().any(|attempt| !attempt.connecting) {
            Phase::Head
        } else if alive().any(|attempt| attempt.handshake) {
            Phase::Handshake
        } else if !self.attempts.is_empty() {
            Phase::Connect
        } else if self.lookup.is_some() {
            Phase::Lookup
        } else {
            Phase::Prepare
        }
    }

    /// Every address tried, each with what came of it.
    fn tried(&self) -> String {
        if let [only] = self.attempts.as_slice() {
            return only.peer.to_string();
        }
        self.attempts
            .iter()
            .map(|attempt| {
                let error = attempt.error.as_deref().unwrap_or("no reply yet");
                format!("{}: {error}", attempt.peer)
            })
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// A short time for people: `0.3 ms`, `12 ms`.
fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}
