//! The action on the selected service: its steps with the time of each while it runs, then its result.

use ratatui::style::Style;

use crate::event::{ActionDetails, ActionResult, ActionStep, InstanceInfo};
use crate::text::{cut, short_latency};
use crate::tui::app::App;
use crate::tui::progress::ActionProgress;
use crate::tui::theme;

use super::age;
use super::lines::{TextLines, joined};

/// The number of steps in the pane; the page of the detail has all of them.
const STEPS: usize = 5;
/// The number of lines of a log in the pane.
const LOG: usize = 4;
/// The number of lines of a result in the pane.
const RESULT: usize = 3;
/// The width of the time of a step, in cells.
const TIME: usize = 7;

/// Adds the steps of a running action.
pub(super) fn running(app: &App, progress: &ActionProgress, zoomed: bool, lines: &mut TextLines) {
    let age = age::since(app, progress.since);
    let action = progress.action;
    let title = if progress.waits {
        format!(" {action} confirmed {age} ago: waiting for its turn")
    } else {
        format!(" {action} under way for {age}")
    };
    lines.styled(title, theme::strong());
    steps(&progress.steps, zoomed, lines);
    offer_kill(app, lines);
}

/// Adds the result of an action.
pub(super) fn ended(
    app: &App,
    progress: &ActionProgress,
    result: &ActionResult,
    zoomed: bool,
    lines: &mut TextLines,
) {
    let style = if result.verdict.exit_code() == 0 {
        app.theme.good()
    } else {
        app.theme.alarm()
    };
    let most = if zoomed { usize::MAX } else { RESULT };
    lines.sentence(&summary(app, result), style, most);
    offer_kill(app, lines);
    if let Some(measured) = measured(&result.details) {
        lines.push(format!("   {measured}"));
    }
    let log = &result.details.log;
    if !log.is_empty() {
        let most = if zoomed { log.len() } else { LOG };
        lines.push(match log.len().saturating_sub(most) {
            0 => "   its output:".to_owned(),
            more => format!("   its output, {more} more lines in the detail:"),
        });
        for line in log.iter().take(most) {
            let text = cut(line, lines.columns.saturating_sub(6));
            lines.push(format!("     {text}"));
        }
    }
    if zoomed {
        steps(&progress.steps, zoomed, lines);
        for line in &result.evidence {
            lines.sentence(&format!("  {line}"), Style::new(), usize::MAX);
        }
    }
}

/// Names the key of the second step, where a stop waits or has failed.
fn offer_kill(app: &App, lines: &mut TextLines) {
    if app
        .list
        .selected()
        .is_some_and(|snapshot| app.may_kill(snapshot))
    {
        lines.styled("   K kills it by SIGKILL, after a question", theme::quiet());
    }
}

/// Formats a result, as `restart: restarted after 3.1s, 7s ago: pid 4790 answers; before it was pid 4711`.
pub(super) fn summary(app: &App, result: &ActionResult) -> String {
    let ago = age::since(app, result.at);
    let took = short_latency(result.elapsed);
    format!(
        "{}: {} after {took}, {ago} ago: {}",
        result.action, result.verdict, result.text
    )
}

/// Formats times and processes, as `drain 2.1s · start 0.3s · ready 0.8s · pid 4711 → 4790`.
fn measured(details: &ActionDetails) -> Option<String> {
    let times = details.times;
    let times = [
        ("drain", times.drain),
        ("start", times.start),
        ("ready", times.ready),
    ];
    let [drain, start, ready] =
        times.map(|(phase, span)| Some(format!("{phase} {}", short_latency(span?))));
    let pid = |instance: &Option<InstanceInfo>| instance.as_ref()?.pid;
    let pids = match (pid(&details.before), pid(&details.after)) {
        (Some(before), Some(after)) if before != after => Some(format!("pid {before} → {after}")),
        (None, Some(pid)) => Some(format!("now pid {pid}")),
        (Some(pid), None) => Some(format!("was pid {pid}")),
        (Some(pid), Some(_)) => Some(format!("pid {pid}, as before")),
        (None, None) => None,
    };
    joined([drain, start, ready, pids], " · ")
}

/// Adds a line for each step, only the latest ones where there is little room.
fn steps(steps: &[ActionStep], zoomed: bool, lines: &mut TextLines) {
    let most = if zoomed { steps.len() } else { STEPS };
    let earlier = steps.len().saturating_sub(most);
    if earlier > 0 {
        let text = format!("   {earlier} earlier: see the detail");
        lines.styled(text, theme::quiet());
    }
    let columns = lines.columns;
    // One cell stays free at the right.
    lines.columns = columns.saturating_sub(1);
    for step in steps.iter().skip(earlier) {
        let seconds = format!("{:.1}s", step.elapsed.as_secs_f64());
        let time = format!("{seconds:>TIME$} ");
        if zoomed {
            lines.hanging(time, TIME + 1, &step.text, Style::new());
        } else {
            let text = cut(&step.text, lines.columns.saturating_sub(TIME + 1));
            lines.push(format!("{time}{text}"));
        }
    }
    lines.columns = columns;
}
