//! One fleet, every format: the exact output.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::health::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn probe(at: Moment) -> ProbeSnapshot {
    ProbeSnapshot {
        info: Arc::new(ProbeInfo {
            name: "live".to_owned(),
            role: Role::Live,
            kind: "http",
            target: "http://localhost:8000/health/live".to_owned(),
            failure_threshold: 3,
            success_threshold: 1,
            required: false,
            interval: ms(5_000),
            reports_dependencies: false,
        }),
        address: Some("127.0.0.1:8000".to_owned()),
        latest: Some(ProbeResult::Pass),
        counted: Some(ProbeResult::Pass),
        failure: None,
        latency: Some(Duration::from_micros(3_100)),
        phases: Phases::default(),
        code: Some(200),
        checked_at: Some(at),
        counters: Counters {
            success: 12,
            failure: 0,
        },
        consecutive_successes: 12,
        consecutive_failures: 0,
        last_success: Some(at),
        last_failure: None,
        flapping: false,
        history: VecDeque::new(),
    }
}

/// The service of the example in the documentation of the JSON report.
fn degraded(at: Moment) -> ServiceSnapshot {
    ServiceSnapshot {
        info: Arc::new(ServiceInfo {
            group: Some("backend".to_owned()),
            labels: BTreeMap::from([("tier".to_owned(), "web".to_owned())]),
            profile: Some("hephaestus".to_owned()),
            url: Some("http://localhost:8000".to_owned()),
            ..ServiceInfo::new("api")
        }),
        state: State::Degraded,
        since: at,
        ready: None,
        live: Some(true),
        verdict: CheckVerdict::Fail,
        flags: BTreeSet::from([Flag::Flapping]),
        undetermined: std::collections::BTreeMap::new(),
        reasons: vec!["dependency qdrant: error: timeout after 2s".to_owned()],
        notes: Vec::new(),
        heartbeat: None,
        blocked_by: None,
        service: Some("hephaestus-mcp".to_owned()),
        version: Some("0.9.1".to_owned()),
        started: Some(Start {
            at: at.minus(ms(123_450)).wall,
            tolerance: Duration::from_secs(1),
            derived: false,
        }),
        uptime: Some((ms(123_450), at)),
        resources: BTreeMap::from([("open_connections".to_owned(), json!(4))]),
        probes: vec![probe(at)],
        dependencies: vec![DependencySnapshot {
            name: "qdrant".to_owned(),
            status: DependencyStatus::Error,
            word: Some("error".to_owned()),
            required: false,
            error: Some("timeout after 2s".to_owned()),
            success_count: Some(880),
            failure_count: Some(7),
            success_total: Some(880),
            failure_total: Some(7),
            last_success: Some(at.minus(ms(94_000))),
            last_failure: Some(at.minus(ms(1_200))),
            latency: None,
            heartbeat: None,
            observed_at: at,
            details: BTreeMap::from([("collections".to_owned(), json!(3))]).into(),
        }],
        code_changed: None,
        process: None,
        identity: Identity::default(),
        at,
    }
}

fn stopped(at: Moment) -> ServiceSnapshot {
    ServiceSnapshot {
        info: Arc::new(ServiceInfo {
            name: "mailer".to_owned(),
            group: None,
            labels: BTreeMap::new(),
            ..ServiceInfo::clone(&degraded(at).info)
        }),
        state: State::Stopped,
        flags: BTreeSet::from([Flag::Blocked]),
        blocked_by: Some("api".to_owned()),
        reasons: vec!["live: connection refused".to_owned()],
        probes: Vec::new(),
        dependencies: Vec::new(),
        uptime: None,
        version: None,
        ..degraded(at)
    }
}

fn report() -> Report {
    let at = Moment::at_seconds(1_000.0);
    let services = [degraded(at), stopped(at)].map(Arc::new);
    Report::new(services, &FailOn::default(), at)
}

