//! The two lines about all services: how many are in each state; what is shown, and how old the newest answer is.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::health::State;
use crate::text::{cut_middle, short_age, width};
use crate::tui::app::App;
use crate::tui::list::rank;
use crate::tui::progress::ActionFailure;
use crate::tui::theme;

use super::layout::Regions;
use super::lines::counted;

/// The shortest part of the path of the inventory that is shown, in cells.
const SHORTEST_PATH: usize = 12;

pub(super) fn draw(app: &App, regions: &Regions, frame: &mut Frame<'_>) {
    let area = regions.header;
    let mut line = Rect { height: 1, ..area };
    let now = app.now.wall.to_zoned(app.setup.zone.clone());
    let clock = format!("{} ", now.strftime("%H:%M:%S %Z"));
    let room = usize::from(area.width).saturating_sub(width(&clock) + 1);
    frame.render_widget(states(app, room), line);
    frame.render_widget(Line::raw(clock).right_aligned(), line);
    if area.height > 1 {
        line.y += 1;
        frame.render_widget(status(app, regions, usize::from(area.width)), line);
    }
}

/// Returns the name of the program and the number of services in each state, worst state first.
fn states(app: &App, room: usize) -> Line<'static> {
    let mut states: Vec<State> = State::ALL.to_vec();
    states.sort_by_key(|state| rank(*state));
    let build = |words: bool| {
        let mut spans = vec![Span::raw(" "), Span::styled("healthctl", theme::strong())];
        for state in &states {
            let count = app.list.count(*state);
            if count == 0 {
                continue;
            }
            let text = if words {
                format!("{count} {state}")
            } else {
                count.to_string()
            };
            spans.push(Span::raw("  "));
            spans.extend(app.theme.state(*state).spans(&text));
        }
        Line::from(spans)
    };
    let full = build(true);
    // Only the glyphs where many states meet on a narrow screen; the rows below have the words.
    if full.width() <= room {
        full
    } else {
        build(false)
    }
}

/// Returns the inventory, which services are shown and in which order, what runs, and the age of the newest answer.
fn status(app: &App, regions: &Regions, columns: usize) -> Line<'static> {
    let strong = |text: String| Span::styled(text, theme::strong());
    let alarm = |text: String| Span::styled(text, app.theme.alarm());
    let total = counted(app.list.all().len(), "service");
    let filter = app.filter.value();
    let running = app.running_count();
    let before = [
        Some(Span::raw(format!("{total}{}", off_screen(app, regions)))),
        (!app.setup.selectors.is_empty())
            .then(|| Span::raw(format!("only {}", app.setup.selectors))),
        (!filter.is_empty()).then(|| alarm(format!("filter {filter}: {} shown", app.list.len()))),
        marked(app).map(strong),
        (running > 0).then(|| strong(format!("{} under way", counted(running, "action")))),
        failed(app).map(alarm),
    ];
    let after = [
        app.setup.read_only.then(|| Span::raw("read-only")),
        automatic(app),
        Some(freshness(app)),
    ];
    let mut parts: Vec<Span<'_>> = before.into_iter().flatten().collect();
    let order = parts.len();
    parts.push(Span::raw(app.list.sort.as_str()));
    parts.extend(after.into_iter().flatten());
    let taken = |parts: &[Span<'_>]| parts.iter().map(|part| part.width() + 3).sum::<usize>() + 1;
    // What hides rows and how fresh they are matters most, then where they come from, then their order.
    if taken(&parts) + SHORTEST_PATH > columns {
        parts.remove(order);
    }
    let room = columns.saturating_sub(taken(&parts));
    if room >= SHORTEST_PATH {
        parts.insert(
            0,
            Span::raw(cut_middle(&app.setup.inventory, room).into_owned()),
        );
    }
    let mut spans = vec![Span::raw(" ")];
    for (n, part) in parts.into_iter().enumerate() {
        if n > 0 {
            spans.push(Span::raw(" · "));
        }
        spans.push(part);
    }
    Line::from(spans)
}

/// Returns the number of rows above and below those on the screen: `, 3 above, 12 below`.
fn off_screen(app: &App, regions: &Regions) -> String {
    if regions.services.is_none() {
        return String::new();
    }
    let above = app.list.top.min(app.list.len());
    let below = (app.list.len()).saturating_sub(above.saturating_add(regions.service_rows()));
    let counts = [(above, "above"), (below, "below")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, side)| format!(", {count} {side}"))
        .collect();
    counts.concat()
}

/// Returns the number of marked services, and how many of them have no row now.
fn marked(app: &App) -> Option<String> {
    match (app.list.marked().count(), app.list.marked_unseen()) {
        (0, _) => None,
        (count, 0) => Some(format!("{count} marked *")),
        (count, unseen) => Some(format!("{count} marked *, {unseen} not shown")),
    }
}

/// Returns the number of failed actions, and of those left out because of that.
fn failed(app: &App) -> Option<String> {
    let (mut failed, mut not_done) = (0_usize, 0_usize);
    for failure in app.list.all().iter().filter_map(|it| app.failure(it)) {
        match failure {
            ActionFailure::Failed => failed += 1,
            ActionFailure::NotDone => not_done += 1,
        }
    }
    let failures = format!("{} failed", counted(failed, "action"));
    match (failed, not_done) {
        (0, 0) => None,
        (_, 0) => Some(failures),
        (0, _) => Some(format!("{not_done} not done")),
        _ => Some(format!("{failures}, {not_done} not done")),
    }
}

/// Returns the state of automatic restart: off is not shown, and giving up is an alarm.
fn automatic(app: &App) -> Option<Span<'static>> {
    if !app.automatic.on {
        return None;
    }
    let given_up: Vec<&String> = app.automatic.given_up.iter().collect();
    let text = match given_up.as_slice() {
        [] => return Some(Span::styled("automatic restart on", theme::strong())),
        [name] => format!("gave up restarting {}", cut_middle(name, 20)),
        several => format!("gave up restarting {} services", several.len()),
    };
    Some(Span::styled(text, app.theme.alarm()))
}

/// Returns the age of the newest answer. A screen that no longer moves must not look like healthy services.
fn freshness(app: &App) -> Span<'static> {
    let Some(newest) = app.newest else {
        return Span::raw("no answer yet");
    };
    let age = app.now.since(newest);
    let probes = app.list.all().iter().flat_map(|snapshot| &snapshot.probes);
    let interval = probes
        .map(|probe| probe.info.interval)
        .min()
        .unwrap_or_default();
    if age > interval.saturating_mul(3).max(Duration::from_secs(10)) {
        let text = format!("NO ANSWER FOR {}", short_age(age));
        Span::styled(text, app.theme.alarm())
    } else {
        Span::raw(format!("newest answer {} ago", short_age(age)))
    }
}
