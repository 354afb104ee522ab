//! Keeps a service busy with requests to itself, so that it always has requests in flight to drain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use healthctl_service::Service;
use tokio::time::{MissedTickBehavior, interval};

use super::http;

/// The time between the beginnings of two requests. The youngest request in flight is never older, so a drain takes at
/// least the shortest of [`WORK`] less this.
const INTERVAL: Duration = Duration::from_secs(1);
/// The duration in milliseconds of each request, one after the other: two or three are in flight at any time.
const WORK: [u64; 3] = [2_300, 2_900, 2_600];
/// The time that a client waits for its reply: longer than any of [`WORK`], so that its request outlives a drain.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
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

/// Starts the clients. None begins a request once one was refused, that is when the service shuts down; those in
/// flight wait for their replies.
pub(super) fn start(service: &Service, address: SocketAddr) {
    // Each service begins elsewhere in the table, so that they do not all take equally long to drain.
    let first = service.name().len();
    service.background(async move {
        let mut works = WORK.into_iter().cycle().skip(first);
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut requests = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || !requests.is_empty() {
            tokio::select! {
                _ = ticks.tick(), if is_open => requests.extend(works.next().map(async |millis| {
                    let request = format!("GET /work/{millis}");
                    http::send_within(REPLY_TIMEOUT, address, &request, "").await
                })),
                Some(reply) = requests.next() => is_open &= matches!(reply, Ok(200)),
            }
        }
    });
}
