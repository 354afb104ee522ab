//! Keeps a service busy with requests to itself, so that it always has requests in flight to drain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use futures_util::{StreamExt, stream};
use healthctl_service::Service;

use super::http;

/// The duration in milliseconds of each request of a client, one after the other; the clients are never in step.
const CLIENTS: [[u64; 3]; 2] = [[1_300, 2_900, 2_100], [2_500, 1_700, 1_100]];
/// The longest duration that a request can ask for.
const LONGEST: Duration = Duration::from_secs(120);

/// Returns the route `/work/MS`: it answers `begun` at once and ends after so many milliseconds.
pub(super) fn routes() -> Router {
    Router::new().route("/work/{millis}", get(work))
}

async fn work(Path(millis): Path<u64>) -> Body {
    let time = Duration::from_millis(millis).min(LONGEST);
    let begun = stream::once(async { Ok::<_, Infallible>("begun\n".to_owned()) });
    let done = stream::once(async move {
        tokio::time::sleep(time).await;
        Ok(format!("done after {time:?}\n"))
    });
    Body::from_stream(begun.chain(done))
}

/// Starts the clients. Each stops when it is refused, that is when the service shuts down.
pub(super) fn start(service: &Service, address: SocketAddr) {
    // Each service begins elsewhere in the table, so that they do not all take equally long to drain.
    let first = service.name().len();
    for times in CLIENTS {
        service.background(async move {
            for millis in times.into_iter().cycle().skip(first) {
                let request = format!("GET /work/{millis}");
                if http::submit(address, &request, "").await.is_err() {
                    return;
                }
            }
        });
    }
}
