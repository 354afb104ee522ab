//! The `kcp-syncer` convention: a Go struct without JSON tags, written as Go writes it.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /livez` | 503 only while the whole is unhealthy |
//! | `GET /readyz` | 503 unless the whole is healthy, every gate open and no shutdown asked for |
//! | `GET /health/report` | the report; before the first check the literal `null`; always 200 |
//!
//! Nothing here waits for a check: an answer tells what is known and starts what is due. A service
//! of this kind has [`Service::check_every`] run its checks.
//!
//! ```
//! use std::time::Duration;
//! use healthctl_service::{Need, CheckResult, Service, Settings, kcp_syncer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = Service::new("kcp-syncer", "0.1", Settings::default());
//! let limit = Duration::from_secs(5);
//! service.register_check("sync-engine", Need::Required, limit, || async {
//!     CheckResult::healthy().with_message("ok").with_detail("queue_depth", 3)
//! });
//! service.check_every(Duration::from_secs(10));
//! let health: axum::Router = kcp_syncer::routes(&service, || kcp_syncer::SyncStats {
//!     sync_rate: 12.5,
//!     queue_depth: 3,
//!     ..Default::default()
//! });
//! # }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::component::parts;
use super::{Component, Health, Service};

/// What Go writes for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What the report says beside the components; the program measures it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SyncStats {
    /// Objects synced per second.
    pub sync_rate: f64,
    /// The share of syncs that fail.
    pub error_rate: f64,
    /// Objects that wait.
    pub queue_depth: u64,
    /// How long a sync takes.
    pub latency: Duration,
    /// Bytes of memory in use.
    pub memory_usage: u64,
    /// The share of one processor in use.
    pub cpu_usage: f64,
    /// Tasks that run.
    pub tasks: u64,
}

/// The three routes; `figures` is asked for each report.
pub fn routes(
    service: &Service,
    figures: impl Fn() -> SyncStats + Send + Sync + 'static,
) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health/report", get(report))
        .with_state(Syncer {
            service: service.clone(),
            figures: Arc::new(figures),
        })
}

#[derive(Clone)]
struct Syncer {
    service: Service,
    figures: Arc<dyn Fn() -> SyncStats + Send + Sync>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthReport {
    status: &'static str,
    /// In the order of their names: Go sorts the keys of a map.
    components: BTreeMap<String, ConfigPart>,
    last_heartbeat: String,
    uptime: u64,
    version: &'static str,
    sync_rate: f64,
    error_rate: f64,
    queue_depth: u64,
    latency: u64,
    memory_usage: u64,
    #[serde(rename = "CPUUsage")]
    cpu_usage: f64,
    goroutine_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigPart {
    name: String,
    status: &'static str,
    last_check: String,
    message: String,
    error: Option<GoError>,
    metrics: Option<BTreeMap<String, Value>>,
}

/// An error value has no exported field: all that Go writes of it is `{}`.
#[derive(Serialize)]
struct GoError {}

async fn livez(State(syncer): State<Syncer>) -> Response {
    probe(syncer.whole() != Health::Unhealthy)
}

async fn readyz(State(syncer): State<Syncer>) -> Response {
    let service = &syncer.service;
    let ready = syncer.whole() == Health::Healthy
        && service.readiness_gates_open()
        && !service.is_shutting_down();
    probe(ready)
}

fn probe(good: bool) -> Response {
    if good {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ok\n").into_response()
    }
}

async fn report(State(syncer): State<Syncer>) -> Response {
    let components = syncer.components();
    let mut body = last_check(&components)
        .map(|at| syncer.report(components, at))
        .and_then(|report| serde_json::to_string(&report).ok())
        .unwrap_or_else(|| "null".to_owned());
    // As Go's encoder ends a value.
    body.push('\n');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Syncer {
    fn components(&self) -> Vec<Component> {
        self.service.start_due_checks();
        self.service.components()
    }

    fn whole(&self) -> Health {
        whole(&self.components())
    }

    fn report(&self, components: Vec<Component>, last_check: Timestamp) -> HealthReport {
        let figures = (self.figures)();
        HealthReport {
            status: word(whole(&components)),
            components: components
                .into_iter()
                .map(|component| (component.name.clone(), part(component)))
                .collect(),
            // Of the check itself: it proves no lease.
            last_heartbeat: last_check.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            uptime: nanoseconds(self.service.uptime()),
            // Of the interface, not of the program: the convention's founder writes it so.
            version: "v1alpha1",
            sync_rate: figures.sync_rate,
            error_rate: figures.error_rate,
            queue_depth: figures.queue_depth,
            latency: nanoseconds(figures.latency),
            memory_usage: figures.memory_usage,
            cpu_usage: figures.cpu_usage,
            goroutine_count: figures.tasks,
        }
    }
}

/// When the last check ended; nothing before the first one. Without components there is nothing
/// to wait for.
fn last_check(components: &[Component]) -> Option<Timestamp> {
    if components.is_empty() {
        return Some(Timestamp::now());
    }
    components.iter().filter_map(|part| part.checked_at).max()
}

/// As the convention has it: components of which nothing is known count as healthy, once one has
/// been checked.
fn whole(components: &[Component]) -> Health {
    let checked = components.iter().any(|part| part.checked_at.is_some());
    match Health::of(parts(components)) {
        Health::Unknown if checked => Health::Healthy,
        health => health,
    }
}

fn part(component: Component) -> ConfigPart {
    let metrics: BTreeMap<String, Value> = component
        .details
        .into_iter()
        // They are numbers there, and nothing else.
        .filter(|(_, value)| value.is_number())
        .collect();
    ConfigPart {
        name: component.name,
        status: word(component.health),
        last_check: component
            .checked_at
            .map_or_else(|| NEVER.to_owned(), |at| at.to_string()),
        message: component.message.unwrap_or_default(),
        error: (component.health == Health::Unhealthy).then_some(GoError {}),
        metrics: (!metrics.is_empty()).then_some(metrics),
    }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Unknown => "Unknown",
        Health::Healthy => "Healthy",
        Health::Degraded => "Degraded",
        Health::Unhealthy => "Unhealthy",
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
