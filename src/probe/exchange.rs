//! Sends one HTTP request and reads the response within one deadline, with redirects and size limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use reqwest::header;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::health::FailureKind;
use crate::inventory::{Connection, HttpRequest, Proxy};
use crate::profile::Expect;

use super::body;
use super::client::Clients;
use super::error::ProbeError;
use super::happy_eyeballs::{HappyEyeballs, RequestSender};
use super::lookup::{self, Lookup};
use super::redact::Redactions;
use super::redirect::{self, RedirectRule};
use super::request::PreparedRequest;
use super::timeline::{Peer, Timeline};

/// The longest timeout: a longer one has no effect, and must not overflow the clock.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(366 * 24 * 3600);

/// A request with its options.
pub(super) struct ExchangeRequest<'a> {
    pub(super) http: &'a HttpRequest,
    /// The address to connect to, whatever the name resolves to.
    pub(super) pin: Option<SocketAddr>,
    pub(super) connection: Connection,
    /// The expectations of a probe. An action has none, and follows no redirect.
    pub(super) expect: Option<&'a Expect>,
    pub(super) body: BodyUse,
}

impl ExchangeRequest<'_> {
    /// Returns whether a response with this code is a redirect to be followed.
    fn follows(&self, code: u16) -> bool {
        self.http.follow_redirects
            && redirect::is_redirect(code)
            && self.expect.is_some_and(|expect| !expect.accepts(code))
    }

    /// Returns whether the code is about the request and not about the service: not allowed, not found, elsewhere.
    fn is_unrelated(&self, code: u16) -> bool {
        matches!(code, 300..=399 | 401 | 403 | 404 | 405)
            && self.expect.is_some_and(|expect| !expect.accepts(code))
    }
}

/// The use of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyUse {
    Unread,
    /// The body is read up to this number of bytes, and must not be encoded.
    Plain(u64),
    /// The body is read up to this number of bytes, whatever its encoding.
    Raw(u64),
}

#[derive(Debug)]
pub(super) struct ExchangeResponse {
    pub(super) code: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The secrets of the request, which the response may repeat.
    pub(super) redactions: Redactions,
}

/// The result of a request: the response or the reason why there is none, and what is known in either case.
pub(super) struct ExchangeResult {
    pub(super) response: Result<ExchangeResponse, ProbeError>,
    pub(super) timeline: Timeline,
    /// The time from the start to the end of the body.
    pub(super) latency: Duration,
    pub(super) deadline: Instant,
}

/// The HTTP clients and name lookups that all probes share.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    clients: Clients,
    lookup: Lookup,
}

