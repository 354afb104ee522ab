//! Processes that run a start command and are not, or not surely, the service's; and what is left of one that runs on.

use std::process::{Command, Stdio};

use super::exits::checked;
use crate::keeper::{assert_ran, exists, run, service, started_by, worker};
use crate::support::process::{Running, free_port, kill};
use crate::support::scene::{Ran, Scene};
use crate::support::started::Stage;

/// A scene with these services.
fn stage(services: &str) -> Stage {
    let scene = Scene::new();
    scene.write("healthctl.yaml", &format!("services:\n{services}"));
    Stage::of(scene)
}

#[track_caller]
fn assert_verdict(ran: &Ran, verdict: &str, code: i32) {
    assert!(ran.stdout.contains(&format!(": {verdict}: ")), "{ran:?}");
    assert_eq!(ran.code, code, "{ran:?}");
}

/// Starts the words in the folder of the inventory, as somebody would in another terminal.
fn by_hand(stage: &Stage, words: &[&str], env: &[(&str, &str)]) -> Running {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(stage.scene().path())
        .envs(env.iter().copied())
        .stdin(Stdio::null());
    Running::start(&mut command).expect("it can be started")
}

#[test]
fn a_neighbour_workers_that_differ_in_their_environment_are_told_apart() {
    let worker = |queue: &str| {
        format!(
            "  {queue}:\n    probes: {{live: {{exec: [test, -e, up]}}}}\n    \
             start: {{command: [sleep, \"300\"], env: {{QUEUE: {queue}}}}}\n"
        )
    };
    let stage = stage(&(worker("mail") + &worker("pdf")));
    let mut pdf = by_hand(&stage, &["sleep", "300"], &[("QUEUE", "pdf")]);
    assert_verdict(&run(&stage, "shutdown --yes mail"), "already-stopped", 0);
    assert_eq!(pdf.ended(), None);
    assert_verdict(&run(&stage, "shutdown --yes pdf"), "stopped", 0);
    assert!(pdf.ended().is_some());
}

#[test]
fn a_neighbour_of_two_copies_of_a_worker_none_is_ended_and_no_third_is_started() {
    let stage = stage(
        "  api: {probes: {live: {exec: [test, -e, up]}}, start: {command: [sleep, \"301\"]}}\n",
    );
    let mut copies = [0, 1].map(|_| by_hand(&stage, &["sleep", "301"], &[]));
    for action in ["start", "restart", "shutdown"] {
        let ran = run(&stage, &format!("{action} --yes api"));
        assert_verdict(&ran, "refused", 4);
        for copy in &mut copies {
            assert!(
                ran.stdout.contains(&format!("pid {}", copy.pid())),
                "{ran:?}"
            );
            assert_eq!(copy.ended(), None);
        }
    }
}

#[test]
fn a_neighbour_nothing_is_started_beside_what_runs_the_command_and_does_not_listen() {
    for (number, address) in [
        ("302", "profile: http, url: \"http://127.0.0.1:PORT\""),
        ("306", "probes: {live: {tcp: \"127.0.0.1:PORT\"}}"),
    ] {
        let address = address.replace("PORT", &free_port().to_string());
        let stage = stage(&format!(
            "  api: {{{address}, start: {{command: [sleep, \"{number}\"]}}}}\n"
        ));
        let mut copy = by_hand(&stage, &["sleep", number], &[]);
        for action in ["start", "restart", "shutdown"] {
            let ran = run(&stage, &format!("{action} --yes api"));
            assert_verdict(&ran, "refused", 4);
            let text = format!("pid {} (sleep) runs its start command", copy.pid());
            assert!(ran.stdout.contains(&text), "{ran:?}");
        }
        assert_eq!(copy.ended(), None);
    }
}

#[test]
fn a_neighbour_a_pid_file_of_two_services_proves_neither() {
    let entry = |name| {
        format!("  {name}: {{probes: {{live: {{exec: [test, -e, up]}}}}, pid_file: shared.pid}}\n")
    };
    let stage = stage(&(entry("one") + &entry("two")));
    let mut running = by_hand(&stage, &["sleep", "303"], &[]);
    stage
        .scene()
        .write("shared.pid", &running.pid().to_string());
    let validated = run(&stage, "validate");
    let said = validated.stdout.clone() + &validated.stderr;
    assert!(said.contains("has the pid file of"), "{validated:?}");
    for (name, other) in [("one", "two"), ("two", "one")] {
        let ran = run(&stage, &format!("shutdown --yes {name}"));
        assert_verdict(&ran, "refused", 4);
        assert!(
            ran.stdout
                .contains(&format!("is {other}, whose pid file names it")),
            "{ran:?}"
        );
    }
    assert_eq!(running.ended(), None);
}

