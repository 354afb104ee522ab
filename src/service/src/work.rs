//! Requests of the service's own work: counted while in flight, refused while it shuts down.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Service;
use super::connection::Link;
use super::log::REQUEST_TARGET;

/// How many requests are in flight.
#[derive(Debug)]
pub(super) struct Work {
    count: Arc<watch::Sender<usize>>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            count: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Work {
    pub(super) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until nothing is in flight.
    pub(super) async fn idle(&self) {
        // The sender is ours, so the channel cannot close while we wait.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn enter(&self, link: Option<Link>) -> Guard {
        self.count.send_modify(|count| *count += 1);
        if let Some(link) = &link {
            link.set_working(true);
        }
        Guard {
            count: Arc::clone(&self.count),
            link,
        }
    }
}

/// One request in flight, from its head to the last byte of its answer's body.
#[derive(Debug)]
struct Guard {
    count: Arc<watch::Sender<usize>>,
    link: Option<Link>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.set_working(false);
        }
        self.count
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The layer around the service's own work.
pub(super) async fn gate(State(service): State<Service>, request: Request, next: Next) -> Response {
    // Counted before the flag is read: a drain that begins in between waits for this request.
    let guard = service
        .inner
        .work
        .enter(request.extensions().get::<Link>().cloned());
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
    response.map(|body| Body::new(Counted { body, guard }))
}

#[derive(Serialize)]
struct Refusal {
    status: &'static str,
    message: &'static str,
}

fn refusal() -> Response {
    let body = Refusal {
        status: "shutting_down",
        message: "no new work while shutting down",
    };
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body that keeps its request in flight until it has been handed over whole, or dropped.
#[derive(Debug)]
struct Counted {
    body: Body,
    #[expect(dead_code, reason = "held for its drop")]
    guard: Guard,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
