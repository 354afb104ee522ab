//! `scry-ingestor`: a Python service with required and optional components that reloads its configuration.
//!
//! The demo's instance and the example `ingestor` of the kit are tried, and what a watcher shows of them through healthctl.

mod ingestor;

use std::io::Read;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use self::ingestor::Ingestor;
use super::{Fleet, assert_is, dependency};
use crate::support::demo::Answer;
use crate::support::terminal::{ENTER, Pty};
use crate::support::waiting::{ask_until, wait_until};

const NOT_READY: &str = "ready: answered 503 Service Unavailable, expected 200-299";
const RELOAD: &str = "POST /api/v1/config/reload";
const DETAILED: &str = "GET /health/detailed";

impl Fleet {
    /// Returns the path of the configuration file of `ingestor`.
    fn configuration(&self) -> PathBuf {
        self.demo.inventory().with_file_name("ingestor.json")
    }

    fn reconfigure(&self, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(self.configuration()).expect("it is there");
        let mut configuration = serde_json::from_str(&text).expect("it is JSON");
        change(&mut configuration);
        std::fs::write(self.configuration(), configuration.to_string()).expect("it is ours");
    }

    /// Returns the current version of the configuration, as a reload that changes nothing reports it.
    fn version(&self) -> Value {
        self.ingestor(RELOAD).json()["version"].clone()
    }

    /// Asks `ingestor`.
    fn ingestor(&self, request: &str) -> Answer {
        self.demo.ask("ingestor", request)
    }

    /// Returns the status word of `/ready` and of `/health/detailed` and the codes of all three routes.
    fn words_and_codes(&self) -> (String, String, [u16; 3]) {
        let routes = ["GET /health", "GET /ready", DETAILED];
        let answers = routes.map(|route| self.ingestor(route));
        let word = |answer: &Answer| answer.json()["status"].as_str().map(str::to_owned);
        let words = [&answers[1], &answers[2]].map(|answer| word(answer).expect("a word"));
        let [ready, detailed] = words;
        (ready, detailed, answers.map(|answer| answer.status))
    }
}

/// Returns the field of each line that has it, as text.
fn texts(lines: &[Value], field: &str) -> Vec<String> {
    let texts = lines.iter().filter_map(|line| line[field].as_str());
    texts.map(str::to_owned).collect()
}

/// Returns the words of the parts of a reload by their names.
fn parts(answer: &Value) -> Value {
    let parts = answer["parts"].as_object().expect("parts");
    let parts = parts
        .iter()
        .map(|(name, part)| (name.clone(), part["status"].clone()));
    Value::Object(parts.collect())
}

#[test]
fn get_health_is_liveness_and_checks_nothing_but_itself() {
    let mut ingestor = Ingestor::with(json!({"checks": {
        "database": {"interval_seconds": 3600}, "api": {"interval_seconds": 3600},
    }}));
    drop(ingestor.database.take());
    let answer = ingestor.ask("GET /health");
    assert_eq!(answer.status, 200);
    let mut body = answer.json();
    let at = body["checked_at"].take();
    let at = at.as_str().expect("a time");
    assert!(at.ends_with("+00:00"), "{at}");
    let expected = json!({"status": "healthy", "service": "scry-ingestor", "checked_at": null});
    assert_eq!(body, expected);
    // Nothing has been checked, so the loss of the database is not known.
    let database = ingestor.component("database");
    assert_eq!(database["status"], "healthy", "{database}");
}

#[test]
fn get_ready_is_readiness_over_all_required_components() {
    let fleet = Fleet::start();
    let ready = || fleet.ingestor("GET /ready").status;
    assert_eq!(ready(), 200);
    for required in ["database", "redis", "api"] {
        fleet.inject_fault("ingestor", required);
        assert_eq!(ready(), 503, "{required}");
        fleet.mend("ingestor", required);
        assert_eq!(ready(), 200, "{required}");
    }
    for optional in ["celery", "kafka"] {
        fleet.inject_fault("ingestor", optional);
        assert_eq!(ready(), 200, "{optional}");
    }
}

#[test]
fn detailed_adds_the_components_to_ready() {
    let fleet = Fleet::start();
    let components = |request: &str| fleet.ingestor(request).json()["components"].clone();
    assert_eq!(components("GET /ready"), json!({}));
    assert_eq!(components("GET /ready?detailed=false"), json!({}));
    let detailed = components("GET /ready?detailed=true");
    let names: Vec<&String> = detailed.as_object().expect("a map").keys().collect();
    assert_eq!(names, ["database", "redis", "celery", "kafka", "api"]);
    let refused = fleet.ingestor("GET /ready?detailed=maybe");
    assert_eq!(refused.status, 422, "as the framework refuses it");
}

#[test]
fn health_detailed_is_always_with_every_component_and_its_metadata() {
    let fleet = Fleet::start();
    for broken in [false, true] {
        if broken {
            fleet.inject_fault("ingestor", "database");
        }
        let components = fleet.ingestor(DETAILED).json()["components"].take();
        for name in ["database", "redis", "celery", "kafka", "api"] {
            let metadata = &components[name]["metadata"];
            assert!(metadata["latency_ms"].is_number(), "{name}: {metadata}");
        }
    }
}

