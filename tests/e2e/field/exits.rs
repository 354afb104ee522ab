//! States that follow from how a started service has ended.

use rustix::process::Signal;
use serde_json::Value;

use crate::actions::SERVICE;
use crate::keeper::{assert_ran, run, send, service, started_by, worker, worker_with};
use crate::support::process::{Running, kill};
use crate::support::started::{Scripted, Stage, Startable};
use crate::support::waiting::until;
use crate::support::watching::Watching;

/// What `check` tells of the only service.
pub(super) fn checked(stage: &Stage) -> Value {
    let ran = run(stage, "check -o json");
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report is JSON");
    report["services"][0].clone()
}

fn has_flag(service: &Value, flag: &str) -> bool {
    let flags = service["flags"].as_array().expect("it has flags");
    flags.iter().any(|it| it == flag)
}

fn text_of(service: &Value, key: &str) -> String {
    service[key].to_string()
}

/// Starts it, and waits until it has ended by this signal.
fn start_and_end(stage: &Stage, signal: Signal) {
    assert_ran(stage, "start --yes api", "started");
    let keeper = crate::keeper::keeper(stage);
    send(service(stage), signal);
    until("its keeper ends", || {
        (!crate::keeper::exists(keeper)).then_some(())
    });
}

/// A worker whose probe passes by a file that outlives the process, as a heartbeat does for a while.
fn goes_by_traces(script: &str) -> Stage {
    let stage = worker(script);
    let inventory = stage.scene().path().join("healthctl.yaml");
    let text = std::fs::read_to_string(&inventory).expect("the inventory can be read");
    stage.scene().write(
        "healthctl.yaml",
        &text.replace("kill -0 $(cat pid)", "test -s pid"),
    );
    stage
}

#[test]
fn c3_the_end_of_what_was_started_is_told_at_once_with_its_status() {
    // A probe finds out after three intervals.
    let api = Startable::new("api", "").with("    interval: 20s\n    failure_threshold: 3\n");
    let stage = Stage::new(SERVICE, &[&api]);
    assert_ran(&stage, "start --yes api", "started");
    let mut watching = Watching::start(stage.scene(), &["api"]);
    watching.until_state("api", "healthy");
    kill(service(&stage));
    let told = watching.until_state("api", "unhealthy");
    let reasons = text_of(&told, "reasons");
    assert!(
        reasons.contains("has ended by itself (signal: 9 (SIGKILL)"),
        "{reasons}"
    );
}

#[test]
fn c3_neighbour_a_command_that_goes_by_what_is_left_behind_does_not_hide_the_end() {
    let stage = goes_by_traces("exec sleep 600");
    start_and_end(&stage, Signal::KILL);
    let told = checked(&stage);
    assert_eq!(told["state"], "unhealthy", "{told}");
    assert!(
        text_of(&told, "reasons").contains("has ended by itself"),
        "{told}"
    );
    assert_ran(&stage, "start --yes api", "started");
    assert_eq!(checked(&stage)["state"], "healthy");
    assert_ran(&stage, "shutdown --yes api", "stopped");
    let told = checked(&stage);
    assert_eq!(told["state"], "stopped", "{told}");
    assert_ran(&stage, "start --yes api", "started");
    assert_eq!(checked(&stage)["state"], "healthy");
}

#[test]
fn c3_neighbour_a_worker_that_ends_soon_is_not_started_by_what_its_predecessor_left() {
    let stage = goes_by_traces("if test -e broken; then sleep 0.05; exit 3; fi; exec sleep 600");
    assert_ran(&stage, "start --yes api", "started");
    stage.scene().write("broken", "");
    let ran = run(&stage, "restart --yes api");
    assert!(ran.stdout.starts_with("api: died"), "{ran:?}");
    assert!(ran.stdout.contains("exit status: 3"), "{ran:?}");
}

#[test]
fn c3_neighbour_a_status_is_told_with_the_last_line_of_the_log() {
    let stage = worker("until test -e go; do sleep 0.05; done; echo no such table; exit 3");
    assert_ran(&stage, "start --yes api", "started");
    let keeper = crate::keeper::keeper(&stage);
    stage.scene().write("go", "");
    until("its keeper ends", || {
        (!crate::keeper::exists(keeper)).then_some(())
    });
    let told = checked(&stage);
    assert_eq!(told["state"], "unhealthy");
    let reasons = text_of(&told, "reasons");
    assert!(
        reasons.contains("exit status: 3; its last line: no such table"),
        "{reasons}"
    );
}

#[test]
fn c3_neighbour_a_status_that_is_no_failure_is_a_stop() {
    let script = "until test -e go; do sleep 0.05; done; exit 3";
    let stage = worker_with(script, "      success_codes: [0, 3]\n");
    assert_ran(&stage, "start --yes api", "started");
    let keeper = crate::keeper::keeper(&stage);
    stage.scene().write("go", "");
    until("its keeper ends", || {
        (!crate::keeper::exists(keeper)).then_some(())
    });
    assert_eq!(checked(&stage)["state"], "stopped");
}

#[test]
fn c3_neighbour_a_descendant_that_listens_goes_on_when_its_launcher_is_killed() {
    let api = Startable::new("api", "").under_a_shell();
    let stage = Stage::new(SERVICE, &[&api]);
    assert_ran(&stage, "start --yes api", "started");
    kill(service(&stage));
    let is_alone = || (stage.running().len() == 1).then_some(());
    until("the shell has gone", is_alone);
    assert_eq!(checked(&stage)["state"], "healthy");
}

