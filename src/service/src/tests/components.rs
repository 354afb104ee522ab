//! Tests of the exact payloads that report components.

use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};

use super::payloads::{serve, service};
use crate::ready_made::SyncEngine;
use crate::{
    Check, CheckResult, Need, Service, ShutdownCause, control_plane, hephaestus, kcp_syncer,
    scry_ingestor,
};

const LIMIT: Duration = Duration::from_secs(5);

fn report(service: &Service, name: &str, need: Need, report: CheckResult) -> Check {
    service.register_check(name, need, LIMIT, move || {
        std::future::ready(report.clone())
    })
}

/// Replaces the times in a payload, after a check of their format.
fn timeless(text: &str, form: &str) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    strip(&mut value, form);
    value.to_string()
}

fn strip(value: &mut Value, form: &str) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        match (key.as_str(), &*value) {
            ("checked_at", Value::String(text)) => {
                let at: jiff::Timestamp = text.parse().unwrap();
                assert_eq!(at.strftime(form).to_string(), *text);
                *value = json!("T");
            }
            ("checked_at", other) => assert!(other.is_null(), "{other}"),
            _ => strip(value, form),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn scry_ingestor_reports_its_components() {
    let service = service("scry_ingestor", "1.0");
    let port = serve(&service, scry_ingestor::routes(&service));
    let healthy = CheckResult::healthy().with_detail("latency_ms", 1.25);
    report(&service, "database", Need::Required, healthy);
    let redis = report(
        &service,
        "redis",
        Need::Optional,
        CheckResult::degraded("slow ping"),
    );
    service.register_check("kafka", Need::Optional, LIMIT, std::future::pending::<()>);

    let live = port.request("GET /health").await;
    let expected = r#"{"status":"healthy","service":"scry_ingestor","checked_at":"T"}"#;
    let form = "%Y-%m-%dT%H:%M:%S%.6f+00:00";
    assert_eq!(
        (live.status, timeless(&live.body, form)),
        (200, expected.into())
    );

    let form = "%Y-%m-%dT%H:%M:%S%.6fZ";
    let brief = r#"{"status":"degraded","components":{},"checked_at":"T"}"#;
    let whole = concat!(
        r#"{"status":"degraded","components":{"#,
        r#""database":{"name":"database","status":"healthy","message":null,"metadata":{"latency_ms":1.25},"checked_at":"T"},"#,
        r#""redis":{"name":"redis","status":"degraded","message":"slow ping","metadata":{},"checked_at":"T"},"#,
        r#""kafka":{"name":"kafka","status":"degraded","message":"not checked yet","metadata":{},"checked_at":null}"#,
        r#"},"checked_at":"T"}"#,
    );
    for (path, expected) in [
        ("/ready", brief),
        ("/ready?detailed=off", brief),
        ("/ready?detailed=True", whole),
        ("/health/detailed", whole),
    ] {
        let answer = port.request(&format!("GET {path}")).await;
        let found = (answer.status, timeless(&answer.body, form));
        assert_eq!(found, (200, expected.to_owned()), "{path}");
    }

    let wrong = port.request("GET /ready?detailed=maybe").await;
    let expected = r#"{"detail":[{"type":"bool_parsing","loc":["query","detailed"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}]}"#;
    assert_eq!((wrong.status, wrong.body.as_str()), (422, expected));

    redis.set_enabled(false);
    report(
        &service,
        "database",
        Need::Required,
        CheckResult::unhealthy("refused"),
    );
    let unready = port.request("GET /ready").await;
    assert_eq!(
        (unready.status, &unready.json()["status"]),
        (503, &json!("unhealthy"))
    );
    let detailed = port.request("GET /health/detailed").await;
    assert_eq!(detailed.status, 200, "it tells, whatever it tells");
    let expected = json!({"name": "database", "status": "unhealthy", "message": "refused", "metadata": {"latency_ms": 1.25}});
    let mut database = detailed.json()["components"]["database"].clone();
    database.as_object_mut().unwrap().remove("checked_at");
    assert_eq!(database, expected);
    assert!(detailed.json()["components"].get("redis").is_none());
}

#[tokio::test(start_paused = true)]
async fn scry_ingestor_is_not_ready_before_its_gates_are_open_or_during_a_shutdown() {
    let service = service("scry_ingestor", "1.0");
    let port = serve(&service, scry_ingestor::routes(&service));
    let ready = async || port.request("GET /ready").await.status;
    assert_eq!(ready().await, 200, "nothing is asked of it");
    let migrations = service.readiness_gate("migrations");
    assert_eq!(ready().await, 503);
    let detailed = port.request("GET /health/detailed").await.json();
    assert_eq!(
        detailed["components"]["migrations"]["message"],
        "not initialized"
    );
    migrations.open();
    assert_eq!(ready().await, 200);

    service.on_shutdown("slow", || async {
        tokio::time::sleep(LIMIT).await;
        Ok::<(), String>(())
    });
    service.shut_down(ShutdownCause::Program);
    assert_eq!(ready().await, 503);
    assert_eq!(port.request("GET /health").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn scry_ingestor_waits_for_no_dependency_that_is_optional_or_not_used_yet() {
    let service = service("scry_ingestor", "1.0");
    let port = serve(&service, scry_ingestor::routes(&service));
    let ready = async || {
        let answer = port.request("GET /ready?detailed=true").await;
        let components = answer.json()["components"].as_object().unwrap().clone();
        let names: Vec<String> = components.keys().cloned().collect();
        (answer.status, names)
    };
    service.circuit_breaker("payments", 1, LIMIT);
    let warehouse = service.dependency("warehouse");
    assert_eq!(ready().await, (200, vec![]));
    service.register_check("kafka", Need::Optional, LIMIT, std::future::pending::<()>);
    assert_eq!(ready().await, (200, vec!["kafka".to_owned()]));
    warehouse.record_success();
    let both = vec!["warehouse".to_owned(), "kafka".to_owned()];
    assert_eq!(ready().await, (200, both));
    warehouse.record_failure("refused");
    assert_eq!(ready().await.0, 503, "it is required");

    warehouse.record_success();
    service.register_check(
        "database",
        Need::Required,
        LIMIT,
        std::future::pending::<()>,
    );
    assert_eq!(ready().await.0, 503, "its check has not ended yet");
}

#[tokio::test(start_paused = true)]
async fn kcp_syncer_writes_its_report_as_go_does() {
    let service = service("kcp-syncer", "1.0");
    let syncs = SyncEngine::new(&service);
    syncs.set_queue_depth(3);
    for number in 0..100 {
        syncs.record(Duration::from_micros(1_800), number != 7);
    }
    tokio::time::advance(Duration::from_secs(8)).await;
    let port = serve(&service, kcp_syncer::routes(&service, &syncs));
    let engine = CheckResult::healthy()
        .with_message("ok")
        .with_detail("queue_depth", 3)
        .with_detail("mode", "fast");
    let engine = report(&service, "sync-engine", Need::Required, engine);
    report(
        &service,
        "api",
        Need::Required,
        CheckResult::unhealthy("Disconnected"),
    );
    service.dependency("heartbeat");

    let early = port.request("GET /health/report").await;
    assert_eq!((early.status, early.body.as_str()), (200, "null\n"));
    assert_eq!(port.request("GET /readyz").await.status, 503);

    service.run_due_checks().await;
    let answer = port.request("GET /health/report").await;
    let components = service.components();
    let at = |name: &str| {
        let component = components.iter().find(|part| part.name == name).unwrap();
        component.checked_at.unwrap()
    };
    // These are measured, so they differ from run to run. They are taken as they are written: a number
    // that is read and written again may differ in its last digit.
    let measured = |key: &str| {
        let (_, rest) = answer.body.split_once(&format!("\"{key}\":")).unwrap();
        rest.split([',', '}']).next().unwrap().to_owned()
    };
    let [memory, cpu, tasks] = ["MemoryUsage", "CPUUsage", "GoroutineCount"].map(measured);
    let last = at("api")
        .max(at("sync-engine"))
        .strftime("%Y-%m-%dT%H:%M:%SZ");
    let expected = format!(
        concat!(
            r#"{{"Status":"Unhealthy","Components":{{"#,
            r#""api":{{"Name":"api","Status":"Unhealthy","LastCheck":"{}","Message":"Disconnected","Error":{{}},"Metrics":null}},"#,
            r#""heartbeat":{{"Name":"heartbeat","Status":"Unknown","LastCheck":"0001-01-01T00:00:00Z","Message":"","Error":null,"Metrics":null}},"#,
            r#""sync-engine":{{"Name":"sync-engine","Status":"Healthy","LastCheck":"{}","Message":"ok","Error":null,"Metrics":{{"queue_depth":3}}}}"#,
            r#"}},"LastHeartbeat":"{}","Uptime":{},"Version":"v1alpha1","SyncRate":12.5,"ErrorRate":0.01,"QueueDepth":3,"Latency":1800000,"#,
            r#""MemoryUsage":{},"CPUUsage":{},"GoroutineCount":{}}}"#,
            "\n"
        ),
        at("api"),
        at("sync-engine"),
        last,
        service.uptime().as_nanos(),
        memory,
        cpu,
        tasks,
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, &*expected));
    for figure in [memory, cpu, tasks] {
        assert!(figure.parse::<f64>().unwrap() > 0.0, "{expected}");
    }
    assert_eq!(port.request("GET /livez").await.status, 503);

    let status = async || {
        service.run_due_checks().await;
        let report = port.request("GET /health/report").await.json();
        let codes = [
            port.request("GET /livez").await.status,
            port.request("GET /readyz").await.status,
        ];
        (report["Status"].as_str().unwrap().to_owned(), codes)
    };
    report(
        &service,
        "api",
        Need::Required,
        CheckResult::degraded("slow"),
    );
    assert_eq!(status().await, ("Degraded".into(), [200, 503]));
    report(&service, "api", Need::Required, CheckResult::healthy());
    assert_eq!(status().await, ("Healthy".into(), [200, 200]));
    engine.set_enabled(false);
    report(
        &service,
        "api",
        Need::Required,
        CheckResult::unknown("no answer"),
    );
    // Unknown components are left out, so a service of which nothing is known counts as healthy.
    assert_eq!(status().await, ("Healthy".into(), [200, 200]));
    service.readiness_gate("crl");
    assert_eq!(status().await, ("Healthy".into(), [200, 503]));
}

#[tokio::test(start_paused = true)]
async fn kcp_syncer_without_components_is_unknown() {
    let service = service("kcp-syncer", "1.0");
    let routes = kcp_syncer::routes(&service, &SyncEngine::new(&service));
    let port = serve(&service, Router::new().merge(routes));
    let report = port.request("GET /health/report").await.json();
    assert_eq!(report["Status"], "Unknown");
    assert_eq!(report["Components"], json!({}));
    assert_eq!(port.request("GET /livez").await.status, 200);
    assert_eq!(port.request("GET /readyz").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn control_plane_reports_checks_and_gates() {
    let service = service("control-plane", "1.4.2");
    let port = serve(&service, control_plane::routes(&service));
    service.register_check("database", Need::Required, LIMIT, || {
        tokio::time::sleep(Duration::from_millis(2))
    });
    let certificate = report(
        &service,
        "ca",
        Need::Required,
        CheckResult::degraded("3 days left"),
    );
    certificate.gate_readiness(&service);
    let crl = service.readiness_gate("crl_manager");
    let checks = async || {
        let answer = port.request("GET /readyz").await;
        (answer.status, answer.json()["checks"].clone())
    };
    let mut expected = json!({
        "database": {"status": "pass", "latency_ms": 2_000_000},
        "ca": {"status": "pass", "latency_ms": 0},
        "crl_manager": {"status": "fail", "latency_ms": 0, "error": "not initialized"},
    });
    assert_eq!(checks().await, (503, expected.clone()));
    crl.open();
    expected["crl_manager"] = json!({"status": "pass", "latency_ms": 0});
    assert_eq!(checks().await, (200, expected.clone()));
    // The gate of a check that is off tells nothing of what it checked.
    certificate.set_enabled(false);
    expected.as_object_mut().unwrap().remove("ca");
    assert_eq!(checks().await, (200, expected));
}

#[tokio::test(start_paused = true)]
async fn hephaestus_reports_checks_and_circuits() {
    let service = service("hephaestus-mcp", "0.9.1");
    let port = serve(&service, hephaestus::routes(&service));
    let slow = CheckResult::degraded("slow").with_detail("pool_size", 5);
    report(&service, "database", Need::Required, slow);
    let groq = report(&service, "groq", Need::Optional, CheckResult::healthy());
    groq.set_enabled(false);
    let qdrant = service.circuit_breaker("qdrant", 1, LIMIT);
    let _ = qdrant.call(async { Err::<(), _>("refused") }).await;
    let status = port.request("GET /health/status").await.json();
    let expected = json!({
        "database": {
            "status": "working", "pool_size": 5, "message": "slow", "error": null,
            "last_success_seconds": 0.0, "last_failure_seconds": -1, "success_count": 1, "failure_count": 0,
        },
        "groq": {"status": "not_used"},
        "qdrant": {
            "status": "error", "circuit_breaker": "open", "error": "refused (circuit open)",
            "last_success_seconds": -1, "last_failure_seconds": 0.0, "success_count": 0, "failure_count": 1,
        },
    });
    assert_eq!(status["dependencies"], expected);
    assert_eq!(status["status"], "healthy", "it has no other word");
}

#[tokio::test(start_paused = true)]
async fn a_component_is_affected_by_what_it_depends_on_and_is_no_second_cause() {
    use crate::Health::{Degraded, Healthy, Unhealthy};

    let service = service("scry_ingestor", "1.0");
    let names = ["database", "cache", "store", "api", "left", "right"];
    let [database, cache, store, api, left, right] = names.map(|name| service.dependency(name));
    cache.set_need(Need::Optional);
    store.set_depends_on(["database", "nothing of this name"]);
    api.set_depends_on(["store", "cache"]);
    left.set_depends_on(["right"]);
    right.set_depends_on(["left", "database"]);
    let found = || {
        let seen = |part: crate::Component| (part.health, part.message.unwrap_or_default());
        service
            .components()
            .into_iter()
            .map(seen)
            .collect::<Vec<_>>()
    };
    let well = || (Healthy, String::new());
    let is = |health, message: &str| (health, message.to_owned());
    for dependency in [&database, &cache, &store, &api, &left, &right] {
        dependency.record_success();
    }
    assert_eq!(found(), [(); 6].map(|()| well()));

    cache.record_failure("gone");
    let affected = is(Degraded, "affected by cache");
    let expected = [
        well(),
        is(Unhealthy, "gone"),
        well(),
        affected,
        well(),
        well(),
    ];
    assert_eq!(found(), expected);
    assert_eq!(service.health(), Degraded, "the cache is optional");
    assert!(service.is_ready());
    api.record_failure("no orders");
    assert_eq!(found()[3], is(Degraded, "affected by cache: no orders"));
    assert_eq!(service.health(), Unhealthy, "its own failure is not lost");
    assert!(!service.is_ready());
    api.record_success();

    database.record_failure("refused");
    store.record_failure("no rows");
    left.record_failure("no right");
    right.record_failure("no left");
    let expected = [
        is(Unhealthy, "refused"),
        is(Unhealthy, "gone"),
        is(Degraded, "affected by database: no rows"),
        is(Degraded, "affected by database and cache"),
        is(Degraded, "affected by database: no right"),
        is(Degraded, "affected by database: no left"),
    ];
    assert_eq!(found(), expected, "only by the cause, not by the store");
    database.record_success();
    assert_eq!(
        found()[4..],
        [is(Unhealthy, "no right"), is(Unhealthy, "no left")]
    );

    let port = serve(&service, scry_ingestor::routes(&service));
    let detailed = port.request("GET /health/detailed").await.json();
    let api = &detailed["components"]["api"];
    assert_eq!(
        (&api["status"], &api["message"]),
        (&json!("degraded"), &json!("affected by cache and store"))
    );
    assert_eq!(api["metadata"], json!({"affected_by": ["cache", "store"]}));
}
