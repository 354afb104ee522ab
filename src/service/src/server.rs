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
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connections;
use crate::lifecycle::{Phase, ShutdownCause, ShutdownReport, TerminationEvent};
use crate::settings::WhileDraining;
use crate::{Service, connection, correlation};

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
    signals: ShutdownSignals,
}

/// The installed handlers of SIGTERM and SIGINT; while they exist, the signals no longer end the
/// process. `None` where the settings want no handlers.
type ShutdownSignals = Option<(Signal, Signal)>;

fn install_signals(service: &Service) -> io::Result<ShutdownSignals> {
    if !service.about.settings.handle_signals {
        return Ok(None);
    }
    let terminate = signal(SignalKind::terminate())?;
    Ok(Some((terminate, signal(SignalKind::interrupt())?)))
}

impl Service {
    /// Creates a server on a listener, with the signal handlers installed.
    ///
    /// The routes of `health` always answer. Requests to `work` count as in flight, and are refused
    /// during a shutdown.
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub fn server<L: Listener>(
        &self,
        listener: L,
        health: Router,
        work: Router,
    ) -> io::Result<Server<L>> {
        let signals = install_signals(self)?;
        let tracked = work.layer(from_fn_with_state(self.clone(), connection::track));
        let app = health
            .fallback_service(tracked)
            .layer(from_fn(correlation::correlate));
        Ok(Server {
            service: self.clone(),
            listener,
            connections: Connections::new(app, self.inner.connections.clone()),
            signals,
        })
    }

    /// Creates a server as [`Service::server`] does, and runs it until the shutdown is done.
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub async fn serve<L: Listener>(
        &self,
        listener: L,
        health: Router,
        work: Router,
    ) -> io::Result<ShutdownReport> {
        Ok(self.server(listener, health, work)?.run().await)
    }

    /// Returns the longest time that a shutdown can take with the clean-up handlers that are
    /// registered now. A supervisor has to wait longer before it kills the process.
    pub fn shutdown_limit(&self) -> Duration {
        let settings = &self.about.settings;
        let handlers = u32::try_from(self.inner.clean_ups.len()).unwrap_or(u32::MAX);
        // The background tasks have the time of one more handler.
        let clean_up = settings
            .clean_up_timeout
            .saturating_mul(handlers.saturating_add(1));
        let fixed = REPLY_TIMEOUT + 2 * FINISH_TIMEOUT;
        self.drain_timeout()
            .saturating_add(clean_up)
            .saturating_add(fixed)
    }

    /// Runs without a listener until a shutdown is requested and done, for a service that reports
    /// by [heartbeats](Service::send_heartbeats) alone.
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub async fn run(&self) -> io::Result<ShutdownReport> {
        let signals = install_signals(self)?;
        shutdown_requested(self, signals).await;
        Ok(shut_down(self, None).await)
    }
}

impl<L: Listener> Server<L> {
    /// Returns the address of the listener.
    ///
    /// # Errors
    ///
    /// When the listener cannot tell its address.
    pub fn address(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }

    /// Serves until a shutdown is requested and done. Dropping the future closes all connections.
    pub async fn run(mut self) -> ShutdownReport {
        let (service, connections) = (&self.service, &self.connections);
        let requested = shutdown_requested(service, self.signals);
        accept_until(requested, &mut self.listener, connections).await;
        let report = match service.about.settings.while_draining {
            WhileDraining::Answer => {
                let shutdown = async {
                    let report = shut_down(service, Some(connections)).await;
                    // A client that does not read its reply must not delay the exit.
                    let replied = service.replies_written();
                    let _ = timeout(REPLY_TIMEOUT, replied).await;
                    report
                };
                let report = accept_until(shutdown, &mut self.listener, connections).await;
                drop(self.listener);
                report
            }
            WhileDraining::Refuse => {
                drop(self.listener);
                connections.tokens.finish.cancel();
                shut_down(service, Some(connections)).await
            }
        };
        self.connections.end(FINISH_TIMEOUT).await;
        report
    }
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
async fn shutdown_requested(service: &Service, signals: ShutdownSignals) {
    let signalled = async {
        let Some((mut terminate, mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    tokio::select! {
        () = service.wait_for_phase(Phase::Draining) => {}
        name = signalled => service.shut_down(ShutdownCause::Signal(name)),
    }
}

/// Drains, cleans up, and releases the requests that wait for the end.
async fn shut_down(service: &Service, connections: Option<&Connections>) -> ShutdownReport {
    let inner = &service.inner;
    let settings = &service.about.settings;
    let begin = Instant::now();
    let drain_timeout = service.drain_timeout();
    service.emit(TerminationEvent::Draining {
        in_flight: service.in_flight(),
        timeout: drain_timeout,
    });
    let idle = async {
        if connections.is_some() {
            // Until then some of the new work is let in.
            sleep(service.rejection_rise()).await;
        }
        service.idle().await;
    };
    let drained = timeout(drain_timeout, idle).await.is_ok();
    let drain_time = begin.elapsed();
    let aborted = if drained { 0 } else { service.in_flight() };
    service.emit(if drained {
        TerminationEvent::Drained(drain_time)
    } else {
        TerminationEvent::DrainTimedOut(aborted)
    });
    if !drained && let Some(connections) = connections {
        connections.tokens.close_busy.cancel();
        // Clean-up takes away what a handler may still be using. One that never yields is not waited for.
        let _ = timeout(FINISH_TIMEOUT, service.idle()).await;
    }

    service.advance(Phase::CleaningUp);
    inner.background_end.cancel();
    inner.background.close();
    let begin = Instant::now();
    // A background task that never yields must not delay the clean-up.
    let _ = timeout(settings.clean_up_timeout, inner.background.wait()).await;
    let clean_ups = service.clean_up(settings.clean_up_timeout).await;
    let report = ShutdownReport {
        cause: inner
            .lifecycle
            .cause
            .get()
            .copied()
            .unwrap_or(ShutdownCause::Program),
        drained,
        aborted,
        drain_time,
        clean_up_time: begin.elapsed(),
        clean_ups,
    };
    service.finish(report).clone()
}
