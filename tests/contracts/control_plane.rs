//! `control-plane`: a Go service that is stopped by a signal only, and refuses connections while it drains.

use std::io::Read;

use serde_json::json;

use super::{Fleet, assert_is, dependency};
use crate::support::demo::ask;

const UNREADY: &str =
    "ready: answered 503 Service Unavailable, which means unready; reports `degraded`";
const EXPIRED: &str = "dependency ca_certificate: error: certificate expired";

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("control-plane");
    let well = watching.until_state("control-plane", "healthy");
    assert_eq!(
        (&well["ready"], &well["version"]),
        (&json!(true), &json!("1.4.2"))
    );

    fleet.inject_fault("control-plane", "ca_certificate");
    let unready = watching.until_state("control-plane", "unready");
    assert_eq!(unready["ready"], false);
    let found = fleet.check("control-plane");
    assert_is(&found, "unready", &[UNREADY, EXPIRED], &[]);
    assert_eq!(dependency(&found, "database")["status"], "working");
    fleet.mend("control-plane", "ca_certificate");
    watching.until_state("control-plane", "healthy");

    // It reads its file by itself: nobody can ask it to.
    let ran = fleet.run("reload --yes control-plane");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    fleet.stop("control-plane");
    // A probe that is in flight when the listener closes may be reset; the next one is refused.
    watching.until(|change| {
        let reason = change["reasons"][0].as_str().unwrap_or_default();
        change["state"] == "unhealthy" && reason.contains("connection refused")
    });
}

/// `latency_ms` is a Go duration.
#[test]
fn latency_ms_is_in_nanoseconds() {
    let fleet = Fleet::start();
    let ready = fleet.demo.ask("control-plane", "GET /readyz").json();
    assert_eq!(ready["checks"]["database"]["latency_ms"], 2_000_000);
    let found = fleet.check("control-plane");
    assert_eq!(dependency(&found, "database")["latency_ms"], 2.0);
    assert_eq!(dependency(&found, "crl_manager")["latency_ms"], 0.04);
}

/// The service reports no counts and no last success.
#[test]
fn counts_that_it_does_not_report_are_counted_from_its_replies() {
    let fleet = Fleet::start();
    let ready = fleet.demo.ask("control-plane", "GET /readyz").json();
    let keys: Vec<_> = ready["checks"]["ca_certificate"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(keys, ["status", "latency_ms"]);
    let mut watching = fleet.watch("control-plane");
    watching.until_state("control-plane", "healthy");
    fleet.inject_fault("control-plane", "ca_certificate");
    watching.until_state("control-plane", "unready");
    fleet.mend("control-plane", "ca_certificate");
    let well = watching.until_state("control-plane", "healthy");
    let seen = dependency(&well, "ca_certificate");
    assert!(seen["success_total"].as_u64() >= Some(2), "{seen}");
    assert!(seen["failure_total"].as_u64() >= Some(1), "{seen}");
    assert!(seen["last_failure_seconds"].is_f64(), "{seen}");
    assert_eq!(dependency(&well, "database")["failure_total"], 0);
    assert_eq!(
        dependency(&well, "database")["last_failure_seconds"],
        json!(null)
    );
}

/// SIGTERM closes the listener at once; requests in flight may finish.
#[test]
fn a_refused_connection_proves_nothing_while_the_process_runs() {
    let fleet = Fleet::start();
    let address = fleet.demo.address("control-plane");
    let pid = fleet.demo.pid("control-plane");
    // Its end ends the drain.
    let mut working = fleet.work("control-plane", 2_000);
    let mut acting = fleet.begin("shutdown --yes control-plane");
    acting.until(&format!(
        "{address} refuses connections, pid {pid} (healthctl) still runs"
    ));
    assert!(ask(address, "GET /healthz").is_err());
    assert!(acting.goes_on(), "no verdict while the process is there");
    let mut rest = String::new();
    working
        .read_to_string(&mut rest)
        .expect("the work is finished");
    assert!(rest.contains("done after 2s"), "{rest}");
    let ran = acting.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    let proof = format!(
        "control-plane: stopped: {address} refuses connections and pid {pid} (healthctl) has exited"
    );
    assert!(ran.stdout.starts_with(&proof), "{ran:?}");
}

/// There is no route and no signal to reload: the service watches its file.
#[test]
fn a_changed_file_is_reloaded_and_an_invalid_one_changes_nothing() {
    let fleet = Fleet::start();
    let write = |text: &str| {
        let file = fleet.demo.inventory().with_file_name("control-plane.json");
        std::fs::write(file, text).expect("it is ours");
    };
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    write(r#"{"refused_agents": ["edge-1"]}"#);
    watching.until_state("edge", "unhealthy");
    // What is refused is kept as it was: the agent stays out until the file is good again.
    write(r#"{"refused_agents": 7}"#);
    let log = fleet
        .demo
        .inventory()
        .with_file_name("logs/control-plane.log");
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("configuration rejected")) {}
    assert_eq!(fleet.check("edge")["state"], "unhealthy");
    assert_eq!(fleet.check("control-plane")["state"], "healthy");
    write(r#"{"refused_agents": []}"#);
    watching.until_state("edge", "healthy");
}

/// A dependent is not reported as the cause.
#[test]
fn dependents_are_blocked_by_it() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("control-plane", "process");
    let changes =
        watching.until(|change| change["name"] == "edge" && change["flags"] == json!(["blocked"]));
    let edge = changes.last().unwrap();
    assert_eq!(
        (&edge["state"], &edge["blocked_by"]),
        (&json!("unhealthy"), &json!("control-plane"))
    );
    let own = fleet.check("control-plane");
    assert_eq!(
        (&own["flags"], &own["blocked_by"]),
        (&json!([]), &json!(null))
    );
}
