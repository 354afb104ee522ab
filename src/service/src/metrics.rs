//! The metrics of a service, in the Prometheus text format, version 0.0.4.
//!
//! | metric | meaning |
//! | --- | --- |
//! | `service_info` | name and version, as labels |
//! | `service_start_time_seconds` | time of the start, in seconds since 1970 |
//! | `service_ready` | 1 while the service takes work |
//! | `service_shutting_down` | 1 after a shutdown was requested |
//! | `service_shutdown_limit_seconds` | the longest time that a shutdown can take |
//! | `service_health` | 1 for the present health of the service, 0 for the others |
//! | `service_component_health` | the same for each component |
//! | `service_gate_open` | 1 for each readiness gate that is open |
//! | `service_check_duration_seconds` | histogram of the time that attempts of each check took |
//! | `service_component_successes_total`, `…_failures_total` | attempts at each component |
//! | `service_circuit_state` | 1 for the present state of each circuit breaker, 0 for the others |
//! | `service_component_metric` | each detail of a component that is a number |
//! | `service_heartbeats_total`, `service_heartbeats_missed_in_a_row` | heartbeats sent and missed |
//! | `service_heartbeat_last_sent_timestamp_seconds` | time of the last heartbeat that arrived |
//! | `service_figure`, `service_figure_trend_per_second` | each collected figure, and its rise a second |
//! | `service_figure_anomalous` | 1 while the figure is far outside of its own recent range |
//! | `service_reloads_total`, `service_configuration_version` | reloads by their result |
//! | `service_requests_in_flight` | requests to the service's own routes that are not answered yet |
//! | `service_open_connections`, `service_background_tasks` | open connections and running tasks |
//! | `service_tasks` | all tasks of the runtime |
//! | `process_resident_memory_bytes`, `process_cpu_seconds_total` | what the process uses |
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

use std::fmt;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use indexmap::IndexMap;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::circuit::CircuitState;
use crate::health::{Health, Need};
use crate::heartbeat::HeartbeatCounts;
use crate::reload::ReloadStatus;
use crate::{FigureTrend, Service};

/// Returns the route `GET /metrics`.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(service.clone())
}

async fn metrics(State(service): State<Service>) -> impl IntoResponse {
    service.run_due_checks().await;
    (
        [(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)],
        text(&service),
    )
}

/// Returns the metrics as they are now.
pub fn text(service: &Service) -> String {
    let mut registry = Registry::default();
    register(service, &mut registry);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

/// Adds the metrics of a service to a registry, in which a program keeps metrics of its own. They
/// are read anew each time the registry is encoded.
///
/// ```
/// use healthctl_service::{Service, Settings, metrics};
/// use prometheus_client::encoding::prometheus_text;
/// use prometheus_client::metrics::counter::Counter;
/// use prometheus_client::registry::Registry;
///
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let mut registry = Registry::default();
/// metrics::register(&service, &mut registry);
/// let orders = Counter::<u64>::default();
/// registry.register("orders", "Orders taken", orders.clone());
///
/// orders.inc();
/// let mut text = String::new();
/// prometheus_text::encode(&mut text, &registry)?;
/// assert!(text.contains("service_ready 1\n") && text.contains("orders_total 1\n"));
/// # Ok::<(), std::fmt::Error>(())
/// ```
pub fn register(service: &Service, registry: &mut Registry) {
    registry.register_collector(Box::new(ServiceCollector(service.clone())));
}

#[derive(Debug)]
struct ServiceCollector(Service);

impl Collector for ServiceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (out, service) = (&mut encoder, &self.0);
        encode_service(out, service)?;
        encode_components(out, service)?;
        encode_dependencies(out, service)?;
        encode_heartbeats(out, service)?;
        encode_figures(out, service)?;
        encode_usage(out, service)?;
        encode_reloads(out, service)?;

        family(out, "service_requests_in_flight", one(service.in_flight()))?;
        let connections = one(service.inner.connections.len());
        family(out, "service_open_connections", connections)?;
        let tasks = one(service.inner.background.len());
        family(out, "service_background_tasks", tasks)
    }
}

