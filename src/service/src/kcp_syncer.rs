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
//! `LastHeartbeat` is the time of the last [heartbeat](Service::send_heartbeats) that arrived, such as
//! the last renewal of a lease; of a service that sends none, it is the time of the last check. With
//! [`Service::collect_figures`] the report has two more keys: `Figures`, each with its trend and its
//! recent range, and `Anomalies`, the names of those outside of theirs.
//!
//! ```
//! use std::time::Duration;
//! use healthctl_service::ready_made::{EngineLimits, SyncEngine};
//! use healthctl_service::{Need, Service, Settings, kcp_syncer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = Service::new("kcp-syncer", "0.1", Settings::default());
//! let engine = SyncEngine::new(&service);
//! let check = engine.check(EngineLimits::default());
//! service.register_check("sync-engine", Need::Required, kcp_syncer::CHECK_TIMEOUT, check);
//! service.check_every(Duration::from_secs(10));
//! service.collect_figures(Duration::from_secs(10));
//! let health: axum::Router = kcp_syncer::routes(&service, &engine);
//! # }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ready_made::SyncEngine;
use crate::{Component, FigureTrend, Health, HeartbeatSender, Service};

/// The zero value of a time, as Go writes it.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The time that one check of this convention may take.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the three routes. The report has the rates of the engine, and the resources that the kit
/// measures.
pub fn routes(service: &Service, engine: &SyncEngine) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/health/report", get(report))
        .with_state(Syncer {
            service: service.clone(),
            engine: engine.clone(),
        })
}

#[derive(Clone)]
struct Syncer {
    service: Service,
    engine: SyncEngine,
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
        let (stats, usage) = (self.engine.stats(), self.service.resource_usage());
        let health = overall(&components);
        // Go sorts the keys of a map.
        let mut components = Component::payloads(components, component_payload);
        components.sort_keys();
        let mut report = json!({
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
            "MemoryUsage": usage.memory_bytes.unwrap_or_default(),
            "CPUUsage": usage.cpu,
            "GoroutineCount": usage.tasks,
        });
        let figures = self.service.figures();
        if !figures.is_empty() {
            let anomalous = figures.iter().filter(|figure| figure.is_anomalous);
            report["Anomalies"] = anomalous.map(|figure| figure.name.as_str()).collect();
            report["Figures"] = figures.iter().map(figure_payload).collect();
        }
        report
    }
}

fn figure_payload(figure: &FigureTrend) -> (String, Value) {
    let payload = json!({
        "Value": figure.value,
        "PerSecond": figure.per_second,
        "Low": figure.range.map(|(low, _)| low),
        "High": figure.range.map(|(_, high)| high),
        "Anomalous": figure.is_anomalous,
    });
    (figure.name.clone(), payload)
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
