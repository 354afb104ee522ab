//! Verdicts on a restart: whether another process runs.

use super::*;
use crate::support::started::{Stage, Startable};

/// A stage with the one service `api`, started.
fn started(service: &Startable) -> Stage {
    let stage = Stage::new(SERVICE, &[service]);
    let ran = run(stage.scene(), "start --yes api");
    assert_ended(&ran, "started", 0);
    stage
}

/// Runs a restart of `api` and gives its account as well.
fn restart(stage: &Stage, words: &str) -> (Ran, Value) {
    let ran = run(stage.scene(), &format!("restart --yes -o json {words} api"));
    let accounts: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let account = accounts[0].clone();
    (ran, account)
}

#[track_caller]
fn assert_verdict((ran, account): &(Ran, Value), verdict: &str, code: i32) {
    assert_eq!(account["verdict"], verdict, "{ran:?}");
    assert_eq!(ran.code, code, "{ran:?}");
}

#[test]
fn a_service_that_stops_and_comes_up_is_restarted() {
    let stage = started(&Startable::new("api", "shutdown=exit"));
    let old = stage.running();
    let ended = restart(&stage, "");
    assert_verdict(&ended, "restarted", 0);
    let new = stage.running();
    let (_, account) = &ended;
    assert_eq!(account["before"]["pid"], old[0]);
    assert_eq!(account["after"]["pid"], new[0]);
    assert_eq!((old.len(), new.len()), (1, 1), "{account}");
    assert_ne!(old, new);
    assert_ne!(
        account["before"]["started_at"],
        account["after"]["started_at"]
    );
    assert_eq!(stage.record("api").unwrap()["process"]["pid"], new[0]);
    for half in ["drain_seconds", "start_seconds", "ready_seconds"] {
        assert!(account[half].is_number(), "{half}: {account}");
    }
}

/// What stays the same from one run to another.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line.trim();
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            shape.push('N');
        } else if rest.starts_with('(') && shape.ends_with("pid N ") {
            rest = rest.split_once(')').map_or("", |(_, rest)| rest);
            shape.push_str("(P)");
        } else {
            shape.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    shape.replace("localhost:N", "N.N.N.N:N")
}

#[test]
fn the_readme_shows_the_output_as_it_is() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let file = gate.path().join("open");
    let words = format!("shutdown=gate gate={}", file.display());
    let stage = started(&Startable::new("api", &words));
    let mut acting = begin(stage.scene(), "restart --yes api");
    acting.until("draining");
    std::fs::write(&file, "").expect("the gate can be opened");
    let ran = acting.end();
    let told: Vec<String> = ran
        .stderr
        .lines()
        .chain(ran.stdout.lines())
        .map(shape)
        .collect();
    let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("there is a README");
    let (_, sample) = readme.split_once("```text\n").expect("it shows an account");
    let (sample, _) = sample.split_once("```").expect("the account ends");
    assert!(sample.lines().count() > 4);
    for line in sample.lines() {
        assert!(told.contains(&shape(line)), "{line}\n{told:#?}");
    }
}

#[test]
fn a_service_that_cuts_the_connection_and_exits_is_restarted() {
    let stage = started(&Startable::new("api", "shutdown=cut"));
    assert_verdict(&restart(&stage, ""), "restarted", 0);
}

#[test]
fn a_service_that_answers_complete_and_stays_is_the_same_process() {
    let stage = started(&Startable::new("api", "shutdown=stay").with(GOES_ON));
    let old = stage.running();
    let ended = restart(&stage, "");
    assert_verdict(&ended, "same-process", 5);
    assert_eq!(stage.running(), old, "nothing else was started");
}

#[test]
fn a_service_that_drains_for_long_is_started_when_it_has_drained() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let file = gate.path().join("open");
    let words = format!("shutdown=gate gate={}", file.display());
    let stage = started(&Startable::new("api", &words));
    let old = stage.running();
    let mut acting = begin(stage.scene(), "restart --yes api");
    acting.until("draining");
    assert_eq!(stage.running(), old);
    std::fs::write(&file, "").expect("the gate can be opened");
    assert_ended(&acting.end(), "restarted", 0);
    assert_ne!(stage.running(), old);
}

