//! `kcp-syncer`: a Go struct without tags on the wire, and a lease that proves more than its own heartbeat field.

use std::time::Duration;

use healthctl_service::kcp_syncer::CHECK_TIMEOUT;
use healthctl_service::lease::LeaseSettings;
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::cluster::Cluster;
use self::syncer::Syncer;
use super::{Fleet, assert_is, dependency};
use crate::support::fake::Fake;
use crate::support::scene::Scene;
use crate::support::terminal::{ENTER, Pty};
use crate::support::waiting::{LIMIT, ask_until, until};

mod cluster;
#[path = "../../src/demo/services/leases.rs"]
mod leases;
mod syncer;

const NOT_LIVE: &str = "live: answered 503 Service Unavailable, expected 200-299";
const NOT_READY: &str = "ready: answered 503 Service Unavailable, expected 200-299";
const LEASE: &str = "GET /apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";

#[test]
fn an_instance_of_the_demo_is_watched_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("syncer syncer-lease");
    let well = watching.until_state("syncer", "healthy");
    assert_eq!(well["ready"], true);
    assert_eq!(well["dependencies"].as_array().map(Vec::len), Some(11));

    // Live while it is degraded, ready only while it is healthy.
    fleet.inject_fault("syncer", "queue");
    watching.until_state("syncer", "unready");
    let reason = "dependency queue: degraded: queue depth 412, limit 100";
    let reasons = json!([NOT_READY, reason]);
    let found = ask_until(
        || fleet.check("syncer"),
        |found| found["reasons"] == reasons,
    );
    assert_is(&found, "unready", &[NOT_READY, reason], &[]);
    fleet.inject_fault("syncer", "upstream");
    watching.until_state("syncer", "unhealthy");
    let found = fleet.check("syncer");
    let listed = found["reasons"].as_array().expect("a list").clone();
    for reason in [
        NOT_LIVE,
        "status: reports `Unhealthy`",
        "dependency upstream: error: connection refused",
        reason,
    ] {
        assert!(listed.contains(&json!(reason)), "{found}");
    }
    for component in ["queue", "upstream"] {
        fleet.mend("syncer", component);
    }
    watching.until_state("syncer", "healthy");

    let ran = fleet.run("reload --yes syncer");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    fleet.stop("syncer");
    let ends =
        watching.until(|change| change["name"] == "syncer-lease" && change["state"] == "stopped");
    assert_eq!(
        ends.last().unwrap()["reasons"],
        json!(["on purpose: the last beat said that it was shutting down"])
    );
}

#[test]
fn components_are_checked_in_parallel_and_one_that_hangs_delays_no_other() {
    let fleet = Fleet::start();
    fleet.inject_fault("syncer", "webhook");
    let found = fleet.check("syncer");
    let others = found["dependencies"].as_array().expect("a list").iter();
    let working = others.filter(|dependency| dependency["status"] == "working");
    assert_eq!(working.count(), 10, "{found}");
    assert_eq!(
        dependency(&found, "webhook")["error"],
        "timed out after 300ms"
    );

    // The other one is checked again and again while one attempt at the one that hangs lasts.
    let scene = Scene::new();
    scene.write("rbac", "healthy");
    scene.write("webhook", "hangs");
    let syncer = Syncer::start_in(scene, &json!({"components": ["webhook", "rbac"]}));
    // One after the other they would come to nearly the same number.
    let attempts = || (syncer.attempts("rbac"), syncer.attempts("webhook"));
    ask_until(attempts, |(rbac, webhook)| *rbac >= (*webhook + 1.0) * 10.0);
}

#[test]
fn three_renewals_missed_in_a_row_are_a_failure() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("syncer-lease");
    watching.until_state("syncer-lease", "healthy");
    fleet.inject_fault("syncer", "lease");
    let changes = watching.until(|change| change["state"] != "healthy");
    let lost = changes.last().unwrap();
    let reason = lost["reasons"][0].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("status: missed 3, no beat since 20"),
        "{lost}"
    );
    assert_eq!(
        (&lost["state"], &lost["flags"]),
        (&json!("unhealthy"), &json!([]))
    );
    // The lease client of the kit feeds `LastHeartbeat`, which has stopped too.
    let report = fleet.demo.ask("syncer", "GET /health/report").json();
    let heartbeat: Timestamp = report["LastHeartbeat"].as_str().unwrap().parse().unwrap();
    let renewed = fleet.demo.ask("control-plane", LEASE).json();
    let renewed: Timestamp = renewed["spec"]["renewTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(heartbeat <= renewed, "{heartbeat} {renewed}");
    fleet.mend("syncer", "lease");
    watching.until_state("syncer-lease", "healthy");
}

