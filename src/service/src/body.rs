//! The body of a request that nobody wants.

use axum::body::{Body, to_bytes};

const MOST_DISCARDED: usize = 64 * 1024;

/// Takes what the client sends along: left unread, it would have the kernel reset the connection
/// before the client has read its reply.
pub(super) async fn discard(body: Body) {
    // Too much of it, or a client that broke off, changes nothing.
    let _ = to_bytes(body, MOST_DISCARDED).await;
}
