//! Keeps a service busy with requests to itself, so that there is always work in flight to drain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use futures_util::{StreamExt, stream};

use super::exchange;
use super::fleet::Member;
use healthctl_service::Service;

/// How long each request of a client takes, one after the other; the clients are never in step.
const CLIENTS: [[u64; 3]; 2] = [[1_300, 2_900, 2_100], [2_500, 1_700, 1_100]];
/// The longest that a request can ask for.
const LONGEST: Duration = Duration::from_secs(120);

/// The service's own work: `/work/MS` says that it has begun, and is done so many milliseconds later.
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
pub(super) fn start(service: &Service, member: &Member, address: SocketAddr) {
    // Each member starts elsewhere in the table, so that they do not all drain equally long.
    let first = member.name.len();
    for times in CLIENTS {
        service.background(async move {
            for millis in times.into_iter().cycle().skip(first) {
                let request = format!("GET /work/{millis}");
                if exchange::tell(address, &request, "").await.is_err() {
                    return;
                }
            }
        });
    }
}
