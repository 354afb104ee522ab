//! The JSON report, and a line of the NDJSON stream. Ages are in seconds, *never* is `null`, and fields are only added.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::event::{ActionResult, ActionStep};
use crate::health::{Change, DependencySnapshot, HeartbeatSnapshot, Moment, ProbeSnapshot, State};

use super::{Report, ServiceReport};

/// The version of the schema.
const SCHEMA_VERSION: u32 = 1;

/// The order of the states in the summary.
const SUMMARY: [State; 8] = [
    State::Healthy,
    State::Degraded,
    State::Unready,
    State::Unhealthy,
    State::Unknown,
    State::Starting,
    State::Draining,
    State::Stopped,
];

/// Formats the report as one indented JSON document with a line break at its end.
pub(crate) fn json(report: &Report) -> String {
    let mut summary = json!({"total": report.services.len()});
    for state in SUMMARY {
        summary[state.as_str()] = json!(report.count(state));
    }
    let services = report.services.iter();
    let services: Vec<Value> = services.map(|it| json_service(it, report.at)).collect();
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "generated_at": time(report.at),
        "verdict": report.verdict,
        "summary": summary,
        "services": services,
    });
    format!("{document:#}\n")
}

/// Formats a line of `watch -o ndjson`, with its line break: a service, with what changed.
pub(crate) fn change_line(service: &ServiceReport, changed: &[Change], at: Moment) -> String {
    let changed: Vec<&str> = changed.iter().copied().map(word).collect();
    let mut line = json!({
        "schema_version": SCHEMA_VERSION,
        "at": time(at),
        "changed": changed,
    });
    if let (Value::Object(line), Value::Object(service)) = (&mut line, json_service(service, at)) {
        line.extend(service);
    }
    format!("{line}\n")
}

/// What a line of `watch -o ndjson` says of an action on a service, which begins or has ended.
#[derive(Debug, Serialize)]
pub(crate) struct ActionLine {
    action: String,
    /// `None` while the action is under way.
    verdict: Option<String>,
    text: String,
    automatic: bool,
    elapsed_seconds: f64,
}

impl ActionLine {
    /// Describes an action that takes this step as its first one. Only automatic restart acts while a stream is written.
    pub(crate) fn begins(step: &ActionStep) -> Self {
        Self {
            action: step.action.to_string(),
            verdict: None,
            text: step.text.clone(),
            automatic: true,
            elapsed_seconds: step.elapsed.as_secs_f64(),
        }
    }

    /// Describes an action that has ended.
    pub(crate) fn ended(result: &ActionResult) -> Self {
        Self {
            action: result.action.to_string(),
            verdict: Some(result.verdict.to_string()),
            text: result.text.clone(),
            automatic: result.details.automatic,
            elapsed_seconds: result.elapsed.as_secs_f64(),
        }
    }
}

/// Formats a line of `watch -o ndjson`, with its line break: a service, with the action on it that begins or has ended.
pub(crate) fn action_line(service: &ServiceReport, action: &ActionLine, at: Moment) -> String {
    let mut line = json!({
        "schema_version": SCHEMA_VERSION,
        "at": time(at),
        "changed": ["action"],
        "action": action,
    });
    if let (Value::Object(line), Value::Object(service)) = (&mut line, json_service(service, at)) {
        line.extend(service);
    }
    format!("{line}\n")
}

/// Returns the word of a change.
const fn word(change: Change) -> &'static str {
    match change {
        Change::First => "first",
        Change::State => "state",
        Change::Flags => "flag",
        Change::Reasons => "reason",
        Change::Result => "result",
        Change::Dependency => "dependency",
        Change::Version => "version",
        Change::Start => "start",
    }
}

