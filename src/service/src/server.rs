//! The service on its listener, from the first connection to the last.
//!
//! One task owns the listener and the order of the end: drain, clean-up, reply, listener closed.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::serve::Listener;
use tokio::time::Instant;

use super::connection::Connections;
use super::lifecycle::{Phase, ShutdownReport};
use super::log::correlation;
use super::settings::WhileDraining;
use super::signals::Signals;
use super::{Service, work};

/// How long a client may take to read the reply to its shutdown request.
const REPLY_LIMIT: Duration = Duration::from_secs(5);
/// How long what is left may take after that, before it is cut.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// A service on a listener, ready to run.
#[derive(Debug)]
pub struct Server<L> {
    service: Service,
    listener: L,
    connections: Connections,
    signals: Option<Signals>,
}

impl<L: Listener> Server<L> {
    pub(super) fn new(
        service: Service,
        listener: L,
        health: Router,
        work: Router,
    ) -> io::Result<Self> {
        let signals = service.inner.settings.handle_signals.then(Signals::install);
        let gated = work.layer(from_fn_with_state(service.clone(), work::gate));
        let app = health
            .fallback_service(gated)
            .layer(from_fn(correlation::carry));
        Ok(Self {
            connections: Connections::new(app, service.inner.connections.clone()),
            service,
            listener,
            signals: signals.transpose()?,
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// When the listener does not know.
    pub fn address(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }

    /// Serves until a shutdown was asked for and is done. Dropping it cuts everything.
    pub async fn run(self) -> ShutdownReport {
        let Self {
            service,
            mut listener,
            connections,
            signals,
        } = self;
        accept_until(begun(&service, signals), &mut listener, &connections).await;
        let ended = match service.inner.settings.while_draining {
            WhileDraining::Answer => {
                let last = async {
                    let ended = wind_up(&service, Some(&connections)).await;
                    // A client that does not read its reply must not hold the exit.
                    let replied = service.inner.lifecycle.replied();
                    let _ = tokio::time::timeout(REPLY_LIMIT, replied).await;
                    ended
                };
                let ended = accept_until(last, &mut listener, &connections).await;
                drop(listener);
                ended
            }
            WhileDraining::Refuse => {
                drop(listener);
                connections.finish();
                wind_up(&service, Some(&connections)).await
            }
        };
        connections.end(FINISH_LIMIT).await;
        ended
    }
}

/// The same life without a listener.
pub(super) async fn run_without_port(service: &Service) -> io::Result<ShutdownReport> {
    let signals = service.inner.settings.handle_signals.then(Signals::install);
    begun(service, signals.transpose()?).await;
    Ok(wind_up(service, None).await)
}

/// Takes connections until something else is done.
async fn accept_until<L: Listener, T>(
    done: impl Future<Output = T>,
    listener: &mut L,
    connections: &Connections,
) -> T {
    let mut done = std::pin::pin!(done);
    loop {
        tokio::select! {
            done = &mut done => return done,
            (io, _) = listener.accept() => connections.carry(io),
        }
    }
}

/// Waits until a shutdown was asked for, by whatever means.
async fn begun(service: &Service, signals: Option<Signals>) {
    let signalled = async {
        match signals {
            Some(mut signals) => service.shut_down(signals.next().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = service.wait_for_phase(Phase::Draining) => {}
        () = signalled => {}
    }
}

/// Drains, cleans up, and lets those reply who waited for it.
async fn wind_up(service: &Service, connections: Option<&Connections>) -> ShutdownReport {
    let inner = &service.inner;
    let begin = Instant::now();
    let drained = tokio::time::timeout(inner.settings.drain_timeout, inner.work.idle())
        .await
        .is_ok();
    let drain_time = begin.elapsed();
    let cut = if drained { 0 } else { inner.work.count() };
    if !drained && let Some(connections) = connections {
        connections.cut_work();
        // Clean-up takes away what a handler may still be holding; one that never yields is not waited for.
        let _ = tokio::time::timeout(FINISH_LIMIT, inner.work.idle()).await;
    }

    inner.lifecycle.advance(Phase::CleaningUp);
    inner.background_end.cancel();
    inner.background.close();
    let begin = Instant::now();
    // A background task that never yields must not hold the clean-up.
    let _ = tokio::time::timeout(inner.settings.clean_up_timeout, inner.background.wait()).await;
    let clean_ups = inner.clean_ups.run(inner.settings.clean_up_timeout).await;
    let ended = ShutdownReport {
        cause: inner.lifecycle.cause(),
        drained,
        cut,
        drain_time,
        clean_up_time: begin.elapsed(),
        clean_ups,
    };
    inner.lifecycle.finish(ended).clone()
}
