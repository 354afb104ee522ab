//! A well-behaved service in a box: health, status and shutdown routes, draining, clean-up.
//!
//! Imports nothing of ours: a program that knows nothing of healthctl can use it. It never ends
//! the process: [`Service::serve`] returns when everything is done, and `main` returns after it.
//!
//! # What it promises
//!
//! * A [`Service`] knows its name, version, start and uptime, and each [`Dependency`] that the
//!   program reports on, by hand or by a check.
//! * **Checks** ([`Service::register_check`], [`Service::register_blocking_check`]) run side by side,
//!   each bounded in time, their results kept for a while; one that hangs or panics holds nobody up.
//!   They can be switched and their limits changed while the service runs ([`Check`]).
//! * **Readiness gates** ([`Service::readiness_gate`]) must open once before the service is ready; its
//!   [`Component`]s make up its [`Health`].
//! * The routes of [`hephaestus`], [`control_plane`], [`scry_ingestor`] and [`kcp_syncer`] answer in
//!   the shape of one convention each; [`metrics`] in Prometheus' text format.
//! * A shutdown begins by SIGTERM, SIGINT, a route or [`Service::shut_down`]; whoever asks second
//!   joins the first. The flag is up at once; the order is always: drain, clean-up, reply, listener
//!   closed, [`Service::serve`] returns.
//! * While it drains, health and shutdown routes go on answering ([`WhileDraining::Answer`]) and
//!   are not counted as in flight; other work gets 503 and `Connection: close`.
//! * Clean-up handlers run last registered first, each bounded in time; one that fails, panics or
//!   hangs does not stop the rest.
//! * The configuration is [reloaded](reload) by file change, SIGHUP or a route, validated first, and
//!   kept as it was on any error.
//! * A [circuit breaker](Service::circuit_breaker) leaves alone what fails again and again; a
//!   [heartbeat](Service::heartbeat) tells another service that this one lives, with or without a
//!   port ([`Service::run`]).
//! * What it does it tells through `tracing`; [`log`] writes that as text or JSON lines with each
//!   request's correlation id.
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::get};
//! use std::time::Duration;
//! use healthctl_service::{Need, CheckResult, Service, Settings, hephaestus, metrics};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let service = Service::new("orders-api", "2.4.1", Settings::default());
//!
//! // What nobody checks is reported by the code that uses it:
//! let database = service.dependency("database");
//! database.set_detail("pool_size", 8);
//! database.record_success();
//! // The rest is asked when an answer needs it:
//! service.register_check("cache", Need::Optional, Duration::from_secs(5), || async {
//!     CheckResult::healthy().with_message("connected").with_detail("latency_ms", 1.25)
//! });
//!
//! service.on_shutdown("database pool", || async {
//!     // close it here
//!     Ok::<(), std::io::Error>(())
//! });
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let work = Router::new().route("/orders", get(|| async { "none yet" }));
//! let health = hephaestus::routes(&service).merge(metrics::routes(&service));
//! let server = service.server(listener, health, work)?;
//! // The signal handlers stand now: the address may be told to others.
//!
//! # service.shut_down(healthctl_service::ShutdownCause::Program);
//! let ended = server.run().await;
//! assert!(ended.drained && ended.clean_ups[0].outcome.is_ok());
//! # Ok(())
//! # }
//! ```

mod body;
mod breaker;
mod check;
mod clean_up;
mod component;
mod connection;
pub mod control_plane;
mod dependency;
mod gate;
mod heartbeat;
pub mod hephaestus;
pub mod kcp_syncer;
mod lifecycle;
pub mod log;
pub mod metrics;
pub mod reload;
mod report;
pub mod scry_ingestor;
mod server;
mod settings;
mod signals;
mod work;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use indexmap::IndexMap;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use clean_up::CleanUps;
use lifecycle::Lifecycle;
use work::Work;

pub use breaker::{CallError, CircuitBreaker, CircuitState};
pub use check::Check;
pub use clean_up::{CleanUpError, CleanUpResult};
pub use component::{Component, Health, Need};
pub use dependency::{Dependency, DependencySnapshot, DependencyStatus};
pub use gate::ReadinessGate;
pub use heartbeat::{
    Heartbeat, HeartbeatCounts, HeartbeatSchedule, HeartbeatSender, HeartbeatStatus,
};
pub use lifecycle::{Phase, ShutdownCause, ShutdownReport};
pub use report::CheckResult;
pub use server::Server;
pub use settings::{Settings, WhileDraining};

