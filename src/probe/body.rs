//! Reads response bodies within a limit.

use std::time::Duration;

use reqwest::Response;
use reqwest::header;

use crate::health::FailureKind;

use super::classify;
use super::error::ProbeError;
use super::timeline::{ProbePhase, Timeline};

/// The number of bytes of an unneeded body that are read to keep the connection.
const DRAIN_SIZE: usize = 64 * 1024;

/// The time in which they are read.
const DRAIN_TIME: Duration = Duration::from_millis(50);

/// Checks that the body is not encoded: no encoding was requested.
pub(super) fn check_encoding(response: &Response) -> Result<(), ProbeError> {
    for value in response.headers().get_all(header::CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        if !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "identity") {
            return Err(ProbeError::new(
                FailureKind::Decode,
                format!("the body is encoded as {value}, though no encoding was asked for"),
            ));
        }
    }
    Ok(())
}

/// Reads a body of at most `most` bytes. Memory holds at most one chunk more.
pub(super) async fn read(
    response: &mut Response,
    most: u64,
    timeline: &Timeline,
) -> Result<Vec<u8>, ProbeError> {
    let too_large = || {
        ProbeError::new(
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
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0).min(DRAIN_SIZE));
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| classify::request_error(&error, ProbePhase::Body, None))?;
        let Some(chunk) = chunk else {
            timeline.complete();
            return Ok(body);
        };
        let length = body.len() as u64 + chunk.len() as u64;
        if length > most {
            return Err(too_large());
        }
        timeline.body(length);
        body.extend_from_slice(&chunk);
    }
}

/// Reads the rest of a small body, so that its connection can be kept.
pub(super) async fn drain(mut response: Response) {
    let mut left = DRAIN_SIZE;
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // A body that does not end in time costs only its connection.
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}
