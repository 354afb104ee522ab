//! What stands between us and reqwest's connector: it is told which address to connect to, it tells how far it came, and
//! of several connections made at once only the first may carry the request.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::trail::Trail;

tokio::task_local! {
    /// The attempt that the running request belongs to. reqwest calls resolver, connector layer and TLS
    /// within the task that asks, which is why a client can be shared by requests with different addresses.
    pub(super) static ATTEMPT: Arc<Attempt>;
}

/// One request to one address.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its number on the trail.
    pub(super) number: usize,
    /// Where to connect to; `None` for a socket file.
    pub(super) address: Option<SocketAddr>,
    /// When the next address has to have its turn.
    pub(super) give_up: Option<Instant>,
    /// Where it tells how far it came.
    pub(super) trail: Trail,
}

/// Another connection of the same question was faster.
#[derive(Debug)]
pub(super) struct Lost;

/// The time that this address had is up; another one has its turn.
#[derive(Debug)]
pub(super) struct GaveUp;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another address was faster")
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no reply yet")
    }
}

impl Error for Lost {}
impl Error for GaveUp {}

/// Gives the address of the attempt, whatever the name: names were looked up before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pinned;

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let address = ATTEMPT
            .try_with(|attempt| attempt.address)
            .ok()
            .flatten()
            .ok_or_else(|| format!("no address was chosen for {}", name.as_str()).into());
        Box::pin(std::future::ready(
            address.map(|address| Box::new(std::iter::once(address)) as Addrs),
        ))
    }
}

/// Wraps reqwest's connector into [`Watched`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch;

impl<S> Layer<S> for Watch {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Watched { inner }
    }
}

/// reqwest's connector, with the attempt told what comes of it.
#[derive(Debug, Clone)]
pub(super) struct Watched<S> {
    inner: S,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let Ok(attempt) = ATTEMPT.try_with(Arc::clone) else {
            return Box::pin(connecting);
        };
        attempt.trail.connecting(attempt.number);
        // A connection that a pooled one has overtaken is finished in a task of its own, without the task's
        // local values: hence the scope of its own here.
        Box::pin(ATTEMPT.scope(Arc::clone(&attempt), async move {
            let connection = match attempt.give_up {
                Some(instant) => tokio::time::timeout_at(instant, connecting)
                    .await
                    .map_err(|_| Box::new(GaveUp))??,
                None => connecting.await?,
            };
            if attempt.trail.claim(attempt.number) {
                Ok(connection)
            } else {
                Err(Box::new(Lost) as BoxError)
            }
        }))
    }
}

/// Keeps no TLS session: a resumed one skips the verification of the certificate, which is a thing to watch. The first thing
/// that a handshake does is to look for a session, so this also tells that the connection under it stands.
#[derive(Debug)]
pub(super) struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        // Outside an attempt there is nobody to tell.
        let _ = ATTEMPT.try_with(|attempt| attempt.trail.handshake(attempt.number));
        None
    }

    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn set_tls12_session(
        &self,
        _server_name: ServerName<'static>,
        _value: Tls12ClientSessionValue,
    ) {
    }

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {}

    fn insert_tls13_ticket(
        &self,
        _server_name: ServerName<'static>,
        _value: Tls13ClientSessionValue,
    ) {
    }

    fn take_tls13_ticket(
        &self,
        _server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        None
    }
}
