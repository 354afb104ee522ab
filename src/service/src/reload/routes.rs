//! The routes of a configuration: reload, validation, versions and the way back to one of them.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::configuration::{ConfigVersion, Configuration};
use super::part::{ReloadRecord, ReloadResult, ReloadStatus, ReloadTrigger};
use crate::connection::discard;
use crate::query::{self, QueryValues};

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// Returns the route `POST path`, which reloads and answers with the [`ReloadResult`]: 200, or
    /// 422 when the old configuration was kept. With `?dry_run=true` it validates only, and answers
    /// what a reload would do.
    pub fn routes(&self, path: &str) -> Router {
        Router::new()
            .route(path, post(reload))
            .with_state(self.clone())
    }

    /// Returns the routes `GET path`, which answers with the versions and the last reloads, and `POST
    /// path/NUMBER/rollback`, which goes back to a version and answers as a reload does, or 404 when
    /// the version is not kept. The contents of versions are not told: they may hold secrets.
    pub fn version_routes(&self, path: &str) -> Router {
        Router::new()
            .route(path, get(versions))
            .route(&format!("{path}/{{number}}/rollback"), post(roll_back))
            .with_state(self.clone())
    }
}

async fn reload<C: Clone + Send + Sync + 'static>(
    State(configuration): State<Configuration<C>>,
    Query(query): Query<QueryValues>,
    body: Body,
) -> Response {
    discard(body).await;
    match query::flag(&query, "dry_run") {
        Err(refusal) => *refusal,
        Ok(false) => answer(&configuration.reload(ReloadTrigger::Request).await),
        Ok(true) => {
            let result = configuration.validate().await;
            let mut payload = json!(result);
            payload["dry_run"] = true.into();
            (code(&result), Json(payload)).into_response()
        }
    }
}

async fn roll_back<C: Clone + Send + Sync + 'static>(
    State(configuration): State<Configuration<C>>,
    Path(number): Path<u64>,
    body: Body,
) -> Response {
    discard(body).await;
    let versions = configuration.versions();
    let is_kept = versions.iter().any(|version| version.number == number);
    let result = configuration.roll_back(number).await;
    if is_kept {
        return answer(&result);
    }
    (StatusCode::NOT_FOUND, Json(result)).into_response()
}

fn answer(result: &ReloadResult) -> Response {
    (code(result), Json(result)).into_response()
}

fn code(result: &ReloadResult) -> StatusCode {
    match result.status {
        ReloadStatus::Success | ReloadStatus::Partial => StatusCode::OK,
        ReloadStatus::Failed => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn versions<C: Clone + Send + Sync + 'static>(
    State(configuration): State<Configuration<C>>,
) -> Json<Value> {
    let versions = configuration.versions();
    let in_force = versions.last().map(|version| version.number);
    let versions: Vec<Value> = versions.iter().map(version).collect();
    let reloads: Vec<Value> = configuration.history().iter().map(record).collect();
    Json(json!({"version": in_force, "versions": versions, "reloads": reloads}))
}

fn version<C>(version: &ConfigVersion<C>) -> Value {
    json!({
        "version": version.number,
        "since": version.since,
        "cause": version.trigger.to_string(),
        "changed": version.changed,
    })
}

fn record(record: &ReloadRecord) -> Value {
    json!({
        "at": record.at,
        "cause": record.trigger.to_string(),
        "status": record.result.status.as_str(),
        "version": record.result.version,
        "error": record.result.error,
    })
}
