//! End to end: signs of life that are renewed or not, as `check` tells them.

use serde_json::{Value, json};

use crate::support::fake::Fake;
use crate::support::scene::{Ran, Scene};

/// A lease that was last renewed then, held by `holder` for so many seconds.
fn lease(renewed: &str, holder: &'static str, seconds: u32) -> Fake {
    let spec =
        json!({"renewTime": renewed, "holderIdentity": holder, "leaseDurationSeconds": seconds});
    let lease = json!({"kind": "Lease", "metadata": {"name": "syncer"}, "spec": spec});
    Fake::http(move |_, _| (200, lease.to_string()))
}

fn check(profile: &str, url: &str) -> (Ran, Value) {
    let ran = Scene::new().run(&[
        "check",
        "--url",
        url,
        "--profile",
        profile,
        "--timeout",
        "20s",
        "-o",
        "json",
        "--exit-code",
    ]);
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let service = report["services"][0].clone();
    (ran, service)
}

#[test]
fn a_lease_that_holds_is_healthy() {
    let now = jiff::Timestamp::now().to_string();
    let fake = lease(&now, "syncer-a", 3600);
    let (ran, service) = check("kubernetes-lease", &fake.url());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(service["state"], "healthy");
    let heartbeat = &service["heartbeat"];
    assert!(heartbeat["last_seconds"].is_f64(), "{heartbeat}");
    let rest = (
        &heartbeat["missed"],
        &heartbeat["holder"],
        &heartbeat["final"],
    );
    assert_eq!(rest, (&json!(0), &json!("syncer-a"), &json!(false)));
}

#[test]
fn a_lease_that_nobody_renews_is_unhealthy() {
    let fake = lease("2026-01-01T00:00:00.5Z", "syncer-a", 30);
    let (ran, service) = check("kubernetes-lease", &fake.url());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(service["state"], "unhealthy");
    let reasons = json!(["status: missed 3, no beat since 2026-01-01T00:00:00Z"]);
    assert_eq!(service["reasons"], reasons);
}

#[test]
fn a_lease_that_was_let_go_is_stopped() {
    let fake = lease("2026-01-01T00:00:00Z", "", 1);
    let (_, service) = check("kubernetes-lease", &fake.url());
    assert_eq!(service["state"], "stopped");
    assert_eq!(service["heartbeat"]["final"], json!(true));
}

#[test]
fn what_is_no_lease_is_unknown() {
    let fake = Fake::http(|_, _| (200, "{}".to_owned()));
    let (ran, service) = check("kubernetes-lease", &fake.url());
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(
        service["reasons"],
        json!(["status: there is no heartbeat at `/spec/renewTime`"])
    );
}

#[test]
fn an_agent_that_stopped_reporting_is_told_from_one_that_shut_down() {
    let agents =
        |agents: Value| Fake::http(move |_, _| (200, json!({"agents": agents}).to_string()));
    let gone = json!({"agent_id": "edge-1", "status": "running", "last_heartbeat": "2026-01-01T00:00:00Z"});
    let off = json!({"agent_id": "edge-2", "status": "shutting_down", "last_heartbeat": "2026-01-01T00:00:00Z"});

    let fake = agents(json!([gone, off]));
    let (ran, service) = check("edge-agent", &fake.url());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(service["state"], "degraded");
    assert_eq!(
        service["reasons"],
        json!(["dependency edge-1: error: missed 3, no beat since 2026-01-01T00:00:00Z"])
    );
    assert_eq!(
        service["notes"],
        json!(["dependency edge-2: stopped on purpose, the last beat said so"])
    );

    let fake = agents(json!([off]));
    let (_, service) = check("edge-agent", &fake.url());
    assert_eq!(service["state"], "stopped");
}

#[test]
fn a_profile_without_probes_asks_the_address_itself() {
    let fake = Fake::http(|_, _| (302, String::new()));
    let (ran, service) = check("warren", &fake.url());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(service["probes"][0]["name"], "live");
}
