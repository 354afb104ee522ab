//! What every mail room goes through, whatever it is written in.

use rustix::process::Signal;
use serde_json::Value;

use crate::mailroom::{Language, Mailroom, letters};
use crate::support::acting::Acting;
use crate::support::waiting::ask_until;
use crate::support::watching::Watching;

/// It is watched: healthy with all that it says of itself, then without what it needs, then well again.
fn is_watched(language: Language) {
    let mailroom = Mailroom::start(language);
    let mut watching = Watching::start(&mailroom.scene, &[]);
    watching.until_state("mailroom", "healthy");
    let ran = mailroom.scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    let found = &report["services"][0];
    assert_eq!(found["service"], "mailroom", "{found}");
    assert_eq!(found["version"], "0.1.0", "{found}");
    assert!(found["uptime_seconds"].is_f64(), "{found}");
    assert!(found["started_at"].is_string(), "{found}");
    assert!(
        found["resources"]
            .as_object()
            .is_some_and(|it| !it.is_empty())
    );
    let inbox = &found["dependencies"][0];
    assert_eq!(inbox["name"], "inbox", "{found}");
    assert_eq!(inbox["status"], "working", "{found}");
    assert_eq!(inbox["details"]["letters"], 0, "{found}");
    assert!(inbox["success_count"].as_u64() >= Some(1), "{found}");
    assert!(inbox["last_success_seconds"].is_f64(), "{found}");
    for route in ["/healthz", "/readyz"] {
        assert_eq!(mailroom.ask(&format!("GET {route}")).status, 200, "{route}");
    }
    assert_eq!(mailroom.ask("GET /nothing").status, 404);

    mailroom.has_inbox(false);
    let broken = watching.until_state("mailroom", "unhealthy");
    let reason = broken["reasons"][0].as_str().expect("a reason");
    assert!(reason.starts_with("dependency inbox: error: "), "{reason}");
    assert!(
        reason.to_lowercase().contains("no such file or directory"),
        "{reason}"
    );
    assert_eq!(mailroom.ask("GET /healthz").status, 200, "it lives");
    assert_eq!(mailroom.ask("GET /readyz").status, 503);
    assert_eq!(mailroom.ask("GET /letters").status, 503);
    mailroom.has_inbox(true);
    let well = watching.until_state("mailroom", "healthy");
    assert!(well["dependencies"][0]["failure_count"].as_u64() >= Some(1));
    assert_eq!(mailroom.ask("GET /letters").body, "0 waiting\n");
}

/// A blocking shutdown waits for the letter in flight, refuses others, and is proved.
fn is_drained_and_stopped(language: Language) {
    let mailroom = Mailroom::start(language);
    let letter = mailroom.begin_letter();
    let mut acting = Acting::start(mailroom.scene.command(&["shutdown", "--yes", "mailroom"]));
    acting.until("draining");
    let live = mailroom.ask("GET /health/live");
    assert_eq!(
        (live.status, &live.json()["status"]),
        (200, &"shutting_down".into())
    );
    let status = mailroom.ask("GET /health/status").json();
    assert_eq!(status["should_shutdown"], true, "{status}");
    assert_eq!(mailroom.ask("GET /letters").status, 503);
    assert_eq!(mailroom.ask("GET /readyz").status, 503);
    let ran = mailroom.scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    assert_eq!(report["services"][0]["state"], "draining", "{ran:?}");
    assert!(acting.goes_on(), "a letter is in flight");

    let answer = letter.finish();
    assert!(answer.contains(" 200 OK\r\n"), "{answer}");
    assert!(answer.contains("thank you\n"), "{answer}");
    let (pid, port) = (mailroom.running.pid(), mailroom.port);
    let (scene, reaper) = mailroom.reap();
    let ran = acting.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    let proof = format!("mailroom: stopped: 127.0.0.1:{port} refuses connections and pid {pid} ");
    assert!(ran.stdout.starts_with(&proof), "{ran:?}");
    assert!(ran.stderr.contains("shutdown_complete"), "{ran:?}");
    assert!(reaper.join().success());
    assert_eq!(letters(&scene), ["hello"]);
}

