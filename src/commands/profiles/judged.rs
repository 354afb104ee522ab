//! What a profile makes of a reply, written for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::listing::columns;
use crate::health::{Age, Beat, Dependency, Failure, Heartbeat, ProbeResult, Reading};
use crate::text::{ago, long_age, long_latency};

/// One reply, judged as the answer to one probe.
#[derive(Debug)]
pub(super) struct Judged {
    /// The profile.
    pub(super) profile: String,
    /// The probe of it.
    pub(super) probe: String,
    /// What was asked, where something was.
    pub(super) asked: Option<String>,
    /// Pass, warn, fail or unknown.
    pub(super) result: ProbeResult,
    /// Why it is none of the good ones.
    pub(super) failure: Option<Failure>,
    /// What was read.
    pub(super) reading: Option<Reading>,
}

/// For people.
pub(super) fn text(all: &[Judged]) -> String {
    let parts: Vec<String> = all.iter().map(one).collect();
    parts.join("\n")
}

fn one(judged: &Judged) -> String {
    let mut out = format!("{} {}: {}", judged.profile, judged.probe, judged.result);
    if let Some(asked) = &judged.asked {
        let _ = write!(out, " ({asked})");
    }
    out.push('\n');
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name:<10} {value}");
        }
    };
    line(
        "failure",
        judged
            .failure
            .as_ref()
            .map(|failure| format!("{}: {}", failure.kind, failure.message)),
    );
    let Some(reading) = &judged.reading else {
        return out;
    };
    line(
        "state",
        reading.status.as_ref().map(|status| match &status.raw {
            Some(raw) => format!("{} (reports `{raw}`)", status.state),
            None => status.state.to_string(),
        }),
    );
    line("version", reading.version.clone());
    line("service", reading.service.clone());
    line("instance", reading.instance.clone());
    line(
        "started",
        reading.started.map(|start| {
            let how = if start.derived {
                ", from the uptime"
            } else {
                ""
            };
            format!("{} (to {:?}{how})", start.at, start.tolerance)
        }),
    );
    line("uptime", reading.uptime.map(long_age));
    line("message", reading.message.clone());
    line("heartbeat", reading.heartbeat.as_ref().map(heartbeat));
    line("resources", pairs(reading.resources.iter()));
    if let Some(list) = &reading.dependencies {
        if list.is_empty() {
            line("", Some("no dependencies".to_owned()));
        } else {
            dependencies(&mut out, list);
        }
    }
    out
}

