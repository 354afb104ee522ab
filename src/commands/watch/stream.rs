//! Changes as lines, for pipes, logs and other programs: what `watch` is without a dashboard.

use crate::commands::{Context, Error, Signals};
use crate::engine::Feed;
use crate::event::Event;
use crate::exit::Exit;
use crate::health::{Change, Moment, Picture, Selection};
use crate::output::{FailOn, ServiceReport, change_line};

use super::Lines;

/// Writes changes until a signal or the reader ends it.
pub(super) async fn run(
    context: &Context,
    lines: Lines,
    selection: &Selection,
    mut feed: Feed,
) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let fail_on = FailOn::default();
    loop {
        let event = tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            event = feed.recv() => event,
        };
        match event {
            None => return Ok(Exit::Done),
            Some(Event::Picture { picture, changed })
                if !changed.is_empty() && selection.matches(&picture) =>
            {
                let line = match lines {
                    Lines::Text => text(&picture, &changed),
                    Lines::Json => {
                        let report = ServiceReport::new(&picture, &fail_on, picture.at);
                        change_line(&report, &changed, picture.at)
                            .map_err(|error| Error::Bug(error.into()))?
                    }
                };
                context.print(&line)?;
            }
            Some(Event::Notice { at, text }) => {
                if lines == Lines::Text {
                    context.print(&format!("{} {text}\n", time(at)))?;
                }
            }
            Some(_) => {}
        }
    }
}

/// One change as a line: when, which service, how it is, what changed, why.
fn text(picture: &Picture, changed: &[Change]) -> String {
    let mut line = format!(
        "{} {} {} {}",
        time(picture.at),
        picture.name,
        picture.state.glyph(),
        picture.state
    );
    if !picture.flags.is_empty() {
        let flags: Vec<&str> = picture.flags.iter().map(|flag| flag.as_str()).collect();
        line.push_str(&format!(" [{}]", flags.join(" ")));
    }
    if changed.contains(&Change::Version)
        && let Some(version) = &picture.version
    {
        line.push_str(&format!(" version {version}"));
    }
    if changed.contains(&Change::Start)
        && let Some(start) = picture.started
    {
        line.push_str(&format!(
            " new process started {}",
            start.at.strftime("%FT%TZ")
        ));
    }
    if let Some(root) = &picture.blocked_by {
        line.push_str(&format!(" blocked by {root}"));
    }
    if !picture.reasons.is_empty() {
        line.push_str(&format!(": {}", picture.reasons.join("; ")));
    }
    line.push('\n');
    line
}

/// RFC 3339, UTC, to the second.
fn time(at: Moment) -> String {
    at.wall.strftime("%FT%TZ").to_string()
}