#[test]
fn the_reload_route_answers_with_the_result_for_each_part() {
    let fleet = Fleet::start();
    fleet.reconfigure(|configuration| {
        configuration["adapters"] = json!(["rest", "kafka", "ftp"]);
        configuration["redis_url"] = "redis://other.internal/0".into();
    });
    let answer = fleet.ingestor(RELOAD);
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["status"], "partial");
    assert_eq!(answer["reloaded"], json!({"adapters": 3}));
    let unchanged = "unchanged";
    let expected = json!({
        "adapters": "reloaded", "feature_flags": unchanged, "environment": unchanged, "checks": unchanged,
        "database_url": unchanged, "redis_url": "needs-restart", "port": unchanged,
    });
    assert_eq!(parts(&answer), expected);
    assert_eq!(fleet.ingestor("GET /api/v1/config/reload").status, 405);
}

#[test]
fn the_status_words_are_healthy_degraded_and_unhealthy() {
    let fleet = Fleet::start();
    let word = |component: &str| {
        let components = fleet.ingestor(DETAILED).json()["components"].take();
        components[component]["status"].as_str().map(str::to_owned)
    };
    fleet.inject_fault("ingestor", "celery");
    fleet.inject_fault("ingestor", "redis");
    assert_eq!(word("celery").as_deref(), Some("degraded"));
    assert_eq!(word("redis").as_deref(), Some("unhealthy"));
    assert_eq!(word("database").as_deref(), Some("healthy"));
}

#[test]
fn an_unhealthy_required_component_makes_the_service_unhealthy_an_optional_one_degraded() {
    let fleet = Fleet::start();
    let words = || {
        let (ready, detailed, _) = fleet.words_and_codes();
        assert_eq!(ready, detailed);
        ready
    };
    assert_eq!(words(), "healthy");
    fleet.inject_fault("ingestor", "kafka");
    let kafka = fleet.ingestor(DETAILED).json()["components"]["kafka"].take();
    assert_eq!(kafka["status"], "unhealthy", "optional");
    assert_eq!(words(), "degraded");
    fleet.inject_fault("ingestor", "redis");
    assert_eq!(words(), "unhealthy");
}

#[test]
fn ready_answers_200_for_healthy_and_degraded_and_503_for_unhealthy() {
    let fleet = Fleet::start();
    let ready = || {
        let answer = fleet.ingestor("GET /ready");
        let word = answer.json()["status"].clone();
        (answer.status, word)
    };
    assert_eq!(ready(), (200, "healthy".into()));
    fleet.inject_fault("ingestor", "celery");
    assert_eq!(ready(), (200, "degraded".into()));
    fleet.inject_fault("ingestor", "database");
    assert_eq!(ready(), (503, "unhealthy".into()));
}

#[test]
fn health_and_health_detailed_always_answer_200() {
    let fleet = Fleet::start();
    let codes = || {
        let (_, _, [health, _, detailed]) = fleet.words_and_codes();
        [health, detailed]
    };
    assert_eq!(codes(), [200, 200]);
    for component in ["celery", "kafka", "database"] {
        fleet.inject_fault("ingestor", component);
        assert_eq!(codes(), [200, 200], "{component}");
    }
    assert_eq!(fleet.words_and_codes().0, "unhealthy");
}

/// Every key of a captured reply is in ours, in the same order and with a value of the same kind.
#[test]
fn the_component_map_and_the_reload_reply_are_as_in_the_captures() {
    let fleet = Fleet::start();
    let captured = |name: &str| -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/profiles/scry-ingestor/");
        let text = std::fs::read_to_string(format!("{folder}{name}")).expect("it is captured");
        let (_, body) = text
            .replace("\r\n", "\n")
            .split_once("\n\n")
            .map(|(head, body)| (head.to_owned(), body.to_owned()))
            .expect("a reply");
        serde_json::from_str(&body).expect("JSON")
    };
    let keys = |value: &Value| -> Vec<String> {
        let map = value.as_object().expect("a map");
        map.keys().cloned().collect()
    };
    for (request, capture) in [
        ("GET /health", "live.http"),
        ("GET /ready", "ready.http"),
        (DETAILED, "status.http"),
        ("GET /ready?detailed=true", "status.http"),
    ] {
        let (ours, theirs) = (fleet.ingestor(request).json(), captured(capture));
        assert_eq!(keys(&ours), keys(&theirs), "{request}");
    }
    let theirs = captured("status.http")["components"]["database"].take();
    let ours = fleet.ingestor(DETAILED).json()["components"].take();
    for (name, component) in ours.as_object().expect("a map") {
        assert_eq!(keys(component), keys(&theirs), "{name}");
        assert_eq!(component["name"], name.as_str());
        let at = component["checked_at"].as_str().expect("a time");
        let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(
            form(at),
            form(theirs["checked_at"].as_str().expect("a time"))
        );
    }

    fleet.reconfigure(|configuration| {
        configuration["adapters"] = json!(["a", "b", "c", "d", "e", "f", "g"]);
        configuration["log_level"] = "debug".into();
    });
    let ours = fleet.ingestor(RELOAD).json();
    let theirs = captured("reload.http");
    for key in keys(&theirs) {
        assert_eq!(ours[&key], theirs[&key], "{key}");
    }
}

