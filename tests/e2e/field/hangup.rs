//! Terminals and processes that end at the worst moment.

use std::path::Path;

use crate::actions::SERVICE;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::started::{Stage, Startable};
use crate::support::terminal::Pty;
use crate::support::waiting::until;

/// Waits until the process with this pid has ended.
fn wait_for_end(pid: &str) {
    process::wait_for_end(pid.trim().parse().expect("a pid"));
}

fn wait_for_text(path: &Path) -> String {
    let read = || std::fs::read_to_string(path).ok();
    until("a line in the file", || {
        read().filter(|text| text.ends_with('\n'))
    })
}

#[test]
fn g2_a_terminal_that_closes_while_a_probe_runs_ends_the_dashboard_and_the_probe() {
    let scene = Scene::with_inventory(
        "services:
  slow:
    probes: {live: {exec: [sh, -c, \"echo $$$$ > probe.pid; exec sleep 600\"], timeout: 700s}}
",
    );
    let pty = Pty::start(&scene.command(&["watch"]), 100, 30);
    pty.wait_for("slow");
    let pid = wait_for_text(&scene.path().join("probe.pid"));
    assert_eq!(pty.hang_up(), Ok(129));
    wait_for_end(&pid);
}

/// The phases that the audit file has of an action: before it, and after it with the verdict.
fn verdicts(scene: &Scene, action: &str) -> Vec<Option<String>> {
    let path = scene.path().join("state/healthctl/audit.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        let verdict = line["verdict"].as_str().map(str::to_owned);
        (line["action"].as_str() == Some(action)).then_some(verdict)
    });
    lines.flatten().collect()
}

/// A service whose shutdown lasts until it is killed, started.
fn hanging() -> Stage {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "shutdown=hang")]);
    let ran = stage.scene().run(&["start", "--yes", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    stage
}

#[test]
fn g2_a_terminal_that_closes_in_a_restart_leaves_the_audit_file_whole() {
    let stage = hanging();
    let pty = Pty::start(
        &stage.scene().command(&["restart", "--yes", "api"]),
        100,
        30,
    );
    pty.wait_for("sending");
    assert_eq!(pty.hang_up(), Ok(129));
    let told = verdicts(stage.scene(), "restart");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].is_some(), "{told:?}");
}

#[test]
fn g2_a_terminal_that_closes_in_a_restart_of_the_dashboard_leaves_the_audit_file_whole() {
    let stage = hanging();
    let mut pty = Pty::start(&stage.scene().command(&["watch"]), 100, 30);
    pty.wait_for("✓ 1 healthy");
    pty.keys("r");
    pty.wait_for("Cancel");
    pty.keys("\t");
    pty.keys("\r");
    pty.wait_for("restart: sending");
    assert_eq!(pty.hang_up(), Ok(129));
    let told = verdicts(stage.scene(), "restart");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].is_some(), "{told:?}");
}

#[test]
fn g_neighbour_a_terminal_that_closes_over_a_dialog_or_help_ends_the_dashboard() {
    for key in ["?", "r", "/", "e"] {
        let stage = Stage::new(SERVICE, &[&Startable::new("api", "")]);
        let mut pty = Pty::start(&stage.scene().command(&["watch"]), 80, 24);
        pty.wait_for("api");
        pty.keys(key);
        assert_eq!(pty.hang_up(), Ok(129), "{key}");
    }
}

#[test]
fn g_neighbour_a_terminal_that_closes_ends_a_stream() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "")]);
    let words = ["watch", "-o", "text"];
    let pty = Pty::start(&stage.scene().command(&words), 100, 30);
    pty.wait_for("api");
    assert_eq!(pty.hang_up(), Ok(129));
}

#[test]
fn g_neighbour_a_terminal_that_closes_over_a_question_is_no_consent() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "")]);
    let pty = Pty::start(&stage.scene().command(&["start", "api"]), 100, 30);
    pty.wait_for("[y/N]");
    // Nothing was done yet, so nothing has to be cleaned up: the signal may end it. The end of the input comes at the same
    // time, and is a no.
    let ended = pty.hang_up();
    let expected = [Ok(129), Err("Hangup".to_owned()), Ok(4)];
    assert!(expected.contains(&ended), "{ended:?}");
    assert!(stage.running().is_empty());
}
