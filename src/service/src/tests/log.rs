//! Tests of the log of a running service.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use axum::routing::get;
use axum::{Extension, Router};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use super::in_memory::port;
use super::payloads::service;
use crate::log::{CorrelationId, Format, Level, LevelHandle, LogLayer, REQUEST_TARGET};
use crate::reload::{ConfigPart, Configuration, PartResult, ReloadTrigger};
use crate::{Need, hephaestus};

/// The log of all tests of this crate. There is one subscriber for all threads, since `tracing` caches
/// for each call site whether the global subscriber is interested.
static WRITTEN: LazyLock<(Written, LevelHandle)> = LazyLock::new(|| {
    let written = Written::default();
    let layer = LogLayer::new(Format::Json, Level::INFO, written.clone());
    let level = layer.level_handle();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    (written, level)
});

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// Returns the lines so far whose field `key` has this value.
    fn lines(&self, key: &str, value: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line[key] == value)
            .collect()
    }
}

async fn orders(Extension(id): Extension<CorrelationId>) -> String {
    tracing::warn!(orders = 0, "none yet");
    id.to_string()
}

#[tokio::test(start_paused = true)]
async fn every_line_of_a_request_has_its_correlation_id() {
    let written = WRITTEN.0.clone();
    let service = service("orders-api", "2.4.1");
    let (port, listener) = port();
    let work = Router::new().route("/orders", get(orders));
    let server = service.server(listener, hephaestus::routes(&service), work);
    tokio::spawn(server.unwrap().run());
    let mut client = port.connect().unwrap();
    let head =
        "GET /orders?token=secret HTTP/1.1\r\nHost: test\r\nX-Correlation-ID: order-7\r\n\r\n";
    client.write(head).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.body, "order-7", "handlers know it");
    assert_eq!(answer.correlation.as_deref(), Some("order-7"));

    let lines = written.lines("correlation_id", "order-7");
    let [warning, answered] = &lines[..] else {
        panic!("two lines were expected: {lines:?}")
    };
    assert_eq!(warning["message"], "none yet");
    assert_eq!(
        (&warning["level"], &warning["orders"]),
        (&"warn".into(), &0.into())
    );
    assert_eq!(answered["message"], "request answered");
    assert_eq!(answered["target"], REQUEST_TARGET);
    // The query may hold a secret.
    assert_eq!(
        (&answered["path"], &answered["status"]),
        (&"/orders".into(), &200.into())
    );

    let other = port.request("GET /health/live").await.correlation.unwrap();
    assert_eq!(other.len(), 16, "a new one: {other}");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_health_is_logged_once() {
    let written = WRITTEN.0.clone();
    let service = service("orders-api", "2.4.1");
    let limit = std::time::Duration::from_secs(5);
    let check = service.register_check("logged-once", Need::Optional, limit, || async {
        Err::<(), _>("connection refused")
    });
    check.run().await;
    check.run().await;
    let mut lines = written.lines("component", "logged-once");
    // Another test may have asked for those meanwhile.
    lines.retain(|line| line["level"] != "debug");
    let [line] = &lines[..] else {
        panic!("one line was expected: {lines:?}")
    };
    assert_eq!(line["message"], "component is unhealthy");
    assert_eq!(
        (&line["level"], &line["reason"]),
        (&"error".into(), &"connection refused".into())
    );
}

/// No test needs fewer lines than the level `info` gives.
#[tokio::test]
async fn the_level_follows_the_configuration() {
    let (written, level) = WRITTEN.clone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("level");
    let said = |text: &str| {
        // One place in the code, as the level is cached for each place.
        tracing::debug!(text, "said");
        !written.lines("text", text).is_empty()
    };
    assert!(!said("before the start"));
    std::fs::write(&path, "debug").unwrap();
    let service = service("ingestor", "1.0");
    let parse = |text: &str| Ok::<String, String>(text.to_owned());
    let part = ConfigPart::log_level("log_level", |text: &String| text, level.clone());
    let configuration = Configuration::open(&service, &path, parse, vec![part]).unwrap();
    assert!(said("with the first configuration"));

    let reload = async |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut result = configuration.reload(ReloadTrigger::Program).await;
        result.parts.swap_remove("log_level").unwrap()
    };
    let reason = "`loud` is no log level: use error, warn, info, debug or trace";
    assert_eq!(
        reload("loud").await,
        PartResult::Rejected(reason.to_owned())
    );
    assert!(said("after a refused one"));
    assert_eq!(reload("INFO").await, PartResult::Reloaded("INFO".into()));
    assert!(!said("after a reload"));
    assert_eq!(level.get(), Level::INFO);
    configuration.roll_back(1).await;
    assert!(said("after going back"));
    level.set(Level::INFO);
}
