//! States: what a service is called, and from when on.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::acting::Acting;
use crate::support::fake::Fake;
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::{Ran, Scene};
use crate::support::started::Scripted;
use crate::support::terminal::{ENTER, Pty, TAB};
use crate::support::waiting::wait_until;
use crate::support::watching::Watching;

/// The report of `check` on one service, of this entry, whose every route answers 200 with this body.
fn check(entry: &str, body: &str) -> (Value, i32) {
    let body = body.to_owned();
    let fake = Fake::http(move |_, _| (200, body.clone()));
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    url: {}\n    {}\n",
        fake.url(),
        entry.replace('\n', "\n    ")
    ));
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    (api(&ran), ran.code)
}

/// The first service of a report.
fn api(ran: &Ran) -> Value {
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    report["services"][0].clone()
}

/// What [`check`] finds: the state, the exit code and a part of the first reason, which may be empty.
#[track_caller]
fn assert_state(entry: &str, body: &str, state: &str, code: i32, why: &str) {
    let (service, exit) = check(entry, body);
    assert_eq!(service["state"], state, "{body}: {service:#}");
    assert_eq!(exit, code, "{body}: {service:#}");
    let reasons = service["reasons"].to_string();
    assert!(reasons.contains(why), "{body}: {reasons}");
}

/// A probe that reads a status word and components.
const COMPONENTS: &str =
    "probes: {status: {http: /, decode: {status: /status, dependencies: {at: /components}}}}";

#[test]
fn c5_its_own_word_stands_where_no_dependency_is_known() {
    let body = r#"{"status": "healthy", "components": {"db": {"status": "unknown"}, "mq": {}}}"#;
    assert_state(COMPONENTS, body, "healthy", 0, "");
    // A syncer whose own word passes over what nobody has checked yet.
    let body =
        r#"{"Status": "Healthy", "Components": {"sync": {"Name": "sync", "Status": "Unknown"}}}"#;
    assert_state(
        "profile: kcp-syncer",
        body,
        "unknown",
        3,
        "no dependency is known",
    );
}

#[test]
fn c6_a_required_dependency_without_a_table_is_not_reported() {
    let entry = format!("required: [database]\n{COMPONENTS}");
    let why = "dependency database: not reported";
    assert_state(&entry, r#"{"status": "healthy"}"#, "unknown", 3, why);
    let body = r#"{"status": "healthy", "components": {}}"#;
    assert_state(&entry, body, "unknown", 3, why);
    let body = r#"{"status": "healthy", "components": {"database": {"status": "up"}}}"#;
    assert_state(&entry, body, "healthy", 0, "");
}

#[test]
fn c6_a_required_dependency_that_nothing_can_report_is_a_mistake() {
    for entry in [
        "{url: \"http://127.0.0.1:9\", profile: http, required: [database]}",
        "{required: [database], probes: {live: {tcp: \"127.0.0.1:9\"}}}",
        "{url: \"http://127.0.0.1:9\", required: [database], probes: {status: {http: /, decode: {status: /s}}}}",
    ] {
        let scene = Scene::with_inventory(&format!("services:\n  api: {entry}\n"));
        let ran = scene.run(&["validate"]);
        assert_eq!(ran.code, 2, "{entry}: {ran:?}");
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            told.contains("no probe of the service tells of its dependencies"),
            "{told}"
        );
    }
}

#[test]
fn c7_a_rule_on_a_name_holds_for_every_entry_of_it() {
    let decode = "decode: {status: /status, dependencies: {at: /checks}}";
    let entry = format!("required: [db]\nprobes: {{status: {{http: /, {decode}}}}}");
    for body in [
        r#"{"status": "up", "checks": [{"name": "db", "status": "UP"}, {"name": "db", "status": "DOWN"}]}"#,
        r#"{"status": "up", "checks": [{"name": "db", "status": "DOWN"}, {"name": "db", "status": "UP"}]}"#,
        r#"{"status": "up", "checks": {"db": {"status": "UP"}, "db": {"status": "DOWN"}}}"#,
        r#"{"status": "up", "checks": {"db": {"status": "DOWN"}, "mq": {"status": "UP"}, "db": {"status": "UP"}}}"#,
    ] {
        assert_state(&entry, body, "unhealthy", 1, "dependency db");
    }
}

#[test]
fn c8_a_heartbeat_that_cannot_be_read_is_not_never() {
    let decode = "decode: {heartbeat: {at: /last_seen, fresh_for: 10s}}";
    let entry = format!("probes: {{status: {{http: /, {decode}}}}}");
    let body = r#"{"last_seen": "yesterday"}"#;
    assert_state(&entry, body, "unknown", 3, "`yesterday`");
}

