//! The `scry-ingestor` convention: `/health`, `/ready` and `/health/detailed`, as a FastAPI service
//! answers them, and a route that reloads the configuration.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /health` | that it lives; checks nothing but itself |
//! | `GET /ready` | the whole; 503 while it is unhealthy or not ready; `?detailed=true` adds the components |
//! | `GET /health/detailed` | the whole with every component, always 200 |
//!
//! Its vocabulary has no word for *unknown*: a required component of which nothing is known yet is
//! told as unhealthy, an optional one as degraded.
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
//! // For the route that reloads see `healthctl_service::reload`.
//! ```

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Component, Health, Need, Service};

/// The three routes.
pub fn routes(service: &Service) -> Router {
    Router::new()
        .route("/health", get(live))
        .route("/ready", get(ready))
        .route("/health/detailed", get(detailed))
        .with_state(service.clone())
}

#[derive(Serialize)]
struct Live {
    status: &'static str,
    service: String,
    checked_at: String,
}

#[derive(Serialize)]
struct Whole {
    status: &'static str,
    components: IndexMap<String, ConfigPart>,
    checked_at: String,
}

#[derive(Serialize)]
struct ConfigPart {
    name: String,
    status: &'static str,
    message: Option<String>,
    metadata: IndexMap<String, Value>,
    checked_at: Option<String>,
}

async fn live(State(service): State<Service>) -> Json<Live> {
    Json(Live {
        status: "healthy",
        service: service.name().to_owned(),
        // Not as the other routes write it: the convention's founder does so.
        checked_at: Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
            .to_string(),
    })
}

async fn ready(
    State(service): State<Service>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let detailed = match query.get("detailed").map(|value| (value, truth(value))) {
        None => false,
        Some((_, Some(detailed))) => detailed,
        Some((value, None)) => return not_a_boolean(value),
    };
    service.run_due_checks().await;
    let mut whole = whole(&service);
    let mut code = StatusCode::OK;
    if whole.status == "unhealthy" || !service.is_ready() {
        code = StatusCode::SERVICE_UNAVAILABLE;
        whole.status = "unhealthy";
    }
    if !detailed {
        whole.components.clear();
    }
    (code, Json(whole)).into_response()
}

async fn detailed(State(service): State<Service>) -> Json<Whole> {
    service.run_due_checks().await;
    Json(whole(&service))
}

fn whole(service: &Service) -> Whole {
    let components = service.components();
    let status = Health::of(
        components
            .iter()
            .map(|component| (component.need, known(component))),
    );
    Whole {
        // A service without components has nothing that could be wrong.
        status: if status == Health::Unknown {
            Health::Healthy.word()
        } else {
            status.word()
        },
        components: components
            .into_iter()
            .map(|component| (component.name.clone(), part(component)))
            .collect(),
        checked_at: moment(Timestamp::now()),
    }
}

fn part(component: Component) -> ConfigPart {
    ConfigPart {
        status: known(&component).word(),
        message: match component.health {
            Health::Unknown => component
                .message
                .or_else(|| Some("not checked yet".to_owned())),
            _ => component.message,
        },
        name: component.name,
        metadata: component.details,
        checked_at: component.checked_at.map(moment),
    }
}

/// Its health in the words that the convention has.
fn known(component: &Component) -> Health {
    match (component.health, component.need) {
        (Health::Unknown, Need::Required) => Health::Unhealthy,
        (Health::Unknown, Need::Optional) => Health::Degraded,
        (health, _) => health,
    }
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A truth value in any of the spellings that FastAPI takes.
fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

fn not_a_boolean(value: &str) -> Response {
    let body = json!({"detail": [{
        "type": "bool_parsing",
        "loc": ["query", "detailed"],
        "msg": "Input should be a valid boolean, unable to interpret input",
        "input": value,
    }]});
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}
