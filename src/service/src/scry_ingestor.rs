//! The `scry-ingestor` convention: `/health`, `/ready` and `/health/detailed`, as a FastAPI service
//! answers them.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /health` | 200 while the service runs; no component is checked |
//! | `GET /ready` | the health of the service; 503 while it is unhealthy or not ready; `?detailed=true` adds the components |
//! | `GET /health/detailed` | the health of the service and of every component, always 200 |
//!
//! The convention has no word for *unknown*: a required component whose check has not ended yet is
//! reported as unhealthy, an optional one as degraded. A dependency without a check that has not been
//! used yet, such as one behind a [circuit breaker](crate::CircuitBreaker), is left out.
//!
//! A service of this convention drains for 2 seconds by default
//! ([`Settings::drain_timeout`](crate::Settings::drain_timeout) sets another time) and for 30 seconds
//! at most.
//!
//! ```
//! use std::time::Duration;
//! use healthctl_service::{Need, CheckResult, Service, Settings, scry_ingestor};
//!
//! let service = Service::new("scry-ingestor", "1.0", Settings::default());
//! let limit = Duration::from_secs(5);
//! service.register_check("database", Need::Required, limit, || async { /* ask it here */ });
//! service.register_check("celery", Need::Optional, limit, || async {
//!     CheckResult::degraded("1 of 4 workers").with_detail("workers", 1)
//! });
//! let health: axum::Router = scry_ingestor::routes(&service);
//! // The route that reloads the configuration is in `healthctl_service::reload`.
//! ```

use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lifecycle::DrainBounds;
use crate::query::{self, QueryValues};
use crate::{Component, Health, Need, Service};

/// The drain timeouts of the convention: usually 2 to 5 seconds are enough.
const DRAIN_BOUNDS: DrainBounds = DrainBounds {
    default: Duration::from_secs(2),
    longest: Duration::from_secs(30),
};

/// Returns the three routes, and bounds the drain of the service as the convention does.
pub fn routes(service: &Service) -> Router {
    service.bound_drain(DRAIN_BOUNDS);
    Router::new()
        .route("/health", get(live))
        .route("/ready", get(ready))
        .route("/health/detailed", get(detailed))
        .with_state(service.clone())
}

async fn live(State(service): State<Service>) -> Json<Value> {
    // Unlike the other routes, this one writes the zone as an offset.
    let checked_at = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    Json(json!({
        "status": "healthy",
        "service": service.name(),
        "checked_at": checked_at.to_string(),
    }))
}

async fn ready(State(service): State<Service>, Query(query): Query<QueryValues>) -> Response {
    let detailed = match query::flag(&query, "detailed") {
        Ok(detailed) => detailed,
        Err(refusal) => return *refusal,
    };
    service.run_due_checks().await;
    let mut payload = payload(&service);
    let mut code = StatusCode::OK;
    if payload["status"] == "unhealthy" || !service.is_ready() {
        code = StatusCode::SERVICE_UNAVAILABLE;
        payload["status"] = "unhealthy".into();
    }
    if !detailed {
        payload["components"] = json!({});
    }
    (code, Json(payload)).into_response()
}

async fn detailed(State(service): State<Service>) -> Json<Value> {
    service.run_due_checks().await;
    Json(payload(&service))
}

fn payload(service: &Service) -> Value {
    let mut components = service.components();
    components.retain(|component| !component.is_unused());
    let health = Health::of(
        components
            .iter()
            .map(|part| (part.need, known_health(part.own_health, part.need))),
    );
    let status = match health {
        // A service without components has nothing that could be wrong.
        Health::Unknown => Health::Healthy,
        known => known,
    };
    let components = Component::payloads(components, component_payload);
    json!({
        "status": status.as_str(),
        "components": components,
        "checked_at": time(Timestamp::now()),
    })
}

fn component_payload(component: Component) -> Value {
    let status = known_health(component.health, component.need);
    let mut message = component.message;
    if component.health == Health::Unknown {
        message.get_or_insert_with(|| "not checked yet".to_owned());
    }
    json!({
        "name": component.name,
        "status": status.as_str(),
        "message": message,
        "metadata": component.details,
        "checked_at": component.checked_at.map(time),
    })
}

/// Returns the health of a component in the words that the convention has.
fn known_health(health: Health, need: Need) -> Health {
    match (health, need) {
        (Health::Unknown, Need::Required) => Health::Unhealthy,
        (Health::Unknown, Need::Optional) => Health::Degraded,
        (health, _) => health,
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
