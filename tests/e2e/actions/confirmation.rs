//! Confirmation and refusals: one refused target refuses the whole plan, and then nothing was sent.

use super::*;

/// Asserts that it was refused and that nothing was sent.
#[track_caller]
fn assert_refused(faulty: &mut FaultyService, ran: &Ran, reason: &str) {
    assert_ended(ran, "refused", 4);
    assert!(ran.stdout.contains(reason), "{ran:?}");
    assert!(
        ran.stderr.contains("nothing was sent to any service"),
        "{ran:?}"
    );
    assert_eq!(faulty.asked(), 0);
}

#[test]
fn without_a_terminal_an_action_wants_yes() {
    let mut faulty = service("shutdown=exit");
    let ran = run(&scene(&faulty, ""), "shutdown api");
    assert_refused(&mut faulty, &ran, "not confirmed");
    assert!(ran.stderr.contains("hint: `--yes` confirms it"), "{ran:?}");
}

#[test]
fn consent_does_not_come_from_the_environment() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let mut command = scene.command(&["shutdown", "api"]);
    command
        .env("HEALTHCTL_YES", "1")
        .env("HEALTHCTL_CONFIRM", "api")
        .env("HEALTHCTL_ALL", "1");
    let ran = Ran::of(&mut command);
    assert_refused(&mut faulty, &ran, "not confirmed");
}

#[test]
fn a_protected_service_wants_its_name() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "    protected: true\n");
    let ran = run(&scene, "shutdown --yes api");
    assert_refused(&mut faulty, &ran, "protected");
    let ran = run(&scene, "shutdown --confirm api api");
    assert_ended(&ran, "stopped", 0);
}

#[test]
fn read_only_refuses_everything() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let ran = run(&scene, "--read-only shutdown --yes --confirm api api");
    assert_refused(&mut faulty, &ran, "read-only");
    let mut command = scene.command(&["shutdown", "--yes", "api"]);
    command.env("HEALTHCTL_READ_ONLY", "1");
    let ran = Ran::of(&mut command);
    assert_refused(&mut faulty, &ran, "read-only");
}

#[test]
fn a_dry_run_shows_the_exact_request_and_sends_nothing() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "    protected: true\n");
    let ran = run(&scene, "shutdown --dry-run api");
    assert_eq!(ran.code, 0, "{ran:?}");
    let request = format!("POST http://127.0.0.1:{}/health/shutdown; ", faulty.port());
    assert!(ran.stdout.contains(&request), "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("pid {}", faulty.pid())),
        "{ran:?}"
    );
    assert_eq!(faulty.asked(), 0);
    assert!(audit(&scene).is_empty(), "nothing was done");
}

#[test]
fn one_refused_target_refuses_the_whole_plan() {
    let mut api = service("shutdown=exit");
    let mut db = service("shutdown=exit");
    let scene = Scene::with_inventory(&format!(
        "services:\n{}{}",
        entry("api", &api, ""),
        entry("db", &db, "    protected: true\n"),
    ));
    let ran = run(&scene, "shutdown --yes --all");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.starts_with("db: refused: "), "{ran:?}");
    assert_eq!((api.asked(), db.asked()), (0, 0));
}

#[test]
fn an_action_wants_a_selector() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    for words in [
        "shutdown --yes",
        "shutdown --yes --all api",
        "shutdown --yes nobody",
        "shutdown --yes --confirm nobody api",
        "shutdown --yes --timeout 5 api",
        "shutdown --yes --timeout 0s api",
    ] {
        let ran = run(&scene, words);
        assert_eq!(ran.code, 2, "{words}: {ran:?}");
        assert_eq!(ran.stdout, "", "{words}");
    }
    assert_eq!(faulty.asked(), 0);
}