#[test]
fn c9_the_vocabulary_stands_behind_the_words_of_a_profile() {
    let body = r#"{"status": "unhealthy"}"#;
    assert_state(
        "profile: hephaestus",
        body,
        "unhealthy",
        1,
        "reports `unhealthy`",
    );
    let words = |words: &str| {
        format!(
            "probes: {{status: {{http: /, decode: {{status: {{at: /s, words: {{{words}}}}}}}}}}}"
        )
    };
    assert_state(
        &words("healthy: [fine]"),
        r#"{"s": "DEGRADED"}"#,
        "degraded",
        1,
        "",
    );
    assert_state(
        &words("degraded: [ok]"),
        r#"{"s": "ok"}"#,
        "degraded",
        1,
        "",
    );
    let only = words("only: true, healthy: [fine]");
    assert_state(&only, r#"{"s": "degraded"}"#, "unknown", 3, "`degraded`");
    assert_state(&only, r#"{"s": "fine"}"#, "healthy", 0, "");
}

#[test]
fn a_neighbour_no_word_and_no_dependency_known_is_unknown() {
    let entry = "probes: {status: {http: /, decode: {dependencies: {at: /components}}}}";
    let body = r#"{"components": {"db": {"status": "unknown"}}}"#;
    assert_state(entry, body, "unknown", 3, "no dependency is known");
    let body = r#"{"components": {"db": {"status": "unknown"}, "mq": {"status": "up"}}}"#;
    assert_state(entry, body, "healthy", 0, "");
    // An unknown word is no word of its own.
    let body = r#"{"status": "banana", "components": {"db": {"status": "unknown"}}}"#;
    assert_state(COMPONENTS, body, "unknown", 3, "banana");
}

#[test]
fn a_neighbour_nested_entries_of_one_name_count_all() {
    let decode =
        "decode: {status: /status, dependencies: {at: /components, recurse: [/components]}}";
    let entry = format!("required: [store/db]\nprobes: {{status: {{http: /, {decode}}}}}");
    let body = r#"{"status": "up", "components": {"store": {"status": "up",
        "components": {"db": {"status": "down"}, "db": {"status": "up"}}}}}"#;
    assert_state(&entry, body, "unhealthy", 1, "dependency store/db");
}

#[test]
fn a_neighbour_the_last_of_several_equal_keys_is_the_value() {
    let entry = "probes: {status: {http: /, decode: {status: /status, version: /version}}}";
    let body = r#"{"status": "down", "version": "1", "status": "up", "version": "2"}"#;
    let (service, code) = check(entry, body);
    assert_eq!((service["state"].as_str(), code), (Some("healthy"), 0));
    assert_eq!(service["version"], "2");
}

#[test]
fn a_neighbour_the_heartbeat_of_one_agent_that_cannot_be_read_is_its_own_matter() {
    let agents = |seen: &str| {
        format!(
            r#"{{"agents": [{{"agent_id": "one", "status": "running", "last_heartbeat": {seen}}},
            {{"agent_id": "two", "status": "running", "last_heartbeat": "2999-01-01T00:00:00Z"}}]}}"#
        )
    };
    let required = "profile: edge-agent\nrequired: [one]";
    for seen in ["\"yesterday\"", "true", "[]", "\"12:30\""] {
        let (service, _) = check("profile: edge-agent", &agents(seen));
        assert_eq!(service["state"], "healthy", "{seen}: {service:#}");
        assert_eq!(
            service["dependencies"][0]["status"], "unknown",
            "{seen}: {service:#}"
        );
        let quoted = seen.trim_matches('"');
        assert_state(required, &agents(seen), "unknown", 3, quoted);
    }
    // What was never is no mistake.
    for seen in ["null", "\"never\"", "\"0001-01-01T00:00:00Z\""] {
        let (service, _) = check("profile: edge-agent", &agents(seen));
        assert_eq!(
            service["dependencies"][0]["status"], "working",
            "{seen}: {service:#}"
        );
    }
}