#[test]
fn a_service_that_drains_for_too_long_is_left_alone() {
    let stage = started(&Startable::new("api", "shutdown=drain").with(GOES_ON));
    let old = stage.running();
    assert_verdict(&restart(&stage, ""), "still-draining", 124);
    assert_eq!(stage.running(), old);
}

#[test]
fn a_service_that_does_not_stop_is_killed_only_where_that_was_asked_for() {
    let stage = started(&Startable::new("api", "shutdown=stay sigterm=ignore"));
    let old = stage.running();
    let ended = restart(&stage, "--timeout 1s --force");
    assert_verdict(&ended, "restarted", 0);
    let told = &ended.0.stderr;
    let (term, kill) = (told.find("sending SIGTERM"), told.find("sending SIGKILL"));
    assert!(term.is_some() && term < kill, "{ended:?}");
    assert_ne!(stage.running(), old);
}

#[test]
fn a_service_that_a_signal_ends_is_not_killed() {
    let stage = started(&Startable::new("api", "shutdown=400"));
    let ended = restart(&stage, "--force");
    assert_verdict(&ended, "restarted", 0);
    assert!(ended.0.stderr.contains("sending SIGTERM"), "{ended:?}");
    assert!(!ended.0.stderr.contains("SIGKILL"), "{ended:?}");
}

#[test]
fn a_service_that_replaces_itself_is_back_before_it_could_be_started() {
    let stage = started(&Startable::new("api", "shutdown=reexec"));
    let old = stage.running();
    let ended = restart(&stage, "");
    assert_verdict(&ended, "gone-then-back", 5);
    assert_eq!(stage.running(), old, "the same pid, and no second process");
}

#[test]
fn a_route_that_replaces_the_program_under_the_same_pid_restarts_it() {
    let service = Startable::new("api", "shutdown=reexec")
        .with("    actions: {restart: {http: /health/shutdown}}\n");
    let stage = started(&service);
    let old = stage.running();
    let ended = restart(&stage, "");
    assert_verdict(&ended, "restarted", 0);
    assert_eq!(stage.running(), old);
    let evidence = ended.1["evidence"].to_string();
    assert!(evidence.contains("start was"), "{evidence}");
}

#[test]
fn two_restarts_within_a_second_are_two() {
    let stage = started(&Startable::new("api", "shutdown=exit start=whole"));
    let first = restart(&stage, "");
    let second = restart(&stage, "");
    assert_verdict(&first, "restarted", 0);
    assert_verdict(&second, "restarted", 0);
    assert_eq!(first.1["after"]["pid"], second.1["before"]["pid"]);
    assert_ne!(second.1["before"]["pid"], second.1["after"]["pid"]);
}

#[test]
fn a_clock_that_was_set_back_makes_no_process_old() {
    let stage = started(&Startable::new("api", "shutdown=exit start=back"));
    let ended = restart(&stage, "");
    assert_verdict(&ended, "restarted", 0);
    let (before, after) = (&ended.1["before"], &ended.1["after"]);
    assert!(after["started_at"].as_str() < before["started_at"].as_str());
}

#[test]
fn a_supervised_service_that_is_started_again_is_restarted() {
    let mut old = service("shared shutdown=drain");
    let scene = scene(&old, "    supervised: true\n");
    let mut acting = begin(&scene, "restart --yes api");
    acting.until("draining");
    let new = service(&format!("shared port={}", old.port()));
    old.exit();
    let ran = acting.end();
    assert_ended(&ran, "restarted", 0);
    assert!(
        ran.stdout.contains(&format!("pid {}", new.pid())),
        "{ran:?}"
    );
}

