//! The open connections of a server, each of which can be asked to finish or be closed at once, and
//! the requests that are in flight on them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as HyperService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::Service;
use crate::log::REQUEST_TARGET;

/// The time that a client may take to send the head of a request, or to send another request at all.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of bytes that are read of a body that no handler wants.
const MAX_DISCARDED: usize = 64 * 1024;

/// The connection on which a request came; found among the extensions of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionHandle {
    /// Cancelled when the connection has closed and all writes are flushed.
    pub(crate) closed: CancellationToken,
    /// Says that a request to the service's own routes is in flight on the connection.
    pub(crate) busy: Arc<AtomicBool>,
}

/// Tokens that close the connections of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct CloseTokens {
    /// Closes each connection after its present response; idle ones close at once.
    pub(crate) finish: CancellationToken,
    /// Closes the connections on which a request is in flight.
    pub(crate) close_busy: CancellationToken,
    /// Closes all connections at once.
    close_all: CancellationToken,
}

/// The connections of one server; dropping it closes them.
#[derive(Debug)]
pub(crate) struct Connections {
    app: Router,
    open: TaskTracker,
    pub(crate) tokens: CloseTokens,
    _close_on_drop: DropGuard,
}

impl Connections {
    pub(crate) fn new(app: Router, open: TaskTracker) -> Self {
        let tokens = CloseTokens::default();
        Self {
            app,
            open,
            _close_on_drop: tokens.close_all.clone().drop_guard(),
            tokens,
        }
    }

    /// Serves one more connection, in a task of its own.
    pub(crate) fn spawn(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let handle = ConnectionHandle::default();
        let app = TowerToHyperService::new(self.app.clone());
        let extension = handle.clone();
        let respond = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(extension.clone());
            app.call(request)
        });
        let tokens = self.tokens.clone();
        self.open.spawn(async move {
            let _closed = handle.closed.drop_guard();
            let busy_closed = async {
                tokens.close_busy.cancelled().await;
                if !handle.busy.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
            };
            // The end of this drops what is in flight.
            tokio::select! {
                () = serve(io, respond, &tokens.finish) => {}
                () = busy_closed => {}
                () = tokens.close_all.cancelled() => {}
            }
        });
    }

    /// Ends all connections; those that do not finish within the limit are closed.
    pub(crate) async fn end(self, limit: Duration) {
        self.tokens.finish.cancel();
        self.open.close();
        if timeout(limit, self.open.wait()).await.is_err() {
            self.tokens.close_all.cancel();
            self.open.wait().await;
        }
    }
}

/// Serves one connection until it ends by itself, or after its present response once `finish` is
/// cancelled.
async fn serve<S>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    respond: S,
    finish: &CancellationToken,
) where
    S: HyperService<Request<Incoming>, Response = Response, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(io), respond);
    let mut connection = std::pin::pin!(connection);
    // A client that disconnects is no fault of the service.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = finish.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Reads a body that no handler wants. Were it left unread, the kernel would reset the connection
/// before the client has read the response.
pub(crate) async fn discard(body: Body) {
    // A body that is too long and a client that disconnects change nothing.
    let _ = to_bytes(body, MAX_DISCARDED).await;
}

/// Keeps one request in flight, from its head to the last byte of the response's body.
#[derive(Debug)]
struct InFlightGuard {
    service: Service,
    connection: Option<ConnectionHandle>,
}

impl InFlightGuard {
    fn new(service: Service, connection: Option<ConnectionHandle>) -> Self {
        service.inner.in_flight.send_modify(|count| *count += 1);
        if let Some(connection) = &connection {
            connection.busy.store(true, Ordering::SeqCst);
        }
        Self {
            service,
            connection,
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.busy.store(false, Ordering::SeqCst);
        }
        let count = &self.service.inner.in_flight;
        count.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Service {
    /// Returns the number of requests in flight; health and shutdown routes do not count.
    pub fn in_flight(&self) -> usize {
        *self.inner.in_flight.borrow()
    }

    /// Waits until no request is in flight.
    pub(crate) async fn idle(&self) {
        let mut count = self.inner.in_flight.subscribe();
        // The channel stays open while `self` holds the sender.
        let _ = count.wait_for(|count| *count == 0).await;
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
    let guard = InFlightGuard::new(service.clone(), connection);
    if service.refuses_work() {
        return refusal();
    }
    // What a drain lets in is the last request on its connection.
    let is_last = service.is_shutting_down();
    let begin = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if is_last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
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
    let close = [(header::CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, close, Json(body)).into_response()
}
