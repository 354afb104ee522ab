//! The log of a running service: a line per event, each request's with its correlation id.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::routing::get;
use axum::{Extension, Router};
use serde_json::Value;

use super::payloads::service;
use super::wire::port;
use crate::service::log::{CorrelationId, Format, Level, subscriber};
use crate::service::{Need, hephaestus};

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
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The JSON line with this message.
    fn line(&self, message: &str) -> Value {
        self.text()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["message"] == message)
            .unwrap_or_else(|| panic!("no line says {message:?}:\n{}", self.text()))
    }
}

async fn orders(Extension(id): Extension<CorrelationId>) -> String {
    tracing::warn!(orders = 0, "none yet");
    id.to_string()
}

#[tokio::test(start_paused = true)]
async fn every_line_of_a_request_has_its_correlation_id() {
    let written = Written::default();
    let subscriber = subscriber(Format::Json, Level::INFO, written.clone());
    let _guard = tracing::subscriber::set_default(subscriber);

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

    let line = written.line("none yet");
    assert_eq!(line["correlation_id"], "order-7");
    assert_eq!(
        (&line["level"], &line["orders"]),
        (&"warn".into(), &0.into())
    );
    let line = written.line("request answered");
    assert_eq!(line["correlation_id"], "order-7");
    assert_eq!(
        (&line["path"], &line["status"]),
        (&"/orders".into(), &200.into())
    );
    assert!(!written.text().contains("secret"));

    let other = port.request("GET /health/live").await.correlation.unwrap();
    assert_eq!(other.len(), 16, "a new one: {other}");
}

#[tokio::test(start_paused = true)]
async fn a_component_that_turns_is_told_once() {
    let written = Written::default();
    let subscriber = subscriber(Format::Text, Level::WARN, written.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = service("orders-api", "2.4.1");
    let limit = std::time::Duration::from_secs(5);
    let check = service.register_check("redis", Need::Optional, limit, || async {
        Err::<(), _>("connection refused")
    });
    check.run().await;
    check.run().await;
    let text = written.text();
    let (_, line) = text.split_once('Z').unwrap();
    let expected = " ERROR component is unhealthy component=redis reason=\"connection refused\"\n";
    assert_eq!(line, expected);
}
