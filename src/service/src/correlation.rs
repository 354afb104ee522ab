//! The correlation id of a request: taken from its headers or created, and passed to the handlers, the
//! log and the client.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const REQUEST: HeaderName = HeaderName::from_static("x-request-id");
const TRACE: HeaderName = HeaderName::from_static("traceparent");
/// The length up to which an id of a client is accepted, in bytes.
const MAX_LENGTH: usize = 128;

/// The id that all log lines of one request share, here and in other services.
///
/// Handlers find it among the extensions of the request.
///
/// ```
/// use axum::{Extension, Router, routing::get};
/// use healthctl_service::log::CorrelationId;
///
/// async fn orders(Extension(id): Extension<CorrelationId>) -> String {
///     format!("none yet ({id})")
/// }
/// let work: Router = Router::new().route("/orders", get(orders));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id in the headers, or a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = |name| headers.get(name).and_then(|value| value.to_str().ok());
        given(CORRELATION)
            .or_else(|| given(REQUEST))
            .or_else(|| given(TRACE).and_then(trace_id))
            .filter(|id| is_acceptable(id))
            .map_or_else(Self::new, |id| Self(id.into()))
    }

    fn new() -> Self {
        /// The system seeds it, so two processes create different ids.
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{:016x}", SEED.hash_one(number)).into())
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Returns the trace id of a `traceparent` header, `00-TRACE-PARENT-FLAGS`.
fn trace_id(value: &str) -> Option<&str> {
    let id = value.split('-').nth(1)?;
    (id.len() == 32).then_some(id)
}

/// Returns whether an id of a client may appear in the log and the response.
fn is_acceptable(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:+/=".contains(c);
    !id.is_empty() && id.len() <= MAX_LENGTH && id.chars().all(plain)
}

/// The middleware around every request: runs it in a span that holds its id.
pub(crate) async fn correlate(mut request: Request, next: Next) -> Response {
    let id = CorrelationId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let span = tracing::error_span!("request", correlation_id = id.as_str());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(CORRELATION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acceptable_id_is_used() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let long = "a".repeat(MAX_LENGTH + 1);
        let check = |given: &[(HeaderName, &str)], expected: Option<&str>| {
            let headers: HeaderMap = given
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect();
            let found = CorrelationId::of(&headers);
            match expected {
                Some(expected) => assert_eq!(found.as_str(), expected, "{given:?}"),
                None => assert_eq!(found.as_str().len(), 16, "{given:?}: {found}"),
            }
        };
        check(&[], None);
        check(&[(CORRELATION, "order-7")], Some("order-7"));
        check(&[(REQUEST, "r.1:2/3")], Some("r.1:2/3"));
        check(&[(CORRELATION, "a"), (REQUEST, "b")], Some("a"));
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        check(&[(TRACE, trace)], Some(id));
        check(&[(TRACE, "00-short-1-01")], None);
        check(&[(CORRELATION, "two words")], None);
        check(&[(CORRELATION, "")], None);
        check(&[(CORRELATION, &long)], None);
        assert_ne!(CorrelationId::new(), CorrelationId::new());
    }
}
