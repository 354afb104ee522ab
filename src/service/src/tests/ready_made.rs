//! Tests of the ready-made checks and of the figures, on a service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::{advance, sleep};

use super::payloads::{serve, service};
use crate::ready_made::{self, EngineLimits, Limit, ResourceLimits, SyncEngine, SyncStats};
use crate::{Component, Figure, Health, Need, Service, kcp_syncer, metrics};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the check of the only component and returns the component.
async fn checked(service: &Service) -> Component {
    service.checks()[0].run().await;
    service.components().remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_connected_or_reports_the_last_error() {
    let service = service("kcp-syncer", "1.0");
    let outcome = Arc::new(Mutex::new(Some(Ok(()))));
    let next = Arc::clone(&outcome);
    let attempt = move || {
        let outcome = *next.lock().unwrap();
        async move {
            match outcome {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        }
    };
    let check = ready_made::connection(attempt);
    service.register_check("upstream", Need::Required, TIMEOUT, check);
    let (refused, reset) = ("connection refused", "connection reset");
    let table = [
        (Some(Ok(())), Health::Healthy, "connected", 0, None),
        (
            Some(Err(refused)),
            Health::Unhealthy,
            refused,
            1,
            Some(refused),
        ),
        (Some(Err(reset)), Health::Unhealthy, reset, 1, Some(reset)),
        (Some(Ok(())), Health::Healthy, "connected", 1, Some(reset)),
        // An attempt that does not end is cut off by the check, and counts with the next one.
        (
            None,
            Health::Unhealthy,
            "timed out after 5s",
            1,
            Some(reset),
        ),
        (
            Some(Ok(())),
            Health::Healthy,
            "connected",
            2,
            Some("no answer in time"),
        ),
    ];
    for (attempt, health, message, disconnections, last_error) in table {
        *outcome.lock().unwrap() = attempt;
        let found = checked(&service).await;
        assert_eq!(
            (found.health, found.message.as_deref()),
            (health, Some(message))
        );
        assert_eq!(
            found.details["disconnections"], disconnections,
            "{attempt:?}"
        );
        let error = found.details.get("last_error");
        assert_eq!(
            error.and_then(|error| error.as_str()),
            last_error,
            "{attempt:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_measures_its_rates_over_ten_seconds() {
    let service = service("kcp-syncer", "1.0");
    let engine = SyncEngine::new(&service);
    assert_eq!(engine.stats(), SyncStats::default());
    for second in 0..20 {
        for sync in 0..8 {
            let outcome = if second < 10 && sync < 2 {
                Err(())
            } else {
                Ok(())
            };
            let ended = engine.observe(async {
                sleep(SECOND / 10).await;
                outcome
            });
            assert_eq!(ended.await, outcome);
        }
        sleep(SECOND / 5).await;
        let stats = engine.stats();
        assert!((stats.sync_rate - 8.0).abs() < 1e-9, "{second}: {stats:?}");
        assert_eq!(stats.latency, SECOND / 10);
        let failed = if second < 10 {
            0.25
        } else {
            0.025 * f64::from(19 - second)
        };
        assert!(
            (stats.error_rate - failed).abs() < 1e-9,
            "{second}: {stats:?}"
        );
    }
    sleep(SECOND * 10).await;
    assert_eq!(engine.stats(), SyncStats::default(), "nothing is synced");
}

#[tokio::test(start_paused = true)]
async fn an_engine_is_judged_by_its_limits() {
    let service = service("kcp-syncer", "1.0");
    let engine = SyncEngine::new(&service);
    let limits = EngineLimits {
        queue_depth: Limit::new(100.0, 1_000.0),
        error_rate: Limit::new(0.05, 0.5),
        least_rate: Some(1.0),
    };
    service.register_check("engine", Need::Required, TIMEOUT, engine.check(limits));
    let check = async |depth, syncs: &[bool], health, message: &str| {
        engine.set_queue_depth(depth);
        for succeeded in syncs {
            engine.record(SECOND, *succeeded);
        }
        advance(SECOND).await;
        let found = checked(&service).await;
        assert_eq!(
            (found.health, found.message.as_deref()),
            (health, Some(message))
        );
        advance(SECOND * 11).await;
    };
    // Without a rate yet, a queue says nothing of an engine that has just begun.
    check(5, &[], Health::Healthy, "0.0 objects/s, 5 waiting").await;
    check(0, &[true; 40], Health::Healthy, "4.0 objects/s, 0 waiting").await;
    check(0, &[], Health::Healthy, "0.0 objects/s, 0 waiting").await;
    check(
        5,
        &[],
        Health::Degraded,
        "0.0 objects/s, at least 1.0 while any wait",
    )
    .await;
    check(
        412,
        &[true; 20],
        Health::Degraded,
        "queue depth 412, limit 100",
    )
    .await;
    let both = "queue depth 1001, limit 1000; error rate 10.0 %, limit 5.0 %";
    let mut syncs = [true; 20];
    syncs[..2].fill(false);
    check(1001, &syncs, Health::Unhealthy, both).await;
    check(
        0,
        &[false; 20],
        Health::Unhealthy,
        "error rate 100.0 %, limit 50.0 %",
    )
    .await;
    engine.set_queue_depth(7);
    let details = checked(&service).await.details;
    let names: Vec<&str> = details.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["queue_depth", "sync_rate", "error_rate", "latency_ms"]
    );
    assert_eq!(details["queue_depth"], 7);
}

#[tokio::test(start_paused = true)]
async fn resources_are_measured_and_a_check_does_not_keep_the_service() {
    let service = service("kcp-syncer", "1.0");
    let limits = ResourceLimits {
        tasks: Limit {
            degraded: Some(0.0),
            unhealthy: None,
        },
        ..ResourceLimits::default()
    };
    let check = ready_made::resources(&service, limits);
    service.register_check("resources", Need::Required, TIMEOUT, check);
    let found = checked(&service).await;
    assert_eq!(found.health, Health::Degraded, "{found:?}");
    assert!(found.details["tasks"].as_u64() > Some(0), "{found:?}");
    assert!(
        found.details["memory_bytes"].as_u64() > Some(1 << 20),
        "{found:?}"
    );
    let weak = Arc::downgrade(&service.inner);
    drop(service);
    // The task of the attempt may be the last to hold it.
    tokio::task::yield_now().await;
    assert!(weak.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn figures_are_collected_with_trends_and_anomalies() {
    let service = service("kcp-syncer", "1.0");
    let lag = Arc::new(Mutex::new(10.0));
    let source = Arc::clone(&lag);
    service.add_figures(move || vec![Figure::new("lag", *source.lock().unwrap(), 2.0)]);
    service.add_figures(|| vec![Figure::new("broken", f64::NAN, 1.0)]);
    let engine = SyncEngine::new(&service);
    let port = serve(
        &service,
        kcp_syncer::routes(&service, &engine).merge(metrics::routes(&service)),
    );
    let before = port.request("GET /health/report").await.json();
    assert!(before.get("Figures").is_none(), "nothing is collected");

    service.register_check("fails", Need::Required, TIMEOUT, || async {
        Err::<(), _>("no")
    });
    service.collect_figures(SECOND * 10);
    // In between two ticks.
    sleep(SECOND).await;
    for _ in 0..20 {
        service.checks()[0].run().await;
        *lag.lock().unwrap() += 1.0;
        sleep(SECOND * 10).await;
    }
    let report = port.request("GET /health/report").await.json();
    let names: Vec<&str> = report["Figures"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "cpu",
        "tasks",
        "memory_bytes",
        "lag",
        "sync_rate",
        "error_rate",
        "queue_depth",
        "latency_seconds",
        "check_rate",
        "check_error_rate",
    ];
    assert_eq!(names, expected);
    let trend = report["Figures"]["lag"]["PerSecond"].as_f64().unwrap();
    assert!((trend - 0.1).abs() < 1e-9, "{trend}");
    assert_eq!(report["Figures"]["check_rate"]["Value"], 0.1);
    assert_eq!(report["Figures"]["check_error_rate"]["Value"], 1.0);
    assert_eq!(
        report["Anomalies"].as_array().map(Vec::len),
        Some(0),
        "{report}"
    );

    *lag.lock().unwrap() = 500.0;
    sleep(SECOND * 10).await;
    let report = port.request("GET /health/report").await.json();
    assert_eq!(report["Anomalies"], json!(["lag"]));
    assert_eq!(report["Figures"]["lag"]["Anomalous"], true);
    let text = port.request("GET /metrics").await.body;
    for line in [
        "service_figure{figure=\"lag\"} 500.0",
        "service_figure_anomalous{figure=\"lag\"} 1",
        "service_figure_anomalous{figure=\"queue_depth\"} 0",
        "service_figure_trend_per_second{figure=\"queue_depth\"} 0.0",
        "# TYPE process_resident_memory_bytes gauge",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(text.contains(&format!("{line}\n")), "no {line} in\n{text}");
    }
}
