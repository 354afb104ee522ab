//! One request and its answer under one deadline, redirects and caps included.

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
use super::explain::Cause;
use super::lookup::{self, Lookup};
use super::masks::Masks;
use super::race::{Lanes, Race};
use super::redirect::{self, Rule};
use super::request::Ready;
use super::trail::{Peer, Trail};

/// No deadline is further away: a longer one is as good as none, and must not overflow the clock.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) request: &'a HttpRequest,
    /// The one address to connect to, whatever the name says.
    pub(super) pin: Option<SocketAddr>,
    pub(super) connection: Connection,
    /// What a probe expects. Without, no redirect is followed: it is an action.
    pub(super) expect: Option<&'a Expect>,
    pub(super) body: Body,
}

impl Question<'_> {
    /// Whether a reply with this code is left for another one.
    fn follows(&self, code: u16) -> bool {
        self.request.follow_redirects
            && redirect::is_redirect(code)
            && self.expect.is_some_and(|expect| !expect.accepts(code))
    }

    /// Whether the code says that the question was wrong: not allowed, not there, elsewhere.
    fn beside(&self, code: u16) -> bool {
        matches!(code, 300..=399 | 401 | 403 | 404 | 405)
            && self.expect.is_some_and(|expect| !expect.accepts(code))
    }
}

/// What is done with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Nobody needs it.
    Unread,
    /// It is read up to so many bytes, and has to be readable as it is.
    Plain(u64),
    /// It is read up to so many bytes, whatever it is.
    Raw(u64),
}

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) code: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// What in the request is nobody else's business, though the answer may say it again.
    pub(super) masks: Masks,
}

/// What all questions share.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    clients: Clients,
    lookup: Lookup,
}

/// The instant at which a question that begins now has run out of time.
pub(super) fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FURTHEST)
}

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            clients: Clients::default(),
            lookup: Lookup::new(),
        }
    }

    /// All addresses of a name.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Cause> {
        match lookup::known(host, port) {
            Some(known) => Ok(known),
            None => self.lookup.addresses(host, port).await,
        }
    }

    /// Asks, and leaves its marks on the trail.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        trail: &Trail,
        timeout: Duration,
        deadline: Instant,
    ) -> Result<Answered, Cause> {
        timeout_at(deadline, self.answer(question, trail, deadline))
            .await
            .unwrap_or_else(|_| Err(Cause::new(FailureKind::Timeout, trail.out_of_time(timeout))))
    }

    async fn answer(
        &self,
        question: &Question<'_>,
        trail: &Trail,
        deadline: Instant,
    ) -> Result<Answered, Cause> {
        let (mut response, masks) = self.response(question, trail, deadline).await?;
        let code = response.status().as_u16();
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let body = match question.body {
            Body::Unread => Ok(Vec::new()),
            Body::Raw(most) => body::read(&mut response, most, trail).await,
            Body::Plain(most) => match body::plain(&response) {
                Ok(()) => body::read(&mut response, most, trail).await,
                Err(cause) => Err(cause),
            },
        };
        let body = match body {
            // Such a code tells of the request, not of the service: what came with it does not matter.
            Err(_) if question.beside(code) => Vec::new(),
            body => body?,
        };
        if question.body == Body::Unread && question.connection == Connection::Reuse {
            body::drain(response).await;
        }
        Ok(Answered {
            code,
            headers,
            body,
            masks,
        })
    }

    /// The head of the answer, at the end of all redirects, and what in the request is not to be told.
    async fn response(
        &self,
        question: &Question<'_>,
        trail: &Trail,
        deadline: Instant,
    ) -> Result<(Response, Masks), Cause> {
        let request = question.request;
        let client = self.clients.of(request, question.connection).await?;
        let ready = Ready::new(&client, request, question.connection).await?;
        let mut asked = vec![request.target.url.clone()];
        let mut elsewhere = false;
        loop {
            let Some(url) = asked.last() else {
                return Err(Cause::local("there is no URL to ask"));
            };
            let peers = self.peers(question, url, elsewhere, trail).await?;
            let mut race = Race {
                client: &client,
                lanes: Lanes {
                    connection: question.connection,
                    trail,
                    deadline,
                },
            };
            let build = || ready.build(url, elsewhere);
            let mut result = race.run(&peers, build).await;
            let fresh;
            if let Err(cause) = &result
                && cause.kind == FailureKind::Protocol
                && trail.used_kept_connection()
                && redirect::repeatable(ready.method())
            {
                // A server may close an idle connection at the very moment at which it is used again. That is no answer.
                trail.restart();
                fresh = self.clients.of(request, Connection::Fresh).await?;
                race.client = &fresh;
                race.lanes.connection = Connection::Fresh;
                result = race.run(&peers, build).await;
            }
            let response = result?;
            let code = response.status().as_u16();
            trail.head(code, response.remote_addr());
            if !question.follows(code) {
                return Ok((response, ready.masks));
            }
            let rule = Rule {
                asked: &asked,
                method: ready.method(),
                credentials: ready.credentials,
                socket: request.target.socket.is_some(),
            };
            let location = response
                .headers()
                .get(header::LOCATION)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let next = rule
                .next(code, location.as_deref())
                .map_err(|words| Cause::new(FailureKind::Redirect, words))?;
            elsewhere = next.elsewhere;
            asked.push(next.url);
            trail.restart();
        }
    }

    /// Who may be connected to for this URL.
    async fn peers(
        &self,
        question: &Question<'_>,
        url: &Url,
        elsewhere: bool,
        trail: &Trail,
    ) -> Result<Vec<Peer>, Cause> {
        if let Some(socket) = &question.request.target.socket {
            return Ok(vec![Peer::Socket(Arc::from(socket.as_path()))]);
        }
        let url = match &question.request.proxy {
            Proxy::None => url,
            Proxy::Url(proxy) => proxy,
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Cause::local(format!("{} has no host", url.scheme())));
        };
        let pin = question.pin.filter(|_| !elsewhere);
        self.peers_of(host, port, pin, trail).await
    }

    /// The addresses of a name, or the one to connect to whatever the name says.
    pub(super) async fn peers_of(
        &self,
        host: &str,
        port: u16,
        pin: Option<SocketAddr>,
        trail: &Trail,
    ) -> Result<Vec<Peer>, Cause> {
        let addresses = if let Some(address) = pin
            && lookup::literal(host).is_none()
        {
            vec![address]
        } else if let Some(known) = lookup::known(host, port) {
            known
        } else {
            trail.looking_up(host);
            let found = self.lookup.addresses(host, port).await?;
            trail.looked_up();
            found
        };
        Ok(addresses.into_iter().map(Peer::Address).collect())
    }
}
