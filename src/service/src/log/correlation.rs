//! The correlation id of a request: taken over or made, told to the handlers, the log and the client.

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
/// Longer ones are not taken over.
const LONGEST: usize = 128;

/// What ties together all that was done for one request, here and elsewhere.
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
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one that came along, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let given = |name| headers.get(name).and_then(|value| value.to_str().ok());
        given(CORRELATION)
            .or_else(|| given(REQUEST))
            .or_else(|| given(TRACE).and_then(trace))
            .filter(|id| is_sound(id))
            .map_or_else(Self::new, |id| Self(id.into()))
    }

    fn new() -> Self {
        /// Seeded by the system, so that two processes do not make the same ones.
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

/// The trace's id out of a `traceparent`: `00-TRACE-PARENT-FLAGS`.
fn trace(value: &str) -> Option<&str> {
    let id = value.split('-').nth(1)?;
    (id.len() == 32).then_some(id)
}

/// Whether an id of somebody else's may stand in our log and our answer.
fn is_sound(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:+/=".contains(c);
    !id.is_empty() && id.len() <= LONGEST && id.chars().all(plain)
}

/// The layer around every request.
pub(crate) async fn carry(mut request: Request, next: Next) -> Response {
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
    fn a_sound_id_is_taken_over() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let long = "a".repeat(LONGEST + 1);
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
