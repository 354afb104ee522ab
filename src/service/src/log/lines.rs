//! What listens to `tracing` and writes a line for each event.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Format;
use super::line::Line;

/// A layer that writes each event as a line, with the fields of the spans that it happened in; for
/// a program that composes its own subscriber.
///
/// ```
/// use healthctl_service::log::{Format, Level, LogLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let lines = LogLayer::new(Format::Text, Level::WARN, std::io::stdout());
/// let subscriber = tracing_subscriber::registry().with(lines);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(free_mb = 812, "the disk is nearly full");
/// });
/// ```
pub struct LogLayer {
    format: Format,
    level: LevelFilter,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl LogLayer {
    /// Writes lines of this level and above.
    pub fn new(format: Format, level: Level, writer: impl Write + Send + 'static) -> Self {
        Self {
            format,
            level: LevelFilter::from_level(level),
            writer: Mutex::new(Box::new(writer)),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // A request's span is wanted by every event in it.
        metadata.is_span() || *metadata.level() <= self.level
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = match fields.0.shift_remove("message") {
            Some(Value::String(message)) => message,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        // What the event says itself goes before what its spans say, the nearest first.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(more)) = span.extensions().get::<Fields>() {
                for (key, value) in more {
                    fields.0.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        let line = Line {
            at: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
                .to_string(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message,
            fields: fields.0,
        };
        let text = line.render(self.format);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written is no reason to stop.
        let _ = writer.write_all(text.as_bytes());
    }
}

/// The fields of an event or a span.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LogLayer")
            .field("format", &self.format)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
