//! healthctl itself is killed in the middle of an action: what it started is found again, and no lock is left.

use super::*;
use crate::support::started::{Stage, Startable};
use crate::support::waiting::until;

/// Every service that runs is on record, and can be found and stopped by that.
#[track_caller]
fn assert_found_and_stopped(stage: &Stage) {
    let pids = stage.running();
    let list = run(stage.scene(), "list -o json");
    let list: Value = serde_json::from_str(&list.stdout).expect("a list is JSON");
    let listed = &list["services"][0]["started"]["pid"];
    assert_eq!(pids.len(), 1, "{pids:?}");
    assert_eq!(*listed, pids[0], "{list}");
    let ran = run(stage.scene(), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    assert!(stage.running().is_empty());
}

#[test]
fn a_service_that_was_starting_goes_on_and_is_found() {
    let stage = Stage::new(
        SERVICE,
        &[&Startable::new("api", "status=503 shutdown=exit")],
    );
    let mut acting = begin(stage.scene(), "start --yes api");
    acting.until("started pid");
    acting.kill();
    let again = run(stage.scene(), "start --yes --timeout 1s api");
    assert_ended(&again, "not-ready", 124);
    assert!(again.stdout.contains("nothing was started"), "{again:?}");
    assert_found_and_stopped(&stage);
}

#[test]
fn early_in_a_start_nothing_runs_or_a_service_that_is_found() {
    for _ in 0..10 {
        let stage = Stage::new(SERVICE, &[&Startable::new("api", "shutdown=exit")]);
        begin(stage.scene(), "start --yes api").kill();
        // Whatever it had begun comes to its end: the stand-in becomes the service, or has gone.
        until("it can be started, or runs already", || {
            (run(stage.scene(), "start --yes api").code == 0).then_some(())
        });
        assert_found_and_stopped(&stage);
    }
}

#[test]
fn a_service_that_was_draining_stops_and_can_be_started() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let file = gate.path().join("open");
    let words = format!("shutdown=gate gate={}", file.display());
    let stage = Stage::new(SERVICE, &[&Startable::new("api", &words)]);
    run(stage.scene(), "start --yes api");
    let old = stage.running();
    let mut acting = begin(stage.scene(), "restart --yes api");
    acting.until("draining");
    acting.kill();
    assert_eq!(stage.running(), old);
    std::fs::write(&file, "").expect("the gate can be opened");
    // The lock of the one that was killed holds nobody up; it waits for the end that was asked for before.
    let ran = run(stage.scene(), "restart --yes api");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_ne!(stage.running(), old);
    assert_found_and_stopped(&stage);
}
