//! The audit file: a line before an action, a line after it, refusals too.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_line_before_and_a_line_after() {
    let faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    assert_ended(&run(&scene, "shutdown --yes api"), "stopped", 0);
    let lines = audit(&scene);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let request = format!("POST http://127.0.0.1:{}/health/shutdown", faulty.port());
    for line in &lines {
        assert_eq!(line["service"], "api");
        assert_eq!(line["action"], "shutdown");
        let sent = line["request"].as_str().expect("what was sent");
        assert!(sent.starts_with(&request), "{sent}");
        assert_eq!(line["before"]["pid"], faulty.pid());
        assert!(line["before"]["started_at"].is_string(), "{line}");
        assert!(
            line["actor"]
                .as_str()
                .is_some_and(|who| who.contains("uid"))
        );
        assert!(
            line["command"]
                .as_str()
                .is_some_and(|text| text.ends_with("shutdown --yes api"))
        );
    }
    assert_eq!(lines[0]["verdict"], Value::Null);
    assert_eq!(lines[0]["exit_code"], Value::Null);
    assert_eq!(lines[1]["verdict"], "stopped");
    assert_eq!(lines[1]["exit_code"], 0);
    assert_eq!(lines[1]["after"], Value::Null, "nobody answers any more");
    let path = scene.path().join("state/healthctl/audit.jsonl");
    let mode = std::fs::metadata(path).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn the_identity_that_still_answers_is_on_record() {
    let faulty = service("shutdown=stay");
    let scene = scene(&faulty, GOES_ON);
    run(&scene, "shutdown --yes api");
    let lines = audit(&scene);
    assert_eq!(lines[1]["verdict"], "still-answering");
    assert_eq!(lines[1]["exit_code"], 5);
    assert_eq!(
        lines[1]["after"]["started_at"],
        lines[1]["before"]["started_at"]
    );
}

#[test]
fn refusals_are_on_record() {
    let faulty = service("");
    let scene = scene(&faulty, "    protected: true\n");
    run(&scene, "shutdown --yes api");
    run(&scene, "--read-only shutdown --yes api");
    let lines = audit(&scene);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert_eq!(line["verdict"], "refused");
        assert_eq!(line["exit_code"], 4);
    }
    assert_eq!(lines[0]["before"]["pid"], faulty.pid());
}

#[test]
fn a_service_that_another_healthctl_acts_on_is_on_record_as_refused() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let file = gate.path().join("open");
    let [mut api, db] = [
        service(&format!("shutdown=gate gate={}", file.display())),
        service("shutdown=exit"),
    ];
    let entries = [entry("api", &api, ""), entry("db", &db, "")].concat();
    let scene = Scene::with_inventory(&format!("services:\n{entries}"));
    let mut first = begin(&scene, "shutdown --yes api");
    first.until("draining");
    let ran = run(&scene, "shutdown --yes api db");
    assert_eq!(ran.code, 4, "{ran:?}");
    let lines = audit(&scene);
    let refused = &lines[1..];
    assert_eq!(refused.len(), 2, "{lines:?}");
    for (line, (name, faulty)) in refused.iter().zip([("api", &api), ("db", &db)]) {
        assert_eq!(line["service"], name);
        assert_eq!(line["action"], "shutdown");
        assert_eq!(line["verdict"], "refused");
        assert_eq!(line["exit_code"], 4);
        assert_eq!(line["before"]["pid"], faulty.pid());
        let request = format!("POST http://127.0.0.1:{}/health/shutdown", faulty.port());
        let sent = line["request"].as_str().expect("what was sent");
        assert!(sent.starts_with(&request), "{sent}");
        let text = line["text"].as_str().expect("why");
        assert!(text.contains("another healthctl acts on it"), "{text}");
    }
    std::fs::write(&file, "").expect("the gate can be opened");
    assert_ended(&first.end(), "stopped", 0);
    assert!(!api.runs());
}

#[test]
fn an_action_that_cannot_be_recorded_is_refused() {
    let mut faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    scene.write("state", "a file where the directory should be");
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("audit"), "{ran:?}");
    assert!(ran.stderr.contains("--no-audit"), "{ran:?}");
    assert_eq!(faulty.asked(), 0);
    let ran = run(&scene, "shutdown --yes --no-audit api");
    assert_ended(&ran, "stopped", 0);
}

#[test]
fn no_secret_is_on_record_or_shown() {
    let mut faulty = service("shutdown=exit");
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: hephaestus\n    url: http://me:hunter2@127.0.0.1:{}\n",
        faulty.port()
    ));
    let ran = run(&scene, "shutdown --dry-run api");
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    let ran = run(&scene, "shutdown --yes api");
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    assert!(!faulty.runs());
    assert!(!format!("{:?}", audit(&scene)).contains("hunter2"));
}
