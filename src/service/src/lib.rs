//! What an HTTP service needs to be operated well: health, status and shutdown routes, draining,
//! clean-up, reload, metrics and logs.
//!
//! The kit never ends the process: [`Service::serve`] returns when the shutdown is done, and `main`
//! returns after it.
//!
//! # What it promises
//!
//! * A [`Service`] knows its name, version, start time and uptime, and the state of each
//!   [`Dependency`], which the program reports itself or registers a check for.
//! * **Checks** ([`Service::register_check`], [`Service::register_blocking_check`]) run side by side,
//!   each bounded in time, and their results are cached. A check that hangs or panics delays nothing
//!   else. Checks can be disabled, put on a schedule of their own and given other limits while the
//!   service runs: by the program ([`Check`]), by [requests](Service::check_routes) and by a
//!   [reloaded configuration](reload::ConfigPart::checks).
//! * **Readiness gates** ([`Service::readiness_gate`]) must open once before the service is ready.
//!   Gates and dependencies are the [`Component`]s that make up its [`Health`].
//! * The routes of [`hephaestus`], [`control_plane`], [`scry_ingestor`] and [`kcp_syncer`] follow one
//!   convention each; [`metrics`] answers in the Prometheus text format.
//! * A dependency may [depend on others](Dependency::set_depends_on): while they are unhealthy it is
//!   reported as affected by them, not as a second cause. With the feature `upstream`,
//!   `Service::register_upstream` checks the health of another service over HTTP.
//! * A shutdown is requested by SIGTERM, SIGINT, a route or [`Service::shut_down`]; later requests
//!   join the first. From then on the service reports that it shuts down. The order is always: drain,
//!   clean up, reply, close the listener, return from [`Service::serve`].
//! * While the service drains, health and shutdown routes go on answering
//!   ([`WhileDraining::Answer`]) and do not count as in flight; other requests get 503 and
//!   `Connection: close`, all of them or [a share that rises](Settings::initial_rejection) to all.
//!   [`Service::termination_events`] tells each step.
//! * Clean-up handlers run in the reverse order of their registration, each bounded in time. A
//!   handler that fails, panics or hangs does not stop the others.
//! * The configuration is [reloaded](reload) on a change of its file, on SIGHUP or by a route. It is
//!   validated first, and kept as it was on any error.
//! * A [circuit breaker](Service::circuit_breaker) stops calls to a dependency that fails again and
//!   again. [Heartbeats](Service::send_heartbeats) report to another service that this one is alive,
//!   with or without a listener ([`Service::run`]). With the feature `lease`, `Service::hold_lease`
//!   holds a Lease of Kubernetes by them, which one of several replicas has.
//! * The memory, processor time and tasks of the process are [measured](Service::resource_usage);
//!   [`ready_made`] checks hold them, a connection and an engine against limits.
//!   [`Service::collect_figures`] keeps the recent values of these figures and others, for their trends
//!   and a mark where one is far outside of its own range. A hook is told of
//!   [each change of status](Service::on_status_change).
//! * systemd is told ([`Service::notify_systemd`]) when the service is ready, reloads, and stops, and
//!   twice in each period of its watchdog that it lives.
//! * The kit reports through `tracing`; [`log`] writes text or JSON lines with the correlation id of
//!   each request.
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::get};
//! use std::time::Duration;
//! use healthctl_service::{CheckResult, Need, Service, Settings, hephaestus, metrics};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let service = Service::new("orders-api", "2.4.1", Settings::default());
//!
//! // The code that uses a dependency reports its state:
//! let database = service.dependency("database");
//! database.set_detail("pool_size", 8);
//! database.record_success();
//! // Or a check finds it out when an answer needs it:
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
//! // The signal handlers are installed, so the address may be published now.
//!
//! # service.shut_down(healthctl_service::ShutdownCause::Program);
//! let report = server.run().await;
//! assert!(report.drained && report.clean_ups[0].outcome.is_ok());
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | purpose |
//! | --- | --- |
//! | `health`, `component`, `dependency`, `check` | what the health of the service is made of |
//! | `check_config` | settings of checks that a file or a request changes |
//! | `circuit`, `circuit_breaker`, `heartbeat` | the state machine of a circuit, its guard, and heartbeats |
//! | `lease` | a client for leases of Kubernetes (feature `lease`) |
//! | [`ready_made`] | checks that many services need |
//! | `figure`, `usage` | figures with their trends, and what the process uses |
//! | `status_change` | the hook on changes of status |
//! | `lifecycle`, `server`, `connection` | from serving to finished, and the order of the shutdown |
//! | `tls` | a listener for TLS, with the feature `tls` |
//! | `settings` | the limits of all this |
//! | [`hephaestus`], [`control_plane`], [`scry_ingestor`], [`kcp_syncer`], [`metrics`] | routes: a file a convention |
//! | [`reload`] | the configuration and its versions |
//! | `query` | truth values in the query of a request |
//! | `upstream` | the check of another service's health (feature `upstream`) |
//! | `systemd` | what is reported to systemd: [`Service::notify_systemd`] |
//! | [`log`], `correlation` | lines of the log, and the id that those of one request share |
//! | `task` | isolates code of the program |
//! | `client` | reads the answers of other servers |
//!
//! To add a convention, add a file like `control_plane.rs`: it reads a [`Service`] and changes nothing
//! in it.

