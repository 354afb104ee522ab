//! Tests of the log of a running service.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use axum::routing::get;
use axum::{Extension, Router};
use serde_json::Value;

use super::in_memory::port;
use super::payloads::service;
use crate::log::{CorrelationId, Format, Level, REQUEST_TARGET, subscriber};
use crate::{Need, hephaestus};

/// The log of all tests of this crate. There is one subscriber for all threads, since `tracing` caches
/// for each call site whether the global subscriber is interested.
static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let written = Written::default();
    let subscriber = subscriber(Format::Json, Level::INFO, written.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    written
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
    let written = WRITTEN.clone();
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
    let written = WRITTEN.clone();
    let service = service("orders-api", "2.4.1");
    let limit = std::time::Duration::from_secs(5);
    let check = service.register_check("logged-once", Need::Optional, limit, || async {
        Err::<(), _>("connection refused")
    });
    check.run().await;
    check.run().await;
    let lines = written.lines("component", "logged-once");
    let [line] = &lines[..] else {
        panic!("one line was expected: {lines:?}")
    };
    assert_eq!(line["message"], "component is unhealthy");
    assert_eq!(
        (&line["level"], &line["reason"]),
        (&"error".into(), &"connection refused".into())
    );
}
