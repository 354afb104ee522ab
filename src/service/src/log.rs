//! The log of a service, as lines of text or JSON, each with the correlation id of its request.
//!
//! The kit reports through `tracing`; a program that has a subscriber of its own needs nothing of
//! this module. Every request runs in a span that holds its correlation id: the one that came with
//! the request, in `X-Correlation-ID`, `X-Request-ID` or `traceparent`, or a new one. The response
//! carries it as `X-Correlation-ID`, and handlers find a [`CorrelationId`] among the extensions of
//! the request.
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
//!
//! The level can be changed while the program runs, by the [`LevelHandle`] that [`init`] returns or by
//! a [reloaded configuration](crate::reload::ConfigPart::log_level).
//!
//! Spans and subscribers are those of `tracing-subscriber`, fields are turned into JSON by
//! `tracing-serde`. The lines themselves are written here: the `fmt` layer of `tracing-subscriber`
//! calls the time `timestamp`, writes levels in upper case, sorts the fields by name, nests those of
//! spans in an object and lets control characters through.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Metadata, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

pub use crate::correlation::CorrelationId;
pub use tracing::Level;

/// The target of the line about each answered request, for a program that filters these lines out.
pub const REQUEST_TARGET: &str = "healthctl_service::requests";

/// The format of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Format {
    /// For people: time, level, message, then each field as `key=value`.
    #[default]
    Text,
    /// For programs: one JSON object.
    Json,
}

/// The level of a [`LogLayer`], which can be changed while the program runs. Clones refer to the same
/// level.
///
/// ```
/// use healthctl_service::log::{Format, Level, LogLayer};
///
/// let layer = LogLayer::new(Format::Text, Level::INFO, std::io::stderr());
/// let level = layer.level_handle();
/// level.set(Level::DEBUG);
/// assert_eq!(level.get(), Level::DEBUG);
/// ```
#[derive(Debug, Clone)]
pub struct LevelHandle(Arc<RwLock<Level>>);

impl LevelHandle {
    /// Returns the level; lines that are less severe are not written.
    pub fn get(&self) -> Level {
        *self.0.read()
    }