/// Returns the help text of a metric.
fn help(metric: &str) -> &'static str {
    match metric {
        "service_info" => "Name and version.",
        "service_start_time_seconds" => "When the service started, in seconds since 1970.",
        "service_ready" => "Whether it takes work.",
        "service_shutting_down" => "Whether a shutdown was requested.",
        "service_shutdown_limit_seconds" => "The longest time that a shutdown can take.",
        "service_health" => "1 for the health that the service has, 0 for the others.",
        "service_component_health" => "1 for the health that the component has, 0 for the others.",
        "service_gate_open" => "Whether the readiness gate has opened.",
        "service_component_successes" => "Attempts that succeeded.",
        "service_component_failures" => "Attempts that failed.",
        "service_circuit_state" => "1 for the state of the circuit breaker, 0 for the others.",
        "service_check_duration_seconds" => "How long the attempts of a check took.",
        "service_heartbeats" => "Heartbeats by result.",
        "service_component_metric" => "A detail of the component that is a number.",
        "service_heartbeat_last_sent_timestamp_seconds" => {
            "When the last heartbeat that arrived was sent, in seconds since 1970."
        }
        "service_figure" => "A collected figure.",
        "service_figure_trend_per_second" => "How much the figure rises a second.",
        "service_figure_anomalous" => "Whether the figure is far outside of its recent range.",
        "service_tasks" => "Tasks of the runtime that have not ended.",
        "process_resident_memory_bytes" => "Resident memory size in bytes.",
        "process_cpu_seconds" => "Total user and system CPU time spent in seconds.",
        "service_heartbeats_missed_in_a_row" => "Heartbeats missed since one last arrived.",
        "service_reloads" => "Reloads of the configuration by result.",
        "service_configuration_version" => "The version of the configuration in force.",
        "service_requests_in_flight" => "Requests to the service's own routes, not yet answered.",
        "service_open_connections" => "Open connections.",
        "service_background_tasks" => "Running background tasks.",
        _ => "",
    }
}

type Labels<'a> = Vec<(&'a str, &'a str)>;
type Gauge = ConstGauge<u64>;