/// A scheduled shutdown is accepted at once and carried out behind it.
fn is_scheduled(language: Language) {
    let mailroom = Mailroom::start(language);
    let letter = mailroom.begin_letter();
    let mut watching = Watching::start(&mailroom.scene, &[]);
    watching.until_state("mailroom", "healthy");
    let ran = mailroom
        .scene
        .run(&["shutdown", "--schedule", "--yes", "mailroom"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("mailroom: accepted: "), "{ran:?}");
    assert!(ran.stderr.contains("shutdown_scheduled"), "{ran:?}");
    let passed = watching.until(|change| change["state"] != "healthy");
    assert_eq!(
        passed.last().expect("it was waited for")["state"],
        "draining"
    );
    assert!(letter.finish().contains("thank you\n"));
    let (_scene, reaper) = mailroom.reap();
    watching.until_state("mailroom", "stopped");
    assert!(reaper.join().success());
}

/// A signal does the same as the routes; a second one changes nothing.
fn is_signalled(language: Language) {
    for signal in [Signal::TERM, Signal::INT] {
        let mut mailroom = Mailroom::start(language);
        let letter = mailroom.begin_letter();
        mailroom.signal(signal);
        mailroom.until_live_says("shutting_down");
        mailroom.signal(signal);
        assert_eq!(mailroom.ask("GET /health/live").status, 200);
        assert!(letter.finish().contains("thank you\n"));
        assert!(mailroom.ends().success());
        assert_eq!(letters(&mailroom.scene), ["hello"]);
        let log = mailroom.log();
        assert_eq!(log.matches("inbox closed").count(), 1, "{log}");
    }
}

/// A check that fails without a word, and one that hangs, are told as errors, and hold up neither readiness nor each other.
fn tells_of_silent_checks(language: Language) {
    let mailroom = Mailroom::with_more_checks(language);
    let dependencies = || mailroom.ask("GET /health/status").json()["dependencies"].take();
    let told = |all: &Value| {
        all["hangs"]["error"] == "no answer in time"
            && all["silent"]["status"] == "error"
            && all["inbox"]["status"] == "working"
    };
    let all = ask_until(dependencies, told);
    assert_eq!(all["hangs"]["status"], "error", "{all}");
    assert_eq!(mailroom.ask("GET /readyz").status, 503);
    assert_eq!(mailroom.ask("GET /healthz").status, 200);
    let ran = mailroom.scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
#[ignore = "needs Python, Go and Node"]
fn a_check_that_fails_without_a_word_or_hangs_is_told_by_each_page() {
    for language in [Language::Python, Language::Go, Language::Node] {
        tells_of_silent_checks(language);
    }
}

macro_rules! goes_through {
    ($($name:ident: $language:ident $(, $reason:literal)?;)*) => {$(
        mod $name {
            use super::{Language, is_drained_and_stopped, is_scheduled, is_signalled, is_watched};

            #[test]
            $(#[ignore = $reason])?
            fn it_is_watched_with_all_that_it_says() {
                is_watched(Language::$language);
            }

            #[test]
            $(#[ignore = $reason])?
            fn it_drains_with_work_in_flight_and_is_stopped_with_proof() {
                is_drained_and_stopped(Language::$language);
            }

            #[test]
            $(#[ignore = $reason])?
            fn its_shutdown_is_scheduled() {
                is_scheduled(Language::$language);
            }

            #[test]
            $(#[ignore = $reason])?
            fn a_signal_cleans_up_and_a_second_one_changes_nothing() {
                is_signalled(Language::$language);
            }
        }
    )*};
}

goes_through! {
    rust: Rust;
    python: Python, "needs Python";
    go: Go, "needs Go";
    node: Node, "needs Node";
}