/// One running service. Copies share everything.
#[derive(Debug, Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    version: String,
    started: Instant,
    started_at: Timestamp,
    settings: Settings,
    dependencies: Mutex<IndexMap<String, Dependency>>,
    checks: Mutex<IndexMap<String, Check>>,
    gates: Mutex<IndexMap<String, ReadinessGate>>,
    reloads: reload::ReloadCounts,
    heartbeats: Mutex<Vec<HeartbeatSender>>,
    lifecycle: Lifecycle,
    work: Work,
    clean_ups: CleanUps,
    connections: TaskTracker,
    background: TaskTracker,
    background_end: CancellationToken,
}

impl Service {
    /// A service that starts now.
    pub fn new(name: impl Into<String>, version: impl Into<String>, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: name.into(),
                version: version.into(),
                started: Instant::now(),
                started_at: Timestamp::now(),
                settings,
                dependencies: Mutex::default(),
                checks: Mutex::default(),
                gates: Mutex::default(),
                reloads: reload::ReloadCounts::default(),
                heartbeats: Mutex::default(),
                lifecycle: Lifecycle::default(),
                work: Work::default(),
                clean_ups: CleanUps::default(),
                connections: TaskTracker::new(),
                background: TaskTracker::new(),
                background_end: CancellationToken::new(),
            }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// When it started, wall-clock time.
    pub fn started_at(&self) -> Timestamp {
        self.inner.started_at
    }

    /// How long it has been running, on the monotonic clock.
    pub fn uptime(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// The dependency of this name, made at the first call; in payloads they keep that order.
    pub fn dependency(&self, name: &str) -> Dependency {
        self.dependencies_mut()
            .entry(name.to_owned())
            .or_insert_with(|| Dependency::new(name))
            .clone()
    }

    /// All dependencies as they stand now.
    pub fn dependencies(&self) -> Vec<DependencySnapshot> {
        let now = Instant::now();
        self.dependencies_mut()
            .values()
            .map(|dependency| dependency.snapshot(now))
            .collect()
    }

    /// What it holds on to: open connections and background tasks.
    pub fn resources(&self) -> IndexMap<&'static str, usize> {
        IndexMap::from([
            ("open_connections", self.inner.connections.len()),
            ("background_tasks", self.inner.background.len()),
        ])
    }

    /// How many requests of its work are in flight; health and shutdown routes never count.
    pub fn in_flight(&self) -> usize {
        self.inner.work.count()
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.inner.lifecycle.phase()
    }

    /// Whether a shutdown was asked for.
    pub fn is_shutting_down(&self) -> bool {
        self.phase() > Phase::Serving
    }

    /// Waits until this phase is reached; a phase that has passed counts as reached.
    pub async fn wait_for_phase(&self, phase: Phase) {
        self.inner.lifecycle.wait_for_phase(phase).await;
    }

    /// Asks for the shutdown and returns at once; a second call changes nothing.
    pub fn shut_down(&self, cause: ShutdownCause) {
        self.inner.lifecycle.begin(cause);
    }

    /// Registers what has to be done before the end; the last one registered runs first.
    pub fn on_shutdown<F, R, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.inner.clean_ups.register(name.into(), handler);
    }

    /// Runs a task beside the requests: counted in [`Service::resources`], ended before clean-up.
    pub fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.inner.background_end.clone();
        self.inner.background.spawn(async move {
            tokio::select! {
                () = task => {}
                () = end.cancelled() => {}
            }
        });
    }

    /// Puts the service on a listener: `health` always answers, `work` is counted and refused
    /// while it shuts down. The signal handlers stand when this returns.
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
        Server::new(self.clone(), listener, health, work)
    }

    /// [`Service::server`], then [`Server::run`].
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

    /// Runs without a port until a shutdown was asked for and is done: for an agent whose sign of
    /// life is its [heartbeat](Service::heartbeat).
    ///
    /// # Errors
    ///
    /// When the signal handlers cannot be installed.
    pub async fn run(&self) -> io::Result<ShutdownReport> {
        server::run_without_port(self).await
    }

    fn dependencies_mut(&self) -> MutexGuard<'_, IndexMap<String, Dependency>> {
        // A thread that panicked while it held the lock left a whole map behind.
        self.inner
            .dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
