//! `hephaestus`: MinIO-style routes, two ways to shut down, and a status that is never worse than healthy.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fleet, assert_is, dependency};
use crate::support::fake::Fake;
use crate::support::scene::Scene;

const REFUSED: &str = "dependency database: error: connection refused";
const BAD_GATEWAY: &str = "dependency payments: error: the gateway answered 502";

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::with("  orders: {max_success_age: 1s}\n");
    let mut watching = fleet.watch("orders");
    let well = watching.until_state("orders", "healthy");
    assert_eq!(
        (&well["service"], &well["version"]),
        (&json!("orders-api"), &json!("2.4.1"))
    );

    fleet.inject_fault("orders", "payments");
    watching.until_state("orders", "degraded");
    assert_is(&fleet.check("orders"), "degraded", &[BAD_GATEWAY], &[]);
    fleet.inject_fault("orders", "database");
    let stale = watching.until(|change| change["flags"] == json!(["success-age"]));
    assert_is(
        stale.last().unwrap(),
        "unhealthy",
        &[REFUSED, BAD_GATEWAY],
        &["success-age"],
    );
    for component in ["payments", "database"] {
        fleet.mend("orders", component);
    }
    watching.until(|change| change["state"] == "healthy" && change["flags"] == json!([]));

    let ran = fleet.run("reload --yes orders");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    let _work = fleet.work("orders", 1_500);
    let ran = fleet.stop("orders");
    assert!(
        ran.stderr
            .contains("answered 200 OK: {\"status\":\"shutdown_complete\""),
        "{ran:?}"
    );
    let ends = watching.until(|change| change["state"] == "stopped");
    assert!(
        ends.iter().all(|change| change["state"] != "unhealthy"),
        "not failed: {ends:?}"
    );
}

#[test]
fn a_scheduled_shutdown_is_accepted_and_watched_until_it_is_done() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("search");
    watching.until_state("search", "healthy");
    let _work = fleet.work("search", 1_500);
    let ran = fleet.run("shutdown --schedule --yes search");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("search: accepted: "), "{ran:?}");
    let ends = watching.until(|change| change["state"] == "stopped");
    assert!(
        ends.iter().any(|change| change["state"] == "draining"),
        "{ends:?}"
    );
    assert!(
        ends.iter().all(|change| change["state"] != "unhealthy"),
        "{ends:?}"
    );
}

/// The service reports `healthy` or `shutting_down`, whatever the state of its dependencies.
#[test]
fn the_state_is_derived_from_the_dependencies() {
    let fleet = Fleet::start();
    fleet.inject_fault("orders", "payments");
    let status = fleet.demo.ask("orders", "GET /health/status");
    assert_eq!(
        (status.status, &status.json()["status"]),
        (200, &json!("healthy"))
    );
    assert_is(&fleet.check("orders"), "degraded", &[BAD_GATEWAY], &[]);
    assert_eq!(fleet.run("check --exit-code orders").code, 1);
}

/// -1 means never, a time without a zone is UTC, and an unused dependency has no other field.
#[test]
fn the_payload_is_decoded_as_python_writes_it() {
    let fleet = Fleet::start();
    let status = fleet.demo.ask("orders", "GET /health/status").json();
    let database = &status["dependencies"]["database"];
    assert_eq!(database["last_failure_seconds"], -1);
    let start = status["start_time"].as_str().expect("a time");
    assert!(!start.contains('Z') && !start.contains('+'), "{start}");
    assert_eq!(
        status["dependencies"]["mail"],
        json!({"status": "not_used"})
    );

    let found = fleet.check("orders");
    assert_eq!(
        dependency(&found, "database")["last_failure_seconds"],
        json!(null)
    );
    assert_eq!(dependency(&found, "database")["details"]["pool_size"], 8);
    let started: Timestamp = found["started_at"].as_str().unwrap().parse().unwrap();
    let utc: Timestamp = format!("{start}Z").parse().unwrap();
    assert_eq!(started.as_second(), utc.as_second());
    let mail = dependency(&found, "mail");
    assert_eq!(
        (&mail["status"], &mail["error"], &mail["success_count"]),
        (&json!("not_used"), &json!(null), &json!(null))
    );
    assert_eq!(
        found["state"], "healthy",
        "what is not used counts for nothing"
    );
}

/// The convention was first drafted with routes without a prefix: a variant of the profile, not another profile.
#[test]
fn routes_without_a_prefix_are_configured_in_the_inventory() {
    let fake = Fake::http(|_, path| match path {
        "/health" => {
            let status = json!({"status": "healthy", "version": "1", "should_shutdown": false,
                "dependencies": {"db": {"status": "error", "error": "refused"}}});
            (200, status.to_string())
        }
        _ => (404, String::new()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services:
  api:
    profile: hephaestus
    url: {url}
    probes: {{live: {{http: /health}}, status: {{http: /health}}}}
    actions: {{shutdown: {{http: /shutdown}}}}
"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    let reason = "dependency db: error: refused";
    assert_is(&report["services"][0], "degraded", &[reason], &[]);
    let ran = scene.run(&["shutdown", "--dry-run", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let request = format!("would send POST {url}/shutdown");
    assert!(ran.stdout.contains(&request), "{ran:?}");
}