#[test]
fn a_profile_can_say_otherwise() {
    let fleet = Fleet::with(
        "  ingestor:
    probes:
      status:
        http: '/ready?detailed=true'
        decode:
          format: json
          status: /status
          dependencies: {at: /components, name: /name, latency: {at: /metadata/latency_ms, unit: s}}
",
    );
    let found = fleet.check("ingestor");
    let database = dependency(&found, "database");
    assert_eq!(database["latency_ms"], 2000.0, "in seconds: {database}");
}

#[test]
fn every_component_check_has_its_own_timeout() {
    let fleet = Fleet::start();
    fleet.reconfigure(|configuration| {
        configuration["checks"] = json!({"kafka": {"timeout_seconds": 0.05}});
    });
    assert_eq!(
        fleet.ingestor(RELOAD).json()["parts"]["checks"]["status"],
        "reloaded"
    );
    fleet.inject_fault("ingestor", "kafka");
    let kafka = fleet.ingestor(DETAILED).json()["components"]["kafka"].take();
    assert_eq!(kafka["message"], "timed out after 50ms", "{kafka}");
    let found = fleet.check("ingestor");
    let reason = "dependency kafka: error: timed out after 50ms";
    assert_is(&found, "degraded", &[reason], &[]);
}

/// SIGTERM and SIGINT end it alike: what is in flight is waited for, the clean-up is done, and the exit is clean.
#[test]
fn sigterm_and_sigint_shut_down_gracefully() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut ingestor = Ingestor::with(json!({"shutdown": {"drain_seconds": 30}}));
        let endless = ingestor.endless();
        ingestor.signal(signal);
        let begin = ingestor.until("message", "drain begins");
        assert_eq!(begin["in_flight"], 1, "{name}");
        assert_eq!(ingestor.ask("GET /now").status, 503, "no new work");
        assert_eq!(ingestor.ask("GET /health").status, 200);
        assert_eq!(ingestor.ask("GET /ready").status, 503);
        drop(endless);
        let (lines, code) = ingestor.end();
        assert_eq!(code, Some(0), "{name}");
        let steps = texts(&lines, "step");
        assert!(steps.contains(&format!("requested by {name}")), "{steps:?}");
        for step in ["drained", "cleaned up database", "finished"] {
            assert!(steps.contains(&step.to_owned()), "{name}: {steps:?}");
        }
    }
}

#[test]
fn handlers_run_last_registered_first() {
    let ingestor = Ingestor::start();
    ingestor.signal(Signal::TERM);
    let (lines, _) = ingestor.end();
    let handlers = texts(&lines, "handler");
    assert_eq!(handlers, ["buffers", "adapters", "database"]);
}

#[test]
fn a_failing_handler_does_not_stop_the_rest() {
    let ingestor = Ingestor::start();
    ingestor.signal(Signal::TERM);
    let failed = ingestor.until("message", "clean-up failed");
    assert_eq!(failed["handler"], "adapters");
    assert_eq!(failed["reason"], "an adapter does not answer");
    let done = ingestor.until("message", "clean-up done");
    assert_eq!(done["handler"], "database");
    assert_eq!(ingestor.end().1, Some(0));
}

/// What has not ended by then is cut.
#[test]
fn draining_takes_2_s_by_default() {
    let mut ingestor = Ingestor::start();
    let mut endless = ingestor.endless();
    assert_eq!(ingestor.drain_limit(), 2.0);
    let cut = ingestor.until("message", "drain timed out");
    assert_eq!(cut["aborted"], 1);
    let mut text = String::new();
    // The connection is closed, abruptly or not, without a reply.
    let _ = endless.read_to_string(&mut text);
    assert_eq!(text, "");
    assert_eq!(ingestor.end().1, Some(0));
}

#[test]
fn draining_takes_at_most_30_s() {
    let mut ingestor = Ingestor::with(json!({"shutdown": {"drain_seconds": 90}}));
    let endless = ingestor.endless();
    assert_eq!(ingestor.drain_limit(), 30.0);
    drop(endless);
    assert_eq!(ingestor.end().1, Some(0));
}

#[test]
fn the_shutdown_timeout_is_settable() {
    let mut ingestor = Ingestor::with(json!({"shutdown": {"drain_seconds": 0.125}}));
    let _endless = ingestor.endless();
    assert_eq!(ingestor.drain_limit(), 0.125);
    ingestor.until("message", "drain timed out");
    assert_eq!(ingestor.end().1, Some(0));
}

/// A quarter of the new work is refused at first, all of it from the middle of the drain on.
#[test]
fn requests_are_refused_progressively_while_shutting_down() {
    let shutdown = json!({"drain_seconds": 20, "initial_rejection": 0.25});
    let mut ingestor = Ingestor::with(json!({"shutdown": shutdown}));
    let endless = ingestor.endless();
    ingestor.signal(Signal::TERM);
    ingestor.until("message", "drain begins");
    let first: Vec<u16> = (0..8).map(|_| ingestor.ask("GET /now").status).collect();
    for code in [200, 503] {
        assert!(first.contains(&code), "{code}: {first:?}");
    }
    // At first fewer than all; in the end so many in a row only once the share is 1.
    let mut refused_in_a_row = 0;
    wait_until("the state", || {
        let refused = ingestor.ask("GET /now").status == 503;
        refused_in_a_row = if refused { refused_in_a_row + 1 } else { 0 };
        refused_in_a_row == 100
    });
    drop(endless);
    let (lines, code) = ingestor.end();
    assert_eq!(code, Some(0));
    assert!(texts(&lines, "step").contains(&"drained".to_owned()));
}

