//! The answers of other servers, as the clients of this crate read them (features `lease` and
//! `upstream`).

use std::error::Error;

use axum::http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};

/// The number of bytes that are read of an answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// Waits for an answer and reads it; returns its status code and its body.
///
/// # Errors
///
/// The innermost error, such as `Connection refused (os error 111)`, or that the body is too long.
pub(crate) async fn receive<E: Error + 'static>(
    answer: impl Future<Output = Result<Response<Incoming>, E>>,
) -> Result<(StatusCode, Bytes), String> {
    let answer = answer.await.map_err(|error| root_cause(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| root_cause(&*error))?;
    Ok((status, body.to_bytes()))
}

/// Returns the text of the innermost error, which says what was wrong.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}
