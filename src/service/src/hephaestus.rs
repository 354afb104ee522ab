//! The `hephaestus` convention: MinIO-style health routes, and two ways to shut down.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /health/live` | status, uptime, start, version, name |
//! | `GET /health/status` | the same, and `should_shutdown`, dependencies, resources |
//! | `POST /health/shutdown` | drains, cleans up, then answers |
//! | `POST /health/shutdown/schedule` | answers at once and drains in the background |
//!
//! ```
//! use axum::Router;
//! use healthctl_service::{Service, Settings, hephaestus};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let service = Service::new("orders-mcp", "0.9.1", Settings::default());
//! let database = service.dependency("database");
//! database.set_detail("pool_size", 5);
//! database.record_failure("timeout after 2s");
//! // Not configured, which is no failure:
//! service.dependency("groq").set_not_used();
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let server = service.server(listener, hephaestus::routes(&service), Router::new())?;
//! # service.shut_down(healthctl_service::ShutdownCause::Program);
//! // Returns when somebody has asked one of the two routes, or sent SIGTERM, and all is done.
//! server.run().await;
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Number;

use super::body::discard;
use super::connection::Link;
use super::{DependencySnapshot, DependencyStatus, Service, ShutdownCause};

/// The four routes.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/status", get(status))
        .route("/health/shutdown", post(shutdown))
        .route("/health/shutdown/schedule", post(schedule))
        .with_state(service.clone())
}

/// Both health payloads: `status` says more than `live`.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    uptime_seconds: Number,
    start_time: String,
    version: String,
    service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    should_shutdown: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<IndexMap<String, Dependency>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<IndexMap<&'static str, usize>>,
}

#[derive(Serialize)]
struct ShutdownComplete {
    status: &'static str,
    cleanup_duration_seconds: Number,
    mode: &'static str,
}

#[derive(Serialize)]
struct ShutdownScheduled {
    status: &'static str,
    should_shutdown: bool,
    mode: &'static str,
    message: &'static str,
}

struct Dependency(DependencySnapshot);

async fn live(State(service): State<Service>) -> Json<Health> {
    Json(health(&service))
}

async fn status(State(service): State<Service>) -> Json<Health> {
    service.run_due_checks().await;
    let dependencies = service
        .dependencies()
        .into_iter()
        .map(|snapshot| (snapshot.name.clone(), Dependency(snapshot)))
        .collect();
    Json(Health {
        should_shutdown: Some(service.is_shutting_down()),
        dependencies: Some(dependencies),
        resources: Some(service.resources()),
        ..health(&service)
    })
}

async fn shutdown(
    State(service): State<Service>,
    link: Option<Extension<Link>>,
    body: Body,
) -> Response {
    service.shut_down(ShutdownCause::BlockingRequest);
    discard(body).await;
    let connection = link.map(|Extension(link)| link.ended());
    let ended = service.inner.lifecycle.ended(connection).await;
    let duration = ended.map_or(Duration::ZERO, |ended| ended.clean_up_time);
    let mut response = Json(ShutdownComplete {
        status: "shutdown_complete",
        cleanup_duration_seconds: seconds(duration),
        mode: "immediate",
    })
    .into_response();
    // The end of the connection tells the server that the reply has been written.
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn schedule(State(service): State<Service>, body: Body) -> Json<ShutdownScheduled> {
    service.shut_down(ShutdownCause::ScheduledRequest);
    discard(body).await;
    Json(ShutdownScheduled {
        status: "shutdown_scheduled",
        should_shutdown: true,
        mode: "scheduled",
        message: "Shutdown will occur after current requests complete",
    })
}

fn health(service: &Service) -> Health {
    Health {
        status: if service.is_shutting_down() {
            "shutting_down"
        } else {
            "healthy"
        },
        uptime_seconds: seconds(service.uptime()),
        // Without a zone, and UTC: as a Python service writes it.
        start_time: service
            .started_at()
            .strftime("%Y-%m-%dT%H:%M:%S%.6f")
            .to_string(),
        version: service.version().to_owned(),
        service: service.name().to_owned(),
        should_shutdown: None,
        dependencies: None,
        resources: None,
    }
}

/// Seconds to the microsecond.
fn seconds(duration: Duration) -> Number {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    Number::from_f64(micros as f64 / 1e6).unwrap_or_else(|| Number::from(0))
}

fn age(duration: Option<Duration>) -> Number {
    duration.map_or_else(|| Number::from(-1), seconds)
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const KEYS: [&str; 7] = [
            "status",
            "message",
            "error",
            "last_success_seconds",
            "last_failure_seconds",
            "success_count",
            "failure_count",
        ];
        let Self(snapshot) = self;
        let mut map = serializer.serialize_map(None)?;
        let status = match snapshot.status {
            DependencyStatus::Working | DependencyStatus::Degraded => "working",
            DependencyStatus::Failing => "error",
            // What was never tried has not been used; to call it working would be a guess.
            DependencyStatus::NotUsed | DependencyStatus::Unknown => {
                map.serialize_entry("status", "not_used")?;
                return map.end();
            }
        };
        map.serialize_entry("status", status)?;
        for (key, value) in &snapshot.details {
            if !KEYS.contains(&key.as_str()) {
                map.serialize_entry(key, value)?;
            }
        }
        if snapshot.status == DependencyStatus::Degraded {
            // The convention has no word for it.
            map.serialize_entry("message", &snapshot.message)?;
        }
        map.serialize_entry("error", &snapshot.error)?;
        map.serialize_entry("last_success_seconds", &age(snapshot.last_success))?;
        map.serialize_entry("last_failure_seconds", &age(snapshot.last_failure))?;
        map.serialize_entry("success_count", &snapshot.success_count)?;
        map.serialize_entry("failure_count", &snapshot.failure_count)?;
        map.end()
    }
}
