//! `scry-ingestor`: a Python service with required and optional components that reloads its configuration.

use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Fleet, assert_is, dependency};
use crate::support::demo::Answer;
use crate::support::terminal::{ENTER, Pty};

const NOT_READY: &str = "ready: answered 503 Service Unavailable, expected 200-299";

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
        let answer: Answer = self.demo.ask("ingestor", "POST /api/v1/config/reload");
        answer.json()["version"].clone()
    }
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
    // A probe that is in flight when the listener closes may be reset; the next one is refused.
    watching.until(|change| {
        let reason = change["reasons"][0].as_str().unwrap_or_default();
        change["state"] == "unhealthy" && reason.contains("connection refused")
    });
}

/// The component is optional, and its check never ends.
#[test]
fn a_hanging_component_delays_no_reply() {
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

    fleet.inject_fault("ingestor", "config");
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

#[test]
fn a_signal_reloads_like_the_route() {
    let fleet = Fleet::with("  ingestor: {actions: {reload: {signal: HUP}}}\n");
    let before = fleet.version().as_u64().expect("a number");
    let mut passed = 0;
    for (level, expected) in [("debug", 1), ("warn", 2)] {
        fleet.reconfigure(|configuration| configuration["log_level"] = level.into());
        let ran = fleet.run("reload --yes ingestor");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            ran.stdout
                .starts_with("ingestor: accepted: SIGHUP delivered to pid "),
            "{ran:?}"
        );
        // By the second reload nothing is left to do.
        passed = fleet.version().as_u64().expect("a number") - before;
        assert_eq!(passed, expected);
    }
    assert_eq!(passed, 2);
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
    let mut fleet = Fleet::start();
    let pid = Pid::from_raw(fleet.demo.pid("ingestor")).expect("a process");
    let mut acting = fleet.begin("shutdown --yes ingestor");
    acting.until("SIGTERM delivered");
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        // It may have ended by now.
        let _ = kill_process(pid, signal);
    }
    let ran = acting.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fleet.demo.next_event(), "ingestor exited: exit status: 0\n");
}