#[test]
fn json_keeps_the_promised_fields() {
    let text = json(&report());
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["schema_version"], 1);
    assert_eq!(value["generated_at"], "2026-11-22T10:16:40Z");
    assert_eq!(value["verdict"], "fail");
    assert_eq!(
        value["summary"],
        json!({"total":2,"healthy":0,"degraded":1,"unready":0,"unhealthy":0,"unknown":0,"starting":0,"draining":0,"stopped":1})
    );
    assert_eq!(
        value["services"][0],
        json!({"name":"api","group":"backend","labels":{"tier":"web"},"profile":"hephaestus","url":"http://localhost:8000",
        "state":"degraded","ready":null,"verdict":"fail","flags":["flapping"],"reasons":["dependency qdrant: error: timeout after 2s"],"blocked_by":null,
        "service":"hephaestus-mcp","version":"0.9.1","started_at":"2026-11-22T10:14:36.55Z","uptime_seconds":123.45,"resources":{"open_connections":4},"notes":[],
        "probes":[{"name":"live","kind":"http","target":"http://localhost:8000/health/live","address":"127.0.0.1:8000","result":"pass","failure":null,
          "latency_ms":3.1,"checked_at":"2026-11-22T10:16:40Z","success_count":12,"failure_count":0,"consecutive_successes":12,"consecutive_failures":0,
          "last_success_seconds":0.0,"last_failure_seconds":null}],
        "dependencies":[{"name":"qdrant","status":"error","word":"error","required":false,"error":"timeout after 2s","success_count":880,"failure_count":7,
          "success_total":880,"failure_total":7,"last_success_seconds":94.0,"last_failure_seconds":1.2,"latency_ms":null,"observed_at":"2026-11-22T10:16:40Z","details":{"collections":3}}]})
    );
}

#[test]
fn fields_stand_in_the_documented_order() {
    let text = json(&report());
    let places: Vec<_> = [
        "schema_version",
        "generated_at",
        "\"verdict\"",
        "summary",
        "services",
        "\"name\"",
        "\"state\"",
        "probes",
        "dependencies",
    ]
    .iter()
    .map(|key| text.find(key).unwrap())
    .collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn ages_are_as_of_the_report() {
    let at = Moment::at_seconds(1_000.0);
    let later = at.plus(ms(2_500));
    let report = Report::new([Arc::new(degraded(at))], &FailOn::default(), later);
    let service = json_service(&report.services[0], report.at);
    assert_eq!(service["uptime_seconds"], 125.95);
    assert_eq!(service["dependencies"][0]["last_success_seconds"], 96.5);
    assert_eq!(service["probes"][0]["last_success_seconds"], 2.5);
}

#[test]
fn a_change_is_one_line() {
    let at = Moment::at_seconds(1_000.0);
    let service = ServiceReport::new(Arc::new(degraded(at)), &FailOn::default());
    let line = change_line(&service, &[Change::State, Change::Dependency], at);
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.starts_with(
        r#"{"schema_version":1,"at":"2026-11-22T10:16:40Z","changed":["state","dependency"],"name":"api","group":"backend""#
    ), "{line}");
}

#[test]
fn the_table_names_causes_before_those_they_block() {
    insta::assert_snapshot!(table(&report(), false), @r"
    SERVICE  STATE       READY  LATENCY  UPTIME  VERSION  DEPS  LAST SUCCESS  FLAGS
    api      ! degraded  -       3.1 ms   2m 3s  0.9.1     0/1  now           flapping
    mailer   ■ stopped   -            -       -  -           -  never         blocked

    ! api: degraded: dependency qdrant: error: timeout after 2s
    ■ mailer: stopped: blocked by api (live: connection refused)

    2 services: 1 degraded, 1 stopped; verdict fail
    ");
}

#[test]
fn an_empty_selection_is_said() {
    let report = Report::new([], &FailOn::default(), Moment::at_seconds(0.0));
    assert_eq!(report.verdict, CheckVerdict::Pass);
    assert_eq!(table(&report, false), "no service was selected\n");
}

#[test]
fn fail_on_makes_levels_and_flags_fail() {
    let at = Moment::at_seconds(0.0);
    let mut snapshot = degraded(at);
    snapshot.verdict = CheckVerdict::Warn;
    for (words, expected) in [
        ("unhealthy", CheckVerdict::Warn),
        ("degraded", CheckVerdict::Fail),
        ("warn", CheckVerdict::Fail),
        ("flapping", CheckVerdict::Fail),
        ("split,success-age", CheckVerdict::Warn),
        ("stopped, degraded", CheckVerdict::Fail),
    ] {
        assert_eq!(
            FailOn::parse([words]).unwrap().verdict(&snapshot),
            expected,
            "{words}"
        );
    }
}

#[test]
fn fail_on_refuses_what_can_never_fail() {
    let refused = |word: &str| {
        let error = FailOn::parse([word]).unwrap_err();
        (error.message, error.hint.unwrap_or_default())
    };
    let (message, hint) = refused("certificate");
    assert_eq!(message, "`--fail-on certificate` is not supported yet");
    assert!(hint.is_empty());
    let (message, hint) = refused("degarded");
    assert_eq!(message, "`--fail-on degarded`: not a level or flag");
    assert_eq!(hint, "did you mean `degraded`?");
    let (message, hint) = refused("");
    assert_eq!(message, "`--fail-on `: not a level or flag");
    assert!(hint.starts_with("expected states"), "{hint}");
}