#[test]
fn termination_events_tell_each_step() {
    let ingestor = Ingestor::start();
    ingestor.signal(Signal::TERM);
    let (lines, _) = ingestor.end();
    let expected = [
        "requested by SIGTERM",
        "drains at most 2s",
        "drained",
        "cleaned up buffers",
        "did not clean up adapters: an adapter does not answer",
        "cleaned up database",
        "finished",
    ];
    assert_eq!(texts(&lines, "step"), expected);
}

/// SIGHUP reloads what the route reloads.
#[test]
fn sighup_is_the_same_reload_as_the_route() {
    let fleet = Fleet::with("  ingestor: {actions: {reload: {signal: HUP}}}\n");
    let versions = || {
        let mut answer = fleet.ingestor("GET /api/v1/config/versions").json();
        let versions = answer["versions"].take();
        versions.as_array().expect("a list").clone()
    };
    for (version, level) in [(2, "debug"), (3, "warn")] {
        fleet.reconfigure(|configuration| configuration["log_level"] = level.into());
        let ran = fleet.run("reload --yes ingestor");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            ran.stdout
                .starts_with("ingestor: accepted: SIGHUP delivered to pid "),
            "{ran:?}"
        );
        // The signal is answered by nothing, so it may be at work for a moment.
        wait_until("the state", || versions().len() == version);
        let last = versions().pop().expect("a version");
        assert_eq!(last["version"], version, "{last}");
        assert_eq!(last["cause"], "SIGHUP", "{last}");
        assert_eq!(last["changed"], json!(["environment"]), "{last}");
    }
    // Nothing is left to the route.
    assert_eq!(fleet.ingestor(RELOAD).json()["reloaded"], json!({}));
}

#[test]
fn adapters_environment_and_feature_flags_are_reloaded() {
    let fleet = Fleet::start();
    fleet.reconfigure(|configuration| {
        configuration["adapters"] = json!(["rest"]);
        configuration["log_level"] = "warn".into();
        configuration["feature_flags"] = json!({"dead_letters": false, "replay": true});
    });
    let answer = fleet.ingestor(RELOAD).json();
    assert_eq!(answer["status"], "success", "{answer}");
    let reloaded = json!({"adapters": 1, "feature_flags": 2, "environment": true});
    assert_eq!(answer["reloaded"], reloaded);
    let ran = fleet.run("reload --yes ingestor");
    let verdict = "ingestor: reloaded: unchanged 7 parts; ";
    assert!(ran.stdout.starts_with(verdict), "{ran:?}");
}

#[test]
fn the_log_level_of_a_reloaded_configuration_is_applied() {
    let mut ingestor = Ingestor::start();
    ingestor.configure("log_level", "debug".into());
    let answer = ingestor.ask(RELOAD).json();
    assert_eq!(answer["reloaded"], json!({"log_level": "debug"}));
    let line = ingestor.until("message", "check done");
    assert_eq!(line["level"], "debug");

    ingestor.configure("log_level", "loud".into());
    let answer = ingestor.ask(RELOAD).json();
    let part = &answer["parts"]["log_level"];
    assert_eq!(part["status"], "rejected");
    let reason = "`loud` is no log level: use error, warn, info, debug or trace";
    assert_eq!(part["message"], reason);
    ingestor.until("message", "configuration rejected");
    ingestor.until("message", "check done");

    ingestor.configure("log_level", "error".into());
    assert_eq!(ingestor.ask(RELOAD).json()["status"], "success");
    ingestor.signal(Signal::TERM);
    let (lines, _) = ingestor.end();
    let messages = texts(&lines, "message");
    let last = messages.last().map(String::as_str);
    assert_eq!(last, Some("clean-up failed"), "{messages:?}");
}

/// The demo's instance logs through a filter of its own.
#[test]
fn the_environment_that_a_reload_reports_is_in_force() {
    let fleet = Fleet::start();
    let reload = |level: &str| {
        fleet.reconfigure(|configuration| configuration["log_level"] = level.into());
        let answer = fleet.ingestor(RELOAD).json();
        assert_eq!(answer["reloaded"], json!({"environment": true}), "{answer}");
    };
    let debugs = || fleet.demo.log("ingestor").matches("DEBUG").count();
    // Each attempt would have told its result.
    fleet.inject_fault("ingestor", "database");
    assert_eq!(debugs(), 0);
    reload("debug");
    fleet.mend("ingestor", "database");
    assert_ne!(debugs(), 0);
    reload("warn");
    let before = debugs();
    fleet.inject_fault("ingestor", "database");
    assert_eq!(debugs(), before);
    let log = fleet.demo.log("ingestor");
    assert!(
        log.contains("ERROR component is unhealthy component=database"),
        "{log}"
    );
}

