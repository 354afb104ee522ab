//! The route that reloads and answers with the result for each part.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};

use super::{Configuration, ReloadResult, ReloadStatus, ReloadTrigger};
use crate::body::discard;

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// `POST path`: 200 with the [`ReloadResult`], 422 where the old configuration was kept.
    pub fn routes(&self, path: &str) -> Router {
        Router::new()
            .route(path, post(reload))
            .with_state(self.clone())
    }
}

async fn reload<C: Clone + Send + Sync + 'static>(
    State(configuration): State<Configuration<C>>,
    body: Body,
) -> (StatusCode, Json<ReloadResult>) {
    discard(body).await;
    let answer = configuration.reload(ReloadTrigger::Request).await;
    let code = match answer.status {
        ReloadStatus::Success | ReloadStatus::Partial => StatusCode::OK,
        ReloadStatus::Failed => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (code, Json(answer))
}
