//! The second steps of a stop: SIGKILL while it waits or after it has failed, and a process that the person names by its pid.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{dashboard, leave};
use crate::actions::{SERVICE, audit, begin, hidden, scene};
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;
use crate::support::started::{MARK, Stage, Startable};
use crate::support::terminal::{ENTER, ESC, Pty, TAB};
use crate::support::waiting::wait_until;

/// A service that ignores SIGTERM and is stopped by that, and the dashboard on it.
fn stubborn(timeout: &str) -> (Stage, u32, Pty) {
    let actions = format!("    actions: {{shutdown: {{signal: TERM, timeout: {timeout}}}}}\n");
    watched(&Startable::new("api", "sigterm=ignore").with(&actions))
}

/// A service that was started, and the dashboard on it.
fn watched(api: &Startable) -> (Stage, u32, Pty) {
    let stage = Stage::new(SERVICE, &[api]);
    let ran = stage.scene().run(&["start", "--yes", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let [pid] = stage.running()[..] else {
        panic!("one process runs: {:?}", stage.running());
    };
    let pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 1 healthy");
    (stage, pid, pty)
}

/// Presses the button of the question whether to kill.
fn confirm_kill(pty: &mut Pty) {
    pty.keys(TAB);
    pty.wait_for(">[ Kill ]");
    pty.keys(ENTER);
}

fn shut_down(pty: &mut Pty) {
    pty.keys("X");
    pty.wait_for("Shut down api?");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
}

/// The stop has ended like this; the sentence may take several lines.
fn assert_ended(pty: &Pty, how: &str) {
    let screen = pty.wait_for("shutdown: stopped after");
    let words: Vec<&str> = screen.split_whitespace().collect();
    assert!(words.join(" ").contains(how), "{screen}");
}

#[test]
fn a_stop_that_waits_is_ended_by_sigkill_after_a_question() {
    let (stage, pid, mut pty) = stubborn("600s");
    shut_down(&mut pty);
    pty.wait_for("K kills it");
    pty.wait_for(&format!("SIGTERM delivered to pid {pid}"));
    pty.keys("K");
    let question = pty.wait_for(">[ Cancel ]");
    for text in ["Kill api?", &format!("SIGKILL to pid {pid} ")] {
        assert!(question.contains(text), "{text}: {question}");
    }
    pty.keys(ENTER);
    pty.wait_without("[ Cancel ]");
    assert_eq!(stage.running(), [pid], "Cancel has the focus");
    // No letter kills.
    pty.keys("K");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    confirm_kill(&mut pty);
    assert_ended(&pty, "did not stop and was killed");
    let lines = audit(stage.scene());
    let killed = format!("SIGKILL to pid {pid} ");
    let is_recorded = |line: &Value| {
        let request = line["request"].as_str().unwrap_or_default();
        request.starts_with(&killed) && line["verdict"].is_null()
    };
    assert!(lines.iter().any(is_recorded), "{lines:#?}");
    assert_eq!(stage.running(), [0; 0]);
    leave(pty);
}

#[test]
fn a_process_that_has_had_no_signal_gets_sigterm_before_sigkill() {
    let (stage, pid, mut pty) = watched(&Startable::new("api", "shutdown=drain"));
    shut_down(&mut pty);
    pty.wait_for("draining");
    assert_eq!(stage.running(), [pid]);
    pty.keys("K");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("SIGTERM 5s before it"), "{question}");
    confirm_kill(&mut pty);
    assert_ended(&pty, "was ended by SIGTERM");
    assert_eq!(stage.running(), [0; 0]);
    leave(pty);
}

#[test]
fn a_stop_that_has_failed_is_followed_by_sigkill_after_a_question() {
    let (stage, pid, mut pty) = stubborn("1s");
    shut_down(&mut pty);
    pty.wait_for("shutdown: still-answering after");
    assert_eq!(stage.running(), [pid]);
    pty.wait_for("K kills it");
    pty.keys("K");
    let question = pty.wait_for(">[ Cancel ]");
    for text in [
        "Kill api?",
        &format!("SIGTERM to pid {pid}"),
        &format!("gets SIGKILL: pid {pid} "),
    ] {
        assert!(question.contains(text), "{text}: {question}");
    }
    confirm_kill(&mut pty);
    pty.wait_for("shutdown: stopped after");
    assert_eq!(stage.running(), [0; 0]);
    leave(pty);
}

#[test]
fn a_restart_goes_on_after_its_stop_was_ended_by_sigkill() {
    let (stage, pid, mut pty) = stubborn("600s");
    pty.keys("r");
    pty.wait_for("Restart api?");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for(&format!("SIGTERM delivered to pid {pid}"));
    pty.keys("K");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("it is started again"), "{question}");
    confirm_kill(&mut pty);
    pty.wait_for("restart: restarted after");
    let [new] = stage.running()[..] else {
        panic!("one process runs: {:?}", stage.running());
    };
    assert_ne!(new, pid);
    leave(pty);
}

