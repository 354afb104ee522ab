//! Tests of the exact payloads of each convention.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokio::time::advance;

use super::in_memory::{Port, port};
use crate::{Service, Settings, ShutdownCause, control_plane, hephaestus};

pub(super) fn service(name: &str, version: &str) -> Service {
    let settings = Settings {
        handle_signals: false,
        ..Settings::default()
    };
    Service::new(name, version, settings)
}

/// Serves the routes for as long as the test runs.
pub(super) fn serve(service: &Service, health: Router) -> Port {
    let (port, listener) = port();
    let server = service.server(listener, health, Router::new()).unwrap();
    tokio::spawn(server.run());
    port
}

fn start_time(service: &Service) -> String {
    let text = service.started_at().to_string();
    let (date, fraction) = text.trim_end_matches('Z').split_once('.').unwrap();
    format!("{date}.{fraction:0<6.6}")
}

#[tokio::test(start_paused = true)]
async fn hephaestus_reports_its_own_state_and_its_dependencies() {
    let service = service("hephaestus-mcp", "0.9.1");
    let port = serve(&service, hephaestus::routes(&service));
    let database = service.dependency("database");
    database.set_detail("pool_size", 5);
    let qdrant = service.dependency("qdrant");
    service.dependency("groq").set_not_used();
    service.dependency("untried");

    advance(Duration::from_millis(29_450)).await;
    qdrant.record_success();
    advance(Duration::from_secs(92)).await;
    qdrant.record_failure("timeout after 2s");
    advance(Duration::from_millis(1_200)).await;
    database.record_success();
    database.record_success();
    advance(Duration::from_millis(800)).await;

    let live = format!(
        r#"{{"status":"healthy","uptime_seconds":123.45,"start_time":"{}","version":"0.9.1","service":"hephaestus-mcp""#,
        start_time(&service),
    );
    let answer = port.request("GET /health/live").await;
    assert_eq!((answer.status, answer.body), (200, format!("{live}}}")));

    let answer = port.request("GET /health/status").await;
    let dependencies = concat!(
        r#"{"database":{"status":"working","pool_size":5,"error":null,"last_success_seconds":0.8,"#,
        r#""last_failure_seconds":-1,"success_count":2,"failure_count":0},"#,
        r#""qdrant":{"status":"error","error":"timeout after 2s","last_success_seconds":94.0,"#,
        r#""last_failure_seconds":2.0,"success_count":1,"failure_count":1},"#,
        r#""groq":{"status":"not_used"},"untried":{"status":"not_used"}}"#,
    );
    let expected = format!(
        r#"{live},"should_shutdown":false,"dependencies":{dependencies},"resources":{{"open_connections":1,"background_tasks":0}}}}"#
    );
    assert_eq!((answer.status, answer.body), (200, expected));
}

#[tokio::test(start_paused = true)]
async fn hephaestus_answers_both_shutdown_routes() {
    let service = service("orders-api", "2.4.1");
    let port = serve(&service, hephaestus::routes(&service));
    service.on_shutdown("pool", || async {
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        Ok::<(), String>(())
    });
    let refused = port.request("GET /health/shutdown").await;
    assert_eq!(refused.status, 405, "only POST shuts down");
    assert!(!service.is_shutting_down());

    let scheduled = port.request("POST /health/shutdown/schedule").await;
    let expected = r#"{"status":"shutdown_scheduled","should_shutdown":true,"mode":"scheduled","message":"Shutdown will occur after current requests complete"}"#;
    assert_eq!((scheduled.status, scheduled.body.as_str()), (200, expected));

    let status = port.request("GET /health/status").await.json();
    assert_eq!(status["status"], "shutting_down");
    assert_eq!(status["should_shutdown"], true);

    let complete = port.request("POST /health/shutdown").await;
    let expected =
        r#"{"status":"shutdown_complete","cleanup_duration_seconds":1.8,"mode":"immediate"}"#;
    assert_eq!((complete.status, complete.body.as_str()), (200, expected));
}

#[tokio::test(start_paused = true)]
async fn control_plane_is_ready_when_every_check_passes() {
    let service = service("control-plane", "1.4.2");
    let port = serve(&service, control_plane::routes(&service));
    let live = port.request("GET /healthz").await;
    assert_eq!(
        (live.status, live.body.as_str()),
        (200, r#"{"status":"ok"}"#)
    );

    let database = service.dependency("database");
    let certificate = service.dependency("ca_certificate");
    service.dependency("crl_manager").set_not_used();
    database.record_latency(Duration::from_micros(1_832));
    database.record_success();
    certificate.record_latency(Duration::from_micros(4));

    let check = async |code: StatusCode, status: &str, certificate: &str| {
        let answer = port.request("GET /readyz").await;
        let timestamp = answer.json()["timestamp"].as_str().unwrap().to_owned();
        let (_, fraction) = timestamp.split_once('.').unwrap();
        assert_eq!(fraction.len(), "123456789Z".len(), "{timestamp}");
        timestamp.parse::<jiff::Timestamp>().unwrap();
        let expected = format!(
            r#"{{"status":"{status}","version":"1.4.2","timestamp":"{timestamp}","checks":{{"database":{{"status":"pass","latency_ms":1832000}},"ca_certificate":{certificate}}}}}"#
        );
        assert_eq!((answer.status, answer.body), (code.as_u16(), expected));
    };
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let untried = r#"{"status":"fail","latency_ms":4000,"error":"not initialized"}"#;
    check(unavailable, "degraded", untried).await;
    certificate.record_failure("certificate expired");
    let expired = r#"{"status":"fail","latency_ms":4000,"error":"certificate expired"}"#;
    check(unavailable, "degraded", expired).await;
    certificate.record_success();
    let passes = r#"{"status":"pass","latency_ms":4000}"#;
    check(StatusCode::OK, "healthy", passes).await;

    service.shut_down(ShutdownCause::Program);
}
