//! `kcp-syncer`: a Go struct without tags on the wire, and a lease that proves more than its own heartbeat field.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Fleet, assert_is, dependency};
use crate::support::fake::Fake;
use crate::support::scene::Scene;
use crate::support::terminal::{ENTER, Pty};

const NOT_LIVE: &str = "live: answered 503 Service Unavailable, expected 200-299";
const NOT_READY: &str = "ready: answered 503 Service Unavailable, expected 200-299";
const LEASE: &str = "GET /apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("syncer syncer-lease");
    let well = watching.until_state("syncer", "healthy");
    assert_eq!(well["ready"], true);
    assert_eq!(well["dependencies"].as_array().map(Vec::len), Some(11));

    // Live while it is degraded, ready only while it is healthy.
    fleet.inject_fault("syncer", "queue");
    watching.until_state("syncer", "unready");
    let reason = "dependency queue: degraded: queue depth 412, limit 100";
    assert_is(&fleet.check("syncer"), "unready", &[NOT_READY, reason], &[]);
    fleet.inject_fault("syncer", "upstream");
    watching.until_state("syncer", "unhealthy");
    let found = fleet.check("syncer");
    let listed = found["reasons"].as_array().expect("a list").clone();
    for reason in [
        NOT_LIVE,
        "status: reports `Unhealthy`",
        "dependency upstream: error: connection refused",
        reason,
    ] {
        assert!(listed.contains(&json!(reason)), "{found}");
    }
    for component in ["queue", "upstream"] {
        fleet.mend("syncer", component);
    }
    watching.until_state("syncer", "healthy");

    let ran = fleet.run("reload --yes syncer");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    fleet.stop("syncer");
    let ends =
        watching.until(|change| change["name"] == "syncer-lease" && change["state"] == "stopped");
    assert_eq!(
        ends.last().unwrap()["reasons"],
        json!(["on purpose: the last beat said that it was shutting down"])
    );
}

#[test]
fn one_hanging_component_of_ten_does_not_delay_the_others() {
    let fleet = Fleet::start();
    fleet.inject_fault("syncer", "webhook");
    let found = fleet.check("syncer");
    let others = found["dependencies"].as_array().expect("a list").iter();
    let working = others.filter(|dependency| dependency["status"] == "working");
    assert_eq!(working.count(), 10, "{found}");
    assert_eq!(
        dependency(&found, "webhook")["error"],
        "timed out after 300ms"
    );
}

#[test]
fn a_lease_that_is_no_longer_renewed_becomes_unhealthy() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("syncer-lease");
    watching.until_state("syncer-lease", "healthy");
    fleet.inject_fault("syncer", "lease");
    let changes = watching.until(|change| change["state"] != "healthy");
    let lost = changes.last().unwrap();
    let reason = lost["reasons"][0].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("status: missed 3, no beat since 20"),
        "{lost}"
    );
    assert_eq!(
        (&lost["state"], &lost["flags"]),
        (&json!("unhealthy"), &json!([]))
    );
    // The lease client of the kit feeds `LastHeartbeat`, which has stopped too.
    let report = fleet.demo.ask("syncer", "GET /health/report").json();
    let heartbeat: Timestamp = report["LastHeartbeat"].as_str().unwrap().parse().unwrap();
    let renewed = fleet.demo.ask("control-plane", LEASE).json();
    let renewed: Timestamp = renewed["spec"]["renewTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(heartbeat <= renewed, "{heartbeat} {renewed}");
    fleet.mend("syncer", "lease");
    watching.until_state("syncer-lease", "healthy");
}

#[test]
fn a_takeover_of_the_lease_is_a_note_and_not_a_failure() {
    let fleet = Fleet::start();
    let mut pty = Pty::start(&fleet.command("watch syncer-lease"), 120, 40);
    pty.wait_for("✓ 1 healthy");
    pty.keys(ENTER);
    pty.wait_for("syncer-0");
    fleet.inject_fault("syncer", "holder");
    let screen = pty.wait_for("taken over by syncer-1 from syncer-0");
    assert!(screen.contains("✓ healthy"), "{screen}");
    let lease = fleet.demo.ask("control-plane", LEASE).json();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    assert_is(&fleet.check("syncer-lease"), "healthy", &[], &[]);
}

