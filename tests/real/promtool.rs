//! Tests of the metrics of a service on the kit with `promtool`, the checker of Prometheus.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use healthctl_service::reload::{ConfigPart, Configuration};
use healthctl_service::{
    CheckResult, Heartbeat, HeartbeatSchedule, Need, Service, Settings, ShutdownCause, metrics,
};

use crate::support::demo::Demo;
use crate::support::waiting::ask_until;

const LIMIT: Duration = Duration::from_secs(5);

/// Creates a service that has samples of every metric, with names that need escaping.
fn service(directory: &std::path::Path) -> Service {
    let settings = Settings {
        handle_signals: false,
        ..Settings::default()
    };
    let service = Service::new("orders \"api\"", "2.4.1\\next", settings);
    service.register_check("database", Need::Required, LIMIT, || async {});
    service.register_blocking_check("disk\n1", Need::Optional, LIMIT, || {
        CheckResult::degraded("91 % full")
    });
    service.register_check("panics", Need::Optional, LIMIT, || async {
        Err::<(), _>("refused")
    });
    service.dependency("mail").set_not_used();
    service.readiness_gate("migrations");
    service.circuit_breaker("payments", 3, LIMIT);
    service.send_heartbeats(
        "control-plane",
        HeartbeatSchedule::every(LIMIT),
        |_: Heartbeat| async { Ok::<(), String>(()) },
    );
    let path = directory.join("config.json");
    std::fs::write(&path, "{}").expect("it can be written");
    let parts = vec![ConfigPart::new("all", |config: &serde_json::Value| config)];
    Configuration::open(&service, path, |text| serde_json::from_str(text), parts)
        .expect("it is valid");
    service
}

/// Returns the body of `GET /metrics`.
fn scrape(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("it has a head");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    body.to_owned()
}

/// Asserts that `promtool check metrics` reports nothing.
#[track_caller]
fn assert_sound(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    let mut stdin = promtool.stdin.take().expect("it is piped");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Debian package prometheus"]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let directory = tempfile::tempdir().expect("there is room");
    let service = service(directory.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let server = service
        .server(listener, metrics::routes(&service), Router::new())
        .expect("it can be served");
    let running = tokio::spawn(server.run());
    let families = [
        "service_check_duration_seconds_count{component=\"database\"} 1",
        "service_circuit_state",
        "service_heartbeats_total",
        "service_reloads_total",
        "service_requests_in_flight",
    ];
    let has_all = move |text: &String| families.iter().all(|family| text.contains(family));
    let text = tokio::task::spawn_blocking(move || ask_until(|| scrape(address), has_all));
    let text = text.await.expect("it shows every family");

    assert_sound(&text);

    service.shut_down(ShutdownCause::Program);
    assert!(running.await.expect("it ends").drained);
}

/// Scrapes the processes of the demo, before and after a component is broken.
#[test]
#[ignore = "needs the Debian package prometheus"]
fn promtool_finds_nothing_wrong_with_the_metrics_of_the_demo() {
    let demo = Demo::start(&["--calm"]);
    assert_eq!(demo.run(&["demo", "break", "syncer", "upstream"]).code, 0);
    for (service, family) in [
        ("control-plane", "service_configuration_version 1"),
        (
            "syncer",
            "service_component_health{component=\"upstream\",required=\"true\",status=\"unhealthy\"} 1",
        ),
        ("warren", "service_ready 1"),
        ("ingestor", "service_reloads_total{result=\"success\"} 0"),
        (
            "orders",
            "service_component_successes_total{component=\"database\"}",
        ),
    ] {
        let text = ask_until(
            || scrape(demo.address(service)),
            |text| text.contains(family),
        );
        assert_sound(&text);
    }
}
