//! The edge agent of `control-plane`: it has no port and is seen by its heartbeats alone.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Fleet, assert_is, dependency};
use crate::support::process::Running;

const ON_PURPOSE: &str = "on purpose: the last beat said that it was shutting down";

/// Returns whether the third heartbeat is missing.
fn is_lost(change: &Value) -> bool {
    let reason = change["reasons"][0].as_str().unwrap_or_default();
    change["state"] == "unhealthy"
        && reason.starts_with("dependency edge-1: error: missed 3, no beat since 20")
}

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    let well = watching.until_state("edge", "healthy");
    assert_eq!(
        dependency(&well, "edge-1")["details"]["vms"],
        json!({"running": 3, "total": 3})
    );

    fleet.inject_fault("edge", "heartbeat");
    let before = watching.until(is_lost);
    let turned = before
        .iter()
        .filter(|change| change["state"] != "healthy")
        .count();
    assert_eq!(
        turned, 1,
        "one or two that are missed are no failure: {before:?}"
    );
    assert_eq!(before.last().unwrap()["flags"], json!([]));
    fleet.mend("edge", "heartbeat");
    watching.until_state("edge", "healthy");

    let ran = fleet.run("reload --yes edge");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    fleet.stop("edge");
    let ends = watching.until(|change| change["state"] == "stopped");
    assert!(
        ends.iter().any(|change| change["state"] == "draining"),
        "{ends:?}"
    );
    assert!(
        ends.iter().all(|change| change["state"] != "unhealthy"),
        "{ends:?}"
    );
    assert_is(ends.last().unwrap(), "stopped", &[ON_PURPOSE], &[]);
    let found = fleet.check("edge");
    assert_is(&found, "stopped", &[ON_PURPOSE], &[]);
    assert_eq!(
        dependency(&found, "edge-1")["details"]["vms"],
        json!({"running": 0, "total": 3})
    );
}

#[test]
fn virtual_machines_are_stopped_one_by_one() {
    let fleet = Fleet::start();
    let acting = fleet.begin("shutdown --yes edge");
    let mut seen = Vec::new();
    while seen.last() != Some(&0) {
        let agents = fleet.demo.ask("control-plane", "GET /api/v1/agents").json();
        let agent = &agents["agents"][0];
        let running = agent["vms"]["running"].as_u64().expect("a count");
        if seen.last() != Some(&running) {
            seen.push(running);
        }
        let status = if running == 3 {
            None
        } else {
            Some("shutting_down")
        };
        assert!(
            status.is_none_or(|status| agent["status"] == status),
            "{agent}"
        );
    }
    assert_eq!(seen, [3, 2, 1, 0]);
    assert_eq!(acting.end().code, 0);
}

/// There are no heartbeats, as after a shutdown, but no final one has announced that.
#[test]
fn a_killed_agent_is_unhealthy_after_three_missed_heartbeats() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("edge", "process");
    let changes = watching.until(|change| change["state"] != "healthy");
    let lost = changes.last().unwrap();
    assert!(is_lost(lost), "{lost}");
    let heartbeat = &dependency(lost, "edge-1")["heartbeat"];
    assert_eq!(
        (&heartbeat["missed"], &heartbeat["final"]),
        (&json!(3), &json!(false))
    );
}

/// The control plane accepts connections and does not answer, so the final heartbeat times out.
#[test]
fn a_hanging_control_plane_does_not_delay_the_shutdown() {
    let mut fleet = Fleet::start();
    let control_plane = Pid::from_raw(fleet.demo.pid("control-plane")).expect("a process");
    kill_process(control_plane, Signal::STOP).expect("it runs");
    let ran = fleet.run("shutdown --yes --timeout 20s edge");
    kill_process(control_plane, Signal::CONT).expect("it runs");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("edge: stopped: "), "{ran:?}");
    assert_eq!(fleet.demo.next_event(), "edge exited: exit status: 0\n");
}

/// A restarted control plane lists no agent: an empty list proves nothing about a required one.
#[test]
fn an_agent_that_is_no_longer_listed_is_unknown() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("edge", "process");
    fleet.inject_fault("control-plane", "process");
    watching.until_state("edge", "unhealthy");
    let mut command = fleet.demo.start_command("control-plane");
    let _control_plane = Running::start(&mut command).expect("the binary can be run");
    let unknown = watching.until_state("edge", "unknown");
    let reason = "dependency edge-1: not reported";
    assert_is(&unknown, "unknown", &[reason], &[]);
    assert_eq!(fleet.run("check --exit-code edge").code, 3);
}