#[test]
fn database_url_redis_url_and_port_are_reported_as_needing_a_restart() {
    let fleet = Fleet::start();
    for (part, value) in [
        ("database_url", json!("postgres://other.internal/ingest")),
        ("redis_url", json!("redis://other.internal/0")),
        ("port", json!(9090)),
    ] {
        fleet.reconfigure(|configuration| {
            configuration[part] = value;
            let flag = configuration["feature_flags"]["dead_letters"].as_bool();
            configuration["feature_flags"]["dead_letters"] = (flag != Some(true)).into();
        });
        let ran = fleet.run("reload --yes ingestor");
        assert_eq!(ran.code, 5, "{ran:?}");
        let verdict = "ingestor: reload-partial: needs a restart: ";
        assert!(ran.stdout.starts_with(verdict), "{ran:?}");
        let (restart, others) = ran.stdout.split_once("; ").expect("more parts");
        assert!(restart.contains(part), "{ran:?}");
        assert!(others.starts_with("reloaded feature_flags; "), "{ran:?}");
    }
}

#[test]
fn checks_are_switched_on_and_off_while_running() {
    let mut ingestor = Ingestor::start();
    drop(ingestor.database.take());
    ingestor.until("message", "component is unhealthy");
    let path = "PATCH /api/v1/checks/";
    for check in ["database", "api"] {
        let off = json!({"enabled": false});
        let (code, answer) = ingestor.send(&format!("{path}{check}"), &off);
        assert_eq!((code, &answer["enabled"]), (200, &json!(false)));
        assert_eq!(ingestor.component(check), Value::Null, "not used");
    }
    assert_is(&ingestor.check(), "healthy", &[], &[]);
    let on = json!({"enabled": true});
    assert_eq!(ingestor.send("PATCH /api/v1/checks/database", &on).0, 200);
    assert_eq!(ingestor.component("database")["status"], "unhealthy");
    assert_eq!(ingestor.ask("GET /ready").status, 503);
    let (code, answer) = ingestor.send("PATCH /api/v1/checks/kafka", &on);
    assert_eq!(code, 404);
    assert_eq!(answer["detail"], "there is no check `kafka`");
}

/// The same by the configuration, as healthctl shows it.
#[test]
fn checks_are_switched_off_by_a_reload() {
    let fleet = Fleet::start();
    fleet.inject_fault("ingestor", "redis");
    assert_eq!(fleet.check("ingestor")["state"], "unhealthy");
    let switch = |enabled: bool| {
        fleet.reconfigure(|configuration| {
            configuration["checks"] = json!({"redis": {"enabled": enabled}});
        });
        let ran = fleet.run("reload --yes ingestor");
        assert!(
            ran.stdout
                .starts_with("ingestor: reloaded: reloaded checks; "),
            "{ran:?}"
        );
    };
    switch(false);
    assert_is(&fleet.check("ingestor"), "healthy", &[], &[]);
    switch(true);
    assert_eq!(fleet.check("ingestor")["state"], "unhealthy");
}

/// One check is hardly ever run, the other one all the time.
#[test]
fn checks_are_scheduled_singly() {
    let ingestor = Ingestor::start();
    let schedule = |check: &str, seconds: f64| {
        let interval = json!({"interval_seconds": seconds});
        let (code, answer) = ingestor.send(&format!("PATCH /api/v1/checks/{check}"), &interval);
        assert_eq!((code, &answer["interval_seconds"]), (200, &json!(seconds)));
    };
    schedule("database", 3600.0);
    schedule("api", 0.01);
    let before = ingestor.component("database")["checked_at"].take();
    let mut times = std::collections::BTreeSet::new();
    wait_until("the state", || {
        times.insert(ingestor.component("api")["checked_at"].to_string());
        times.len() == 5
    });
    assert_eq!(ingestor.component("database")["checked_at"], before);
    let checks = ingestor.ask("GET /api/v1/checks").json();
    let expected = json!({
        "enabled": true, "timeout_seconds": 2.0, "interval_seconds": 3600.0, "required": true,
    });
    assert_eq!(checks["checks"]["database"], expected);
}

#[test]
fn the_timeouts_of_checks_are_changed_while_running() {
    let fleet = Fleet::start();
    fleet.inject_fault("ingestor", "kafka");
    let message = || fleet.ingestor(DETAILED).json()["components"]["kafka"]["message"].take();
    assert_eq!(message(), "timed out after 300ms");
    fleet.reconfigure(|configuration| {
        configuration["checks"] = json!({"kafka": {"timeout_seconds": 0.125}});
    });
    assert_eq!(fleet.ingestor(RELOAD).status, 200);
    wait_until("the state", || message() == "timed out after 125ms");
    fleet.reconfigure(|configuration| {
        configuration["checks"] = json!({"kafka": {"timeout_seconds": -1}});
    });
    let refused = fleet.ingestor(RELOAD);
    assert_eq!(refused.status, 422);
    let reason = refused.json()["parts"]["checks"]["message"].take();
    assert!(
        reason.to_string().contains("kafka: timeout_seconds: "),
        "{reason}"
    );
    // A configuration without settings has those with which the checks were registered.
    fleet.reconfigure(|configuration| configuration["checks"] = json!({}));
    assert_eq!(fleet.ingestor(RELOAD).status, 200);
    wait_until("the state", || message() == "timed out after 300ms");
}

