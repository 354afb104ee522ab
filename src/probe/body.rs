//! Bodies: read within a limit, or left.

use std::time::Duration;

use reqwest::Response;
use reqwest::header;

use crate::health::FailureKind;

use super::explain::{self, Cause};
use super::trail::{Phase, Trail};

/// So much of a body that nobody needs is read to keep the connection under it.
const DRAINED: usize = 64 * 1024;

/// So long is waited for it.
const DRAIN: Duration = Duration::from_millis(50);

/// No encoding was asked for, so none is undone.
pub(super) fn plain(response: &Response) -> Result<(), Cause> {
    for value in response.headers().get_all(header::CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        if !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "identity") {
            return Err(Cause::new(
                FailureKind::Decode,
                format!("the body is encoded as {value}, though no encoding was asked for"),
            ));
        }
    }
    Ok(())
}

/// The body, or why not. Never holds more than `most` bytes and one chunk.
pub(super) async fn read(
    response: &mut Response,
    most: u64,
    trail: &Trail,
) -> Result<Vec<u8>, Cause> {
    let too_large = || {
        Cause::new(
            FailureKind::BodyLimit,
            format!(
                "the body is larger than {} (max_body)",
                crate::text::long_size(most)
            ),
        )
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > most {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0).min(DRAINED));
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| explain::request(&error, Phase::Body, None))?;
        let Some(chunk) = chunk else {
            trail.complete();
            return Ok(body);
        };
        let length = body.len() as u64 + chunk.len() as u64;
        if length > most {
            return Err(too_large());
        }
        trail.body(length);
        body.extend_from_slice(&chunk);
    }
}

/// Reads what is left of a small body, so that its connection can be kept.
pub(super) async fn drain(mut response: Response) {
    let mut left = DRAINED;
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // A body that does not end in time costs its connection, nothing else.
    let _ = tokio::time::timeout(DRAIN, reading).await;
}