/// Returns the deadline of a probe that begins now.
pub(super) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(LONGEST_TIMEOUT)
}

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            clients: Clients::default(),
            lookup: Lookup::new(),
        }
    }

    /// Closes all kept connections that no request uses just now.
    pub(super) fn drop_kept_connections(&self) {
        self.clients.drop_kept();
    }

    /// Returns all addresses of a name.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ProbeError> {
        match lookup::known(host, port) {
            Some(known) => Ok(known),
            None => self.lookup.addresses(host, port).await,
        }
    }

    /// Sends a request and reads the response.
    pub(super) async fn send(
        &self,
        request: &ExchangeRequest<'_>,
        timeout: Duration,
    ) -> ExchangeResult {
        let timeline = Timeline::new();
        let started = Instant::now();
        let deadline = deadline(timeout);
        let result = timeout_at(deadline, self.respond(request, &timeline, deadline)).await;
        ExchangeResult {
            response: result.unwrap_or_else(|_| Err(timeline.timed_out(timeout))),
            latency: started.elapsed(),
            timeline,
            deadline,
        }
    }

    async fn respond(
        &self,
        request: &ExchangeRequest<'_>,
        timeline: &Timeline,
        deadline: Instant,
    ) -> Result<ExchangeResponse, ProbeError> {
        let (mut response, redactions) = self.response(request, timeline, deadline).await?;
        let code = response.status().as_u16();
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let body = match request.body {
            BodyUse::Unread => Ok(Vec::new()),
            BodyUse::Raw(most) => body::read(&mut response, most, timeline).await,
            BodyUse::Plain(most) => match body::check_encoding(&response) {
                Ok(()) => body::read(&mut response, most, timeline).await,
                Err(error) => Err(error),
            },
        };
        let body = match body {
            // The body of such a response is about the request and does not matter.
            Err(_) if request.is_unrelated(code) => Vec::new(),
            body => body?,
        };
        if request.body == BodyUse::Unread && request.connection == Connection::Reuse {
            body::drain(response).await;
        }
        Ok(ExchangeResponse {
            code,
            headers,
            body,
            redactions,
        })
    }

    /// Returns the response after all redirects, with the secrets of the request.
    async fn response(
        &self,
        request: &ExchangeRequest<'_>,
        timeline: &Timeline,
        deadline: Instant,
    ) -> Result<(Response, Redactions), ProbeError> {
        let http = request.http;
        let client = self.clients.of(http, request.connection).await?;
        // Whoever closes a connection first waits with its port for a minute; so a probe closes it, and asks nobody to.
        let closes_first = request.expect.is_some();
        let asked = if closes_first {
            Connection::Reuse
        } else {
            request.connection
        };
        let prepared = PreparedRequest::new(&client, http, asked).await?;
        let mut asked = vec![http.target.url.clone()];
        let mut elsewhere = false;
        loop {
            let Some(url) = asked.last() else {
                return Err(ProbeError::local("there is no URL to ask"));
            };
            let peers = self.peers(request, url, elsewhere, timeline).await?;
            let mut sender = RequestSender {
                client: &client,
                addresses: HappyEyeballs {
                    connection: request.connection,
                    timeline,
                    deadline,
                },
            };
            let build = || prepared.build(url, elsewhere);
            let mut result = sender.send(&peers, build).await;
            let fresh;
            if let Err(error) = &result
                && error.kind == FailureKind::Protocol
                && timeline.used_kept_connection()
                && redirect::repeatable(prepared.method())
            {
                // A server may close an idle connection at the moment at which it is used again. That is no response.
                timeline.restart();
                fresh = self.clients.of(http, Connection::Fresh).await?;
                sender.client = &fresh;
                sender.addresses.connection = Connection::Fresh;
                result = sender.send(&peers, build).await;
            }
            let response = result?;
            let code = response.status().as_u16();
            timeline.head(code, response.remote_addr());
            if !request.follows(code) {
                return Ok((response, prepared.redactions));
            }
            let rule = RedirectRule {
                asked: &asked,
                method: prepared.method(),
                credentials: prepared.credentials,
                socket: http.target.socket.is_some(),
            };
            let location = response
                .headers()
                .get(header::LOCATION)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let next = rule
                .next(code, location.as_deref())
                .map_err(|words| ProbeError::new(FailureKind::Redirect, words))?;
            elsewhere = next.elsewhere;
            asked.push(next.url);
            timeline.restart();
        }
    }

    /// Returns the peers of a URL.
    async fn peers(
        &self,
        request: &ExchangeRequest<'_>,
        url: &Url,
        elsewhere: bool,
        timeline: &Timeline,
    ) -> Result<Vec<Peer>, ProbeError> {
        if let Some(socket) = &request.http.target.socket {
            return Ok(vec![Peer::Socket(Arc::from(socket.as_path()))]);
        }
        let url = match &request.http.proxy {
            Proxy::None => url,
            Proxy::Url(proxy) => proxy,
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(ProbeError::local(format!("{} has no host", url.scheme())));
        };
        let pin = request.pin.filter(|_| !elsewhere);
        self.peers_of(host, port, pin, timeline).await
    }

    /// Returns the addresses of a name, or the pinned one.
    pub(super) async fn peers_of(
        &self,
        host: &str,
        port: u16,
        pin: Option<SocketAddr>,
        timeline: &Timeline,
    ) -> Result<Vec<Peer>, ProbeError> {
        let addresses = if let Some(address) = pin
            && lookup::literal(host).is_none()
        {
            vec![address]
        } else if let Some(known) = lookup::known(host, port) {
            known
        } else {
            timeline.looking_up(host);
            let found = self.lookup.addresses(host, port).await?;
            timeline.looked_up();
            found
        };
        Ok(addresses.into_iter().map(Peer::Address).collect())
    }
}
