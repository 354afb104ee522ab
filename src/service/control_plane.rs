//! The `control-plane` convention: `/healthz` and `/readyz`, and no way to shut down but a signal.
//!
//! Use it with [`WhileDraining::Refuse`](super::WhileDraining::Refuse): its listener closes at once.
//! `latency_ms` holds nanoseconds, in spite of its name: the convention's founder writes it so.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;

use super::{Service, Snapshot, Standing};

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
    let checks: IndexMap<String, Check> = service
        .dependencies()
        .into_iter()
        .filter(|snapshot| snapshot.standing != Standing::NotUsed)
        .map(|snapshot| (snapshot.name.clone(), check(snapshot)))
        .collect();
    let ready = checks.values().all(|check| check.status == "pass");
    let (code, status) = if ready {
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

fn check(snapshot: Snapshot) -> Check {
    let nanoseconds = snapshot.latency.unwrap_or_default().as_nanos();
    let (status, error) = match snapshot.standing {
        Standing::Working => ("pass", None),
        Standing::Failing => ("fail", snapshot.error),
        // The service is not ready before each of them has been tried.
        Standing::Untried | Standing::NotUsed => ("fail", Some("not initialized".to_owned())),
    };
    Check {
        status,
        latency_ms: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
        error,
    }
}
