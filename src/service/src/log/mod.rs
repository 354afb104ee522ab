//! What a service tells of itself as lines of text or of JSON, each with its request's correlation id.
//!
//! The kit tells by way of `tracing`; a program that has a subscriber of its own needs nothing of
//! this. Every request runs in a span that holds its correlation id: the one that came with it, by
//! `X-Correlation-ID`, `X-Request-ID` or `traceparent`, else a new one. The answer's
//! `X-Correlation-ID` tells it, and handlers find a [`CorrelationId`] among the request's extensions.
//!
//! ```
//! use healthctl_service::log::{self, Format, Level};
//!
//! // To the standard error stream, for the whole program:
//! log::init(Format::Json, Level::INFO)?;
//! tracing::info!(orders = 3, "warmed up");
//! // {"at":"2026-11-22T10:00:00.123456Z","level":"info","message":"warmed up","target":"orders","orders":3}
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(super) mod correlation;
mod line;
mod lines;

use std::io::{self, Write};

use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

pub use correlation::CorrelationId;
pub use lines::LogLayer;
pub use tracing::Level;

/// The target of the line about each request that was answered: most lines of a busy service, for
/// a program that wants to leave them out.
pub const REQUEST_TARGET: &str = "healthctl_service::requests";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: time, level, message, then `key=value`.
    #[default]
    Text,
    /// For machines: one JSON object.
    Json,
}

/// Writes lines of this level and above to the standard error stream, for the whole program.
///
/// # Errors
///
/// When the program has a subscriber already.
pub fn init(format: Format, level: Level) -> Result<(), SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(format, level, io::stderr()))
}

/// A subscriber that writes lines of this level and above.
pub fn subscriber(
    format: Format,
    level: Level,
    writer: impl Write + Send + 'static,
) -> impl Subscriber + Send + Sync {
    Registry::default().with(LogLayer::new(format, level, writer))
}
