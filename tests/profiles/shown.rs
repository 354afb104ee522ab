//! A judgement as the case files write it: what is empty is left out.

use healthctl::health::{Age, Beat, Dependency, Failure, Heartbeat, Reading, ReloadReply};
use healthctl::profile::Judgement;
use serde_json::{Map, Value, json};

/// The judgement as one map.
pub(crate) fn shown(judgement: &Judgement) -> Value {
    let mut map = Map::new();
    put(&mut map, "result", json!(judgement.result));
    put(&mut map, "failure", failure(judgement.failure.as_ref()));
    if let Some(reading) = &judgement.reading {
        fields(&mut map, reading);
    }
    Value::Object(map)
}

/// The reply to a reload as one map, each part as a line.
pub(crate) fn shown_reload(reply: &ReloadReply) -> Value {
    let mut map = Map::new();
    put(&mut map, "status", json!(reply.status));
    put(&mut map, "word", json!(reply.word));
    put(&mut map, "message", json!(reply.message));
    let parts: Vec<String> = reply.parts.iter().map(ToString::to_string).collect();
    put(&mut map, "parts", json!(parts));
    Value::Object(map)
}

fn failure(failure: Option<&Failure>) -> Value {
    failure.map_or(Value::Null, |failure| {
        json!(format!("{}: {}", failure.kind, failure.message))
    })
}

fn fields(map: &mut Map<String, Value>, reading: &Reading) {
    if let Some(status) = &reading.status {
        put(map, "state", json!(status.state));
        put(map, "word", json!(status.raw));
    }
    put(map, "draining", flag(reading.draining));
    put(map, "version", json!(reading.version));
    put(map, "service", json!(reading.service));
    put(map, "instance", json!(reading.instance));
    put(map, "message", json!(reading.message));
    if let Some(start) = reading.started {
        put(map, "started", json!(start.at.to_string()));
        put(
            map,
            "tolerance_seconds",
            json!(start.tolerance.as_secs_f64()),
        );
        put(map, "derived", flag(start.derived));
    }
    put(
        map,
        "uptime_seconds",
        json!(reading.uptime.map(|uptime| uptime.as_secs_f64())),
    );
    put(map, "resources", json!(reading.resources));
    put(map, "heartbeat", heartbeat(reading.heartbeat.as_ref()));
    put(
        map,
        "dependencies_ignored",
        flag(reading.ignores_dependencies),
    );
    if let Some(list) = &reading.dependencies {
        let list = list
            .iter()
            .map(|entry| (entry.name.clone(), dependency(entry)));
        map.insert("dependencies".to_owned(), list.collect());
    }
}

fn dependency(entry: &Dependency) -> Value {
    let mut map = Map::new();
    put(&mut map, "status", json!(entry.status));
    put(&mut map, "word", json!(entry.word));
    put(&mut map, "required", flag(entry.required));
    put(&mut map, "error", json!(entry.error));
    put(&mut map, "success_count", json!(entry.success_count));
    put(&mut map, "failure_count", json!(entry.failure_count));
    put(&mut map, "last_success", age(entry.last_success));
    put(&mut map, "last_failure", age(entry.last_failure));
    let latency = entry.latency.map(|latency| latency.as_secs_f64() * 1e3);
    put(&mut map, "latency_ms", json!(latency));
    put(&mut map, "heartbeat", heartbeat(entry.heartbeat.as_ref()));
    put(&mut map, "details", json!(entry.details));
    Value::Object(map)
}

fn age(age: Age) -> Value {
    match age {
        Age::NotReported => Value::Null,
        Age::Never => json!("never"),
        Age::Ago(ago) => json!(ago.as_secs_f64()),
    }
}

fn heartbeat(heartbeat: Option<&Heartbeat>) -> Value {
    let Some(heartbeat) = heartbeat else {
        return Value::Null;
    };
    let mut map = Map::new();
    let last = match heartbeat.beat {
        Beat::Never => json!("never"),
        Beat::At(at) => json!(at.to_string()),
        Beat::Ago(ago) => json!(ago.as_secs_f64()),
    };
    put(&mut map, "last", last);
    let seconds = |length: Option<std::time::Duration>| json!(length.map(|it| it.as_secs_f64()));
    put(&mut map, "fresh_for", seconds(heartbeat.fresh_for));
    put(&mut map, "every", seconds(heartbeat.every));
    put(&mut map, "holder", json!(heartbeat.holder));
    put(&mut map, "final", flag(heartbeat.is_final));
    Value::Object(map)
}

fn flag(set: bool) -> Value {
    if set { json!(true) } else { Value::Null }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !empty {
        map.insert(key.to_owned(), value);
    }
}

/// Whether two values are equal, `1` and `1.0` too, and maps in the same order.
pub(crate) fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (
                a.as_f64().unwrap_or(f64::NAN),
                b.as_f64().unwrap_or(f64::NAN),
            );
            (a - b).abs() <= 1e-9 * a.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
                && order(a) == order(b)
        }
        (a, b) => a == b,
    }
}

/// The names of dependencies in their order; that of other keys means nothing.
fn order(map: &Map<String, Value>) -> Vec<&str> {
    let dependencies = map.get("dependencies").and_then(Value::as_object);
    dependencies
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect()
}