fn dependencies(out: &mut String, list: &[Dependency]) {
    let titles = [
        "DEPENDENCY",
        "STATUS",
        "OK",
        "FAILED",
        "LAST SUCCESS",
        "LAST FAILURE",
        "LATENCY",
        "ERROR",
        "DETAILS",
    ];
    let count = |count: Option<u64>| count.map_or_else(dash, |count| count.to_string());
    let rows = list.iter().map(|entry| {
        let required = if entry.required { " (required)" } else { "" };
        [
            format!("{}{required}", entry.name),
            entry.status.to_string(),
            count(entry.success_count),
            count(entry.failure_count),
            match (entry.last_success, &entry.heartbeat) {
                // Whoever beats was well when it last did.
                (Age::NotReported, Some(heartbeat)) => beat(heartbeat.beat),
                (age, _) => self::age(age),
            },
            age(entry.last_failure),
            entry.latency.map_or_else(dash, long_latency),
            entry.error.clone().unwrap_or_else(dash),
            pairs(entry.details.iter()).unwrap_or_else(dash),
        ]
    });
    for line in columns(&titles, rows, false).lines() {
        let _ = writeln!(out, "  {line}");
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn age(age: Age) -> String {
    match age {
        Age::NotReported => dash(),
        Age::Never => ago(None),
        Age::Ago(age) => ago(Some(age)),
    }
}

fn beat(beat: Beat) -> String {
    match beat {
        Beat::Never => ago(None),
        Beat::Ago(age) => ago(Some(age)),
        Beat::At(time) => time.to_string(),
    }
}

/// `2026-11-22T10:00:00Z, good for 30s, held by syncer-1`
fn heartbeat(heartbeat: &Heartbeat) -> String {
    let fresh_for = heartbeat.fresh_for.map(long_age);
    let every = heartbeat.every.map(long_age);
    let parts = [
        Some(beat(heartbeat.beat)),
        fresh_for.map(|span| format!("good for {span}")),
        every.map(|span| format!("then missed every {span}")),
        heartbeat.holder.as_ref().map(|it| format!("held by {it}")),
        heartbeat.is_final.then(|| "the last one".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// `a=1 b=2`; text without its quotes.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a Value)>) -> Option<String> {
    let pairs: Vec<String> = pairs
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        })
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(" "))
}

/// For programs.
pub(super) fn json(all: &[Judged]) -> String {
    let tries: Vec<Value> = all.iter().map(value).collect();
    format!("{}\n", json!({"schema_version": 1, "tries": tries}))
}

fn value(judged: &Judged) -> Value {
    let failure = judged.failure.as_ref();
    let reading = judged.reading.as_ref();
    let dependencies = reading.and_then(|reading| reading.dependencies.as_ref());
    json!({
        "profile": judged.profile,
        "probe": judged.probe,
        "target": judged.asked,
        "result": judged.result,
        "failure": failure.map(|failure| json!({"kind": failure.kind, "message": failure.message})),
        "state": reading.and_then(|reading| Some(reading.status.as_ref()?.state)),
        "word": reading.and_then(|reading| reading.status.as_ref()?.raw.as_deref()),
        "service": reading.and_then(|reading| reading.service.as_deref()),
        "instance": reading.and_then(|reading| reading.instance.as_deref()),
        "version": reading.and_then(|reading| reading.version.as_deref()),
        "started_at": reading.and_then(|reading| Some(reading.started?.at.to_string())),
        "uptime_seconds": reading.and_then(|reading| Some(reading.uptime?.as_secs_f64())),
        "message": reading.and_then(|reading| reading.message.as_deref()),
        "heartbeat": reading.and_then(|reading| reading.heartbeat.as_ref()).map(signs),
        "resources": reading.map(|reading| &reading.resources),
        "dependencies": dependencies.map(|list| list.iter().map(dependency).collect::<Vec<_>>()),
    })
}

fn dependency(entry: &Dependency) -> Value {
    let seconds = |age: Age| match age {
        Age::Ago(ago) => json!(ago.as_secs_f64()),
        Age::NotReported | Age::Never => Value::Null,
    };
    json!({
        "name": entry.name,
        "status": entry.status,
        "word": entry.word,
        "required": entry.required,
        "error": entry.error,
        "success_count": entry.success_count,
        "failure_count": entry.failure_count,
        "last_success_seconds": seconds(entry.last_success),
        "last_failure_seconds": seconds(entry.last_failure),
        "heartbeat": entry.heartbeat.as_ref().map(signs),
        "latency_ms": entry.latency.map(|latency| latency.as_secs_f64() * 1e3),
        "details": entry.details,
    })
}

fn signs(heartbeat: &Heartbeat) -> Value {
    let (at, seconds) = match heartbeat.beat {
        Beat::Never => (None, None),
        Beat::At(time) => (Some(time.to_string()), None),
        Beat::Ago(ago) => (None, Some(ago.as_secs_f64())),
    };
    json!({
        "last_at": at,
        "last_seconds": seconds,
        "fresh_for_seconds": heartbeat.fresh_for.map(|span| span.as_secs_f64()),
        "every_seconds": heartbeat.every.map(|span| span.as_secs_f64()),
        "holder": heartbeat.holder,
        "final": heartbeat.is_final,
    })
}
