//! Tests of checks: they run side by side, bounded in time, and their results are cached.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep};

use crate::{Check, CheckResult, Health, Need, Service, Settings};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(5);

fn service() -> Service {
    let settings = Settings {
        handle_signals: false,
        ..Settings::default()
    };
    Service::new("ingestor", "1.0", settings)
}

fn health(service: &Service, name: &str) -> (Health, Option<String>) {
    let component = service
        .components()
        .into_iter()
        .find(|component| component.name == name)
        .unwrap();
    (component.health, component.message)
}

fn unhealthy(message: &str) -> (Health, Option<String>) {
    (Health::Unhealthy, Some(message.to_owned()))
}

/// Registers a check that takes a second, and counts its starts.
fn counted(service: &Service) -> (Check, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let check = service.register_check("counted", Need::Required, LIMIT, move || {
        seen.fetch_add(1, Ordering::SeqCst);
        async { sleep(SECOND).await }
    });
    (check, count)
}

#[tokio::test(start_paused = true)]
async fn checks_run_side_by_side() {
    let service = service();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        service.register_check(name, Need::Required, LIMIT, || sleep(SECOND / 4));
    }
    let begin = Instant::now();
    service.run_due_checks().await;
    assert_eq!(begin.elapsed(), SECOND / 4);
    assert_eq!(service.health(), Health::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_panics_or_fails_does_not_affect_the_others() {
    let service = service();
    service.register_check("hangs", Need::Optional, LIMIT, pending::<()>);
    service.register_check("panics", Need::Optional, LIMIT, || async {
        assert!(std::thread::panicking(), "no such {}", "pool");
    });
    service.register_check("fails", Need::Optional, LIMIT, || async {
        Err::<(), _>("connection refused")
    });
    service.register_check("well", Need::Required, LIMIT, || async {
        CheckResult::healthy()
            .with_message("connected")
            .with_detail("pool", 5)
    });

    let begin = Instant::now();
    service.run_due_checks().await;
    assert_eq!(begin.elapsed(), SECOND / 2, "no longer than `check_wait`");
    assert_eq!(health(&service, "hangs"), (Health::Unknown, None));
    assert_eq!(
        health(&service, "panics"),
        unhealthy("panicked: no such pool")
    );
    assert_eq!(health(&service, "fails"), unhealthy("connection refused"));
    let well = (Health::Healthy, Some("connected".to_owned()));
    assert_eq!(health(&service, "well"), well);
    assert_eq!(service.health(), Health::Degraded);

    sleep(LIMIT).await;
    assert_eq!(health(&service, "hangs"), unhealthy("timed out after 5s"));
    assert!(service.is_ready(), "the required one is well");
}

#[tokio::test(start_paused = true)]
async fn results_are_cached_and_attempts_shared() {
    let service = service();
    let (check, count) = counted(&service);
    tokio::join!(check.run(), check.run(), check.run());
    assert_eq!(count.load(Ordering::SeqCst), 1, "those who wait share one");
    service.run_due_checks().await;
    assert_eq!(count.load(Ordering::SeqCst), 1, "it is fresh");
    advance(SECOND).await;
    service.start_due_checks();
    check.run().await;
    assert_eq!(count.load(Ordering::SeqCst), 2, "it was stale");
    check.set_result_ttl(Duration::from_secs(60));
    advance(SECOND * 59).await;
    service.run_due_checks().await;
    assert_eq!(count.load(Ordering::SeqCst), 2, "it is kept for longer");
    check.run().await;
    assert_eq!(count.load(Ordering::SeqCst), 3, "it was asked for");
}

#[tokio::test(start_paused = true)]
async fn checks_run_on_a_schedule_until_the_shutdown() {
    let service = service();
    let (_, count) = counted(&service);
    service.check_every(SECOND * 10);
    sleep(SECOND * 35).await;
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn checks_are_disabled_and_their_timeouts_changed_while_the_service_runs() {
    let service = service();
    let check = service.register_check("redis", Need::Required, LIMIT, || sleep(SECOND * 2));
    check.run().await;
    assert_eq!(service.health(), Health::Healthy);

    check.set_timeout(SECOND);
    check.run().await;
    assert_eq!(health(&service, "redis"), unhealthy("timed out after 1s"));

    check.set_enabled(false);
    assert_eq!(service.components(), []);
    let snapshot = service.dependencies().remove(0);
    assert_eq!(snapshot.health, None);
    check.run().await;
    assert_eq!(service.components(), [], "it does not run while it is off");

    check.set_enabled(true);
    check.set_timeout(LIMIT);
    assert!(!service.is_ready(), "nothing is known of it yet");
    check.run().await;
    assert_eq!(health(&service, "redis"), (Health::Healthy, None));
    assert!(
        service
            .check("redis")
            .is_some_and(|check| check.is_enabled())
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_disabled_meanwhile_records_nothing() {
    let service = service();
    let check = service.register_check("redis", Need::Required, LIMIT, || sleep(SECOND));
    service.start_due_checks();
    sleep(SECOND / 2).await;
    check.set_enabled(false);
    sleep(SECOND).await;
    assert_eq!(service.components(), []);
}

#[tokio::test]
async fn a_blocking_check_runs_in_a_thread_of_its_own() {
    let service = service();
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let (start, mut started) = tokio::sync::mpsc::unbounded_channel();
    let limit = Duration::from_millis(1);
    let hangs = service.register_blocking_check("hangs", Need::Required, limit, move || {
        start.send(()).unwrap();
        let _ = held.lock().unwrap().recv();
    });
    let panics = service.register_blocking_check("panics", Need::Optional, LIMIT, || {
        assert!(std::thread::panicking(), "out of order");
    });
    let well = service.register_blocking_check("well", Need::Optional, LIMIT, || {
        CheckResult::degraded("91 % full").with_detail("free_mb", 812)
    });
    tokio::join!(hangs.run(), panics.run(), well.run());
    assert_eq!(health(&service, "hangs"), unhealthy("timed out after 1ms"));
    assert_eq!(
        health(&service, "panics"),
        unhealthy("panicked: out of order")
    );
    assert_eq!(health(&service, "well").0, Health::Degraded);

    // On a busy machine the thread may start long after the timeout.
    started.recv().await.unwrap();
    hangs.run().await;
    assert!(started.is_empty(), "not a second time");
    let (_, message) = health(&service, "hangs");
    assert!(message.unwrap().starts_with("still running after "));

    hangs.set_timeout(Duration::from_secs(60));
    drop(release);
    // Once the first attempt has come back, the next run starts another one.
    while started.is_empty() {
        hangs.run().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(health(&service, "hangs"), (Health::Healthy, None));
    assert_eq!(started.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gate_opens_once() {
    let service = service();
    let broken = Arc::new(AtomicUsize::new(1));
    let seen = Arc::clone(&broken);
    let check = service.register_check("database", Need::Optional, LIMIT, move || {
        let broken = seen.load(Ordering::SeqCst) > 0;
        async move { if broken { Err("refused") } else { Ok(()) } }
    });
    check.gate_readiness(&service);
    check.run().await;
    assert!(!service.is_ready(), "optional, but it must have been there");
    broken.store(0, Ordering::SeqCst);
    check.run().await;
    assert!(service.is_ready());
    broken.store(1, Ordering::SeqCst);
    check.run().await;
    assert!(service.is_ready(), "a gate does not close again");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_replaces_another_opens_its_gate() {
    let service = service();
    let first = service.register_check("database", Need::Required, LIMIT, || async {
        Err::<(), _>("refused")
    });
    first.gate_readiness(&service);
    first.run().await;
    let second = service.register_check("database", Need::Required, LIMIT, || async {});
    assert!(!service.is_ready());
    second.run().await;
    assert!(service.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_check_has_a_schedule_of_its_own() {
    let service = service();
    let (check, count) = counted(&service);
    let starts = || count.load(Ordering::SeqCst);
    check.set_interval(Some(SECOND * 10));
    sleep(SECOND * 35).await;
    assert_eq!(starts(), 4, "at 0, 10, 20 and 30");
    service.run_due_checks().await;
    assert_eq!(starts(), 4, "not for the sake of an answer");
    // It begins anew with another interval: 4 s after 30 are long past.
    check.set_interval(Some(SECOND * 4));
    sleep(SECOND * 9).await;
    assert_eq!(starts(), 7, "at 35, 39 and 43");

    service.check_every(SECOND);
    sleep(SECOND * 2).await;
    assert_eq!(starts(), 7, "the schedule of all checks is not its own");
    check.set_enabled(false);
    sleep(SECOND * 20).await;
    assert_eq!(starts(), 7);
    check.set_enabled(true);
    sleep(SECOND).await;
    assert_eq!(starts(), 8, "at once when it is enabled");
    check.set_interval(None);
    sleep(SECOND * 6).await;
    assert!(starts() >= 11, "back on that of all: {}", starts());

    service.shut_down(crate::ShutdownCause::Program);
    service.run().await.unwrap();
    let before = starts();
    sleep(SECOND * 30).await;
    assert_eq!(starts(), before, "until the shutdown");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_does_not_keep_its_service_alive() {
    let service = service();
    service.check_every(SECOND);
    let weak = service.downgrade();
    sleep(SECOND).await;
    drop(service);
    assert!(weak.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn requests_change_the_settings_of_a_check() {
    use serde_json::json;

    let service = service();
    let port = super::payloads::serve(&service, service.check_routes("/checks"));
    let check = service.register_check("redis", Need::Optional, LIMIT, async || ());
    let redis = |enabled: bool, timeout: f64, interval: f64| {
        json!({
            "enabled": enabled, "timeout_seconds": timeout, "interval_seconds": interval,
            "required": false,
        })
    };
    let answer = port.request("GET /checks").await;
    let expected = json!({"checks": {"redis": redis(true, 5.0, 0.0)}});
    assert_eq!((answer.status, answer.json()), (200, expected));

    let change = async |path: &str, body: &str| {
        let answer = port.request_with(&format!("PATCH {path}"), body).await;
        (answer.status, answer.json())
    };
    let body = r#"{"timeout_seconds": 0.5, "interval_seconds": 60}"#;
    let changed = change("/checks/redis", body).await;
    assert_eq!(changed, (200, redis(true, 0.5, 60.0)));
    let changed = change("/checks/redis", r#"{"enabled": false}"#).await;
    assert_eq!(changed, (200, redis(false, 0.5, 60.0)));
    assert_eq!(service.components(), []);
    let changed = change(
        "/checks/redis",
        r#"{"enabled": true, "interval_seconds": 0}"#,
    )
    .await;
    assert_eq!(changed, (200, redis(true, 0.5, 0.0)));
    assert_eq!(check.interval(), None);

    for (path, body, code, detail) in [
        ("/checks/kafka", "{}", 404, "there is no check `kafka`"),
        (
            "/checks/redis",
            "{",
            422,
            "Failed to parse the request body as JSON",
        ),
        (
            "/checks/redis",
            r#"{"timeout_seconds": -1}"#,
            422,
            "timeout_seconds: ",
        ),
        (
            "/checks/redis",
            r#"{"enabled": false, "timeout_seconds": 0}"#,
            422,
            "timeout_seconds: must be",
        ),
        (
            "/checks/redis",
            r#"{"interval": 1}"#,
            422,
            "unknown field `interval`",
        ),
    ] {
        let (found, answer) = change(path, body).await;
        let text = answer["detail"].as_str().unwrap();
        assert!(
            found == code && text.contains(detail),
            "{body}: {found} {text}"
        );
    }
    assert!(check.is_enabled(), "nothing of a refused change is applied");
}
