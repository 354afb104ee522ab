//! The route that reloads and answers with the result for each part.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};

use super::{Answer, Configuration, Status, Trigger};
use crate::body::discard;

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// `POST path`: 200 with the [`Answer`], 422 where the old configuration was kept.
    pub fn routes(&self, path: &str) -> Router {
        Router::new()
            .route(path, post(reload))
            .with_state(self.clone())
    }
}

async fn reload<C: Clone + Send + Sync + 'static>(
    State(configuration): State<Configuration<C>>,
    body: Body,
) -> (StatusCode, Json<Answer>) {
    discard(body).await;
    let answer = configuration.reload(Trigger::Request).await;
    let code = match answer.status {
        Status::Success | Status::Partial => StatusCode::OK,
        Status::Failed => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (code, Json(answer))
}