/// Encodes one metric with all its samples; without samples it is left out. The library appends
/// `_total` to the name of a counter.
fn family<'a, M: EncodeMetric>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    samples: impl IntoIterator<Item = (Labels<'a>, M)>,
) -> fmt::Result {
    let mut samples = samples.into_iter().peekable();
    let Some((_, first)) = samples.peek() else {
        return Ok(());
    };
    let mut family = out.encode_descriptor(name, help(name), None, first.metric_type())?;
    for (labels, metric) in samples {
        metric.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Returns the only sample of a gauge.
fn one(value: usize) -> [(Labels<'static>, Gauge); 1] {
    [(vec![], Gauge::new(value as u64))]
}

/// Returns a sample of a gauge that is 1 or 0.
fn flag(labels: Labels<'_>, value: bool) -> (Labels<'_>, Gauge) {
    (labels, Gauge::new(value.into()))
}

/// Returns a sample for each state of a component: 1 for the present one, 0 for the others.
fn states<'a, S: Copy + PartialEq>(
    labels: &[(&'a str, &'a str)],
    (label, name): (&'a str, fn(S) -> &'static str),
    all: &[S],
    present: S,
) -> Vec<(Labels<'a>, Gauge)> {
    let sample = |state: &S| {
        let mut labels = labels.to_vec();
        labels.push((label, name(*state)));
        flag(labels, *state == present)
    };
    all.iter().map(sample).collect()
}

fn health_states<'a>(labels: &[(&'a str, &'a str)], health: Health) -> Vec<(Labels<'a>, Gauge)> {
    states(labels, ("status", Health::as_str), &Health::ALL, health)
}

fn encode_service(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    let labels = vec![("service", service.name()), ("version", service.version())];
    family(out, "service_info", [flag(labels, true)])?;
    let started = service.started_at().as_microsecond() as f64 / 1e6;
    let started = [(vec![], ConstGauge::new(started))];
    family(out, "service_start_time_seconds", started)?;
    let ready = flag(vec![], service.is_ready());
    family(out, "service_ready", [ready])?;
    let shutting_down = flag(vec![], service.is_shutting_down());
    family(out, "service_shutting_down", [shutting_down])?;
    let limit = ConstGauge::new(service.shutdown_limit().as_secs_f64());
    family(out, "service_shutdown_limit_seconds", [(vec![], limit)])?;
    let health = health_states(&[], service.health());
    family(out, "service_health", health)
}

fn encode_components(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    let components = service.components();
    let healths = components.iter().flat_map(|component| {
        let required = match component.need {
            Need::Required => "true",
            Need::Optional => "false",
        };
        let labels = [("component", &*component.name), ("required", required)];
        health_states(&labels, component.health)
    });
    family(out, "service_component_health", healths)?;
    let metrics = components.iter().flat_map(|component| {
        let numbers = component.details.iter();
        numbers.filter_map(|(name, value)| {
            let labels = vec![("component", &*component.name), ("metric", &**name)];
            Some((labels, ConstGauge::new(value.as_f64()?)))
        })
    });
    family(out, "service_component_metric", metrics)?;
    let gates = service.readiness_gates();
    let open = gates
        .iter()
        .map(|gate| flag(vec![("gate", gate.name())], gate.is_open()));
    family(out, "service_gate_open", open)
}

fn encode_dependencies(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    fn count(name: &str, count: u64) -> (Labels<'_>, ConstCounter<u64>) {
        (vec![("component", name)], ConstCounter::new(count))
    }
    let all = service.dependencies();
    let successes = all.iter().map(|one| count(&one.name, one.success_count));
    family(out, "service_component_successes", successes)?;
    let failures = all.iter().map(|one| count(&one.name, one.failure_count));
    family(out, "service_component_failures", failures)?;
    let guarded = all.iter().filter_map(|one| Some((one, one.circuit?)));
    let circuits = guarded.flat_map(|(dependency, circuit)| {
        let labels = [("component", &*dependency.name)];
        let label = ("state", CircuitState::as_str as fn(_) -> _);
        states(&labels, label, &CircuitState::ALL, circuit)
    });
    family(out, "service_circuit_state", circuits)?;
    let checks = service.checks();
    let durations = checks
        .iter()
        .map(|check| (vec![("component", check.name())], check.durations().clone()));
    family(out, "service_check_duration_seconds", durations)
}

fn encode_heartbeats(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    // Two senders to one receiver are one series: a label set that occurs twice would make Prometheus
    // reject the whole answer.
    let mut receivers: IndexMap<String, HeartbeatCounts> = IndexMap::new();
    let mut times: IndexMap<String, Timestamp> = IndexMap::new();
    for sender in service.heartbeat_senders() {
        let (to, counts) = (sender.dependency().name(), sender.counts());
        if let Some(at) = sender.last_sent_at() {
            let last = times.entry(to.to_owned()).or_insert(at);
            *last = at.max(*last);
        }
        let sum = receivers.entry(to.to_owned()).or_default();
        sum.sent = sum.sent.saturating_add(counts.sent);
        sum.missed = sum.missed.saturating_add(counts.missed);
        sum.missed_in_a_row = sum.missed_in_a_row.max(counts.missed_in_a_row);
    }
    let results = receivers.iter().flat_map(|(to, counts)| {
        let results = [("sent", counts.sent), ("missed", counts.missed)];
        results.map(|(result, count)| {
            let labels = vec![("to", to.as_str()), ("result", result)];
            (labels, ConstCounter::new(count))
        })
    });
    family(out, "service_heartbeats", results)?;
    let missed = receivers
        .iter()
        .map(|(to, counts)| (vec![("to", &**to)], Gauge::new(counts.missed_in_a_row)));
    family(out, "service_heartbeats_missed_in_a_row", missed)?;
    let times = times.iter().map(|(to, at)| {
        let seconds = at.as_microsecond() as f64 / 1e6;
        (vec![("to", &**to)], ConstGauge::new(seconds))
    });
    let name = "service_heartbeat_last_sent_timestamp_seconds";
    family(out, name, times)
}

fn encode_figures(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    let figures = service.figures();
    let each = |number: fn(&FigureTrend) -> f64| {
        let figures = figures.iter();
        figures.map(move |figure| {
            let labels = vec![("figure", &*figure.name)];
            (labels, ConstGauge::new(number(figure)))
        })
    };
    family(out, "service_figure", each(|figure| figure.value))?;
    let trends = each(|figure| figure.per_second);
    family(out, "service_figure_trend_per_second", trends)?;
    let anomalous = figures
        .iter()
        .map(|figure| flag(vec![("figure", &*figure.name)], figure.is_anomalous));
    family(out, "service_figure_anomalous", anomalous)
}

fn encode_usage(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    let usage = service.resource_usage();
    family(out, "service_tasks", one(usage.tasks))?;
    let memory = usage.memory_bytes;
    let memory = memory.map(|bytes| (vec![], Gauge::new(bytes)));
    family(out, "process_resident_memory_bytes", memory)?;
    let seconds = ConstCounter::new(usage.cpu_time.as_secs_f64());
    family(out, "process_cpu_seconds", [(vec![], seconds)])
}

fn encode_reloads(out: &mut DescriptorEncoder<'_>, service: &Service) -> fmt::Result {
    let Some(reloads) = service.inner.reloads.lock().clone() else {
        return Ok(());
    };
    let counts = ReloadStatus::ALL.into_iter().zip(reloads.counts);
    let results = counts.map(|(status, count)| {
        let labels = vec![("result", status.as_str())];
        (labels, ConstCounter::new(count))
    });
    family(out, "service_reloads", results)?;
    let version = [(vec![], Gauge::new(reloads.version))];
    family(out, "service_configuration_version", version)
}
