//! Controls reqwest's connector: it connects to a given address, records its progress on the timeline, and of several
//! connections made at once only the first may carry the request.

use std::error::Error;
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

use super::timeline::{ProbePhase, Timeline};

tokio::task_local! {
    /// The attempt of the running request. reqwest calls the resolver, the connector layer and TLS in the task of the
    /// request, so requests with different addresses can share a client.
    pub(super) static ATTEMPT: Arc<ConnectAttempt>;
}

/// An attempt to send a request to one address.
#[derive(Debug)]
pub(super) struct ConnectAttempt {
    /// The number on the timeline.
    pub(super) number: usize,
    /// The address to connect to; `None` for a socket file.
    pub(super) address: Option<SocketAddr>,
    /// The time at which the next address is tried instead.
    pub(super) give_up: Option<Instant>,
    pub(super) timeline: Timeline,
}

/// The error of a connection that was abandoned before a reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum Abandoned {
    #[error("another address was faster")]
    Superseded,
    /// The time of its address is up.
    #[error("no reply yet")]
    GaveUp,
}

/// A resolver that returns the address of the attempt: names were looked up before.
#[derive(Debug, Clone, Copy)]
pub(super) struct PinnedResolver;

impl Resolve for PinnedResolver {
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

/// Wraps reqwest's connector into a [`RecordingConnector`].
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordingLayer;

impl<S> Layer<S> for RecordingLayer {
    type Service = RecordingConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RecordingConnector { inner }
    }
}

/// reqwest's connector, which records its progress on the timeline of the attempt.
#[derive(Debug, Clone)]
pub(super) struct RecordingConnector<S> {
    inner: S,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, R> Service<R> for RecordingConnector<S>
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
        attempt.timeline.enter(attempt.number, ProbePhase::Connect);
        // When a kept connection is free first, reqwest finishes this one in another task, without the values of this
        // task: hence a scope of its own.
        Box::pin(ATTEMPT.scope(Arc::clone(&attempt), async move {
            let connection = match attempt.give_up {
                Some(instant) => tokio::time::timeout_at(instant, connecting)
                    .await
                    .map_err(|_| Box::new(Abandoned::GaveUp))??,
                None => connecting.await?,
            };
            if attempt.timeline.claim(attempt.number) {
                Ok(connection)
            } else {
                Err(Box::new(Abandoned::Superseded) as BoxError)
            }
        }))
    }
}

/// Keeps no TLS sessions: a resumed one would skip the verification of the certificate. A handshake begins with a look for
/// a session, so this also records that the TCP connection was made.
#[derive(Debug)]
pub(super) struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        // Outside an attempt there is no timeline.
        let _ = ATTEMPT.try_with(|attempt| {
            let timeline = &attempt.timeline;
            timeline.enter(attempt.number, ProbePhase::Handshake);
        });
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
