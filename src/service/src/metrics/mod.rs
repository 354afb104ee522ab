//! Metrics in Prometheus' text format.
//!
//! | metric | what it tells |
//! | --- | --- |
//! | `service_info` | name and version, as labels |
//! | `service_start_time_seconds` | when it started |
//! | `service_ready` | whether it takes work |
//! | `service_shutting_down` | whether a shutdown was asked for |
//! | `service_health` | 1 for the health that the whole has, 0 for the others |
//! | `service_component_health` | the same for each component |
//! | `service_gate_open` | whether each readiness gate has opened |
//! | `service_check_duration_seconds` | how long the attempts of each check took, as a histogram |
//! | `service_component_successes_total`, `…_failures_total` | attempts at each component |
//! | `service_circuit_state` | 1 for the state that each circuit has, 0 for the others |
//! | `service_heartbeats_total`, `service_heartbeats_missed_in_a_row` | heartbeats sent and missed |
//! | `service_reloads_total`, `service_configuration_version` | reloads by how they ended |
//! | `service_requests_in_flight` | requests of its work that are not answered yet |
//! | `service_open_connections`, `service_background_tasks` | what it holds on to |
//!
//! ```
//! use axum::Router;
//! use healthctl_service::{Service, Settings, hephaestus, metrics};
//!
//! let service = Service::new("orders-api", "2.4.1", Settings::default());
//! let health = hephaestus::routes(&service).merge(metrics::routes(&service));
//! assert!(metrics::text(&service).contains("service_ready 1\n"));
//! # let _: Router = health;
//! ```

mod exposition;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use indexmap::IndexMap;

use super::reload::ReloadStatus;
use super::{CircuitState, Health, HeartbeatCounts, Need, Service};
use exposition::{Exposition, Kind};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(service.clone())
}

async fn metrics(State(service): State<Service>) -> impl IntoResponse {
    service.run_due_checks().await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text(&service))
}

/// The metrics as they stand now.
pub fn text(service: &Service) -> String {
    let mut out = Exposition::default();
    whole(&mut out, service);
    components(&mut out, service);
    checks(&mut out, service);
    heartbeats(&mut out, service);
    reloads(&mut out, service);
    load(&mut out, service);
    out.into_text()
}

fn whole(out: &mut Exposition, service: &Service) {
    out.family("service_info", Kind::Gauge, "Name and version.");
    let labels = [("service", service.name()), ("version", service.version())];
    out.sample("", &labels, 1.0);
    let help = "When the service started, in seconds since 1970.";
    out.family("service_start_time_seconds", Kind::Gauge, help);
    let started = service.started_at().as_microsecond() as f64 / 1e6;
    out.sample("", &[], started);
    out.family("service_ready", Kind::Gauge, "Whether it takes work.");
    out.sample("", &[], truth(service.is_ready()));
    let help = "Whether a shutdown was asked for.";
    out.family("service_shutting_down", Kind::Gauge, help);
    out.sample("", &[], truth(service.is_shutting_down()));
    let help = "1 for the health that the service has, 0 for the others.";
    out.family("service_health", Kind::Gauge, help);
    states(out, &[], service.health());
}

fn components(out: &mut Exposition, service: &Service) {
    let components = service.components();
    let help = "1 for the health that the component has, 0 for the others.";
    out.family("service_component_health", Kind::Gauge, help);
    for component in &components {
        let need = truth_word(component.need == Need::Required);
        let labels = [("component", component.name.as_str()), ("required", need)];
        states(out, &labels, component.health);
    }
    let help = "Whether the readiness gate has opened.";
    out.family("service_gate_open", Kind::Gauge, help);
    for gate in service.gates() {
        out.sample("", &[("gate", gate.name())], truth(gate.is_open()));
    }

    let dependencies = service.dependencies();
    let help = "Attempts that succeeded.";
    out.family("service_component_successes_total", Kind::Counter, help);
    for dependency in &dependencies {
        let labels = [("component", dependency.name.as_str())];
        out.sample("", &labels, dependency.success_count as f64);
    }
    let help = "Attempts that failed.";
    out.family("service_component_failures_total", Kind::Counter, help);
    for dependency in &dependencies {
        let labels = [("component", dependency.name.as_str())];
        out.sample("", &labels, dependency.failure_count as f64);
    }
    let help = "1 for the state that the circuit breaker has, 0 for the others.";
    out.family("service_circuit_state", Kind::Gauge, help);
    for dependency in &dependencies {
        for circuit in CircuitState::ALL {
            if let Some(now) = dependency.circuit {
                let labels = [("component", &*dependency.name), ("state", circuit.word())];
                out.sample("", &labels, truth(now == circuit));
            }
        }
    }
}

