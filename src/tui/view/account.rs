//! What is being done to the selected service, step by step with the time of each; and how it ended.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::event::{ActionDetails, ActionResult, ActionStep};
use crate::text::{cut, short_age, short_latency, wrap};
use crate::tui::app::App;
use crate::tui::progress::Progress;
use crate::tui::theme;

/// Steps in the pane; the zoomed detail has all of them.
const STEPS: usize = 5;
/// Lines of a log in the pane.
const LOG: usize = 4;
/// Lines of a verdict in the pane.
const VERDICT: usize = 3;
/// The width of the time of a step.
const TIME: usize = 7;

/// The steps of an action under way.
pub(super) fn running(
    app: &App,
    progress: &Progress,
    columns: usize,
    zoomed: bool,
) -> Vec<Line<'static>> {
    let age = short_age(app.now.since(progress.since));
    let title = if progress.waits {
        format!(
            " {} confirmed {age} ago: waits for its turn",
            progress.action
        )
    } else {
        format!(" {} under way for {age}", progress.action)
    };
    let mut lines = vec![Line::styled(title, theme::strong())];
    steps(&progress.steps, columns, zoomed, &mut lines);
    lines
}

/// How an action ended.
pub(super) fn ended(
    app: &App,
    progress: &Progress,
    done: &ActionResult,
    columns: usize,
    zoomed: bool,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let style = if done.verdict.exit_code() == 0 {
        app.theme.good()
    } else {
        app.theme.alarm()
    };
    let most = if zoomed { usize::MAX } else { VERDICT };
    block(&verdict(app, done), style, columns, most, &mut lines);
    if let Some(measured) = measured(&done.details) {
        lines.push(Line::raw(format!("   {measured}")));
    }
    let log = &done.details.log;
    if !log.is_empty() {
        let most = if zoomed { log.len() } else { LOG };
        let more = log.len().saturating_sub(most);
        let title = if more == 0 {
            "   it wrote:".to_owned()
        } else {
            format!("   it wrote, {more} more lines in the detail:")
        };
        lines.push(Line::raw(title));
        for line in log.iter().take(most) {
            let text = cut(line, columns.saturating_sub(6));
            lines.push(Line::raw(format!("     {text}")));
        }
    }
    if zoomed {
        steps(&progress.steps, columns, zoomed, &mut lines);
        for line in &done.evidence {
            block(
                &format!("  {line}"),
                Style::new(),
                columns,
                usize::MAX,
                &mut lines,
            );
        }
    }
    lines
}

/// `restart: restarted after 3.1s, 7s ago: pid 4790 answers; before it was pid 4711`
pub(super) fn verdict(app: &App, done: &ActionResult) -> String {
    let ago = short_age(app.now.since(done.at));
    let took = short_latency(done.elapsed);
    format!(
        "{}: {} after {took}, {ago} ago: {}",
        done.action, done.verdict, done.text
    )
}

/// `drain 2.1s · start 0.3s · ready 0.8s · pid 4711 → 4790`
fn measured(details: &ActionDetails) -> Option<String> {
    let time = |label: &str, span: Option<Duration>| {
        span.map(|span| format!("{label} {}", short_latency(span)))
    };
    let pid =
        |party: &Option<crate::event::InstanceInfo>| party.as_ref().and_then(|party| party.pid);
    let pids = match (pid(&details.before), pid(&details.after)) {
        (Some(before), Some(after)) if before != after => Some(format!("pid {before} → {after}")),
        (None, Some(pid)) => Some(format!("now pid {pid}")),
        (Some(pid), None) => Some(format!("was pid {pid}")),
        (Some(pid), Some(_)) => Some(format!("pid {pid}, as before")),
        (None, None) => None,
    };
    let parts = [
        time("drain", details.times.drain),
        time("start", details.times.start),
        time("ready", details.times.ready),
        pids,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// A line for each step, the latest ones where there is little room.
fn steps(steps: &[ActionStep], columns: usize, zoomed: bool, lines: &mut Vec<Line<'static>>) {
    let most = if zoomed { steps.len() } else { STEPS };
    let earlier = steps.len().saturating_sub(most);
    if earlier > 0 {
        lines.push(Line::styled(
            format!("   {earlier} earlier: see the detail"),
            theme::quiet(),
        ));
    }
    for step in steps.iter().skip(earlier) {
        let time = format!("{:>TIME$} ", format!("{:.1}s", step.elapsed.as_secs_f64()));
        let room = columns.saturating_sub(TIME + 2);
        if !zoomed {
            let text = cut(&step.text, room).into_owned();
            lines.push(Line::raw(format!("{time}{text}")));
            continue;
        }
        for (n, text) in wrap(&step.text, room).into_iter().enumerate() {
            let lead = if n == 0 {
                time.clone()
            } else {
                " ".repeat(TIME + 1)
            };
            lines.push(Line::raw(format!("{lead}{text}")));
        }
    }
}

/// A sentence on at most so many lines, those after the first one indented.
pub(super) fn block(
    text: &str,
    style: Style,
    columns: usize,
    most: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let mut texts = wrap(text, columns.saturating_sub(3));
    if texts.len() > most {
        texts.truncate(most);
        if let Some(last) = texts.last_mut() {
            *last = format!("{}…", cut(last, columns.saturating_sub(4)));
        }
    }
    for (n, text) in texts.into_iter().enumerate() {
        let lead = if n == 0 { " " } else { "   " };
        lines.push(Line::from(vec![Span::raw(lead), Span::styled(text, style)]));
    }
}