#[test]
fn a_configuration_is_validated_before_a_reload() {
    let mut ingestor = Ingestor::start();
    let dry_run = "POST /api/v1/config/reload?dry_run=true";
    ingestor.configure("adapters", json!([]));
    let refused = ingestor.ask(dry_run);
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["error"], "adapters: at least one is needed");
    ingestor.configure("adapters", json!(["rest", "ftp"]));
    ingestor.configure("shutdown", json!({"drain_seconds": 5}));
    let valid = ingestor.ask(dry_run).json();
    assert_eq!(
        (&valid["status"], &valid["dry_run"]),
        (&json!("partial"), &json!(true))
    );
    assert_eq!(valid["reloaded"], json!({"adapters": 2}));
    assert_eq!(valid["parts"]["shutdown"]["status"], "needs-restart");
    assert_eq!(valid["version"], 1);
    let versions = ingestor.ask("GET /api/v1/config/versions").json();
    assert_eq!(versions["version"], 1, "nothing was applied");
    assert_eq!(versions["reloads"], json!([]));
    assert_eq!(ingestor.ask(RELOAD).json()["version"], 2);
}

#[test]
fn a_configuration_is_rolled_back() {
    let mut ingestor = Ingestor::start();
    ingestor.configure("log_level", "debug".into());
    assert_eq!(ingestor.ask(RELOAD).json()["version"], 2);
    ingestor.until("message", "check done");
    let answer = ingestor.ask("POST /api/v1/config/versions/1/rollback");
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["reloaded"], json!({"log_level": "info"}));
    assert_eq!(answer["version"], 3);
    let missing = ingestor.ask("POST /api/v1/config/versions/9/rollback");
    assert_eq!(missing.status, 404);
    ingestor.until("message", "configuration rejected");
    ingestor.signal(Signal::TERM);
    let (lines, _) = ingestor.end();
    let rejected = |line: &&Value| line["message"] != "configuration rejected";
    let later: Vec<Value> = lines.iter().skip_while(rejected).cloned().collect();
    let levels = texts(&later, "level");
    assert!(levels.contains(&"info".to_owned()), "{later:?}");
    assert!(!levels.contains(&"debug".to_owned()), "the level is back");
}

#[test]
fn configurations_have_versions_and_a_history() {
    let mut ingestor = Ingestor::start();
    ingestor.configure("adapters", json!(["rest", "ftp"]));
    ingestor.signal(Signal::HUP);
    ingestor.until("message", "configuration reloaded");
    ingestor.configure("adapters", json!([]));
    ingestor.ask(RELOAD);
    let mut answer = ingestor.ask("GET /api/v1/config/versions").json();
    let mut earlier = String::new();
    for version in answer["versions"].as_array_mut().expect("a list") {
        let since = version["since"].take();
        let since = since.as_str().expect("a time").to_owned();
        assert!(since > earlier, "{since} after {earlier}");
        earlier = since;
    }
    let expected = json!([
        {"version": 1, "since": null, "cause": "start", "changed": []},
        {"version": 2, "since": null, "cause": "SIGHUP", "changed": ["adapters"]},
    ]);
    assert_eq!(answer["versions"], expected);
    let mut reloads = answer["reloads"].take();
    for reload in reloads.as_array_mut().expect("a list") {
        assert!(reload["at"].take().is_string());
    }
    let error = "adapters: at least one is needed";
    let expected = json!([
        {"at": null, "cause": "SIGHUP", "status": "success", "version": 2, "error": null},
        {"at": null, "cause": "request", "status": "failed", "version": 2, "error": error},
    ]);
    assert_eq!(reloads, expected);
}

/// The other service is one of the same kind, whose database goes.
#[test]
fn the_health_of_an_upstream_service_is_aggregated() {
    let mut upstream = Ingestor::start();
    let url = format!("http://{}/health/detailed", upstream.address);
    let ingestor = Ingestor::with(json!({"upstream": url}));
    let found = ask_until(|| ingestor.check(), |found| found["state"] == "healthy");
    assert_is(&found, "healthy", &[], &[]);
    drop(upstream.database.take());
    upstream.until("message", "component is unhealthy");
    let expected = "reports `unhealthy`; database: Connection refused";
    let is_told = |found: &Value| {
        let error = dependency(found, "catalogue")["error"].as_str();
        error.is_some_and(|error| error.starts_with(expected))
    };
    let found = ask_until(|| ingestor.check(), is_told);
    assert_eq!(found["state"], "degraded", "it is optional: {found}");
    let failing = || ingestor.component("catalogue")["metadata"]["failing"].take();
    ask_until(failing, |failing| *failing == json!(["database", "api"]));

    upstream.signal(Signal::TERM);
    upstream.end();
    let refused = |component: Value| {
        let message = component["message"].as_str().unwrap_or_default();
        message.starts_with("Connection refused")
    };
    wait_until("the state", || refused(ingestor.component("catalogue")));
    assert_eq!(ingestor.ask("GET /ready").status, 200);
}

