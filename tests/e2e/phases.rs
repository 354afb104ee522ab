//! What a service goes through: starting up behind its startup probe, its start period, and flapping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::fake::Fake;
use crate::support::scene::{Ran, Scene};
use crate::support::watching::Watching;

fn service(ran: &Ran) -> Value {
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    report["services"][0].clone()
}

/// A service whose `/startup` answers 503 until it is told otherwise.
fn coming_up() -> (Fake, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&up);
    let fake = Fake::http(move |_, path| match path {
        "/startup" if !told.load(Ordering::SeqCst) => (503, String::new()),
        _ => (200, String::new()),
    });
    (fake, up)
}

fn gated(fake: &Fake) -> Scene {
    Scene::with_inventory(&format!(
        "defaults: {{interval: 50ms}}\nservices:\n  api:\n    url: {}\n    probes:\n      live: {{http: /live}}\n      \
         ready: {{http: /ready}}\n      startup: {{http: /startup, failure_threshold: 1000}}\n      cache: {{tcp: '127.0.0.1:{}'}}\n",
        fake.url(),
        fake.port()
    ))
}

#[test]
fn startup_holds_the_others_back_in_a_check() {
    let (fake, up) = coming_up();
    let scene = gated(&fake);
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(fake.asked(), ["GET /startup"]);
    let api = service(&ran);
    assert_eq!(api["state"], "starting");
    assert_eq!(
        api["reasons"][0],
        "startup: not passed yet: answered 503 Service Unavailable, expected 200-299"
    );
    let results: Vec<_> = api["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| (probe["name"].as_str().unwrap(), &probe["checked_at"]))
        .collect();
    assert!(
        results
            .iter()
            .all(|(name, at)| at.is_null() != (*name == "startup")),
        "{results:?}"
    );
    // The others follow in the same round once it has passed.
    up.store(true, Ordering::SeqCst);
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!((ran.code, &service(&ran)["state"]), (0, &"healthy".into()));
    assert_eq!(fake.asked()[1], "GET /startup");
    let mut rest = fake.asked().split_off(2);
    rest.sort();
    assert_eq!(rest, ["GET /live", "GET /ready"]);
}

#[test]
fn startup_holds_the_others_back_in_the_stream() {
    let (fake, up) = coming_up();
    let scene = gated(&fake);
    let mut watching = Watching::start(&scene, &[]);
    let starting = watching.until(|change| change["probes"][0]["failure_count"].as_u64() > Some(0));
    assert_eq!(starting.last().unwrap()["state"], "starting");
    assert!(fake.asked().iter().all(|asked| asked == "GET /startup"));
    up.store(true, Ordering::SeqCst);
    let healthy = watching.until_state("api", "healthy");
    assert_eq!(healthy["probes"].as_array().map(Vec::len), Some(4));
    assert_eq!(watching.end(Signal::TERM), Some(143));
}

#[test]
fn a_service_that_does_not_start_is_unhealthy_and_goes_on_being_asked() {
    let (fake, up) = coming_up();
    let scene = gated(&fake);
    scene.write(
        "over.yaml",
        "services: {api: {probes: {startup: {failure_threshold: 3}}}}\n",
    );
    let mut watching = Watching::start(&scene, &["-f", "healthctl.yaml", "-f", "over.yaml"]);
    let unhealthy = watching.until_state("api", "unhealthy");
    assert_eq!(
        unhealthy["reasons"][0],
        "did not start: answered 503 Service Unavailable, expected 200-299"
    );
    up.store(true, Ordering::SeqCst);
    watching.until_state("api", "healthy");
}

/// A service of the profile `hephaestus` that answers 503 and says that it started so long ago, if it says so at all.
fn failing(age: Option<SignedDuration>) -> Fake {
    let started = age.map(|age| Timestamp::now() - age);
    Fake::http(move |_, _| {
        let started = started.map(|at| format!(r#","start_time":"{at}""#));
        (
            503,
            format!(
                r#"{{"status":"healthy","version":"1"{}}}"#,
                started.unwrap_or_default()
            ),
        )
    })
}

#[test]
fn failures_do_not_count_in_the_start_period_of_a_known_start() {
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    for (age, state, code) in [
        (hours(0), "starting", 3),
        (hours(2), "unhealthy", 1),
        // It reports no start, so that of its process counts, which is this test.
        (None, "starting", 3),
    ] {
        let fake = failing(age);
        let scene = Scene::with_inventory(&format!(
            "services:\n  api: {{profile: hephaestus, url: {}, start_period: 1h}}\n",
            fake.url()
        ));
        let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
        let api = service(&ran);
        assert_eq!((&api["state"], ran.code), (&state.into(), code), "{ran:?}");
        let reason = api["reasons"][0].as_str().unwrap();
        assert_eq!(
            reason.starts_with("in its start period: "),
            state == "starting",
            "{reason}"
        );
        // The same without an inventory.
        let url = fake.url();
        let typed = [
            "check",
            "--exit-code",
            "-o",
            "json",
            "--profile",
            "hephaestus",
        ];
        let words = [&typed[..], &["--url", &url, "--start-period", "1h"]].concat();
        let ran = Scene::new().run(&words);
        assert_eq!((&service(&ran)["state"], ran.code), (&state.into(), code));
    }
}

#[test]
fn the_start_period_ends_at_the_first_success() {
    let answers = Arc::new(AtomicUsize::new(503));
    let code = Arc::clone(&answers);
    let started = Timestamp::now();
    let fake = Fake::http(move |_, _| {
        let body = format!(r#"{{"status":"healthy","start_time":"{started}"}}"#);
        (
            u16::try_from(code.load(Ordering::SeqCst)).expect("a code is small"),
            body,
        )
    });
    let scene = Scene::with_inventory(&format!(
        "defaults: {{interval: 50ms, failure_threshold: 2}}\nservices:\n  api: {{profile: hephaestus, url: {}, start_period: 1h}}\n",
        fake.url()
    ));
    let mut watching = Watching::start(&scene, &[]);
    watching.until_state("api", "starting");
    answers.store(200, Ordering::SeqCst);
    watching.until_state("api", "healthy");
    answers.store(503, Ordering::SeqCst);
    let unhealthy = watching.until_state("api", "unhealthy");
    assert!(
        !unhealthy["reasons"][0]
            .as_str()
            .unwrap()
            .contains("start period"),
        "{unhealthy}"
    );
}

#[test]
fn flapping_is_flagged_and_cleared_and_never_the_state() {
    let steady = Arc::new(AtomicBool::new(false));
    let count = AtomicUsize::new(0);
    let told = Arc::clone(&steady);
    let fake = Fake::http(move |_, _| {
        let odd = count.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        (
            if odd && !told.load(Ordering::SeqCst) {
                500
            } else {
                200
            },
            String::new(),
        )
    });
    let scene = Scene::with_inventory(&format!(
        "defaults: {{interval: 50ms, failure_threshold: 3}}\nservices:\n  api: {{profile: http, url: {}}}\n",
        fake.url()
    ));
    let flapping = |change: &Value| change["flags"] == serde_json::json!(["flapping"]);
    let mut watching = Watching::start(&scene, &[]);
    let changes = watching.until(flapping);
    let last = changes.last().unwrap();
    assert_eq!(
        last["state"], "healthy",
        "one failure in a row is not three"
    );
    assert!(last["changed"].as_array().unwrap().contains(&"flag".into()));
    steady.store(true, Ordering::SeqCst);
    watching.until(|change| change["flags"] == serde_json::json!([]));
    assert_eq!(watching.end(Signal::INT), Some(130));
}
