//! The JSON report, and one line of the NDJSON stream.

use serde::Serialize;

use crate::health::{Change, Moment};

use super::report::time;
use super::{Report, ServiceReport};

/// The report as one indented JSON document with a line break at its end.
///
/// # Errors
/// Only where a value cannot be JSON, which no report holds.
pub(crate) fn json(report: &Report) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

/// An element of the stream: a service with what changed.
#[derive(Serialize)]
struct ChangeLine<'a> {
    schema_version: u32,
    at: String,
    changed: Vec<&'static str>,
    #[serde(flatten)]
    service: &'a ServiceReport,
}

/// One line of `watch -o ndjson`, with its line break.
///
/// # Errors
/// Only where a value cannot be JSON, which no report holds.
pub(crate) fn change_line(
    service: &ServiceReport,
    changed: &[Change],
    at: Moment,
) -> serde_json::Result<String> {
    let line = ChangeLine {
        schema_version: 1,
        at: time(at),
        changed: changed.iter().copied().map(word).collect(),
        service,
    };
    let mut text = serde_json::to_string(&line)?;
    text.push('\n');
    Ok(text)
}

/// The words of `changed`.
const fn word(change: Change) -> &'static str {
    match change {
        Change::First => "first",
        Change::State => "state",
        Change::Flags => "flag",
        Change::Reasons => "reason",
        Change::Result => "result",
        Change::Dependency => "dependency",
        Change::Version => "version",
        Change::Start => "start",
    }
}