/// One failure is one reason, however many components it reaches.
#[test]
fn a_failure_is_propagated_along_dependencies_and_counted_once() {
    let mut ingestor = Ingestor::start();
    assert_eq!(ingestor.component("api")["message"], "running");
    drop(ingestor.database.take());
    wait_until("the state", || {
        ingestor.component("database")["status"] != "healthy"
    });
    wait_until("the state", || {
        ingestor.component("api")["message"] != "running"
    });
    let api = ingestor.component("api");
    assert_eq!(api["status"], "degraded", "{api}");
    assert_eq!(api["metadata"]["affected_by"], json!(["database"]));
    let found = ingestor.check();
    assert_eq!(found["state"], "unhealthy");
    let reasons = found["reasons"].as_array().expect("a list");
    let errors = reasons
        .iter()
        .filter(|reason| reason.to_string().contains(": error: "));
    assert_eq!(errors.count(), 1, "{found}");
    let api = dependency(&found, "api")["error"]
        .as_str()
        .expect("a reason");
    assert!(api.starts_with("affected by database"), "{api}");
}

#[test]
fn a_circuit_breaker_stops_calls() {
    let ingestor = Ingestor::start();
    let ingest = || ingestor.ask("GET /ingest");
    for _ in 0..2 {
        assert_eq!(ingest().status, 502);
    }
    // The pause of the circuit is brief. Another call that fails after it opens the circuit again.
    let refused = ask_until(ingest, |answer| answer.status == 503);
    assert!(
        refused.body.starts_with("the circuit is open for another "),
        "{refused:?}"
    );
    let supplier = || {
        ingest();
        ingestor.component("supplier")
    };
    ask_until(supplier, |supplier| {
        supplier["metadata"]["circuit_breaker"] == "open"
    });
    let check = || {
        ingest();
        ingestor.check()
    };
    let is_open = |found: &Value| {
        let error = dependency(found, "supplier")["error"].as_str();
        error.is_some_and(|error| error.ends_with("(circuit open)"))
    };
    let found = ask_until(check, is_open);
    assert_eq!(found["state"], "degraded", "it is optional: {found}");
    // Once the pause is over a call is let through, and fails again.
    let after_a_trial = || {
        ask_until(ingest, |answer| answer.status == 503);
        ask_until(ingest, |answer| answer.status == 502);
        ingest().status
    };
    ask_until(after_a_trial, |code| *code == 503);
}

#[test]
fn ready_waits_for_no_optional_and_no_unused_dependency() {
    let ingestor = Ingestor::start();
    let ready = ingestor.ask("GET /ready?detailed=true");
    assert_eq!(ready.status, 200);
    let components = ready.json()["components"].take();
    let names: Vec<&String> = components.as_object().expect("a map").keys().collect();
    assert_eq!(names, ["database", "api"], "the supplier is not used yet");
    ingestor.ask("GET /ingest");
    let ready = ingestor.ask("GET /ready?detailed=true");
    assert_eq!(ready.status, 200, "the supplier is optional");
    assert_eq!(
        ready.json()["components"]["supplier"]["status"],
        "unhealthy"
    );
}

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("ingestor");
    watching.until_state("ingestor", "healthy");

    fleet.inject_fault("ingestor", "celery");
    watching.until_state("ingestor", "degraded");
    let found = fleet.check("ingestor");
    let reason = "dependency celery: degraded: 1 of 4 workers";
    assert_is(&found, "degraded", &[reason], &[]);
    assert_eq!(found["ready"], true, "200 for degraded too");
    fleet.inject_fault("ingestor", "database");
    watching.until_state("ingestor", "unhealthy");
    let found = fleet.check("ingestor");
    let reasons = [
        "status: reports `unhealthy`",
        NOT_READY,
        "dependency database: error: connection refused",
        reason,
        "dependency api: degraded: affected by database",
    ];
    assert_is(&found, "unhealthy", &reasons, &[]);
    assert_eq!(found["ready"], false);
    for component in ["celery", "database"] {
        fleet.mend("ingestor", component);
    }
    watching.until_state("ingestor", "healthy");

    fleet.reconfigure(|configuration| configuration["log_level"] = "debug".into());
    let ran = fleet.run("reload --yes ingestor");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .starts_with("ingestor: reloaded: reloaded environment; unchanged adapters, "),
        "{ran:?}"
    );

    fleet.stop("ingestor");
    let stopped = watching.until_state("ingestor", "stopped");
    let reason = stopped["reasons"][0].as_str().unwrap_or_default();
    assert!(reason.starts_with("shut down on purpose"), "{stopped}");
}

/// The component is optional, and its check never ends.
#[test]
fn a_check_that_hangs_does_not_hold_up_the_others() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("ingestor");
    watching.until_state("ingestor", "healthy");
    fleet.inject_fault("ingestor", "kafka");
    let degraded = watching.until_state("ingestor", "degraded");
    assert_is(
        &degraded,
        "degraded",
        &["dependency kafka: error: timed out after 300ms"],
        &[],
    );
    // The others are as fresh as ever, however often one asks.
    for _ in 0..5 {
        let detailed = fleet.demo.ask("ingestor", "GET /health/detailed").json();
        assert_eq!(detailed["components"]["kafka"]["status"], "unhealthy");
        let found = fleet.check("ingestor");
        assert_eq!(
            (&found["state"], &found["ready"]),
            (&json!("degraded"), &json!(true))
        );
        for component in ["database", "redis", "celery", "api"] {
            assert_eq!(
                dependency(&found, component)["status"],
                "working",
                "{found}"
            );
        }
    }
    fleet.mend("ingestor", "kafka");
    watching.until_state("ingestor", "healthy");

    // Where nothing ends the one that hangs, they go on being checked.
    fleet.inject_fault("ingestor", "kafka");
    fleet.reconfigure(|configuration| {
        configuration["checks"] = json!({"kafka": {"timeout_seconds": 3600}});
    });
    assert_eq!(fleet.ingestor(RELOAD).status, 200);
    let checked = || {
        let mut detailed = fleet.ingestor(DETAILED).json();
        detailed["components"]["database"]["checked_at"].take()
    };
    // One after the other, a few would still come before its next attempt, and then none.
    for _ in 0..6 {
        let before = checked();
        wait_until("another check", || checked() != before);
    }
}

