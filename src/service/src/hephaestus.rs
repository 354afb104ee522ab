//! The `hephaestus` convention: health routes in the style of MinIO, and two routes that shut down.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /health/live` | status, uptime, start time, version and name |
//! | `GET /health/status` | the same with `should_shutdown`, dependencies and resources |
//! | `POST /health/shutdown` | answers after the drain and the clean-up |
//! | `POST /health/shutdown/schedule` | answers at once and shuts down in the background |
//!
//! [`unprefixed_routes`] are the same without a prefix, as the convention was first drafted; a service may have both.
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
//! // A dependency that is not configured is no failure:
//! service.dependency("groq").set_not_used();
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let server = service.server(listener, hephaestus::routes(&service), Router::new())?;
//! # service.shut_down(healthctl_service::ShutdownCause::Program);
//! // Returns when a shutdown, requested by a route or a signal, is done.
//! server.run().await;
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Map, Value, json};

use crate::connection::{ConnectionHandle, discard};
use crate::{DependencySnapshot, Health, Service, ShutdownCause};

/// Returns the routes of the convention.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/status", get(status))
        .route("/health/shutdown", post(shutdown))
        .route("/health/shutdown/schedule", post(schedule))
        .with_state(service.clone())
}

/// Returns the routes of the convention without a prefix: `GET /health` with the answer of
/// `/health/status`, `POST /shutdown` and `POST /shutdown/schedule`. They can be merged with [`routes`].
///
/// ```
/// use axum::Router;
/// use healthctl_service::{Service, Settings, hephaestus};
///
/// let service = Service::new("orders-mcp", "0.9.1", Settings::default());
/// let health = hephaestus::routes(&service).merge(hephaestus::unprefixed_routes(&service));
/// # let _: Router = health;
/// ```
pub fn unprefixed_routes(service: &Service) -> Router {
    Router::new()
        .route("/health", get(status))
        .route("/shutdown", post(shutdown))
        .route("/shutdown/schedule", post(schedule))
        .with_state(service.clone())
}

async fn live(State(service): State<Service>) -> Json<Value> {
    Json(live_payload(&service))
}

async fn status(State(service): State<Service>) -> Json<Value> {
    service.run_due_checks().await;
    let dependencies: Map<String, Value> = service
        .dependencies()
        .into_iter()
        .map(|snapshot| (snapshot.name.clone(), dependency_payload(snapshot)))
        .collect();
    let mut payload = live_payload(&service);
    payload["should_shutdown"] = service.is_shutting_down().into();
    payload["dependencies"] = dependencies.into();
    payload["resources"] = json!(service.resources());
    Json(payload)
}

async fn shutdown(
    State(service): State<Service>,
    connection: Option<Extension<ConnectionHandle>>,
    body: Body,
) -> impl IntoResponse {
    service.shut_down(ShutdownCause::BlockingRequest);
    discard(body).await;
    let closed = connection.map(|Extension(connection)| connection.closed);
    let report = service.finished(closed).await;
    let duration = report.map_or(Duration::ZERO, |report| report.clean_up_time);
    let payload = json!({
        "status": "shutdown_complete",
        "cleanup_duration_seconds": seconds(duration),
        "mode": "immediate",
    });
    // The end of the connection tells the server that the reply is written.
    let close = [(header::CONNECTION, "close")];
    (close, Json(payload))
}

async fn schedule(State(service): State<Service>, body: Body) -> Json<Value> {
    service.shut_down(ShutdownCause::ScheduledRequest);
    discard(body).await;
    Json(json!({
        "status": "shutdown_scheduled",
        "should_shutdown": true,
        "mode": "scheduled",
        "message": "Shutdown will occur after current requests complete",
    }))
}

fn live_payload(service: &Service) -> Value {
    let status = if service.is_shutting_down() {
        "shutting_down"
    } else {
        "healthy"
    };
    // Services of this convention are written in Python, which leaves out the zone of a UTC time.
    let start_time = service.started_at().strftime("%Y-%m-%dT%H:%M:%S%.6f");
    json!({
        "status": status,
        "uptime_seconds": seconds(service.uptime()),
        "start_time": start_time.to_string(),
        "version": service.version(),
        "service": service.name(),
    })
}

fn dependency_payload(snapshot: DependencySnapshot) -> Value {
    let status = match snapshot.health {
        Some(Health::Healthy | Health::Degraded) => "working",
        Some(Health::Unhealthy) => "error",
        // A dependency that was never tried has not been used; to call it working would be a guess.
        None | Some(Health::Unknown) => {
            return json!({"status": "not_used"});
        }
    };
    let age = |age: Option<Duration>| age.map_or(json!(-1), seconds);
    let known = json!({
        "error": snapshot.error,
        "last_success_seconds": age(snapshot.last_success),
        "last_failure_seconds": age(snapshot.last_failure),
        "success_count": snapshot.success_count,
        "failure_count": snapshot.failure_count,
    });
    let mut payload = json!({"status": status});
    for (key, value) in snapshot.details {
        // A detail cannot replace a key of the convention.
        if key != "status" && key != "message" && known.get(&key).is_none() {
            payload[key] = value;
        }
    }
    if snapshot.health == Some(Health::Degraded) {
        // The convention has no status word for it.
        payload["message"] = json!(snapshot.message);
    }
    for (key, value) in known.as_object().into_iter().flatten() {
        payload[key] = value.clone();
    }
    payload
}

/// Returns a duration in seconds, to the microsecond.
fn seconds(duration: Duration) -> Value {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    json!(micros as f64 / 1e6)
}