#[test]
fn a_takeover_by_another_holder_is_shown_and_is_no_failure() {
    let fleet = Fleet::start();
    let mut pty = Pty::start(&fleet.command("watch syncer-lease"), 120, 40);
    pty.wait_for("✓ 1 healthy");
    pty.keys(ENTER);
    pty.wait_for("syncer-0");
    fleet.inject_fault("syncer", "holder");
    let screen = pty.wait_for("taken over by syncer-1 from syncer-0");
    assert!(screen.contains("✓ healthy"), "{screen}");
    let lease = fleet.demo.ask("control-plane", LEASE).json();
    assert!(lease["spec"]["leaseTransitions"].as_u64() >= Some(1));
    assert_is(&fleet.check("syncer-lease"), "healthy", &[], &[]);
}

/// Returns the state of a lease of 30 s that was renewed so many seconds ago, by the `lease` probe of the profile.
fn with_lease(ago: i64) -> Value {
    let renewed = Timestamp::now() - SignedDuration::from_secs(ago);
    let fake = Fake::http(move |_, path| match path {
        "/lease" => {
            let spec = json!({"renewTime": renewed.to_string(), "holderIdentity": "a", "leaseDurationSeconds": 30});
            (200, json!({"kind": "Lease", "spec": spec}).to_string())
        }
        "/health/report" => (
            200,
            json!({"Status": "Healthy", "Components": {"a": {"Status": "Healthy"}}}).to_string(),
        ),
        _ => (200, "ok".to_owned()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services:\n  syncer: {{profile: kcp-syncer, url: '{url}', probes: {{lease: {{http: /lease}}}}}}\n"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    report["services"][0].clone()
}

#[test]
fn a_renewal_older_than_30_s_is_a_missed_one_and_three_are_a_failure() {
    // Nine seconds before the next edge: the test may take that long.
    for (ago, state, missed) in [
        (5, "healthy", 0),
        (31, "healthy", 1),
        (41, "healthy", 2),
        (51, "unhealthy", 3),
    ] {
        let found = with_lease(ago);
        assert_eq!(found["state"], state, "{ago}: {found}");
        let listed = if missed == 3 {
            &found["reasons"]
        } else {
            &found["notes"]
        };
        let listed = listed.as_array().expect("a list");
        if missed == 0 {
            assert!(listed.is_empty(), "{found}");
        } else {
            let expected = format!("lease: missed {missed}, no beat since 20");
            assert!(
                listed[0].as_str().unwrap().starts_with(&expected),
                "{found}"
            );
        }
    }
}

#[test]
fn uptime_and_latency_are_nanoseconds() {
    let fleet = Fleet::start();
    fleet.inject_fault("syncer", "rbac");
    let report = fleet.demo.ask("syncer", "GET /health/report").json();
    assert!(report["Uptime"].as_u64() > Some(1_000_000), "{report}");
    assert_eq!(report["Components"]["rbac"]["Error"], json!({}));
    let figure = |service: &Value| service["resources"]["latency_seconds"].as_f64();
    // It has rates once the first whole second has passed.
    let found = ask_until(|| fleet.check("syncer"), |found| figure(found) > Some(0.0));
    let uptime = found["uptime_seconds"].as_f64().expect("a number");
    assert!(uptime < 3600.0, "{found}");
    assert!(found["started_at"].is_string(), "{found}");
    let latency = figure(&found);
    assert!(latency >= Some(0.04) && latency < Some(60.0), "{found}");
    assert_eq!(
        found["version"],
        json!(null),
        "a constant identifies nothing"
    );
    assert_eq!(
        dependency(&found, "rbac")["error"],
        "forbidden: cannot list secrets"
    );
}

/// The service ignores components that were never checked, and reports the rest as Healthy.
#[test]
fn components_that_are_unknown_are_ignored_so_healthctl_shows_unknown_where_all_are() {
    let fleet = Fleet::start();
    fleet.inject_fault("syncer", "checks");
    let report = fleet.demo.ask("syncer", "GET /health/report").json();
    assert_eq!(report["Status"], "Healthy");
    let found = ask_until(
        || fleet.check("syncer"),
        |found| found["state"] == "unknown",
    );
    assert_is(
        &found,
        "unknown",
        &["status: the state of no dependency is known"],
        &[],
    );
    let ran = fleet.run("check --exit-code syncer");
    assert_eq!(ran.code, 3, "{ran:?}");
}

const REPORT: &str = "GET /health/report";

fn keys(value: &Value) -> Vec<&str> {
    let map = value.as_object().expect("an object");
    map.keys().map(String::as_str).collect()
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time is text");
    text.parse().expect("a time is RFC 3339")
}

#[test]
fn the_status_is_healthy_degraded_unhealthy_or_unknown() {
    let syncer = Syncer::with_components(&["rbac"]);
    for (state, status) in [
        ("healthy", "Healthy"),
        ("degraded slow", "Degraded"),
        ("unhealthy refused", "Unhealthy"),
    ] {
        syncer.set("rbac", state);
        let report = syncer.until_status(status);
        assert_eq!(report["Components"]["rbac"]["Status"], status);
    }
    syncer.set("rbac", "unknown");
    syncer.until(|report| report["Components"]["rbac"]["Status"] == "Unknown");
}

#[test]
fn the_status_is_unknown_with_no_components() {
    let syncer = Syncer::with_components(&[]);
    let report = syncer.report();
    assert_eq!(report["Status"], "Unknown");
    assert_eq!(report["Components"], json!({}));
    assert_eq!(syncer.probes(), [200, 503]);
    assert_status_is_unknown(&syncer.check());
}

/// Asserts that healthctl cannot tell the status, and that the service is unready, as its route says.
#[track_caller]
fn assert_status_is_unknown(found: &Value) {
    let probes = found["probes"].as_array().expect("a list").iter();
    let status = probes.filter(|probe| probe["name"] == "status");
    let results: Vec<_> = status.map(|probe| &probe["result"]).collect();
    assert_eq!(results, ["unknown"], "{found}");
    assert_eq!(found["state"], "unready", "{found}");
}

#[test]
fn before_the_first_check_the_whole_body_is_null_and_the_state_unknown() {
    // A check that hangs is a failure after 5 s. If that was sooner than the looks, another one is started.
    let (body, found) = until("two looks before the first check has ended", || {
        let scene = Scene::new();
        scene.write("rbac", "hangs");
        let syncer = Syncer::start_in(scene, &json!({"components": ["rbac"]}));
        let looks = (syncer.ask(REPORT).body, syncer.check());
        (syncer.attempts("rbac") == 0.0).then_some(looks)
    });
    assert_eq!(body, "null\n");
    assert_status_is_unknown(&found);
}

#[test]
fn the_report_is_a_go_struct_whose_keys_are_capitalised() {
    let syncer = Syncer::with_components(&["rbac"]);
    let report = syncer.until_status("Healthy");
    let expected = [
        "Status",
        "Components",
        "LastHeartbeat",
        "Uptime",
        "Version",
        "SyncRate",
        "ErrorRate",
        "QueueDepth",
        "Latency",
        "MemoryUsage",
        "CPUUsage",
        "GoroutineCount",
    ];
    assert_eq!(keys(&report)[..12], expected);
}

#[test]
fn a_component_has_its_name_status_last_check_message_error_and_metrics_as_numbers() {
    let syncer = Syncer::with_components(&["rbac"]);
    let mut rbac = syncer.until_status("Healthy")["Components"]["rbac"].take();
    time(&rbac["LastCheck"].take());
    let expected = json!({
        "Name": "rbac", "Status": "Healthy", "LastCheck": null, "Message": "", "Error": null,
        // The other detail is text.
        "Metrics": {"objects": 3},
    });
    assert_eq!(rbac, expected);
    assert_eq!(
        dependency(&syncer.check(), "rbac")["details"]["Metrics"]["objects"],
        3
    );
}

#[test]
fn an_error_arrives_as_an_empty_object_and_its_text_is_in_the_message() {
    let syncer = Syncer::with_components(&["rbac"]);
    syncer.set("rbac", "unhealthy cannot list secrets");
    let report = syncer.until_status("Unhealthy");
    let rbac = &report["Components"]["rbac"];
    assert_eq!(
        (&rbac["Error"], &rbac["Message"]),
        (&json!({}), &json!("cannot list secrets"))
    );
    assert_eq!(
        dependency(&syncer.check(), "rbac")["error"],
        "cannot list secrets"
    );
}

#[test]
fn a_last_check_of_the_zero_time_means_never() {
    // A check that hangs is a failure after 5 s. If that was sooner than the looks, another one is started.
    let (report, found) = until("two looks before the check has ended", || {
        let scene = Scene::new();
        scene.write("rbac", "healthy");
        scene.write("webhook", "hangs");
        let syncer = Syncer::start_in(scene, &json!({"components": ["rbac", "webhook"]}));
        let ended = || syncer.attempts("webhook") > 0.0;
        let is_checked = |report: &Value| report["Components"]["rbac"]["Status"] == "Healthy";
        let report = syncer.until(|report| is_checked(report) || ended());
        let looks = (report, syncer.check());
        (!ended()).then_some(looks)
    });
    assert_eq!(report["Status"], "Healthy", "{report}");
    assert_eq!(
        report["Components"]["webhook"]["LastCheck"],
        "0001-01-01T00:00:00Z"
    );
    let never = dependency(&found, "webhook");
    assert_eq!(never["status"], "unknown");
    assert_eq!(never["last_success_seconds"], Value::Null);
    assert_eq!(never["last_failure_seconds"], Value::Null);
}

#[test]
fn the_last_heartbeat_without_a_lease_is_the_time_of_the_check_and_proves_none() {
    let syncer = Syncer::with_components(&["rbac"]);
    let report = syncer.until_status("Healthy");
    let check = time(&report["Components"]["rbac"]["LastCheck"]);
    let heartbeat = time(&report["LastHeartbeat"]);
    assert_eq!(heartbeat.as_second(), check.as_second());
    let later = syncer.until(|report| time(&report["LastHeartbeat"]) > heartbeat);
    assert_eq!(later["Status"], "Healthy");
    let found = syncer.check().to_string();
    assert!(
        !found.contains("heartbeat") && !found.contains("beat since"),
        "{found}"
    );
}

#[test]
fn the_version_is_a_constant_and_identifies_nothing() {
    let syncer = Syncer::with_components(&["rbac"]);
    assert_eq!(syncer.until_status("Healthy")["Version"], "v1alpha1");
    assert_eq!(syncer.check()["version"], Value::Null);
    // Its own version is another one.
    let info = "service_info{service=\"kcp-syncer\",version=\"0.1.0\"}";
    assert_eq!(syncer.metric(info), Some(1.0));
}

#[test]
fn the_routes_are_not_fixed_and_an_inventory_may_override_them() {
    let report = r#"{"Status":"Degraded","Components":{"a":{"Name":"a","Status":"Degraded","Message":"slow"}}}"#;
    let fake = Fake::http(move |_, path| match path {
        "/alive" | "/able" => (200, "ok".to_owned()),
        "/state" => (200, report.to_owned()),
        _ => (404, String::new()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services: {{syncer: {{profile: kcp-syncer, url: '{url}', probes: {{live: {{http: /alive}}, ready: {{http: /able}}, status: {{http: /state}}}}}}}}\n"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let found: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    let found = &found["services"][0];
    assert_eq!(found["state"], "degraded", "{found}");
    assert_eq!(dependency(found, "a")["status"], "degraded");
    let mut asked = fake.asked();
    asked.sort_unstable();
    assert_eq!(asked, ["GET /able", "GET /alive", "GET /state"]);
    // The defaults are these.
    let syncer = Syncer::with_components(&["rbac"]);
    syncer.until_status("Healthy");
    let found = syncer.check();
    let targets = found["probes"].as_array().expect("a list").iter();
    let url = format!("http://{}", syncer.address);
    let targets: Vec<_> = targets
        .filter_map(|probe| probe["target"].as_str()?.strip_prefix(url.as_str()))
        .collect();
    assert_eq!(targets, ["/livez", "/readyz", "/health/report"]);
    assert_eq!(found["state"], "healthy", "{found}");
}

#[test]
fn liveness_fails_only_while_the_whole_is_unhealthy() {
    let syncer = Syncer::with_components(&["rbac"]);
    for (state, status, live) in [
        ("healthy", "Healthy", 200),
        ("degraded slow", "Degraded", 200),
        ("unhealthy refused", "Unhealthy", 503),
        ("healthy", "Healthy", 200),
    ] {
        syncer.set("rbac", state);
        syncer.until_status(status);
        assert_eq!(syncer.probes()[0], live, "{state}");
    }
}

#[test]
fn readiness_fails_unless_the_whole_is_healthy() {
    let syncer = Syncer::with_components(&["rbac"]);
    for (state, status, ready) in [
        ("healthy", "Healthy", 200),
        ("degraded slow", "Degraded", 503),
        ("unhealthy refused", "Unhealthy", 503),
        ("healthy", "Healthy", 200),
    ] {
        syncer.set("rbac", state);
        syncer.until_status(status);
        assert_eq!(syncer.probes()[1], ready, "{state}");
    }
}

#[test]
fn any_unhealthy_component_makes_the_whole_unhealthy() {
    let syncer = Syncer::with_components(&["a", "b", "c"]);
    syncer.set("a", "degraded slow");
    syncer.until_status("Degraded");
    syncer.set("b", "unhealthy refused");
    syncer.until(|report| {
        report["Status"] == "Unhealthy" && report["Components"]["c"]["Status"] == "Healthy"
    });
}

#[test]
fn else_any_degraded_component_makes_the_whole_degraded() {
    let syncer = Syncer::with_components(&["a", "b", "c"]);
    syncer.until_status("Healthy");
    syncer.set("c", "degraded slow");
    syncer.until(|report| {
        report["Status"] == "Degraded" && report["Components"]["a"]["Status"] == "Healthy"
    });
    syncer.set("c", "healthy");
    syncer.until_status("Healthy");
}

#[test]
fn the_heartbeat_is_a_lease_with_its_renew_time_duration_and_holder() {
    let cluster = Cluster::start();
    let syncer = cluster.replica("syncer-a");
    let lease = ask_until(|| cluster.lease(), |lease| lease["spec"].is_object());
    let spec = &lease["spec"];
    assert_eq!(lease["apiVersion"], "coordination.k8s.io/v1");
    assert_eq!(spec["holderIdentity"], "syncer-a");
    assert_eq!(spec["leaseDurationSeconds"], 15);
    let renewed = time(&spec["renewTime"]);
    ask_until(
        || cluster.lease(),
        |lease| time(&lease["spec"]["renewTime"]) > renewed,
    );
    // The report tells its last renewal, and the metrics count them.
    let at_least = renewed.as_second();
    syncer.until(|report| time(&report["LastHeartbeat"]).as_second() >= at_least);
    let sent = "service_heartbeats_total{to=\"lease kcp-system/syncer\",result=\"sent\"}";
    ask_until(|| syncer.metric(sent), |sent| *sent >= Some(2.0));
    syncer.until(|report| report["Components"]["lease"]["Message"] == "held by syncer-a");
}

#[test]
fn the_lease_is_renewed_every_10_s_for_30_s_and_3_missed_are_a_failure_unless_settings_differ() {
    let settings = LeaseSettings::new("kcp-system", "syncer", "syncer-a");
    let (interval, duration) = (Duration::from_secs(10), Duration::from_secs(30));
    assert_eq!((settings.interval, settings.duration), (interval, duration));
    assert_eq!(settings.failure_threshold, 3);
}

#[test]
fn the_metrics_are_a_health_gauge_component_status_heartbeat_counter_and_check_duration() {
    let cluster = Cluster::start();
    let syncer = cluster.replica("syncer-a");
    syncer.until(|report| report["Components"]["lease"]["Status"] == "Healthy");
    for (name, expected) in [
        ("service_health{status=\"healthy\"}", 1.0),
        ("service_health{status=\"unhealthy\"}", 0.0),
        (
            "service_component_health{component=\"lease\",required=\"true\",status=\"healthy\"}",
            1.0,
        ),
        (
            "service_component_metric{component=\"lease\",metric=\"held\"}",
            1.0,
        ),
    ] {
        assert_eq!(syncer.metric(name), Some(expected), "{name}");
    }
    for name in [
        "service_heartbeats_total{to=\"lease kcp-system/syncer\",result=\"sent\"}",
        "service_check_duration_seconds_count{component=\"lease\"}",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "service_tasks",
    ] {
        assert!(syncer.metric(name) > Some(0.0), "{name}");
    }
}

#[test]
fn each_check_has_a_limit_of_5_s() {
    assert_eq!(CHECK_TIMEOUT, Duration::from_secs(5));
    let syncer = Syncer::with_components(&["rbac"]);
    syncer.set("rbac", "hangs");
    let report =
        syncer.until(|report| report["Components"]["rbac"]["Message"] == "timed out after 5s");
    assert_eq!(report["Status"], "Unhealthy");
}

#[test]
fn ten_and_more_components_are_cheap() {
    let names: Vec<String> = (1..=12)
        .map(|number| format!("component-{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let syncer = Syncer::with_components(&names);
    let checks = || {
        let name = "service_check_duration_seconds_count{component=\"component-12\"}";
        (
            syncer.metric(name),
            syncer.metric("process_cpu_seconds_total"),
        )
    };
    syncer.until_status("Healthy");
    let (first, cpu_before) = checks();
    // Each change is found by the next round: it is waited for without a request, which would cost more than a round.
    for state in ["degraded", "healthy"].repeat(10) {
        syncer.set("component-1", state);
        let is_found = |change: &String| {
            change.starts_with("component-1: ") && change.contains(&format!("-> {state}"))
        };
        let change = || syncer.changes.recv_timeout(LIMIT).expect("it is told");
        ask_until(change, is_found);
    }
    let (last, cpu_after) = checks();
    let rounds = last.unwrap_or(0.0) - first.unwrap_or(0.0);
    let cpu = cpu_after.unwrap_or(0.0) - cpu_before.unwrap_or(0.0);
    assert!(rounds >= 10.0, "{rounds}");
    // A program without optimisation takes 2 ms or so, with the reading of twelve files.
    assert!(
        cpu / rounds < 0.03,
        "{cpu} s of processor time in {rounds} rounds"
    );
}

#[test]
fn the_connection_is_connected_or_else_it_has_the_last_error() {
    let server = Fake::tcp(drop);
    let address = format!("127.0.0.1:{}", server.port());
    let syncer = Syncer::start(&json!({ "upstream": address }), &[]);
    let report = syncer.until_status("Healthy");
    assert_eq!(report["Components"]["upstream"]["Message"], "connected");
    drop(server);
    let report = syncer.until_status("Unhealthy");
    let upstream = &report["Components"]["upstream"];
    let message = upstream["Message"].as_str().expect("a message");
    assert!(message.starts_with("Connection refused"), "{message}");
    assert_eq!(upstream["Metrics"]["disconnections"], 1);
}

#[test]
fn the_sync_engine_has_its_queue_depth_processing_rate_and_error_rate_against_limits() {
    let syncer = Syncer::start(&json!({"most_tasks": 1_000}), &[]);
    syncer.until_status("Healthy");
    syncer.ask("POST /queue/412");
    let report = syncer.until_status("Degraded");
    let engine = &report["Components"]["engine"];
    assert_eq!(engine["Message"], "queue depth 412, limit 100");
    assert_eq!(
        (&report["QueueDepth"], &engine["Metrics"]["queue_depth"]),
        (&json!(412), &json!(412))
    );
    syncer.ask("POST /queue/0");
    for _ in 0..5 {
        syncer.ask("POST /sync/20/true");
        syncer.ask("POST /sync/40/false");
    }
    let report = syncer.until(|report| report["ErrorRate"].as_f64() > Some(0.2));
    assert!(report["SyncRate"].as_f64() > Some(0.0), "{report}");
    assert!(report["Latency"].as_u64() >= Some(20_000_000), "{report}");
    let found = |report: &Value| {
        let message = report["Components"]["engine"]["Message"].as_str();
        message.is_some_and(|message| message.starts_with("error rate 5"))
    };
    assert_eq!(syncer.until(found)["Status"], "Degraded");
}

#[test]
fn resources_are_measured_and_held_against_limits() {
    let syncer = Syncer::start(&json!({"most_tasks": 1}), &[]);
    let report = syncer.until_status("Degraded");
    let resources = &report["Components"]["resources"];
    let message = resources["Message"].as_str().expect("a message");
    assert!(
        message.starts_with("tasks ") && message.ends_with(", limit 1"),
        "{message}"
    );
    // It is what the kernel says of the process.
    let status = std::fs::read_to_string(format!("/proc/{}/status", syncer.running.pid()));
    let status = status.expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let resident = resident.expect("the kernel says it") * 1024.0;
    let memory = report["MemoryUsage"].as_f64().expect("a number");
    assert!((memory / resident - 1.0).abs() < 0.5, "{memory} {resident}");
    assert!(report["GoroutineCount"].as_u64() > Some(1), "{report}");
    syncer.until(|report| report["CPUUsage"].as_f64() > Some(0.0));
}

#[test]
fn rates_and_trends_are_computed_and_an_anomaly_is_pointed_out() {
    let syncer = Syncer::start(&json!({"most_tasks": 1_000}), &[]);
    let known = |report: &Value| report["Figures"]["queue_depth"]["High"].is_number();
    let report = syncer.until(known);
    let depth = &report["Figures"]["queue_depth"];
    assert_eq!(
        (&depth["Value"], &depth["PerSecond"]),
        (&json!(0.0), &json!(0.0))
    );
    let is_marked = |report: &Value| {
        let names = report["Anomalies"].as_array().expect("a list");
        names.contains(&json!("queue_depth"))
    };
    assert!(!is_marked(&report), "{report}");
    assert!(
        syncer.until(|report| report["Figures"]["check_rate"]["Value"].as_f64() > Some(0.0))
            != Value::Null
    );

    // Soon there are enough of the new values to become the range. If that was sooner than the look, it is made again.
    let mark = || {
        syncer.ask("POST /queue/0");
        syncer.until(|report| {
            let depth = &report["Figures"]["queue_depth"];
            depth["Value"] == 0.0 && depth["PerSecond"] == 0.0
        });
        syncer.ask("POST /queue/90");
        let high = |report: &Value| report["Figures"]["queue_depth"]["High"].as_f64();
        syncer.until(|report| is_marked(report) || high(report) >= Some(90.0))
    };
    let report = ask_until(mark, is_marked);
    assert!(
        report["Figures"]["queue_depth"]["PerSecond"].as_f64() > Some(0.0),
        "{report}"
    );
    // It is a mark, and no failure: the depth is within its limit.
    assert_eq!(report["Status"], "Healthy", "{report}");
    // A level that lasts becomes the range.
    syncer.until(|report| !is_marked(report));
    assert_eq!(
        syncer.metric("service_figure{figure=\"queue_depth\"}"),
        Some(90.0)
    );
    syncer.ask("POST /queue/0");
    let mark = || syncer.metric("service_figure_anomalous{figure=\"queue_depth\"}");
    ask_until(mark, |mark| *mark == Some(0.0));
}

#[test]
fn a_hook_is_called_on_each_change_of_status() {
    let syncer = Syncer::with_components(&["rbac"]);
    syncer.expect_changes(&["rbac: unknown -> healthy", "service: unknown -> healthy"]);
    syncer.set("rbac", "degraded slow");
    syncer.expect_changes(&[
        "rbac: healthy -> degraded: slow",
        "service: healthy -> degraded",
    ]);
    syncer.set("rbac", "unhealthy refused");
    syncer.expect_changes(&[
        "rbac: degraded -> unhealthy: refused",
        "service: degraded -> unhealthy",
    ]);
    syncer.set("rbac", "healthy");
    syncer.expect_changes(&[
        "rbac: unhealthy -> healthy",
        "service: unhealthy -> healthy",
    ]);
}

#[test]
fn the_interval_duration_and_failure_threshold_of_the_lease_are_settable() {
    let cluster = Cluster::start();
    let [strict, patient] = [("syncer-a", 1), ("syncer-b", 1_000)]
        .map(|(holder, threshold)| cluster.replica_with(holder, 50, threshold));
    let lease = |syncer: &Syncer| syncer.report()["Components"]["lease"].take();
    for syncer in [&strict, &patient] {
        ask_until(|| lease(syncer), |lease| lease["Status"] == "Healthy");
    }
    assert_eq!(cluster.lease()["spec"]["leaseDurationSeconds"], 15);
    // A token that is refused makes each renewal, and each look, a missed one.
    std::fs::write(cluster.file("token"), "revoked").expect("it can be written");
    strict.until_status("Unhealthy");
    let is_degraded = |change: &String| change.starts_with("lease: healthy -> degraded");
    let changes: Vec<_> = strict.changes.try_iter().collect();
    assert!(!changes.iter().any(is_degraded), "{changes:?}");
    let missed = "service_heartbeats_missed_in_a_row{to=\"lease kcp-system/syncer\"}";
    ask_until(|| patient.metric(missed), |missed| *missed >= Some(5.0));
    ask_until(|| lease(&patient), |lease| lease["Status"] == "Degraded");
    // The interval is that of the replica: with that of 10 s there would be no fifth one yet.
    std::fs::write(cluster.file("token"), leases::TOKEN).expect("it can be written");
    for syncer in [&strict, &patient] {
        syncer.until_status("Healthy");
    }
}

#[test]
fn a_conflict_is_handled_and_a_foreign_holder_is_not_overwritten() {
    let cluster = Cluster::start();
    let syncer = cluster.replica("syncer-a");
    ask_until(|| cluster.holder(), |holder| holder == "syncer-a");
    let mut foreign = json!({
        "holderIdentity": "foreign", "leaseDurationSeconds": 3600, "leaseTransitions": 7,
        "acquireTime": "2001-01-01T00:00:00.000000Z", "renewTime": "2001-01-01T00:00:00.000000Z",
    });
    ask_until(|| cluster.overwrite(&foreign), Option::is_some);
    let report = syncer.until(|report| {
        report["Components"]["lease"]["Message"] == "taken over by foreign from syncer-a"
    });
    // To stand by is no failure.
    assert_eq!(report["Components"]["lease"]["Status"], "Healthy");
    assert_eq!(report["Components"]["lease"]["Metrics"]["held"], 0);
    assert_eq!(cluster.lease()["spec"], foreign);
    // It looks again and again, and writes nothing until the lease has expired.
    let sent = "service_heartbeats_total{to=\"lease kcp-system/syncer\",result=\"sent\"}";
    let before = syncer.metric(sent);
    ask_until(
        || syncer.metric(sent),
        |sent| *sent >= before.map(|before| before + 3.0),
    );
    assert_eq!(cluster.lease()["spec"], foreign);
    foreign["leaseDurationSeconds"] = 1.into();
    ask_until(|| cluster.overwrite(&foreign), Option::is_some);
    ask_until(|| cluster.holder(), |holder| holder == "syncer-a");
    assert_eq!(cluster.lease()["spec"]["leaseTransitions"], 8);
}

#[test]
fn a_takeover_is_graceful() {
    let cluster = Cluster::start();
    let mut first = cluster.replica("syncer-a");
    ask_until(|| cluster.holder(), |holder| holder == "syncer-a");
    let second = cluster.replica("syncer-b");
    let message = |syncer: &Syncer| syncer.report()["Components"]["lease"]["Message"].take();
    ask_until(|| message(&second), |message| message == "held by syncer-a");
    // It gives the lease up, and the other one takes it.
    assert_eq!(first.ask("POST /step-down").status, 200);
    ask_until(|| cluster.holder(), |holder| holder == "syncer-b");
    ask_until(
        || message(&first),
        |message| message == "taken over by syncer-b from syncer-a",
    );
    assert_eq!(cluster.lease()["spec"]["leaseTransitions"], 1);
    // The end of a replica in order is the same.
    assert!(second.running.pid() != first.running.pid());
    let mut second = second;
    assert_eq!(second.running.stop(Signal::TERM).code(), Some(0));
    ask_until(|| cluster.holder(), |holder| holder == "syncer-a");
    assert_eq!(first.running.stop(Signal::TERM).code(), Some(0));
    assert_eq!(cluster.holder(), "");
}

#[test]
fn the_lease_is_held_over_tls_with_the_ca_and_the_token_of_a_pod() {
    let cluster = Cluster::start_with(true);
    let syncer = cluster.replica("syncer-a");
    let report = syncer.until(|report| report["Components"]["lease"]["Status"] != "Unknown");
    let lease = &report["Components"]["lease"];
    assert_eq!(lease["Message"], "held by syncer-a", "{report}");
    // Another authority's certificate is not believed.
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
    let other = other.expect("a certificate can be made").cert.pem();
    std::fs::write(cluster.file("ca.crt"), other).expect("it can be written");
    let deceived = cluster.replica("syncer-b");
    let report = deceived.until(|report| report["Components"]["lease"]["Status"] == "Unhealthy");
    let message = report["Components"]["lease"]["Message"]
        .as_str()
        .expect("a message");
    assert!(message.contains("invalid peer certificate"), "{message}");
}