/// Returns the element of `services` at this time.
pub(crate) fn json_service(service: &ServiceReport, now: Moment) -> Value {
    let snapshot = &service.snapshot;
    let info = &snapshot.info;
    let uptime = snapshot.uptime;
    let probes = snapshot.probes.iter();
    let dependencies = snapshot.dependencies.iter();
    let value = json!({
        "name": info.name,
        "group": info.group,
        "labels": info.labels,
        "profile": info.profile,
        "url": info.url,
        "state": snapshot.state,
        "ready": snapshot.ready,
        "verdict": service.verdict,
        "flags": snapshot.flags,
        "reasons": snapshot.reasons,
        "blocked_by": snapshot.blocked_by,
        "service": snapshot.service,
        "version": snapshot.version,
        "started_at": snapshot.started.map(|start| start.at.to_string()),
        "uptime_seconds": uptime.map(|(uptime, at)| seconds(uptime + now.since(at))),
        "instance": snapshot.identity.instance,
        "resources": snapshot.resources,
        "notes": snapshot.notes.iter().chain(&service.undetermined).collect::<Vec<_>>(),
        "heartbeat": snapshot.heartbeat.as_ref().map(|it| json_heartbeat(it, now)),
        "probes": probes.map(|probe| json_probe(probe, now)).collect::<Vec<_>>(),
        "dependencies": dependencies.map(|it| json_dependency(it, now)).collect::<Vec<_>>(),
    });
    without_null(value, &["instance", "heartbeat"])
}

fn json_probe(probe: &ProbeSnapshot, now: Moment) -> Value {
    let failure = probe.failure.as_ref();
    json!({
        "name": probe.info.name,
        "kind": probe.info.kind,
        "target": probe.info.target,
        "address": probe.address,
        "result": probe.latest,
        "failure": failure.map(|it| json!({"kind": it.kind, "message": it.message})),
        "latency_ms": probe.latency.map(milliseconds),
        "checked_at": probe.checked_at.map(time),
        "success_count": probe.counters.success,
        "failure_count": probe.counters.failure,
        "consecutive_successes": probe.consecutive_successes,
        "consecutive_failures": probe.consecutive_failures,
        "last_success_seconds": age(probe.last_success, now),
        "last_failure_seconds": age(probe.last_failure, now),
    })
}

/// Counts are since the start of the service; totals go on across restarts.
fn json_dependency(dependency: &DependencySnapshot, now: Moment) -> Value {
    let value = json!({
        "name": dependency.name,
        "status": dependency.status,
        "word": dependency.word,
        "required": dependency.required,
        "error": dependency.error,
        "success_count": dependency.success_count,
        "failure_count": dependency.failure_count,
        "success_total": dependency.success_total,
        "failure_total": dependency.failure_total,
        "last_success_seconds": age(dependency.last_success, now),
        "last_failure_seconds": age(dependency.last_failure, now),
        "latency_ms": dependency.latency.map(milliseconds),
        "heartbeat": dependency.heartbeat.as_ref().map(|it| json_heartbeat(it, now)),
        "observed_at": time(dependency.observed_at),
        "details": *dependency.details,
    });
    without_null(value, &["heartbeat"])
}

fn json_heartbeat(heartbeat: &HeartbeatSnapshot, now: Moment) -> Value {
    json!({
        "last_seconds": age(heartbeat.beat_at, now),
        "fresh_for_seconds": heartbeat.fresh_for.map(seconds),
        "missed": heartbeat.missed,
        "holder": heartbeat.holder,
        "final": heartbeat.is_final,
    })
}

/// Leaves out fields that are shown only where there is a value.
fn without_null(mut value: Value, fields: &[&str]) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|key, value| !(value.is_null() && fields.contains(&key.as_str())));
    }
    value
}

/// Formats a time as RFC 3339 in UTC, to the millisecond.
fn time(moment: Moment) -> String {
    let rounded = moment.wall.round(jiff::Unit::Millisecond);
    rounded.unwrap_or(moment.wall).to_string()
}

fn age(moment: Option<Moment>, now: Moment) -> Option<f64> {
    moment.map(|moment| seconds(now.since(moment)))
}

/// Returns seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// Returns milliseconds, rounded to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