#[test]
fn a_question_that_outlives_its_stop_kills_nothing() {
    let (stage, pid, mut pty) = stubborn("8s");
    shut_down(&mut pty);
    pty.wait_for(&format!("SIGTERM delivered to pid {pid}"));
    pty.keys("K");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("Kill api?"), "{question}");
    wait_until("the end of the stop", || {
        let lines = audit(stage.scene());
        lines
            .iter()
            .any(|line| line["verdict"] == "still-answering")
    });
    confirm_kill(&mut pty);
    pty.wait_for("nothing was killed: its stop is over");
    assert_eq!(stage.running(), [pid]);
    pty.keys(ESC);
    pty.wait_without("Refused");
    leave(pty);
}

#[test]
fn a_stop_of_another_healthctl_can_be_killed_once_that_has_gone() {
    let (stage, pid, mut pty) = stubborn("600s");
    let mut other = begin(stage.scene(), "shutdown --yes api");
    other.until("SIGTERM delivered");
    shut_down(&mut pty);
    pty.wait_for("not done");
    other.kill();
    shut_down(&mut pty);
    pty.wait_for(&format!("SIGTERM delivered to pid {pid}"));
    pty.keys("K");
    pty.wait_for("Kill api?");
    pty.wait_for(">[ Cancel ]");
    confirm_kill(&mut pty);
    assert_ended(&pty, "was killed");
    assert_eq!(stage.running(), [0; 0]);
    leave(pty);
}

#[test]
fn a_stop_without_a_proved_process_has_nobody_to_kill() {
    let faulty = hidden("shutdown=drain");
    let scene = scene(&faulty, "");
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 1 healthy");
    shut_down(&mut pty);
    pty.wait_for("draining");
    pty.keys("K");
    pty.wait_for("none may be killed");
    pty.keys(ESC);
    pty.wait_without("Refused");
    // It is left while the stop waits.
    pty.keys("\u{3}");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn nothing_is_killed_that_nobody_has_asked_to_stop() {
    let (stage, pid, mut pty) = stubborn("1s");
    pty.keys("K");
    pty.wait_for("SIGKILL is for a stop that waits or has failed");
    pty.keys(ESC);
    pty.wait_without("Refused");
    assert_eq!(stage.running(), [pid]);
    leave(pty);
}

#[test]
fn a_process_that_is_not_proved_is_signalled_once_its_pid_was_typed() {
    const SERVER: &str = "exec python3 -m http.server --bind 127.0.0.1 \"$1\"\n";
    let (scene, port) = (Scene::new(), free_port());
    scene.write("serve.sh", SERVER);
    scene.write(
        "healthctl.yaml",
        &format!(
            "services:\n  api: {{profile: http, url: \"http://127.0.0.1:{port}\", start: {{command: [sh, serve.sh, \"{port}\"]}}}}\n"
        ),
    );
    let stage = Stage::of(scene);
    let mut command = Command::new("sh");
    command
        .args(["serve.sh", &port.to_string()])
        .current_dir(stage.scene().path())
        .env(MARK, stage.scene().path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut running = Running::start(&mut command).expect("it can be run");
    wait_for_port(port);
    let pid = running.pid();
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("X");
    pty.wait_for(&format!("type its pid, {pid}:"));
    // Another number does nothing, and closes nothing.
    pty.keys(&format!("1{ENTER}"));
    pty.wait_for_line(&["> 1"]);
    pty.wait_for("[ this is not its pid ]");
    pty.keys("\u{7f}");
    pty.keys(&pid.to_string());
    pty.wait_for(">[ Show what would be sent ]");
    assert_eq!(running.ended(), None);
    pty.keys(ENTER);
    let question = pty.wait_for(">[ Cancel ]");
    for text in [
        "Shut down api?",
        &format!("SIGTERM to pid {pid}"),
        "http.server",
    ] {
        assert!(question.contains(text), "{text}: {question}");
    }
    pty.keys("y");
    pty.wait_for("shutdown: stopped after");
    running.wait();
    leave(pty);
}

#[test]
fn a_service_that_closes_its_port_after_it_was_asked_drains_until_its_process_has_gone() {
    let (stage, pid, mut pty) = watched(&Startable::new("api", "schedule=close"));
    pty.keys("x");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for("schedule: accepted after");
    pty.wait_for_line(&["↓ draining", "api"]);
    // A stop that goes on can be ended, whoever waits for it.
    pty.keys("K");
    let question = pty.wait_for(">[ Cancel ]");
    let expected = format!("SIGTERM to pid {pid}");
    assert!(question.contains(&expected), "{question}");
    confirm_kill(&mut pty);
    pty.wait_for("shutdown: stopped after");
    pty.wait_for_line(&["■ stopped", "api"]);
    assert_eq!(stage.running(), [0; 0]);
    pty.keys("e");
    pty.wait_without("STATE");
    let events = pty.wait_for("healthy → draining");
    let changes: Vec<&str> = events.lines().filter(|line| line.contains(" → ")).collect();
    let [stopped, draining] = changes.as_slice() else {
        panic!("{events}");
    };
    assert!(stopped.contains("draining → stopped"), "{events}");
    assert!(draining.contains("healthy → draining"), "{events}");
    leave(pty);
}