#[test]
fn a_supervised_service_that_nothing_starts_again_is_not_ready() {
    let faulty = service("shutdown=exit");
    let scene = scene(&faulty, "    supervised: true\n");
    let ran = run(&scene, "restart --yes --timeout 4s api");
    assert_ended(&ran, "not-ready", 124);
    assert!(
        ran.stdout.contains("nothing has started it again"),
        "{ran:?}"
    );
}

#[test]
fn a_command_that_replaces_the_service_restarts_it() {
    let mut old = service("shared");
    let port = old.port();
    // The command only returns; another hand replaces the process meanwhile, as a supervisor does.
    let scene = scene(&old, "    actions: {restart: {exec: [\"true\"]}}\n");
    let mut acting = begin(&scene, "restart --yes api");
    acting.until("ended with status 0");
    let _new = service(&format!("shared port={port}"));
    old.exit();
    assert_ended(&acting.end(), "restarted", 0);
}

#[test]
fn a_command_that_does_nothing_leaves_the_same_process() {
    let faulty = service("");
    let scene = scene(&faulty, "    actions: {restart: {exec: [\"true\"]}}\n");
    let ran = run(&scene, "restart --yes --timeout 1s api");
    assert_ended(&ran, "same-process", 5);
}

#[test]
fn without_anything_that_tells_two_processes_apart_a_restart_is_unverified() {
    let mut old = hidden("shared start=none shutdown=drain");
    let scene = scene(&old, "    supervised: true\n");
    let mut acting = begin(&scene, "restart --yes --timeout 5s api");
    acting.until("answered 200");
    old.order("close");
    acting.until("refuses connections");
    old.order("listen");
    let ran = acting.end();
    assert_ended(&ran, "unverified", 5);
    assert!(
        ran.stdout.contains("would"),
        "it tells what would prove it: {ran:?}"
    );
}

#[test]
fn a_service_that_cannot_be_started_again_is_not_stopped() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let ran = run(&scene, "restart --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stderr.contains("supervised"), "{ran:?}");
    assert!(faulty.runs());
    assert_eq!(faulty.asked(), 0);
}

#[test]
fn a_service_that_does_not_run_is_started() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "shutdown=exit")]);
    assert_verdict(&restart(&stage, ""), "started", 0);
    assert_eq!(stage.running().len(), 1);
}

#[test]
fn a_process_left_behind_in_its_session_is_ended_with_a_service() {
    let stage = started(&Startable::new("api", "shutdown=exit leave"));
    let old = stage.running();
    assert_eq!(old.len(), 2, "the service and what it has started");
    let ran = run(stage.scene(), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    assert!(stage.running().is_empty(), "{ran:?}");
    assert!(stage.record("api").is_none(), "its record is gone with it");
}

#[test]
fn a_service_under_a_shell_is_stopped_with_it() {
    let api = Startable::new("api", "")
        .under_a_shell()
        .with("    actions: {shutdown: {signal: TERM}}\n");
    let stage = started(&api);
    let old = stage.running();
    assert_eq!(old.len(), 2, "the shell and the service");
    let ended = restart(&stage, "");
    assert_verdict(&ended, "restarted", 0);
    let new = stage.running();
    assert_eq!(new.len(), 2);
    assert!(old.iter().all(|pid| !new.contains(pid)), "{old:?} {new:?}");
}

#[test]
fn a_successor_that_a_service_starts_itself_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let ready = folder.path().join("ready");
    std::fs::write(&ready, "").expect("a file can be written");
    let words = format!("sigusr2=handover when={}", ready.display());
    let api = Startable::new("api", &words).with("    actions: {restart: {signal: USR2}}\n");
    let stage = started(&api);
    let old = stage.running();
    std::fs::remove_file(&ready).expect("it can be removed");
    let mut acting = begin(stage.scene(), "restart --yes api");
    acting.until("refuses connections");
    std::fs::write(&ready, "").expect("a file can be written");
    let ran = acting.end();
    assert_ended(&ran, "restarted", 0);
    assert!(!ran.stderr.contains("SIGTERM"), "{ran:?}");
    let new = stage.running();
    assert_eq!(new.len(), 1);
    assert_ne!(new, old);
}
