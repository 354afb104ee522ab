//! The requests to the service's own routes: counted while they are in flight, refused during a
//! shutdown. Health and shutdown routes never pass through here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Service;
use crate::connection::ConnectionHandle;
use crate::log::REQUEST_TARGET;

/// The number of requests in flight. Clones refer to the same number.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<watch::Sender<usize>>);

impl InFlight {
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until no request is in flight.
    pub(crate) async fn idle(&self) {
        // The channel stays open while `self` holds the sender.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    fn enter(&self, connection: Option<ConnectionHandle>) -> InFlightGuard {
        self.0.send_modify(|count| *count += 1);
        if let Some(connection) = &connection {
            connection.busy.store(true, Ordering::SeqCst);
        }
        InFlightGuard {
            in_flight: self.clone(),
            connection,
        }
    }
}

/// Keeps one request in flight, from its head to the last byte of the response's body.
#[derive(Debug)]
struct InFlightGuard {
    in_flight: InFlight,
    connection: Option<ConnectionHandle>,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.busy.store(false, Ordering::SeqCst);
        }
        let count = &self.in_flight.0;
        count.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The middleware around the service's own routes.
pub(crate) async fn track(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    // The request is counted before the phase is read, so that a drain that begins in between waits for it.
    let connection = request.extensions().get::<ConnectionHandle>().cloned();
    let guard = service.inner.in_flight.enter(connection);
    if service.is_shutting_down() {
        return refusal();
    }
    let begin = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::info!(
        target: REQUEST_TARGET,
        method = method.as_str(),
        path,
        status = response.status().as_u16(),
        seconds = begin.elapsed().as_secs_f64(),
        "request answered"
    );
    response.map(|body| {
        // The body owns the guard, so the request is in flight until the body is sent or dropped.
        Body::new(body.map_err(move |error| {
            let _in_flight = &guard;
            error
        }))
    })
}

fn refusal() -> Response {
    let body = json!({"status": "shutting_down", "message": "no new work while shutting down"});
    let close = [(header::CONNECTION, HeaderValue::from_static("close"))];
    (StatusCode::SERVICE_UNAVAILABLE, close, Json(body)).into_response()
}
