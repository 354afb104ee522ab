//! Shutdowns from the keyboard: asked, confirmed, followed to their proof.

use super::{dashboard, on_demo};
use crate::support::demo::Demo;
use crate::support::fake::Fake;
use crate::support::scene::Scene;
use crate::support::terminal::{ENTER, ESC, Pty, TAB};

/// A service that takes a shutdown and lives on.
fn stubborn() -> Fake {
    Fake::http(|_, _| {
        (
            200,
            r#"{"status":"healthy","start_time":"2026-11-22T09:00:00"}"#.to_owned(),
        )
    })
}

fn inventory(fake: &Fake, protected: bool) -> Scene {
    let yaml = format!(
        "services:\n  api:\n    profile: hephaestus\n    url: {}\n    protected: {protected}\n    actions:\n      \
         shutdown: {{http: {{method: POST, path: /health/shutdown}}, waits: true, timeout: 1s}}\n",
        fake.url()
    );
    Scene::with_inventory(&yaml)
}

fn posted(fake: &Fake) -> usize {
    fake.asked()
        .iter()
        .filter(|request| request.starts_with("POST"))
        .count()
}

/// Selects a row by its name.
fn select(pty: &mut Pty, name: &str) {
    pty.keys(&format!("/{name}{ENTER}"));
    pty.wait_for_line(&[">", name]);
}

#[test]
fn a_question_that_is_not_answered_with_yes_sends_nothing() {
    let fake = stubborn();
    let scene = inventory(&fake, false);
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 1 healthy");
    for key in ["x", "X"] {
        for answer in [ENTER, ESC, "n"] {
            pty.keys(key);
            let screen = pty.wait_for(">[ Cancel ]");
            let path = if key == "x" {
                "/health/shutdown/schedule"
            } else {
                "/health/shutdown"
            };
            assert!(screen.contains("service  api"), "{screen}");
            assert!(
                screen.contains(&format!("request  POST {}{path} ", fake.url())),
                "{screen}"
            );
            pty.keys(answer);
            pty.wait_without("[ Cancel ]");
        }
    }
    assert_eq!(posted(&fake), 0);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn a_service_that_accepts_a_shutdown_and_lives_on_is_reported_as_still_answering() {
    let fake = stubborn();
    let scene = inventory(&fake, false);
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("X");
    pty.wait_for(">[ Cancel ]");
    pty.keys(TAB);
    pty.wait_for(">[ Shut down ]");
    pty.keys(ENTER);
    pty.wait_for("shutdown: still-answering after");
    assert_eq!(posted(&fake), 1);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn a_protected_service_needs_its_name() {
    let fake = stubborn();
    let scene = inventory(&fake, true);
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("X");
    pty.wait_for("It is protected. Type its name, api");
    pty.keys("ap");
    pty.wait_for("> ap");
    pty.keys(TAB);
    pty.wait_for(">[ Shut down ]");
    pty.keys(ENTER);
    pty.keys("i");
    pty.wait_for("> api");
    assert_eq!(posted(&fake), 0);
    pty.keys(ENTER);
    pty.wait_for("shutdown: still-answering after");
    assert_eq!(posted(&fake), 1);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn read_only_has_no_keys_for_actions() {
    let fake = stubborn();
    let scene = inventory(&fake, false);
    let mut pty = dashboard(&scene, &["--read-only"]);
    let screen = pty.wait_for("✓ 1 healthy");
    assert!(!screen.contains("shut down"), "{screen}");
    assert!(!screen.contains("restart"), "{screen}");
    pty.keys("xXrSL ?");
    let screen = pty.wait_for("this help");
    for word in ["shut down", "restart", "start what", "reload", "mark or"] {
        assert!(!screen.contains(word), "{word}: {screen}");
    }
    pty.keys("qq");
    assert_eq!(pty.end().code, 0);
    assert_eq!(posted(&fake), 0);
}

#[test]
fn a_scheduled_shutdown_drains_and_stops() {
    let demo = Demo::start(&["--calm"]);
    let mut pty = on_demo(&demo, &[]);
    pty.wait_for("✓ 8 healthy");
    select(&mut pty, "orders");
    let work = demo.work("orders", 10_000);
    pty.keys("x");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for("schedule: accepted after");
    pty.wait_for_line(&["↓ draining", "orders"]);
    drop(work);
    pty.wait_for_line(&["■ stopped", "orders"]);
    pty.wait_for("■ 1 stopped  ✓ 7 healthy");
    pty.keys("q");
    let ended = pty.end();
    ended.assert_restored();
    assert_eq!(ended.code, 0);
}

#[test]
fn a_blocking_shutdown_ends_with_its_proof() {
    let demo = Demo::start(&["--calm"]);
    let mut pty = on_demo(&demo, &[]);
    pty.wait_for("✓ 8 healthy");
    for (name, evidence) in [
        ("search", "reply: "),
        ("control-plane", "SIGTERM delivered to pid "),
    ] {
        select(&mut pty, name);
        let pid = demo.pid(name);
        pty.keys("X");
        let question = pty.wait_for(">[ Cancel ]");
        assert!(question.contains(&format!("pid {pid}")), "{question}");
        pty.keys("y");
        pty.wait_for("shutdown: stopped after");
        pty.wait_for_line(&["■ stopped", name]);
        pty.keys(ENTER);
        // The events hold some of the evidence too, and of another service; only the detail view does without them.
        pty.wait_without("Events, newest first");
        pty.wait_for("shutdown: stopped after");
        let detail = pty.wait_for(evidence);
        assert!(detail.contains(&format!("pid {pid}")), "{detail}");
        pty.keys(ESC);
        pty.wait_for("Events, newest first");
    }
    // What has stopped already is told so, and nothing is asked.
    pty.keys("X");
    pty.wait_for("shutdown: already-stopped");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn a_reload_from_the_keyboard_is_confirmed_and_its_rejection_shown() {
    let fake = Fake::http(|method, _| match method {
        "POST" => (500, "line 3: no such adapter".to_owned()),
        _ => (200, r#"{"status":"healthy","uptime_seconds":5}"#.to_owned()),
    });
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: hephaestus\n    url: {}\n    actions: {{reload: {{http: /config/reload}}}}\n",
        fake.url()
    ));
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("L");
    let screen = pty.wait_for(">[ Cancel ]");
    let request = format!("request  POST {}/config/reload ", fake.url());
    assert!(screen.contains(&request), "{screen}");
    assert!(
        screen.contains("it reads its configuration again"),
        "{screen}"
    );
    assert_eq!(posted(&fake), 0);
    pty.keys("y");
    pty.wait_for("reload: reload-rejected after");
    assert_eq!(posted(&fake), 1);
    // The detail has the reason in full.
    pty.keys(ENTER);
    pty.wait_for("it keeps its old configuration:");
    pty.wait_for("line 3: no such adapter; pid");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}