mod check;
mod check_config;
mod circuit;
mod circuit_breaker;
#[cfg(any(feature = "lease", feature = "upstream"))]
mod client;
mod component;
mod connection;
pub mod control_plane;
mod correlation;
mod dependency;
mod figure;
mod health;
mod heartbeat;
pub mod hephaestus;
pub mod kcp_syncer;
#[cfg(feature = "lease")]
pub mod lease;
mod lifecycle;
pub mod log;
pub mod metrics;
mod query;
pub mod ready_made;
pub mod reload;
pub mod scry_ingestor;
mod server;
mod settings;
mod status_change;
mod systemd;
mod task;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "upstream")]
mod upstream;
mod usage;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use check::CheckSchedule;
use figure::Figures;
use lifecycle::{CleanUps, Lifecycle};
use reload::ReloadCounts;
use status_change::StatusHooks;
use systemd::SystemdSocket;
use usage::CpuMeter;

pub use check::Check;
pub use check_config::CheckConfig;
pub use circuit::CircuitState;
pub use circuit_breaker::{CallError, CircuitBreaker};
pub use component::{Component, ReadinessGate};
pub use dependency::{Dependency, DependencySnapshot};
pub use figure::{Figure, FigureTrend};
pub use health::{CheckResult, Health, Need};
pub use heartbeat::{
    Heartbeat, HeartbeatCounts, HeartbeatSchedule, HeartbeatSender, HeartbeatStatus,
};
pub use lifecycle::{
    CleanUpResult, Phase, ShutdownCause, ShutdownReport, TerminationEvent, TerminationEvents,
};
pub use server::Server;
pub use settings::{Settings, WhileDraining};
pub use status_change::StatusChange;
pub use task::TaskError;
#[cfg(feature = "tls")]
pub use tls::{TlsError, TlsListener};
#[cfg(feature = "upstream")]
pub use upstream::UpstreamError;
pub use usage::ResourceUsage;

/// A running service. Clones refer to the same service.
#[derive(Debug, Clone)]
pub struct Service {
    about: Arc<ServiceInfo>,
    inner: Arc<ServiceInner>,
}

/// A service that is not kept alive by what refers to it.
#[derive(Debug, Clone)]
pub(crate) struct WeakService {
    about: Arc<ServiceInfo>,
    inner: Weak<ServiceInner>,
}

impl WeakService {
    pub(crate) fn upgrade(&self) -> Option<Service> {
        Some(Service {
            about: Arc::clone(&self.about),
            inner: self.inner.upgrade()?,
        })
    }

    /// Tells the hooks what has changed. The caller holds no lock of a dependency or a gate.
    pub(crate) fn note_status(&self) {
        if let Some(service) = self.upgrade() {
            service.note_status();
        }
    }
}

/// The name, version, start and settings of a service, which do not change.
#[derive(Debug)]
struct ServiceInfo {
    name: String,
    version: String,
    started: Instant,
    started_at: Timestamp,
    settings: Settings,
}

/// The fields of a service that change while it runs.
#[derive(Debug, Default)]
struct ServiceInner {
    dependencies: Mutex<IndexMap<String, Dependency>>,
    checks: Mutex<IndexMap<String, Check>>,
    schedule: CheckSchedule,
    gates: Mutex<IndexMap<String, ReadinessGate>>,
    /// `None` where the service has no configuration to reload.
    reloads: Mutex<Option<ReloadCounts>>,
    heartbeats: Mutex<Vec<HeartbeatSender>>,
    status_hooks: StatusHooks,
    figures: Figures,
    cpu_meter: CpuMeter,
    lifecycle: Lifecycle,
    /// The number of requests in flight.
    in_flight: watch::Sender<usize>,
    clean_ups: CleanUps,
    connections: TaskTracker,
    background: TaskTracker,
    background_end: CancellationToken,
    /// Set where systemd is reported to.
    systemd: OnceLock<SystemdSocket>,
}

impl Service {
    /// Creates a service, whose uptime begins now.
    pub fn new(name: impl Into<String>, version: impl Into<String>, settings: Settings) -> Self {
        Self {
            about: Arc::new(ServiceInfo {
                name: name.into(),
                version: version.into(),
                started: Instant::now(),
                started_at: Timestamp::now(),
                settings,
            }),
            inner: Arc::default(),
        }
    }

    pub(crate) fn downgrade(&self) -> WeakService {
        WeakService {
            about: Arc::clone(&self.about),
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Returns the name of the service.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// Returns the version of the service.
    pub fn version(&self) -> &str {
        &self.about.version
    }

    /// Returns the wall-clock time at which the service started.
    pub fn started_at(&self) -> Timestamp {
        self.about.started_at
    }

    /// Returns the time since the start, by the monotonic clock.
    pub fn uptime(&self) -> Duration {
        self.about.started.elapsed()
    }

    /// Returns the dependency of this name; the first call creates it. Payloads list dependencies in
    /// the order in which they were created.
    pub fn dependency(&self, name: &str) -> Dependency {
        self.inner
            .dependencies
            .lock()
            .entry(name.to_owned())
            .or_insert_with(|| Dependency::new(name).of_service(self.downgrade()))
            .clone()
    }

    /// Returns all dependencies as they are now.
    pub fn dependencies(&self) -> Vec<DependencySnapshot> {
        let now = Instant::now();
        let dependencies = self.inner.dependencies.lock();
        dependencies
            .values()
            .map(|dependency| dependency.snapshot(now))
            .collect()
    }

    /// Returns the numbers of open connections and of running background tasks, by name.
    pub fn resources(&self) -> IndexMap<&'static str, usize> {
        IndexMap::from([
            ("open_connections", self.inner.connections.len()),
            ("background_tasks", self.inner.background.len()),
        ])
    }

    /// Runs a task until the clean-up begins, when it is dropped. [`Service::resources`] counts it.
    pub fn background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.inner.background_end.clone();
        self.inner.background.spawn(async move {
            end.run_until_cancelled(task).await;
        });
    }
}
