//! The `kcp-syncer` convention, whose report is a Go struct without JSON tags.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /livez` | 503 only while the service is unhealthy |
//! | `GET /readyz` | 503 unless the service is healthy, every gate open and no shutdown requested |
//! | `GET /health/report` | the report; before the first check the literal `null`; always 200 |
//!
//! No route waits for a check: an answer reports the last known results and starts the checks that
//! are due. Use it with [`Service::check_every`].
//!
//! ```
//! use std::time::Duration;
//! use healthctl_service::{CheckResult, Need, Service, Settings, kcp_syncer};
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
use serde_json::{Value, json};

use crate::{Component, Health, HeartbeatSender, Service};

/// The zero value of a time, as Go writes it.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The figures of the report that the program measures itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SyncStats {
    /// The number of objects synced per second.
    pub sync_rate: f64,
    /// The share of syncs that fail, from 0 to 1.
    pub error_rate: f64,
    /// The number of objects that wait.
    pub queue_depth: u64,
    /// The time that a sync takes.
    pub latency: Duration,
    /// The memory in use, in bytes.
    pub memory_usage: u64,
    /// The share of one processor in use, from 0 to 1.
    pub cpu_usage: f64,
    /// The number of running tasks.
    pub tasks: u64,
}

/// Returns the three routes; `stats` is called for each report.
pub fn routes(service: &Service, stats: impl Fn() -> SyncStats + Send + Sync + 'static) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health/report", get(report))
        .with_state(Syncer {
            service: service.clone(),
            stats: Arc::new(stats),
        })
}

#[derive(Clone)]
struct Syncer {
    service: Service,
    stats: Arc<dyn Fn() -> SyncStats + Send + Sync>,
}

async fn livez(State(syncer): State<Syncer>) -> Response {
    probe(overall(&syncer.components()) != Health::Unhealthy)
}

async fn readyz(State(syncer): State<Syncer>) -> Response {
    let service = &syncer.service;
    probe(
        overall(&syncer.components()) == Health::Healthy
            && service.readiness_gates_open()
            && !service.is_shutting_down(),
    )
}

fn probe(passes: bool) -> Response {
    if passes {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ok\n").into_response()
    }
}

async fn report(State(syncer): State<Syncer>) -> Response {
    let components = syncer.components();
    // Without components there is no check to wait for; before the first check the report is `null`.
    let last_check = if components.is_empty() {
        Some(Timestamp::now())
    } else {
        components.iter().filter_map(|part| part.checked_at).max()
    };
    let report = last_check.map(|at| syncer.report(components, at));
    // The encoder of Go ends a value with a line feed.
    let body = format!("{}\n", report.unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Syncer {
    fn components(&self) -> Vec<Component> {
        self.service.start_due_checks();
        self.service.components()
    }

    /// Returns the time of the last heartbeat that arrived, in whole seconds as Kubernetes writes them.
    /// Without heartbeats it is the time of the last check, and says nothing about a lease.
    fn last_heartbeat(&self, last_check: Timestamp) -> String {
        let senders = self.service.heartbeat_senders();
        let last = if senders.is_empty() {
            Some(last_check)
        } else {
            senders
                .iter()
                .filter_map(HeartbeatSender::last_sent_at)
                .max()
        };
        last.map_or_else(
            || ZERO_TIME.to_owned(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
    }

    fn report(&self, components: Vec<Component>, last_check: Timestamp) -> Value {
        let stats = (self.stats)();
        let health = overall(&components);
        // Go sorts the keys of a map.
        let mut components = Component::payloads(components, component_payload);
        components.sort_keys();
        json!({
            "Status": go_word(health),
            "Components": components,
            "LastHeartbeat": self.last_heartbeat(last_check),
            "Uptime": nanoseconds(self.service.uptime()),
            // This is the version of the interface, not of the program.
            "Version": "v1alpha1",
            "SyncRate": stats.sync_rate,
            "ErrorRate": stats.error_rate,
            "QueueDepth": stats.queue_depth,
            "Latency": nanoseconds(stats.latency),
            "MemoryUsage": stats.memory_usage,
            "CPUUsage": stats.cpu_usage,
            "GoroutineCount": stats.tasks,
        })
    }
}

/// Combines the health of the components as this convention does: once one component is checked,
/// unknown ones count as healthy.
fn overall(components: &[Component]) -> Health {
    let checked = components.iter().any(|part| part.checked_at.is_some());
    match Component::overall(components) {
        Health::Unknown if checked => Health::Healthy,
        health => health,
    }
}

fn component_payload(component: Component) -> Value {
    // Metrics of this convention are numbers.
    let metrics: BTreeMap<String, Value> = component
        .details
        .into_iter()
        .filter(|(_, value)| value.is_number())
        .collect();
    let checked_at = component.checked_at.map(|at| at.to_string());
    json!({
        "Name": component.name,
        "Status": go_word(component.health),
        "LastCheck": checked_at.as_deref().unwrap_or(ZERO_TIME),
        "Message": component.message.unwrap_or_default(),
        // An error of Go has no exported field, so nothing of it is written.
        "Error": (component.health == Health::Unhealthy).then(|| json!({})),
        "Metrics": (!metrics.is_empty()).then_some(metrics),
    })
}

fn go_word(health: Health) -> &'static str {
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
