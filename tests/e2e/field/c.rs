//! States: what a service is called, and from when on.

use serde_json::Value;

use crate::support::fake::Fake;
use crate::support::scene::{Ran, Scene};

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