/// Runs the words to their end, which has to be good.
#[track_caller]
fn done(scene: &Scene, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let ran = scene.run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// The state, exit code and reasons that a check from another terminal gives.
fn checked(scene: &Scene) -> (String, i32, String) {
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    let service = api(&ran);
    let state = service["state"].as_str().unwrap_or_default().to_owned();
    (state, ran.code, service["reasons"].to_string())
}

#[test]
fn c1_what_was_shut_down_on_purpose_is_stopped_in_every_terminal() {
    let service = Scripted::new("", "");
    let scene = service.scene();
    done(scene, "start --yes api");
    done(scene, "shutdown --yes api");
    let (state, code, why) = checked(scene);
    assert_eq!((state.as_str(), code), ("stopped", 1), "{why}");
    assert!(why.contains("shut down on purpose"), "{why}");
    let mut watching = Watching::start(scene, &[]);
    watching.until_state("api", "stopped");
    done(scene, "start --yes api");
    watching.until_state("api", "healthy");
    done(scene, "shutdown --yes api");
}

#[test]
fn c1_what_was_started_and_still_boots_is_starting() {
    let service = Scripted::new("boot", "");
    let scene = service.scene();
    let mut start = Acting::start(scene.command(&["start", "--yes", "api"]));
    start.until("started");
    let (state, code, why) = checked(scene);
    assert_eq!((state.as_str(), code), ("starting", 3), "{why}");
    assert!(why.contains("was started"), "{why}");
    service.release("boot");
    let ran = start.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(checked(scene).0, "healthy");
    done(scene, "shutdown --yes api");
}

/// A dashboard with automatic restart switched on.
fn with_automatic_restart(scene: &Scene) -> Pty {
    let mut dashboard = Pty::start(scene.command(&["watch"]).env("TZ", "UTC"), 120, 30);
    dashboard.wait_for("api");
    dashboard.keys("a");
    dashboard.wait_for("automatic restart on");
    dashboard
}

#[test]
fn c2_nothing_automatic_happens_inside_the_start_period() {
    let asked = AtomicUsize::new(0);
    let fake = Fake::http(move |_, _| {
        let code = if asked.fetch_add(1, Ordering::SeqCst) < 200 {
            503
        } else {
            200
        };
        (code, String::new())
    });
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    {{profile: http, url: \"{}\", interval: 20ms, retries: 2, start_period: 24h, \
         restart_on: [unhealthy], actions: {{restart: {{exec: [touch, restarted]}}}}}}\n",
        fake.url()
    ));
    let mut watching = Watching::start(&scene, &[]);
    watching.until_state("api", "starting");
    let dashboard = with_automatic_restart(&scene);
    let passed = watching.until(|change| change["state"] == "healthy");
    let states: Vec<&Value> = passed.iter().map(|change| &change["state"]).collect();
    assert!(
        !states.iter().any(|state| **state == "unhealthy"),
        "{states:?}"
    );
    dashboard.wait_for("✓ 1 healthy");
    assert!(!scene.path().join("restarted").exists());
}

#[test]
fn c2_the_start_of_the_process_is_known_to_a_check() {
    let service = Scripted::new("refuse", "start_period: 24h");
    let _running = Running::start(&mut service.by_hand(&["refuse"])).expect("python3 can be run");
    wait_for_port(service.port());
    let (state, code, why) = checked(service.scene());
    assert_eq!((state.as_str(), code), ("starting", 3), "{why}");
    service.scene().write("ready", "");
    assert_eq!(checked(service.scene()).0, "healthy");
}

#[test]
fn c2_the_start_period_of_a_command_counts_from_the_beginning() {
    let scene = Scene::new();
    let words = [
        "--cmd",
        "test -e here",
        "--interval",
        "20ms",
        "--start-period",
        "24h",
    ];
    let mut watching = Watching::start(&scene, &words);
    let change = watching
        .until(|change| change["probes"][0]["result"] == "fail")
        .pop()
        .unwrap();
    assert_eq!(change["state"], "starting", "{change:#}");
    scene.write("here", "");
    watching.until(|change| change["state"] == "healthy");
    std::fs::remove_file(scene.path().join("here")).unwrap();
    // The start period has ended with the first success.
    watching.until(|change| change["state"] == "unhealthy");
}

#[test]
fn a_neighbour_one_failure_after_the_start_period_restarts_nothing() {
    // The threshold is out of reach, whatever is shown after the first answer.
    let fake = Fake::http(|_, _| (503, String::new()));
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    {{profile: http, url: \"{}\", interval: 20ms, retries: 1000000, \
         restart_on: [unhealthy], actions: {{restart: {{exec: [touch, restarted]}}}}, \
         on_change: {{exec: [touch, changed]}}}}\n",
        fake.url()
    ));
    let dashboard = with_automatic_restart(&scene);
    dashboard.wait_for("✗ unhealthy");
    wait_until("50 requests", || fake.asked().len() >= 50);
    assert!(!scene.path().join("restarted").exists());
    assert!(!scene.path().join("changed").exists());
}

#[test]
fn c10_what_was_never_started_is_stopped() {
    let service = Scripted::new("", "");
    let (state, code, why) = checked(service.scene());
    assert_eq!((state.as_str(), code), ("stopped", 1), "{why}");
    assert!(
        why.contains("not running; healthctl has not started it"),
        "{why}"
    );
    let mut watching = Watching::start(service.scene(), &[]);
    watching.until_state("api", "stopped");
    // Somebody starts it by hand.
    let running = Running::start(&mut service.by_hand(&[])).expect("python3 can be run");
    watching.until_state("api", "healthy");
    // What has answered once and is silent has not stopped on purpose.
    drop(running);
    watching.until_state("api", "unhealthy");
}

#[test]
fn c10_what_a_supervisor_starts_is_unhealthy() {
    let service = Scripted::new("", "supervised: true");
    let (state, code, _) = checked(service.scene());
    assert_eq!((state.as_str(), code), ("unhealthy", 1));
}

#[test]
fn a_neighbour_what_listens_elsewhere_or_cannot_be_started_is_unhealthy() {
    let port = free_port();
    for entry in [
        format!("{{profile: http, url: \"http://127.0.0.1:{port}\"}}"),
        format!(
            "{{profile: http, url: \"http://somewhere.invalid:{port}\", start: {{command: [x]}}}}"
        ),
    ] {
        let scene = Scene::with_inventory(&format!("services:\n  api: {entry}\n"));
        assert_eq!(checked(&scene).0, "unhealthy", "{entry}");
    }
}

#[test]
fn a_neighbour_stopped_services_count_as_the_inventory_says() {
    for (policy, code) in [("fail", 1), ("warn", 0), ("pass", 0)] {
        let service = Scripted::new("", &format!("stopped: {policy}"));
        let (state, found, why) = checked(service.scene());
        assert_eq!(
            (state.as_str(), found),
            ("stopped", code),
            "{policy}: {why}"
        );
    }
}

#[test]
fn k8_a_stop_from_another_terminal_is_no_failure() {
    // At an interval of 50 ms a busy machine is not looked at before three failures.
    let service = Scripted::new("", "failure_threshold: 1000");
    let scene = service.scene();
    done(scene, "start --yes api");
    let mut watching = Watching::start(scene, &[]);
    watching.until_state("api", "healthy");
    done(scene, "shutdown --yes api");
    let passed =
        watching.until(|change| change["state"] == "stopped" || change["state"] == "unhealthy");
    let mut states = passed.iter().map(|change| &change["state"]);
    assert!(!states.any(|state| *state == "unhealthy"), "{passed:#?}");
}

#[test]
fn k8_neighbour_a_service_that_was_shut_down_before_was_not_unhealthy() {
    let service = Scripted::new("", "failure_threshold: 1");
    let scene = service.scene();
    done(scene, "start --yes api");
    done(scene, "shutdown --yes api");
    let mut watching = Watching::start(scene, &[]);
    let passed = watching.until(|change| change["state"] == "stopped");
    let states: Vec<&Value> = passed.iter().map(|change| &change["state"]).collect();
    assert!(
        !states.iter().any(|state| **state == "unhealthy"),
        "{states:?}"
    );
}

#[test]
fn k3_a_service_drains_until_its_process_has_gone() {
    let service = Scripted::new("linger", "");
    let scene = service.scene();
    done(scene, "start --yes api");
    let mut dashboard = Pty::start(scene.command(&["watch"]).env("TZ", "UTC"), 120, 30);
    dashboard.wait_for("✓ 1 healthy");
    dashboard.keys("x");
    dashboard.wait_for(">[ Cancel ]");
    dashboard.keys(TAB);
    dashboard.wait_without(">[ Cancel ]");
    dashboard.keys(ENTER);
    dashboard.wait_for("its process still runs");
    dashboard.wait_for("↓ draining");
    service.release("end");
    dashboard.wait_for("■ stopped");
    dashboard.keys("q");
    assert_eq!(dashboard.end().code, 0);
}

#[test]
fn a_neighbour_a_scheduled_shutdown_of_a_process_that_nobody_started_drains_too() {
    let service = Scripted::new("linger", "");
    let scene = service.scene();
    let mut running =
        Running::start(&mut service.by_hand(&["linger"])).expect("python3 can be run");
    wait_for_port(service.port());
    let mut watching = Watching::start(scene, &[]);
    watching.until(|change| change["state"] == "healthy");
    done(scene, "shutdown --schedule --yes api");
    let change = watching.until_state("api", "draining");
    assert!(
        change["reasons"]
            .to_string()
            .contains("its process still runs"),
        "{change:#}"
    );
    service.release("end");
    running.wait();
    watching.until_state("api", "stopped");
}
