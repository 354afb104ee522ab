//! The `control-plane` convention: `/healthz` and `/readyz`, and no route that shuts down.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /healthz` | 200 while the service runs |
//! | `GET /readyz` | each component as a check; 503 while one fails or a gate is closed |
//!
//! Use it with [`WhileDraining::Refuse`](crate::WhileDraining::Refuse): services of this convention close
//! their listener at once. `latency_ms` holds nanoseconds, in spite of its name, as in the service that
//! this convention comes from.
//!
//! ```
//! use std::time::Duration;
//! use healthctl_service::{Need, Service, Settings, WhileDraining, control_plane};
//!
//! let settings = Settings {
//!     while_draining: WhileDraining::Refuse,
//!     ..Settings::default()
//! };
//! let service = Service::new("control-plane", "1.4.2", settings);
//! let limit = Duration::from_secs(5);
//! service.register_check("database", Need::Required, limit, || async { /* ask it here */ });
//! // The service is not ready before the gate opens:
//! let revocations = service.readiness_gate("crl_manager");
//! revocations.open();
//! let health: axum::Router = control_plane::routes(&service);
//! ```

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Component, Health, Service};

/// Returns the two routes.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({"status": "ok"}))))
        .route("/readyz", get(readyz))
        .with_state(service.clone())
}

async fn readyz(State(service): State<Service>) -> (StatusCode, Json<Value>) {
    service.run_due_checks().await;
    let checks = Component::payloads(service.components(), check_payload);
    let pass = checks.values().all(|check| check["status"] == "pass");
    let (code, status) = if pass && !service.is_shutting_down() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "degraded")
    };
    let payload = json!({
        "status": status,
        "version": service.version(),
        "timestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string(),
        "checks": checks,
    });
    (code, Json(payload))
}

fn check_payload(component: Component) -> Value {
    let (status, error) = match component.health {
        Health::Healthy | Health::Degraded => ("pass", None),
        Health::Unhealthy => ("fail", component.message),
        // The service is not ready before each component has been tried.
        Health::Unknown => ("fail", Some("not initialized".to_owned())),
    };
    let nanoseconds = component.latency.unwrap_or_default().as_nanos();
    let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
    let mut payload = json!({"status": status, "latency_ms": nanoseconds});
    if let Some(error) = error {
        payload["error"] = error.into();
    }
    payload
}
