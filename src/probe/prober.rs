//! What all probes share: connections and the clock. Also sends the requests of actions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::health::{Failure, Phases};
use crate::host::Clock;
use crate::inventory::{Connection, HttpRequest};

use super::exchange::{BodyUse, Exchange, ExchangeRequest};
use super::redact::Redactions;

/// Probes services. A clone shares connections and settings.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    pub(super) exchange: Exchange,
    pub(super) clock: Clock,
    /// How many have asked for fresh connections.
    fresh: Arc<AtomicUsize>,
}

/// As long as this lives, every probe makes a connection of its own: a kept one would hold up a service that ends when its last
/// connection has closed, and go on answering behind a closed listener.
#[derive(Debug)]
pub(crate) struct FreshConnections(Arc<AtomicUsize>);

impl Drop for FreshConnections {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The response to a request of an action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpReply {
    pub(crate) code: u16,
    /// Headers with lower-case names, not cleaned.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, not cleaned.
    pub(crate) body: Vec<u8>,
    /// The secrets of the request, which the response may repeat.
    pub(crate) redactions: Redactions,
    /// The address that responded: `ip:port` or a socket path.
    pub(crate) address: Option<String>,
    pub(crate) phases: Phases,
    /// The time from the start to the end of the body.
    pub(crate) latency: Duration,
}

/// The reason why a request has no complete response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SendError {
    /// True when the request cannot have reached the service. Otherwise the service may act upon it.
    pub(crate) before_sending: bool,
    pub(crate) failure: Failure,
    /// True when nothing listens there: every address refused, or the socket file does not exist.
    pub(crate) refused: bool,
    /// The address that was tried.
    pub(crate) address: Option<String>,
    /// The status code, when the response broke off after its head.
    pub(crate) code: Option<u16>,
}

impl Prober {
    /// Makes a prober. It must be used within a tokio runtime.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            exchange: Exchange::new(),
            clock,
            fresh: Arc::default(),
        }
    }

    /// Drops the kept connections, and has every probe make a new one until the result is dropped.
    pub(crate) fn fresh_connections(&self) -> FreshConnections {
        self.fresh.fetch_add(1, Ordering::SeqCst);
        self.exchange.drop_kept_connections();
        FreshConnections(Arc::clone(&self.fresh))
    }

    /// Returns how a probe connects now, which asks for `wanted`.
    pub(super) fn connection(&self, wanted: Connection) -> Connection {
        if self.fresh.load(Ordering::SeqCst) > 0 {
            Connection::Fresh
        } else {
            wanted
        }
    }

    /// Returns all addresses of a name; `localhost` has both families.
    ///
    /// # Errors
    ///
    /// Returns the failure of the lookup as a probe would report it.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let found = self.exchange.addresses(host, port).await;
        found.map_err(|error| error.failure())
    }

    /// Sends a request once, over a new connection, to any address of the service, or only to the address `pin`.
    /// Redirects are not followed.
    ///
    /// # Errors
    ///
    /// Returns an error when no complete response came; it tells whether the request may have reached the service.
    pub(crate) async fn send(
        &self,
        request: &HttpRequest,
        pin: Option<SocketAddr>,
        timeout: Duration,
        max_body: u64,
    ) -> Result<HttpReply, SendError> {
        let request = ExchangeRequest {
            http: request,
            pin,
            connection: Connection::Fresh,
            expect: None,
            body: BodyUse::Raw(max_body),
        };
        let result = self.exchange.send(&request, timeout).await;
        let timeline = result.timeline;
        let address = timeline.address();
        match result.response {
            Ok(response) => Ok(HttpReply {
                code: response.code,
                headers: response.headers,
                body: response.body,
                redactions: response.redactions,
                address,
                phases: timeline.phases(),
                latency: result.latency,
            }),
            Err(error) => Err(SendError {
                before_sending: !timeline.claimed(),
                failure: error.failure(),
                refused: error.refused,
                address,
                code: timeline.code(),
            }),
        }
    }
}
