//! The question on a terminal: no is the default, and the name of a protected service has to be typed.

use super::*;
use crate::support::terminal::Pty;

/// Begins an action on a terminal that is wide enough for its lines.
fn on_terminal(scene: &Scene, words: &str) -> Pty {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    Pty::start(&scene.command(&words), 200, 40)
}

#[test]
fn the_question_shows_service_means_request_and_target_and_enter_is_no() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let mut terminal = on_terminal(&scene, "shutdown api");
    let screen = terminal.wait_for("shutdown api? [y/N]");
    for part in [
        "means    shutdown route (waits for the end)".to_owned(),
        format!(
            "request  POST http://127.0.0.1:{}/health/shutdown",
            faulty.port()
        ),
        format!(
            "target   127.0.0.1:{}, pid {} ",
            faulty.port(),
            faulty.pid()
        ),
    ] {
        assert!(screen.contains(&part), "{part}\n{screen}");
    }
    terminal.keys("\r");
    terminal.wait_for("api: refused: it was not confirmed");
    let ended = terminal.end();
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(faulty.asked(), 0);
    assert_eq!(audit(&scene)[0]["verdict"], "refused");
}

#[test]
fn the_answer_yes_carries_it_out() {
    let faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let mut terminal = on_terminal(&scene, "shutdown api");
    terminal.wait_for("[y/N]");
    terminal.keys("y\r");
    terminal.wait_for("api: stopped: ");
    assert_eq!(terminal.end().code, 0);
}

#[test]
fn a_protected_service_wants_its_name_typed() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "    protected: true\n");
    for (typed, code) in [("y", 4), ("api", 0)] {
        let mut terminal = on_terminal(&scene, "shutdown --yes api");
        terminal.wait_for("`api` is protected. Type its name to go on:");
        assert_eq!(faulty.asked(), 0);
        terminal.keys(&format!("{typed}\r"));
        let ended = terminal.end();
        assert_eq!(ended.code, code, "{ended:?}");
    }
}

#[test]
fn a_service_that_was_replaced_before_the_answer_is_left_alone() {
    let mut old = service("shared shutdown=exit");
    let scene = scene(&old, "");
    let mut terminal = on_terminal(&scene, "shutdown api");
    terminal.wait_for("[y/N]");
    let mut new = service(&format!("shared port={} shutdown=exit", old.port()));
    old.exit();
    terminal.keys("y\r");
    terminal.wait_for("it is not the process that was shown any more");
    let ended = terminal.end();
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(new.asked(), 0);
}

#[test]
fn a_service_that_stopped_before_the_answer_is_sent_nothing() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let mut terminal = on_terminal(&scene, "shutdown api");
    terminal.wait_for("[y/N]");
    faulty.exit();
    terminal.keys("y\r");
    terminal.wait_for("api: already-stopped: ");
    assert_eq!(terminal.end().code, 0);
}
