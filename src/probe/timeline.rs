//! The events of one probe so far. The timeline can be read at any time, so that a timeout can say in which phase it struck.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::health::{FailureKind, Phases};
use crate::text;

use super::error::ProbeError;

/// The events of one probe. A clone shares them.
#[derive(Debug, Clone)]
pub(super) struct Timeline(Arc<Mutex<TimelineState>>);

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    Address(SocketAddr),
    Socket(Arc<Path>),
}

/// The phase of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ProbePhase {
    /// Nothing has left this machine yet.
    Prepare,
    /// The name is being looked up.
    Lookup,
    /// Connections are being made.
    Connect,
    /// A connection was made; its TLS handshake is not finished.
    Handshake,
    /// The request was sent; no response head has come.
    Head,
    /// The response head has come; the body is not complete.
    Body,
}

#[derive(Debug, Default)]
struct TimelineState {
    lookup: Option<(String, Instant)>,
    resolve: Option<Duration>,
    attempts: Vec<AddressAttempt>,
    claimed: Option<usize>,
    asked: Option<Instant>,
    head: Option<(Instant, u16)>,
    remote: Option<Peer>,
    body: u64,
    complete: Option<Instant>,
}

/// An attempt to connect to one address.
#[derive(Debug)]
struct AddressAttempt {
    peer: Peer,
    begun: Instant,
    phase: ProbePhase,
    connected: Option<Instant>,
    error: Option<String>,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(TimelineState::default())))
    }

    fn state(&self) -> MutexGuard<'_, TimelineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, attempt: usize, change: impl FnOnce(&mut AddressAttempt)) {
        self.state().attempts.get_mut(attempt).map(change);
    }

    /// Returns the address that responded for people.
    pub(super) fn address(&self) -> Option<String> {
        self.peer().map(|peer| text::clean(&peer.to_string(), 300))
    }

    /// Forgets all events, to begin anew at another URL.
    pub(super) fn restart(&self) {
        *self.state() = TimelineState::default();
    }

    pub(super) fn looking_up(&self, host: &str) {
        self.state().lookup = Some((host.to_owned(), Instant::now()));
    }

    pub(super) fn looked_up(&self) {
        let mut state = self.state();
        state.resolve = state.lookup.as_ref().map(|(_, begun)| begun.elapsed());
    }

    /// Records that an address is tried, and returns the number of the attempt.
    pub(super) fn attempt(&self, peer: Peer) -> usize {
        let now = Instant::now();
        let mut state = self.state();
        state.asked.get_or_insert(now);
        state.attempts.push(AddressAttempt {
            peer,
            begun: now,
            // A kept connection needs no other phase.
            phase: ProbePhase::Head,
            connected: None,
            error: None,
        });
        state.attempts.len() - 1
    }

    /// Records that an attempt makes a connection, because none was kept, or that TLS begins on it.
    pub(super) fn enter(&self, attempt: usize, phase: ProbePhase) {
        self.update(attempt, |attempt| attempt.phase = phase);
    }

    /// Records that a connection is ready for the request. Returns true for the first one only: that one may send it.
    pub(super) fn claim(&self, attempt: usize) -> bool {
        let mut state = self.state();
        if state.claimed.is_some() {
            return false;
        }
        state.claimed = Some(attempt);
        if let Some(attempt) = state.attempts.get_mut(attempt) {
            attempt.connected = Some(Instant::now());
        }
        true
    }

    /// Returns whether a connection was made, so that the request may have been sent.
    pub(super) fn claimed(&self) -> bool {
        self.state().claimed.is_some()
    }

    /// Returns whether the request was sent on a kept connection.
    pub(super) fn used_kept_connection(&self) -> bool {
        let state = self.state();
        let last = state.attempts.last();
        state.claimed.is_none() && last.is_some_and(|it| it.phase == ProbePhase::Head)
    }

    /// Returns whether this attempt may have sent the request.
    pub(super) fn claimed_by(&self, attempt: usize) -> bool {
        self.state().claimed == Some(attempt)
    }

    pub(super) fn failed(&self, attempt: usize, error: &str) {
        self.update(attempt, |attempt| attempt.error = Some(error.to_owned()));
    }

    pub(super) fn head(&self, code: u16, remote: Option<SocketAddr>) {
        let mut state = self.state();
        state.head = Some((Instant::now(), code));
        state.remote = remote.map(Peer::Address);
    }

    pub(super) fn body(&self, bytes: u64) {
        self.state().body = bytes;
    }

    pub(super) fn complete(&self) {
        self.state().complete = Some(Instant::now());
    }

    pub(super) fn code(&self) -> Option<u16> {
        self.state().head.map(|(_, code)| code)
    }

    /// Returns the address that responded, else the one that was connected to, else the last one tried.
    fn peer(&self) -> Option<Peer> {
        let state = self.state();
        state.remote.clone().or_else(|| {
            let attempt = state.claimed_attempt().or(state.attempts.last())?;
            Some(attempt.peer.clone())
        })
    }

    /// Returns the phase in which an attempt failed.
    pub(super) fn phase_of(&self, attempt: usize) -> ProbePhase {
        let state = self.state();
        match state.attempts.get(attempt) {
            Some(attempt) if attempt.phase == ProbePhase::Handshake => ProbePhase::Handshake,
            _ => ProbePhase::Connect,
        }
    }

    /// Returns how long each phase took, as far as the probe came.
    pub(super) fn phases(&self) -> Phases {
        let state = self.state();
        let connected = state
            .claimed_attempt()
            .and_then(|attempt| attempt.connected);
        let head = state.head.map(|(at, _)| at);
        Phases {
            resolve: state.resolve,
            connect: state.connect_time(),
            head: head.and_then(|head| Some(head.duration_since(connected.or(state.asked)?))),
            body: head.and_then(|head| Some(state.complete?.duration_since(head))),
        }
    }

    /// Returns the error of a timeout that strikes now.
    pub(super) fn timed_out(&self, timeout: Duration) -> ProbeError {
        let state = self.state();
        let limit = text::format_duration(timeout);
        let connected = state.connect_time().map_or_else(String::new, |took| {
            format!("connected in {}, ", text::long_latency(took))
        });
        let message = match state.phase() {
            ProbePhase::Prepare => {
                format!("not even sent within {limit} (reading secrets and TLS files)")
            }
            ProbePhase::Lookup => format!(
                "no answer within {limit} (looking up {})",
                state.lookup.as_ref().map_or("the name", |(host, _)| host)
            ),
            ProbePhase::Connect => format!("no connection within {limit} ({})", state.tried()),
            ProbePhase::Handshake => format!(
                "no answer within {limit} (connected, TLS handshake not finished: {})",
                state.tried()
            ),
            ProbePhase::Head => {
                format!("no answer within {limit} ({connected}waiting for the response head)")
            }
            ProbePhase::Body => format!(
                "no complete answer within {limit} ({connected}waiting for the rest of the body after {} bytes)",
                state.body
            ),
        };
        ProbeError::new(FailureKind::Timeout, message)
    }
}

impl TimelineState {
    fn claimed_attempt(&self) -> Option<&AddressAttempt> {
        self.attempts.get(self.claimed?)
    }

    /// Returns how long the connection took that may have sent the request.
    fn connect_time(&self) -> Option<Duration> {
        let attempt = self.claimed_attempt()?;
        Some(attempt.connected?.duration_since(attempt.begun))
    }

    fn phase(&self) -> ProbePhase {
        if self.head.is_some() {
            ProbePhase::Body
        } else if self.claimed.is_some() {
            ProbePhase::Head
        } else if !self.attempts.is_empty() {
            let alive = self.attempts.iter().filter(|it| it.error.is_none());
            let furthest = alive.map(|attempt| attempt.phase).max();
            furthest.unwrap_or(ProbePhase::Connect)
        } else if self.lookup.is_some() {
            ProbePhase::Lookup
        } else {
            ProbePhase::Prepare
        }
    }

    /// Returns every address that was tried, with its error.
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
