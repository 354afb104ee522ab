//! End to end: `check`, its formats, exit codes and waiting.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::fake::Fake;
use crate::support::process::free_port;
use crate::support::scene::{Ran, Scene};

fn healthy() -> Fake {
    Fake::http(|_, _| (200, r#"{"status":"healthy","version":"1.2.3"}"#.to_owned()))
}

fn answering(code: u16) -> Fake {
    Fake::http(move |_, _| (code, String::new()))
}

/// A scene with one service `api` of the profile `http` at this address.
fn scene(url: &str) -> Scene {
    Scene::with_inventory(&format!(
        "services:\n  api: {{profile: http, url: \"{url}\", timeout: 20s}}\n"
    ))
}

fn report(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn a_healthy_service_is_zero() {
    let fake = healthy();
    let ran = scene(&fake.url()).run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("✓ healthy"), "{ran:?}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn exit_codes_say_what_was_found() {
    for (code, expected) in [
        (204, 0),
        (404, 1),
        (405, 1),
        (500, 1),
        (503, 1),
        (401, 3),
        (403, 3),
    ] {
        let fake = answering(code);
        let scene = scene(&fake.url());
        let ran = scene.run(&["check", "--exit-code"]);
        assert_eq!(ran.code, expected, "{code}: {ran:?}");
        assert_eq!(
            scene.run(&["check"]).code,
            0,
            "without --exit-code a finished report is 0"
        );
    }
}

#[test]
fn nothing_listening_fails_with_the_reason_on_one_line() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let ran = scene(&url).run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let line = ran
        .stdout
        .lines()
        .find(|line| line.contains("connection refused"))
        .unwrap();
    assert!(line.contains("api") && line.contains("unhealthy"), "{line}");
}

#[test]
fn a_broken_inventory_is_two_with_the_line_marked() {
    let ran = Scene::with_inventory("services:\n  api: {profile: http, ulr: http://localhost}\n")
        .run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("healthctl.yaml:2:"), "{ran:?}");
    assert!(ran.stderr.contains("ulr: http://localhost"), "{ran:?}");
    assert!(ran.stderr.contains("did you mean `url`?"), "{ran:?}");
}

#[test]
fn the_worst_verdict_decides() {
    let (good, bad, closed) = (healthy(), answering(500), answering(403));
    let inventory = |names: &[(&str, &Fake)]| {
        let mut yaml = "defaults: {timeout: 20s}\nservices:\n".to_owned();
        for (name, fake) in names {
            let _ = writeln!(yaml, "  {name}: {{profile: http, url: \"{}\"}}", fake.url());
        }
        Scene::with_inventory(&yaml)
    };
    for (names, expected) in [
        (vec![("a", &good), ("b", &closed)], 3),
        (vec![("a", &good), ("b", &closed), ("c", &bad)], 1),
        (vec![("a", &good)], 0),
    ] {
        assert_eq!(
            inventory(&names).run(&["check", "--exit-code"]).code,
            expected,
            "{expected}"
        );
    }
}

#[test]
fn selectors_choose() {
    let (good, bad) = (healthy(), answering(500));
    let scene = Scene::with_inventory(&format!(
        "defaults: {{timeout: 20s}}\nservices:\n  api-1: {{profile: http, url: \"{0}\", group: web}}\n  api-2: {{profile: http, url: \"{1}\", labels: {{tier: back}}}}\n",
        good.url(),
        bad.url()
    ));
    for (selectors, names) in [
        (vec!["api-1"], vec!["api-1"]),
        (vec!["api-*"], vec!["api-1", "api-2"]),
        (vec!["group:web"], vec!["api-1"]),
        (vec!["tier=back"], vec!["api-2"]),
        (vec!["!group:web"], vec!["api-2"]),
        (vec!["state:unhealthy"], vec!["api-2"]),
        (vec!["state:draining"], vec![]),
        (vec!["api-1", "tier=back"], vec!["api-1", "api-2"]),
    ] {
        let mut words = vec!["check", "-o", "json"];
        words.extend(&selectors);
        let ran = scene.run(&words);
        assert_eq!(ran.code, 0, "{ran:?}");
        let report = report(&ran);
        let found: Vec<_> = report["services"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, names, "{selectors:?}");
    }
    let ran = scene.run(&["check", "apj-1"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("apj-1") && ran.stderr.contains("api-1"),
        "{ran:?}"
    );
}

#[test]
fn a_url_needs_no_inventory() {
    let fake = healthy();
    let scene = Scene::new();
    let ran = scene.run(&[
        "check",
        "--exit-code",
        "--timeout",
        "20s",
        "--url",
        &fake.url(),
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = scene.run(&[
        "check",
        "--exit-code",
        "--url",
        &fake.url(),
        "--profile",
        "nonsense",
    ]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn no_inventory_names_the_ways_on() {
    let ran = Scene::new().run(&["check"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for way in ["init", "--url", "demo"] {
        assert!(ran.stderr.contains(way), "{way}: {ran:?}");
    }
}

#[test]
fn one_run_writes_several_reports() {
    let fake = healthy();
    let scene = scene(&fake.url());
    let ran = scene.run(&["check", "-o", "table", "-o", "json=report.json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("SERVICE"), "{ran:?}");
    let text = std::fs::read_to_string(scene.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["verdict"], "pass");
    for (words, why) in [
        (
            vec!["check", "-o", "table", "-o", "json"],
            "only one format",
        ),
        (vec!["check", "-o", "junit"], "not supported yet"),
        (vec!["check", "-o", "jsno"], "expected"),
        (
            vec!["check", "-o", "json=/nonexistent/report.json"],
            "cannot write",
        ),
        (
            vec!["check", "--fail-on", "certificate"],
            "not supported yet",
        ),
        (
            vec!["check", "--fail-on", "unhealhty"],
            "did you mean `unhealthy`?",
        ),
        (vec!["check", "--wait", "5"], "did you mean `5s`?"),
        (vec!["check", "--wait", "1M"], "did you mean `1m`?"),
        (vec!["check", "--wait=soon"], "as in `1m 30s`"),
    ] {
        let ran = scene.run(&words);
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
        assert!(ran.stderr.contains(why), "{words:?}: {ran:?}");
    }
}

#[test]
fn a_report_that_nobody_takes_changes_neither_the_verdict_nor_the_others() {
    let fake = answering(500);
    let scene = scene(&fake.url());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let words = ["check", "--exit-code", "-o", "table", "-o", "json=a.json"];
    let ran = Ran::from(scene.command(&words).stdout(writer).output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:?}");
    assert!(scene.path().join("a.json").metadata().unwrap().len() > 0);

    let full = std::fs::File::options().write(true).open("/dev/full");
    let words = ["check", "--exit-code", "-o", "table", "-o", "json=b.json"];
    let ran = Ran::from(
        scene
            .command(&words)
            .stdout(full.unwrap())
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("cannot write the output"), "{ran:?}");
    assert!(scene.path().join("b.json").metadata().unwrap().len() > 0);
}

#[test]
fn a_dash_is_standard_output() {
    let fake = healthy();
    let scene = scene(&fake.url());
    let ran = scene.run(&["check", "-o", "json=-"]);
    assert_eq!(report(&ran)["verdict"], "pass");
    assert!(!scene.path().join("-").exists());
    let ran = scene.run(&["check", "-o", "json=-", "-o", "table"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn waiting_ends_when_all_is_well() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fake = Fake::http(move |_, _| {
        let before = count.fetch_add(1, Ordering::SeqCst);
        (if before < 2 { 503 } else { 200 }, String::new())
    });
    let ran = scene(&fake.url()).run(&["check", "--wait", "60s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(asked.load(Ordering::SeqCst) >= 3);
}

#[test]
fn waiting_in_vain_is_a_deadline_with_a_report() {
    let fake = answering(503);
    let ran = scene(&fake.url()).run(&["check", "--wait", "3s"]);
    assert_eq!(ran.code, 124, "{ran:?}");
    assert!(ran.stdout.contains("503"), "{ran:?}");
}

#[test]
fn machine_output_is_alone_on_stdout_and_without_colour() {
    let fake = answering(500);
    let ran = scene(&fake.url()).run(&["check", "-o", "json", "--color", "always"]);
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
    let service = &report(&ran)["services"][0];
    assert_eq!(service["state"], "unhealthy");
    assert_eq!(service["probes"][0]["failure"]["kind"], "status");
    assert_eq!(service["probes"][0]["result"], "fail");
}