#[test]
fn a_neighbour_a_pid_file_that_contradicts_what_healthctl_started_proves_nothing() {
    let stage = worker("exec sleep 304");
    assert_ran(&stage, "start --yes api", "started");
    let own = service(&stage);
    let mut stranger = by_hand(&stage, &["sleep", "305"], &[]);
    let inventory = stage.scene().path().join("healthctl.yaml");
    let text = std::fs::read_to_string(&inventory).expect("the inventory can be read");
    let text = text.replace("    start:\n", "    pid_file: api.pid\n    start:\n");
    stage.scene().write("healthctl.yaml", &text);
    stage.scene().write("api.pid", &stranger.pid().to_string());
    assert_ran(&stage, "restart --yes api", "restarted");
    assert!(!exists(own));
    assert_eq!(stranger.ended(), None);
}

#[test]
fn a_neighbour_what_was_ready_once_is_not_starting_while_its_launcher_lives() {
    let stage = started_by("SERVICE & sleep 308 & wait");
    assert_ran(&stage, "start --yes api", "started");
    let launcher = service(&stage);
    let is_server = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        *pid != launcher && name.is_ok_and(|name| name.trim() != "sleep")
    };
    let server = stage.running().into_iter().find(is_server);
    let server = server.expect("the server runs");
    kill(server);
    assert!(exists(launcher));
    assert_eq!(checked(&stage)["state"], "unhealthy");
}

#[test]
fn c11_neighbour_what_healthctl_ends_below_a_script_that_has_gone_is_no_crash_loop() {
    let stage = started_by("SERVICE & sleep 306 & exit 0");
    assert_ran(&stage, "start --yes api", "started");
    for _ in 0..3 {
        assert_ran(&stage, "restart --yes api", "restarted");
    }
    let ran = run(&stage, "check --fail-on crash-loop");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn c3_neighbour_a_worker_that_was_started_by_hand_after_a_shutdown_is_healthy() {
    let stage = stage(
        "  api: {probes: {live: {exec: [test, -e, up]}}, start: {command: [sleep, \"307\"]}}\n",
    );
    stage.scene().write("up", "");
    std::fs::remove_file(stage.scene().path().join("up")).expect("it can be removed");
    let started = run(&stage, "start --yes api --timeout 1s");
    assert_eq!(started.code, 124, "{started:?}");
    stage.scene().write("up", "");
    assert_ran(&stage, "shutdown --yes api", "stopped");
    let told = checked(&stage);
    assert_eq!(told["state"], "stopped", "{told}");
    let reasons = told["reasons"].to_string();
    assert!(reasons.contains("live still passes"), "{reasons}");
    let _hand = by_hand(&stage, &["sleep", "307"], &[]);
    assert_eq!(checked(&stage)["state"], "healthy");
}

#[test]
fn a_neighbour_a_signal_to_reload_needs_one_process_that_is_meant() {
    let handler = "trap 'echo told >> told' HUP; touch up; while :; do wait; done";
    for (script, verdict, code) in [
        (format!("sleep 305 & {handler}"), "refused", 4),
        (handler.replace("wait", "read line < fifo"), "accepted", 0),
    ] {
        let stage = stage(&format!(
            "  api:\n    probes: {{live: {{exec: [test, -e, up]}}}}\n    start: {{command: [sh, -c, \"{script}\"]}}\n    actions: {{reload: {{signal: HUP}}}}\n"
        ));
        let fifo = stage.scene().path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(fifo).status();
        assert!(made.is_ok_and(|status| status.success()));
        assert_verdict(&run(&stage, "start --yes api"), "started", 0);
        let ran = run(&stage, "reload --yes api");
        assert_verdict(&ran, verdict, code);
        let hint = "name its `pid_file`";
        assert_eq!(format!("{ran:?}").contains(hint), code == 4, "{ran:?}");
        assert_verdict(&run(&stage, "shutdown --yes --force api"), "stopped", 0);
    }
}
