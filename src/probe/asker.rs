//! What asks: connections and the clock that all questions share; and a request of an action, sent once.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::health::{Failure, FailureKind, Phases, ProbeResult};
use crate::host::Clock;
use crate::inventory::{Connection, HttpRequest, Probe};

use crate::text;

use super::exchange::{self, Body, Exchange, Question};
use super::explain::Cause;
use super::masks::Masks;
use super::trail::Trail;

/// Asks questions. Cheap to clone; the clones share connections and settings.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(super) exchange: Exchange,
    pub(super) clock: Clock,
}

/// The answer to a request that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) code: u16,
    /// Lower-case names, values as text. Not cleaned.
    pub(crate) headers: Vec<(String, String)>,
    /// The body. Not cleaned.
    pub(crate) body: Vec<u8>,
    /// What in the request is not to be told, though the reply may hold it.
    pub(crate) masks: Masks,
    /// Who answered: `ip:port` or a socket path.
    pub(crate) address: Option<String>,
    /// Where the time went.
    pub(crate) phases: Phases,
    /// From the start to the end of the body.
    pub(crate) latency: Duration,
}

/// Why there is no complete answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SendError {
    /// The request cannot have reached the service. False: it may have, and may be acted upon.
    pub(crate) before_sending: bool,
    /// Why.
    pub(crate) failure: Failure,
    /// Nothing listens there: every address refused, or the socket file is gone.
    pub(crate) refused: bool,
    /// Who was asked.
    pub(crate) address: Option<String>,
    /// The status code, where the answer broke off after its head.
    pub(crate) code: Option<u16>,
}

impl Asker {
    /// An asker with this clock. It has to be used within a tokio runtime.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            exchange: Exchange::new(),
            clock,
        }
    }

    /// All addresses of a name, `localhost` being both families.
    ///
    /// # Errors
    ///
    /// The failed lookup, as a probe would tell it.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        self.exchange
            .addresses(host, port)
            .await
            .map_err(|cause| cause.failure())
    }

    /// Sends a request once, over a fresh connection, to this very address where one is given. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// No complete answer came; the error tells whether the request may have reached the service all the same.
    pub(crate) async fn send(
        &self,
        request: &HttpRequest,
        pin: Option<SocketAddr>,
        timeout: Duration,
        max_body: u64,
    ) -> Result<Reply, SendError> {
        let question = Question {
            request,
            pin,
            connection: Connection::Fresh,
            expect: None,
            body: Body::Raw(max_body),
        };
        let trail = Trail::new();
        let started = Instant::now();
        let deadline = exchange::deadline(timeout);
        let result = self
            .exchange
            .ask(&question, &trail, timeout, deadline)
            .await;
        let address = address(&trail);
        match result {
            Ok(answered) => Ok(Reply {
                code: answered.code,
                headers: answered.headers,
                body: answered.body,
                masks: answered.masks,
                address,
                phases: trail.phases(),
                latency: started.elapsed(),
            }),
            Err(cause) => Err(SendError {
                before_sending: !trail.claimed(),
                failure: cause.failure(),
                refused: cause.refused,
                address,
                code: trail.code(),
            }),
        }
    }
}

/// What a probe that came to no complete answer counts as.
pub(super) fn result_of(cause: &Cause, probe: &Probe, code: Option<u16>) -> ProbeResult {
    match cause.kind {
        FailureKind::Local | FailureKind::Auth => ProbeResult::Unknown,
        FailureKind::Decode if code.is_some_and(|code| probe.expect.accepts(code)) => {
            ProbeResult::Unknown
        }
        _ => ProbeResult::Fail,
    }
}

pub(super) fn address(trail: &Trail) -> Option<String> {
    trail.peer().map(|peer| text::clean(&peer.to_string(), 300))
}