/// Returns the state of a lease of 30 s that was renewed so many seconds ago, by the `lease` probe of the profile.
fn with_lease(ago: i64) -> Value {
    let renewed = Timestamp::now() - SignedDuration::from_secs(ago);
    let fake = Fake::http(move |_, path| match path {
        "/lease" => {
            let spec = json!({"renewTime": renewed.to_string(), "holderIdentity": "a", "leaseDurationSeconds": 30});
            (200, json!({"kind": "Lease", "spec": spec}).to_string())
        }
        "/health/report" => (
            200,
            json!({"Status": "Healthy", "Components": {"a": {"Status": "Healthy"}}}).to_string(),
        ),
        _ => (200, "ok".to_owned()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services:\n  syncer: {{profile: kcp-syncer, url: '{url}', probes: {{lease: {{http: /lease}}}}}}\n"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    report["services"][0].clone()
}

#[test]
fn a_lease_is_unhealthy_at_the_third_missed_renewal() {
    // Five seconds from either edge: the test may take that long.
    for (ago, state, missed) in [
        (5, "healthy", 0),
        (35, "healthy", 1),
        (45, "healthy", 2),
        (55, "unhealthy", 3),
    ] {
        let found = with_lease(ago);
        assert_eq!(found["state"], state, "{ago}: {found}");
        let listed = if missed == 3 {
            &found["reasons"]
        } else {
            &found["notes"]
        };
        let listed = listed.as_array().expect("a list");
        if missed == 0 {
            assert!(listed.is_empty(), "{found}");
        } else {
            let expected = format!("lease: missed {missed}, no beat since 20");
            assert!(
                listed[0].as_str().unwrap().starts_with(&expected),
                "{found}"
            );
        }
    }
}

/// `Uptime` and `Latency` are nanoseconds, `Version` is a constant, `Error` is `{}`.
#[test]
fn the_figures_are_decoded_as_go_writes_them() {
    let fleet = Fleet::start();
    fleet.inject_fault("syncer", "rbac");
    let report = fleet.demo.ask("syncer", "GET /health/report").json();
    assert!(report["Uptime"].as_u64() > Some(1_000_000), "{report}");
    assert_eq!(report["Components"]["rbac"]["Error"], json!({}));
    let figure = |service: &Value| service["resources"]["latency_seconds"].as_f64();
    // It has rates once the first whole second has passed.
    let mut found = fleet.check("syncer");
    while figure(&found) <= Some(0.0) {
        found = fleet.check("syncer");
    }
    let uptime = found["uptime_seconds"].as_f64().expect("a number");
    assert!(uptime < 3600.0, "{found}");
    assert!(found["started_at"].is_string(), "{found}");
    let latency = figure(&found);
    assert!(latency >= Some(0.04) && latency < Some(60.0), "{found}");
    assert_eq!(
        found["version"],
        json!(null),
        "a constant identifies nothing"
    );
    assert_eq!(
        dependency(&found, "rbac")["error"],
        "forbidden: cannot list secrets"
    );
}

/// The service ignores components that were never checked, and reports the rest as Healthy.
#[test]
fn without_any_known_component_the_state_is_unknown_whatever_it_reports() {
    let fleet = Fleet::start();
    fleet.inject_fault("syncer", "checks");
    let report = fleet.demo.ask("syncer", "GET /health/report").json();
    assert_eq!(report["Status"], "Healthy");
    let found = fleet.check("syncer");
    assert_is(
        &found,
        "unknown",
        &["status: the state of no dependency is known"],
        &[],
    );
    let ran = fleet.run("check --exit-code syncer");
    assert_eq!(ran.code, 3, "{ran:?}");
}

/// Before the first check the body is the literal `null`; the zero time means never.
#[test]
fn null_is_unknown_and_the_zero_time_means_never() {
    let check = |report: &'static str| {
        let fake = Fake::http(move |_, path| {
            (
                200,
                if path == "/health/report" {
                    report
                } else {
                    "ok"
                }
                .to_owned(),
            )
        });
        let ran = Scene::new().run(&[
            "check",
            "--url",
            &fake.url(),
            "--profile",
            "kcp-syncer",
            "-o",
            "json",
        ]);
        let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
        report["services"][0].clone()
    };
    let found = check("null\n");
    assert_eq!(found["state"], "unknown", "{found}");
    let found = check(
        r#"{"Status":"Healthy","Components":{
            "a":{"Name":"a","Status":"Healthy","LastCheck":"2026-11-22T10:00:00Z","Error":null},
            "b":{"Name":"b","Status":"Unknown","LastCheck":"0001-01-01T00:00:00Z","Error":null}}}"#,
    );
    let never = dependency(&found, "b");
    let seen = (
        &never["status"],
        &never["last_success_seconds"],
        &never["last_failure_seconds"],
    );
    assert_eq!(
        seen,
        (&json!("unknown"), &json!(null), &json!(null)),
        "{never}"
    );
}
