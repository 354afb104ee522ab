//! The `control-plane` convention: `/healthz` and `/readyz`, and no way to shut down but a signal.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /healthz` | that it lives |
//! | `GET /readyz` | each component as a check; 503 while one fails or a gate is closed |
//!
//! Use it with [`WhileDraining::Refuse`](super::WhileDraining::Refuse): its listener closes at once.
//! `latency_ms` holds nanoseconds, in spite of its name: the convention's founder writes it so.
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
//! // Not ready before it has happened once:
//! let revocations = service.readiness_gate("crl_manager");
//! revocations.open();
//! let health: axum::Router = control_plane::routes(&service);
//! ```

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;

use super::{Component, Health, Service};

/// The two routes.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(service.clone())
}

#[derive(Serialize)]
struct Live {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    version: String,
    timestamp: String,
    checks: IndexMap<String, Check>,
}

#[derive(Serialize)]
struct Check {
    status: &'static str,
    latency_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

async fn healthz() -> Json<Live> {
    Json(Live { status: "ok" })
}

async fn readyz(State(service): State<Service>) -> (StatusCode, Json<Ready>) {
    service.run_due_checks().await;
    let checks: IndexMap<String, Check> = service
        .components()
        .into_iter()
        .map(|component| (component.name.clone(), check(component)))
        .collect();
    let pass = checks.values().all(|check| check.status == "pass");
    let (code, status) = if pass && !service.is_shutting_down() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "degraded")
    };
    let payload = Ready {
        status,
        version: service.version().to_owned(),
        timestamp: Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
            .to_string(),
        checks,
    };
    (code, Json(payload))
}

fn check(component: Component) -> Check {
    let nanoseconds = component.latency.unwrap_or_default().as_nanos();
    let (status, error) = match component.health {
        Health::Healthy | Health::Degraded => ("pass", None),
        Health::Unhealthy => ("fail", component.message),
        // The service is not ready before each of them has been tried.
        Health::Unknown => ("fail", Some("not initialized".to_owned())),
    };
    Check {
        status,
        latency_ms: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        error,
    }
}
