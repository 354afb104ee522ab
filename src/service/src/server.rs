//! The service on its listener, from the first connection to the last.
//!
//! One task owns the listener and keeps the order of the shutdown: drain, clean up, reply, close the
//! listener.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::serve::Listener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout};

use crate::connection::Connections;
use crate::lifecycle::{Phase, ShutdownCause, ShutdownReport};
use crate::settings::WhileDraining;
use crate::{Service, correlation, in_flight};

/// The time that a client may take to read the reply to its shutdown request.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that remaining connections and handlers may take before they are dropped.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// A service on a listener, ready to run.
#[derive(Debug)]
pub struct Server<L> {
    service: Service,
    listener: L,
    connections: Connections,
    signals: Option<ShutdownSignals>,
}

/// The installed signal handlers; while they exist, the signals no longer end the process.
#[derive(Debug)]
struct ShutdownSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ShutdownSignals {
    /// Installs the handlers if the settings of the service want them.
    fn install(service: &Service) -> io::Result<Option<Self>> {
        if !service.inner.settings.handle_signals {
            return Ok(None);
        }
        Ok(Some(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        }))
    }

    async fn recv(&mut self) -> ShutdownCause {
        tokio::select! {
            _ = self.terminate.recv() => ShutdownCause::Signal("SIGTERM"),
            _ = self.interrupt.recv() => ShutdownCause::Signal("SIGINT"),
        }
    }
}

impl<L: Listener> Server<L> {
    pub(crate) fn new(
        service: Service,
        listener: L,
        health: Router,
        work: Router,
    ) -> io::Result<Self> {
        let signals = ShutdownSignals::install(&service)?;
        let tracked = work.layer(from_fn_with_state(service.clone(), in_flight::track));
        let app = health
            .fallback_service(tracked)
            .layer(from_fn(correlation::correlate));
        Ok(Self {
            connections: Connections::new(app, service.inner.connections.clone()),
            service,
            listener,
            signals,
        })
    }

    /// Returns the address of the listener.
    ///
    /// # Errors
    ///
    /// When the listener cannot tell its address.
    pub fn address(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }

    /// Serves until a shutdown is requested and done. Dropping the future closes all connections.
    pub async fn run(self) -> ShutdownReport {
        let Self {
            service,
            mut listener,
            connections,
            signals,
        } = self;
        let requested = shutdown_requested(&service, signals);
        accept_until(requested, &mut listener, &connections).await;
        let report = match service.inner.settings.while_draining {
            WhileDraining::Answer => {
                let shutdown = async {
                    let report = shut_down(&service, Some(&connections)).await;
                    // A client that does not read its reply must not delay the exit.
                    let replied = service.inner.lifecycle.replies_written();
                    let _ = timeout(REPLY_TIMEOUT, replied).await;
                    report
                };
                let report = accept_until(shutdown, &mut listener, &connections).await;
                drop(listener);
                report
            }
            WhileDraining::Refuse => {
                drop(listener);
                connections.finish();
                shut_down(&service, Some(&connections)).await
            }
        };
        connections.end(FINISH_TIMEOUT).await;
        report
    }
}

/// Runs the service without a listener.
pub(crate) async fn run_without_listener(service: &Service) -> io::Result<ShutdownReport> {
    let signals = ShutdownSignals::install(service)?;
    shutdown_requested(service, signals).await;
    Ok(shut_down(service, None).await)
}

/// Accepts connections until the future is ready.
async fn accept_until<L: Listener, T>(
    future: impl Future<Output = T>,
    listener: &mut L,
    connections: &Connections,
) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            output = &mut future => return output,
            (io, _) = listener.accept() => connections.spawn(io),
        }
    }
}

/// Waits until a shutdown is requested, by a signal or otherwise.
async fn shutdown_requested(service: &Service, signals: Option<ShutdownSignals>) {
    let signalled = async {
        match signals {
            Some(mut signals) => service.shut_down(signals.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = service.wait_for_phase(Phase::Draining) => {}
        () = signalled => {}
    }
}

/// Drains, cleans up, and releases the requests that wait for the end.
async fn shut_down(service: &Service, connections: Option<&Connections>) -> ShutdownReport {
    let inner = &service.inner;
    let settings = &inner.settings;
    let begin = Instant::now();
    let idle = inner.in_flight.idle();
    let drained = timeout(settings.drain_timeout, idle).await.is_ok();
    let drain_time = begin.elapsed();
    let aborted = if drained { 0 } else { inner.in_flight.count() };
    if !drained && let Some(connections) = connections {
        connections.close_busy();
        // Clean-up takes away what a handler may still be using. One that never yields is not waited for.
        let _ = timeout(FINISH_TIMEOUT, inner.in_flight.idle()).await;
    }

    inner.lifecycle.advance(Phase::CleaningUp);
    inner.background_end.cancel();
    inner.background.close();
    let begin = Instant::now();
    // A background task that never yields must not delay the clean-up.
    let _ = timeout(settings.clean_up_timeout, inner.background.wait()).await;
    let clean_ups = inner.clean_ups.run(settings.clean_up_timeout).await;
    let report = ShutdownReport {
        cause: inner.lifecycle.cause(),
        drained,
        aborted,
        drain_time,
        clean_up_time: begin.elapsed(),
        clean_ups,
    };
    inner.lifecycle.finish(report).clone()
}