    /// Sets the level, from the next line on.
    pub fn set(&self, level: Level) {
        *self.0.write() = level;
        // What each place in the code has been told about its level holds no longer.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// A text that names no log level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no log level: use error, warn, info, debug or trace")]
pub struct UnknownLevel(String);

/// Parses the name of a level in upper or lower case. Python's `warning` and `critical` count as
/// `warn` and `error`.
///
/// # Errors
///
/// When the text names no level.
///
/// ```
/// use healthctl_service::log::{Level, parse_level};
///
/// assert_eq!(parse_level("WARNING"), Ok(Level::WARN));
/// assert!(parse_level("loud").is_err());
/// ```
pub fn parse_level(text: &str) -> Result<Level, UnknownLevel> {
    match text.to_ascii_lowercase().as_str() {
        "error" | "critical" => Ok(Level::ERROR),
        "warn" | "warning" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(UnknownLevel(text.to_owned())),
    }
}

/// Writes lines of this level and more severe ones to the standard error stream, for the whole
/// program, and returns a handle that changes the level.
///
/// # Errors
///
/// When the program has a global subscriber already.
pub fn init(format: Format, level: Level) -> Result<LevelHandle, SetGlobalDefaultError> {
    let layer = LogLayer::new(format, level, io::stderr());
    let handle = layer.level_handle();
    tracing::subscriber::set_global_default(Registry::default().with(layer))?;
    Ok(handle)
}

/// Creates a subscriber that writes lines of this level and more severe ones.
pub fn subscriber(
    format: Format,
    level: Level,
    writer: impl Write + Send + 'static,
) -> impl Subscriber + Send + Sync {
    Registry::default().with(LogLayer::new(format, level, writer))
}

/// A layer that writes each event as a line, with the fields of the spans around it; for a program
/// that composes a subscriber of its own.
///
/// ```
/// use healthctl_service::log::{Format, Level, LogLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let layer = LogLayer::new(Format::Text, Level::WARN, std::io::stdout());
/// let subscriber = tracing_subscriber::registry().with(layer);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(free_mb = 812, "the disk is nearly full");
/// });
/// ```
pub struct LogLayer<W> {
    format: Format,
    level: LevelHandle,
    writer: Mutex<W>,
}

impl<W: Write> LogLayer<W> {
    /// Creates a layer that writes lines of this level and more severe ones.
    pub fn new(format: Format, level: Level, writer: W) -> Self {
        Self {
            format,
            level: LevelHandle(Arc::new(RwLock::new(level))),
            writer: Mutex::new(writer),
        }
    }

    /// Returns a handle that changes the level of the layer, also after it has become part of a
    /// subscriber.
    pub fn level_handle(&self) -> LevelHandle {
        self.level.clone()
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level.get()))
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Every event in a request needs the span of the request.
        metadata.is_span() || *metadata.level() <= self.level.get()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let fields = SpanFields(fields(attributes.field_map()));
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut()
        {
            known.extend(fields(values.field_map()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Below a filter of the program, `enabled` is not asked for each event.
        if *event.metadata().level() > self.level.get() {
            return;
        }
        let mut fields = fields(event.field_map());
        let message = match fields.shift_remove("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        // Fields of the event win over those of its spans, and inner spans over outer ones.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(more)) = span.extensions().get() {
                for (key, value) in more {
                    fields.entry(key).or_insert_with(|| value.clone());
                }
            }
        }
        let line = LogLine {
            at: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
                .to_string(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message,
            fields,
        };
        // A log that cannot be written is no reason to stop.
        let _ = self
            .writer
            .lock()
            .write_all(line.render(self.format).as_bytes());
    }
}

/// The fields of a span, kept among its extensions.
struct SpanFields(Map<String, Value>);

/// Converts recorded fields, in their order.
fn fields(recorded: impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(recorded) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The content of one line. Control characters are escaped, so that it stays one line.
#[derive(Debug, Clone)]
struct LogLine<'a> {
    at: String,
    level: Level,
    target: &'a str,
    message: String,
    fields: Map<String, Value>,
}

impl LogLine<'_> {
    fn render(self, format: Format) -> String {
        let mut text = match format {
            Format::Text => self.text(),
            Format::Json => self.json(),
        };
        text.push('\n');
        text
    }

    fn text(self) -> String {
        let mut text = format!("{} {:>5} ", self.at, self.level);
        for c in self.message.chars() {
            if c.is_control() {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for (key, value) in &self.fields {
            // Writing to a string cannot fail.
            let _ = match value.as_str() {
                Some(value) if !is_word(value) => write!(text, " {key}={value:?}"),
                Some(value) => write!(text, " {key}={value}"),
                None => write!(text, " {key}={value}"),
            };
        }
        text
    }

    fn json(self) -> String {
        let level = self.level.as_str().to_ascii_lowercase();
        let mut line = Map::new();
        line.insert("at".to_owned(), self.at.into());
        line.insert("level".to_owned(), level.into());
        line.insert("message".to_owned(), self.message.into());
        line.insert("target".to_owned(), self.target.into());
        for (key, value) in self.fields {
            // A field cannot replace one of these four.
            line.entry(key).or_insert(value);
        }
        Value::Object(line).to_string()
    }
}

/// Returns whether a value needs no quotes in a line of text.
fn is_word(value: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
    !value.is_empty() && value.chars().all(plain)
}

impl<W> std::fmt::Debug for LogLayer<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogLayer")
            .field("format", &self.format)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_written_as_text_and_as_json() {
        let check = |message: &str, fields: Value, text: &str, json: &str| {
            let Value::Object(fields) = fields else {
                unreachable!("the fields of a test are an object")
            };
            let line = LogLine {
                at: "2026-11-22T10:00:00.123456Z".to_owned(),
                level: Level::INFO,
                target: "orders",
                message: message.to_owned(),
                fields,
            };
            let expected = format!("2026-11-22T10:00:00.123456Z  INFO {text}\n");
            assert_eq!(line.clone().render(Format::Text), expected);
            let expected =
                format!("{{\"at\":\"2026-11-22T10:00:00.123456Z\",\"level\":\"info\",{json}}}\n");
            assert_eq!(line.render(Format::Json), expected);
        };
        check(
            "warmed up",
            json!({"orders": 3, "from": "disk"}),
            "warmed up orders=3 from=disk",
            r#""message":"warmed up","target":"orders","orders":3,"from":"disk""#,
        );
        check(
            "two\nlines\u{1b}[31m",
            json!({"reason": "a b", "empty": "", "quote": "\"", "bell": "\u{7}"}),
            r#"two\nlines\u{1b}[31m reason="a b" empty="" quote="\"" bell="\u{7}""#,
            r#""message":"two\nlines\u001b[31m","target":"orders","reason":"a b","empty":"","quote":"\"","bell":"\u0007""#,
        );
        check(
            "hostile",
            json!({"level": "error", "at": "never"}),
            "hostile level=error at=never",
            r#""message":"hostile","target":"orders""#,
        );
    }
}