fn checks(out: &mut Exposition, service: &Service) {
    let help = "How long the attempts of a check took.";
    out.family("service_check_duration_seconds", Kind::Histogram, help);
    for check in service.checks() {
        let durations = check.durations();
        let component = ("component", check.name());
        for (bound, count) in durations.buckets() {
            let bound = Duration::from_millis(bound).as_secs_f64().to_string();
            out.sample("_bucket", &[component, ("le", &bound)], count as f64);
        }
        let count = durations.count as f64;
        out.sample("_bucket", &[component, ("le", "+Inf")], count);
        out.sample("_sum", &[component], durations.sum.as_secs_f64());
        out.sample("_count", &[component], count);
    }
}

fn heartbeats(out: &mut Exposition, service: &Service) {
    // Two senders to one receiver are one series: a second one of the same labels would spoil the whole answer.
    let mut heartbeats: IndexMap<String, HeartbeatCounts> = IndexMap::new();
    for heartbeat in service.heartbeats() {
        let (to, counts) = (heartbeat.dependency().name(), heartbeat.counts());
        let all = heartbeats.entry(to.to_owned()).or_default();
        all.sent = all.sent.saturating_add(counts.sent);
        all.missed = all.missed.saturating_add(counts.missed);
        all.missed_in_a_row = all.missed_in_a_row.max(counts.missed_in_a_row);
    }
    let help = "Heartbeats by what became of them.";
    out.family("service_heartbeats_total", Kind::Counter, help);
    for (to, counts) in &heartbeats {
        let to = ("to", to.as_str());
        out.sample("", &[to, ("result", "sent")], counts.sent as f64);
        out.sample("", &[to, ("result", "missed")], counts.missed as f64);
    }
    let help = "Heartbeats that were missed since one last arrived.";
    out.family("service_heartbeats_missed_in_a_row", Kind::Gauge, help);
    for (to, counts) in &heartbeats {
        out.sample("", &[("to", to.as_str())], counts.missed_in_a_row as f64);
    }
}

fn reloads(out: &mut Exposition, service: &Service) {
    let Some(tally) = service.inner.reloads.tally() else {
        return;
    };
    let help = "Reloads of the configuration by how they ended.";
    out.family("service_reloads_total", Kind::Counter, help);
    for (count, status) in tally.ended.into_iter().zip(ReloadStatus::ALL) {
        out.sample("", &[("result", status.word())], count as f64);
    }
    let help = "The version of the configuration that is in force.";
    out.family("service_configuration_version", Kind::Gauge, help);
    out.sample("", &[], tally.version as f64);
}

fn load(out: &mut Exposition, service: &Service) {
    let help = "Requests of the service's work that are not answered yet.";
    out.family("service_requests_in_flight", Kind::Gauge, help);
    out.sample("", &[], service.in_flight() as f64);
    out.family("service_open_connections", Kind::Gauge, "Connections.");
    out.sample("", &[], service.inner.connections.len() as f64);
    let help = "Tasks beside the requests.";
    out.family("service_background_tasks", Kind::Gauge, help);
    out.sample("", &[], service.inner.background.len() as f64);
}

fn states(out: &mut Exposition, labels: &[(&str, &str)], now: Health) {
    for health in Health::ALL {
        let mut labels = labels.to_vec();
        labels.push(("status", health.word()));
        out.sample("", &labels, truth(now == health));
    }
}

fn truth(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}

fn truth_word(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}
