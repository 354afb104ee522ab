//! Changes as lines, for pipes, logs and other programs: `watch` without the dashboard.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use clap::ValueEnum;
use tokio::task::spawn_blocking;

use crate::commands::{Context, Error, Signals, write_stdout};
use crate::engine::EventReceiver;
use crate::event::Event;
use crate::exit::Exit;
use crate::health::{Change, Moment, Selection, ServiceSnapshot, State};
use crate::output::{ActionLine, FailOn, ServiceReport, action_line, change_line};

/// Format of the stream of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamFormat {
    /// A line for people.
    Text,
    /// A line of JSON.
    #[value(name = "ndjson")]
    Json,
}

/// Writes changes until a signal or a closed pipe ends the command.
pub(super) async fn run(
    context: &Context,
    format: StreamFormat,
    selection: &Selection,
    mut signals: Signals,
    mut events: EventReceiver,
) -> Result<Exit, Error> {
    let mut last_lines = LastLines::default();
    let mut actions = ActionLines::default();
    loop {
        let event = tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            event = events.recv() => event,
        };
        let Some(event) = event else {
            return Ok(Exit::Done);
        };
        let mut text = String::new();
        let ready = std::iter::from_fn(|| events.try_recv());
        for event in std::iter::once(event).chain(ready) {
            if let (Event::Notice { text, .. }, StreamFormat::Json) = (&event, format) {
                // Programs read elements of one kind, so notices for people go to stderr.
                context.message(text);
            }
            line(&event, format, selection, &mut last_lines, &mut text);
            actions.add(&event, format, selection, &mut text);
        }
        // A reader that does not read must not keep a signal from ending the command.
        tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            written = spawn_blocking(move || write_stdout(&text)) => {
                written.map_err(|error| Error::Bug(error.into()))??;
            }
        }
    }
}

/// The last line about each service, by its name.
type LastLines = HashMap<String, String>;

/// The lines about actions, which only automatic restart carries out here.
#[derive(Debug, Default)]
struct ActionLines {
    /// The newest snapshot of each service.
    snapshots: HashMap<String, Arc<ServiceSnapshot>>,
    /// The services on which an action is under way.
    under_way: HashSet<String>,
}

impl ActionLines {
    /// Adds the line of an action that begins or has ended. What a person should read when one begins is a notice.
    fn add(
        &mut self,
        event: &Event,
        format: StreamFormat,
        selection: &Selection,
        out: &mut String,
    ) {
        match event {
            Event::Snapshot { snapshot, .. } => {
                let name = snapshot.info.name.clone();
                self.snapshots.insert(name, Arc::clone(snapshot));
            }
            Event::ActionStep(step) => {
                let begins = self.under_way.insert(step.service.clone());
                if begins && format == StreamFormat::Json {
                    let about = ActionLine::begins(step);
                    self.add_json(&step.service, &about, step.at, selection, out);
                }
            }
            Event::ActionResult(result) => {
                self.under_way.remove(&result.service);
                match format {
                    StreamFormat::Json => {
                        let about = ActionLine::ended(result);
                        self.add_json(&result.service, &about, result.at, selection, out);
                    }
                    StreamFormat::Text => {
                        // Writing to a string cannot fail.
                        let _ = writeln!(out, "{} {}", time(result.at), result.line());
                    }
                }
            }
            _ => {}
        }
    }

    fn add_json(
        &self,
        service: &str,
        about: &ActionLine,
        at: Moment,
        selection: &Selection,
        out: &mut String,
    ) {
        let snapshot = self.snapshots.get(service);
        if let Some(snapshot) = snapshot.filter(|snapshot| selection.matches(snapshot)) {
            let report = ServiceReport::new(Arc::clone(snapshot), &FailOn::default());
            out.push_str(&action_line(&report, about, at));
        }
    }
}

/// Adds the line of an event, where the format has one.
fn line(
    event: &Event,
    format: StreamFormat,
    selection: &Selection,
    last_lines: &mut LastLines,
    out: &mut String,
) {
    match (event, format) {
        (Event::Snapshot { snapshot, changed }, _)
            if changed.is_empty() || !selection.matches(snapshot) => {}
        (Event::Snapshot { snapshot, changed }, StreamFormat::Text)
            if is_half_known(snapshot, changed) => {}
        (Event::Snapshot { snapshot, changed }, StreamFormat::Text) => {
            // A result that has not come to count, or a dependency that was named already, is no news to people.
            let before = last_lines.insert(snapshot.info.name.clone(), text(snapshot, &[]));
            let is_new = changed.contains(&Change::Version) || changed.contains(&Change::Start);
            if is_new || before.as_ref() != last_lines.get(&snapshot.info.name) {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{} {}", time(snapshot.at), text(snapshot, changed));
            }
        }
        (Event::Snapshot { snapshot, changed }, StreamFormat::Json) => {
            let report = ServiceReport::new(Arc::clone(snapshot), &FailOn::default());
            out.push_str(&change_line(&report, changed, snapshot.at));
        }
        (Event::Notice { at, text }, StreamFormat::Text) => {
            let _ = writeln!(out, "{} {text}", time(*at));
        }
        _ => {}
    }
}

/// Returns whether some probes of a service have not answered yet. Such a service is of no interest to people.
fn is_half_known(snapshot: &ServiceSnapshot, changed: &[Change]) -> bool {
    !changed.contains(&Change::First)
        && snapshot.state == State::Unknown
        && snapshot.probes.iter().any(|probe| probe.latest.is_none())
}

/// Formats a change in words: the service, its state, what changed, why.
fn text(snapshot: &ServiceSnapshot, changed: &[Change]) -> String {
    let mut line = format!(
        "{} {} {}",
        snapshot.info.name,
        snapshot.state.glyph(),
        snapshot.state
    );
    if !snapshot.flags.is_empty() {
        let flags: Vec<&str> = snapshot.flags.iter().map(|flag| flag.as_str()).collect();
        let _ = write!(line, " [{}]", flags.join(" "));
    }
    if changed.contains(&Change::Version)
        && let Some(version) = &snapshot.version
    {
        let _ = write!(line, " version {version}");
    }
    if changed.contains(&Change::Start)
        && let Some(start) = snapshot.started
    {
        let _ = write!(line, " started {}", start.at.strftime("%FT%TZ"));
    }
    if let Some(root) = &snapshot.blocked_by {
        let _ = write!(line, " blocked by {root}");
    }
    if !snapshot.reasons.is_empty() {
        let _ = write!(line, ": {}", snapshot.reasons.join("; "));
    }
    line
}

/// Formats a time as RFC 3339 in UTC, to the second.
fn time(at: Moment) -> String {
    at.wall.strftime("%FT%TZ").to_string()
}
