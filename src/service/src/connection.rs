//! The open connections: each can be asked to finish, and cut.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as HyperService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long a client may take to send the head of a request, or to send another one at all.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// What a request knows of the connection that it came on.
#[derive(Debug, Clone)]
pub(super) struct Link {
    ended: CancellationToken,
    working: Arc<AtomicBool>,
}

impl Link {
    /// Cancelled when the connection has ended and all that was written to it has left.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    pub(super) fn set_working(&self, working: bool) {
        self.working.store(working, Ordering::SeqCst);
    }
}

/// All connections of one server; they end with it.
#[derive(Debug)]
pub(super) struct Connections {
    app: Router,
    open: TaskTracker,
    finish: CancellationToken,
    cut_work: CancellationToken,
    cut_all: CancellationToken,
    _cut_on_drop: DropGuard,
}

impl Connections {
    pub(super) fn new(app: Router, open: TaskTracker) -> Self {
        let cut_all = CancellationToken::new();
        Self {
            app,
            open,
            finish: CancellationToken::new(),
            cut_work: CancellationToken::new(),
            _cut_on_drop: cut_all.clone().drop_guard(),
            cut_all,
        }
    }

    /// Serves one connection beside the others.
    pub(super) fn carry(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let link = Link {
            ended: CancellationToken::new(),
            working: Arc::new(AtomicBool::new(false)),
        };
        let app = TowerToHyperService::new(self.app.clone());
        let served = link.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(served.clone());
            app.call(request)
        });
        let finish = self.finish.clone();
        let cut_work = self.cut_work.clone();
        let cut_all = self.cut_all.clone();
        self.open.spawn(async move {
            let _ended = link.ended.clone().drop_guard();
            let orders = Orders {
                finish,
                cut_work,
                cut_all,
            };
            serve(io, answer, &link, orders).await;
        });
    }

    /// Asks each connection to close after the answer it is giving; idle ones close at once.
    pub(super) fn finish(&self) {
        self.finish.cancel();
    }

    /// Cuts the connections whose request is still in flight.
    pub(super) fn cut_work(&self) {
        self.cut_work.cancel();
    }

    /// Ends all of them: those that do not finish within the limit are cut.
    pub(super) async fn end(self, limit: Duration) {
        self.finish();
        self.open.close();
        if tokio::time::timeout(limit, self.open.wait()).await.is_err() {
            self.cut_all.cancel();
            self.open.wait().await;
        }
    }
}

struct Orders {
    finish: CancellationToken,
    cut_work: CancellationToken,
    cut_all: CancellationToken,
}

/// One connection until its end: by itself, asked, or cut (what is not finished is dropped).
async fn serve<S>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: S,
    link: &Link,
    orders: Orders,
) where
    S: HyperService<Request<Incoming>, Response = Response, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(io), answer);
    let mut connection = std::pin::pin!(connection);
    let (mut finishing, mut work_cut) = (false, false);
    loop {
        tokio::select! {
            // A client that breaks off is no fault of the service.
            _ = connection.as_mut() => return,
            () = orders.finish.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = orders.cut_work.cancelled(), if !work_cut => {
                work_cut = true;
                if link.working.load(Ordering::SeqCst) {
                    return;
                }
            }
            () = orders.cut_all.cancelled() => return,
        }
    }
}
