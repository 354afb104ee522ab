//! The open connections of a server, each of which can be asked to finish or be closed at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as HyperService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The time that a client may take to send the head of a request, or to send another request at all.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of bytes that are read of a body that no handler wants.
const MAX_DISCARDED: usize = 64 * 1024;

/// The connection on which a request came; found among the extensions of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionHandle {
    closed: CancellationToken,
    busy: Arc<AtomicBool>,
}

impl ConnectionHandle {
    /// Returns a token that is cancelled when the connection has closed and all writes are flushed.
    pub(crate) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Marks whether a request to the service's own routes is in flight on the connection.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::SeqCst);
    }
}

/// Tokens that close the connections of a server.
#[derive(Debug, Clone, Default)]
struct CloseTokens {
    /// Closes each connection after its present response.
    finish: CancellationToken,
    /// Closes the connections on which a request is in flight.
    close_busy: CancellationToken,
    /// Closes all connections at once.
    close_all: CancellationToken,
}

/// The connections of one server; dropping it closes them.
#[derive(Debug)]
pub(crate) struct Connections {
    app: Router,
    open: TaskTracker,
    tokens: CloseTokens,
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
            let _closed = handle.closed().drop_guard();
            serve(io, respond, &handle.busy, tokens).await;
        });
    }

    /// Asks each connection to close after its present response; idle ones close at once.
    pub(crate) fn finish(&self) {
        self.tokens.finish.cancel();
    }

    /// Closes the connections whose request is still in flight.
    pub(crate) fn close_busy(&self) {
        self.tokens.close_busy.cancel();
    }

    /// Ends all connections; those that do not finish within the limit are closed.
    pub(crate) async fn end(self, limit: Duration) {
        self.finish();
        self.open.close();
        if timeout(limit, self.open.wait()).await.is_err() {
            self.tokens.close_all.cancel();
            self.open.wait().await;
        }
    }
}

/// Serves one connection until it ends by itself or is closed, which drops what is in flight.
async fn serve<S>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    respond: S,
    busy: &AtomicBool,
    tokens: CloseTokens,
) where
    S: HyperService<Request<Incoming>, Response = Response, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(io), respond);
    let mut connection = std::pin::pin!(connection);
    let (mut finishing, mut busy_closed) = (false, false);
    loop {
        tokio::select! {
            // A client that disconnects is no fault of the service.
            _ = connection.as_mut() => return,
            () = tokens.finish.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokens.close_busy.cancelled(), if !busy_closed => {
                busy_closed = true;
                if busy.load(Ordering::SeqCst) {
                    return;
                }
            }
            () = tokens.close_all.cancelled() => return,
        }
    }
}

/// Reads a body that no handler wants. Were it left unread, the kernel would reset the connection
/// before the client has read the response.
pub(crate) async fn discard(body: Body) {
    // A body that is too long and a client that disconnects change nothing.
    let _ = to_bytes(body, MAX_DISCARDED).await;
}