#[test]
fn an_invalid_file_is_rejected_with_the_reason_and_changes_nothing() {
    let fleet = Fleet::start();
    let pid = fleet.demo.pid("ingestor");
    let before = fleet.version();
    for (text, reason) in [
        ("{", "EOF while parsing"),
        (r#"{"adapters": []}"#, "missing field `feature_flags`"),
        ("\u{0}", "expected value"),
    ] {
        std::fs::write(fleet.configuration(), text).expect("it is ours");
        let ran = fleet.run("reload --yes ingestor");
        assert_eq!(ran.code, 5, "{ran:?}");
        let verdict = "ingestor: reload-rejected: it keeps its old configuration: ";
        assert!(ran.stdout.starts_with(verdict), "{ran:?}");
        assert!(ran.stdout.contains(reason), "{ran:?}");
        assert!(
            ran.stdout
                .contains(&format!("pid {pid} (healthctl) goes on")),
            "{ran:?}"
        );
    }
    assert_eq!(fleet.version(), before);

    // The service writes the file by itself, some time after the command.
    let adapters = || -> Option<usize> {
        let text = std::fs::read_to_string(fleet.configuration()).ok()?;
        let configuration: Value = serde_json::from_str(&text).ok()?;
        configuration["adapters"].as_array().map(Vec::len)
    };
    fleet.inject_fault("ingestor", "config");
    wait_until("no adapters", || adapters() == Some(0));
    let ran = fleet.run("reload --yes ingestor");
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.stdout
            .contains("rejected adapters (at least one is needed)"),
        "{ran:?}"
    );
    assert_eq!(fleet.version(), before);
    assert_is(&fleet.check("ingestor"), "healthy", &[], &[]);

    fleet.mend("ingestor", "config");
    wait_until("three adapters", || adapters() == Some(3));
    let ran = fleet.run("reload --yes ingestor");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .starts_with("ingestor: reloaded: reloaded adapters; "),
        "{ran:?}"
    );
    assert_eq!(
        fleet.version().as_u64(),
        before.as_u64().map(|version| version + 1)
    );
}

/// The addresses of the database and the cache and the port need a restart; everything else is reloaded.
#[test]
fn parts_that_need_a_restart_are_reported_and_the_others_reloaded() {
    let fleet = Fleet::start();
    fleet.reconfigure(|configuration| {
        configuration["port"] = 9090.into();
        configuration["feature_flags"] = json!({"dead_letters": false});
    });
    let ran = fleet.run("reload --yes ingestor");
    assert_eq!(ran.code, 5, "{ran:?}");
    let verdict = "ingestor: reload-partial: needs a restart: port; reloaded feature_flags; ";
    assert!(ran.stdout.starts_with(verdict), "{ran:?}");
}

/// The same key leads to each result of a reload, one after the other.
#[test]
fn a_reload_from_the_dashboard_shows_the_result_of_each_part() {
    let fleet = Fleet::start();
    let mut pty = Pty::start(&fleet.command("watch ingestor"), 120, 40);
    pty.wait_for("✓ 1 healthy");
    pty.keys(ENTER);
    let mut reload = |verdict: &str, detail: &str| {
        pty.keys("L");
        pty.wait_for(">[ Cancel ]");
        pty.keys("y");
        pty.wait_for(&format!("reload: {verdict} after"));
        pty.wait_for(detail);
    };
    fleet.reconfigure(|configuration| configuration["log_level"] = "debug".into());
    reload("reloaded", "reloaded environment");
    fleet.reconfigure(|configuration| configuration["port"] = 9090.into());
    reload("reload-partial", "needs a restart: port");
    std::fs::write(fleet.configuration(), "{").expect("it is ours");
    reload("reload-rejected", "EOF while parsing");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

/// A second signal neither shortens the drain nor begins another one.
#[test]
fn a_second_signal_changes_nothing() {
    let mut ingestor = Ingestor::with(json!({"shutdown": {"drain_seconds": 30}}));
    let endless = ingestor.endless();
    ingestor.signal(Signal::TERM);
    ingestor.until("message", "drain begins");
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        ingestor.signal(signal);
        assert_eq!(ingestor.ask("GET /health").status, 200, "it goes on");
    }
    drop(endless);
    let (lines, code) = ingestor.end();
    assert_eq!(code, Some(0));
    let steps = texts(&lines, "step");
    let requested = |step: &&String| step.starts_with("requested by ");
    assert_eq!(steps.iter().filter(requested).count(), 1, "{steps:?}");
    assert!(steps.contains(&"drained".to_owned()), "{steps:?}");
}