#[test]
fn c3_neighbour_the_next_start_is_not_judged_by_the_end_before() {
    let api = Startable::new("api", "");
    let stage = Stage::new(SERVICE, &[&api]);
    start_and_end(&stage, Signal::KILL);
    assert_eq!(checked(&stage)["state"], "unhealthy");
    assert_ran(&stage, "start --yes api", "started");
    assert_eq!(checked(&stage)["state"], "healthy");
}

#[test]
fn c11_what_ends_again_and_again_is_in_a_crash_loop() {
    let stage = worker("echo no such table; exec sleep 600");
    let log = stage.scene().path().join("api.log");
    for count in 1..=3 {
        assert_ran(&stage, "start --yes api", "started");
        let keeper = crate::keeper::keeper(&stage);
        until("its last words", || {
            let text = std::fs::read_to_string(&log).ok()?;
            (text.matches("no such table\n").count() == count).then_some(())
        });
        kill(service(&stage));
        until("its keeper ends", || {
            (!crate::keeper::exists(keeper)).then_some(())
        });
        assert_eq!(has_flag(&checked(&stage), "crash-loop"), count == 3);
    }
    let told = checked(&stage);
    assert!(has_flag(&told, "crash-loop"), "{told}");
    let notes = text_of(&told, "notes");
    assert!(
        notes.contains("3 times")
            && notes.contains("signal: 9 (SIGKILL); its last line: no such table"),
        "{notes}"
    );
    // It holds while the next one runs, and healthy as it is, a check can fail for it.
    assert_ran(&stage, "start --yes api", "started");
    assert!(has_flag(&checked(&stage), "crash-loop"));
    assert_eq!(run(&stage, "check --fail-on crash-loop").code, 1);
}

#[test]
fn c11_neighbour_who_was_asked_to_end_is_in_no_loop() {
    let stage = worker("exec sleep 600");
    for _ in 0..4 {
        assert_ran(&stage, "start --yes api", "started");
        assert_ran(&stage, "restart --yes api", "restarted");
        assert_ran(&stage, "shutdown --yes api", "stopped");
    }
    assert!(!has_flag(&checked(&stage), "crash-loop"));
}

#[test]
fn c11_neighbour_a_status_that_is_no_failure_makes_no_loop() {
    let stage = worker_with("exec sleep 600", "      success_codes: [143]\n");
    for _ in 0..3 {
        start_and_end(&stage, Signal::TERM);
    }
    assert!(!has_flag(&checked(&stage), "crash-loop"));
    for _ in 0..3 {
        start_and_end(&stage, Signal::KILL);
    }
    assert!(has_flag(&checked(&stage), "crash-loop"));
}

#[test]
fn c11_neighbour_another_service_has_a_loop_of_its_own() {
    let (bad, good) = (Startable::new("bad", ""), Startable::new("good", ""));
    let stage = Stage::new(SERVICE, &[&bad, &good]);
    run(&stage, "start --yes good");
    for _ in 0..3 {
        run(&stage, "start --yes bad");
        let record = stage.record("bad").expect("it is on record");
        let pid = |key: &str| crate::keeper::pid_at(&record, key);
        kill(pid("process"));
        until("its keeper ends", || {
            (!crate::keeper::exists(pid("keeper"))).then_some(())
        });
    }
    let ran = run(&stage, "check -o json");
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report is JSON");
    let services = report["services"].as_array().expect("it has services");
    for service in services {
        let expected = service["name"] == "bad";
        assert_eq!(has_flag(service, "crash-loop"), expected, "{service}");
    }
}

#[test]
fn c3_neighbour_what_is_left_and_does_not_listen_hides_no_end() {
    let stage = started_by("sleep 600 & exec SERVICE");
    assert_ran(&stage, "start --yes api", "started");
    let process = service(&stage);
    kill(process);
    let told = until("its end is written down", || {
        Some(checked(&stage)).filter(|told| text_of(told, "reasons").contains("by itself"))
    });
    assert_eq!(told["state"], "unhealthy", "{told}");
    assert_eq!(stage.running().len(), 1);
    // A start ends what is left first, or says what does.
    assert_ran(&stage, "restart --yes api", "restarted");
    assert_eq!(stage.running().len(), 2);
}

#[test]
fn c3_neighbour_one_that_has_gone_into_the_background_has_its_end_told() {
    let api = Startable::new("api", "").in_background();
    let stage = Stage::new(SERVICE, &[&api]);
    assert_ran(&stage, "start --yes api", "started");
    let keeper = crate::keeper::keeper(&stage);
    let server = until("the command has ended and its service runs", || {
        let running = stage.running();
        (running.len() == 1).then(|| running[0])
    });
    kill(server);
    until("its keeper ends", || {
        (!crate::keeper::exists(keeper)).then_some(())
    });
    let told = checked(&stage);
    assert_eq!(told["state"], "unhealthy");
    let reasons = text_of(&told, "reasons");
    assert!(reasons.contains("signal: 9 (SIGKILL)"), "{reasons}");
}

#[test]
fn c3_neighbour_what_was_started_by_hand_has_not_ended_by_the_shutdown_before() {
    let api = Scripted::new("", "");
    assert_ran(api.stage(), "start --yes api", "started");
    assert_ran(api.stage(), "shutdown --yes api", "stopped");
    assert!(text_of(&checked(api.stage()), "reasons").contains("shut down on purpose"));
    let mut command = api.by_hand(&[]);
    let mut running = Running::start(&mut command).expect("it can be started");
    let ran = run(api.stage(), "check --wait 60s");
    assert_eq!(ran.code, 0, "{ran:?}");
    // Whoever looks at this machine now sees its process.
    assert_eq!(checked(api.stage())["state"], "healthy");
    running.stop(Signal::KILL);
    let reasons = text_of(&checked(api.stage()), "reasons");
    assert!(!reasons.contains("on purpose"), "{reasons}");
}
