//! The fleet in two lines: how many in each state, what is being looked at, and how old the newest data is.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::health::State;
use crate::text::{cut_middle, short_age, width};
use crate::tui::app::App;
use crate::tui::list::rank;
use crate::tui::progress::Failure;
use crate::tui::theme;

/// `services` is where the rows stand, where they do.
pub(super) fn draw(app: &App, area: Rect, services: Option<Rect>, frame: &mut Frame<'_>) {
    let first = Rect { height: 1, ..area };
    let clock = app
        .now
        .wall
        .to_zoned(app.zone.clone())
        .strftime("%H:%M:%S %Z")
        .to_string();
    let clock_width = width(&clock) + 2;
    let room = usize::from(area.width).saturating_sub(clock_width);
    frame.render_widget(counts(app, room), first);
    frame.render_widget(Line::raw(format!("{clock} ")).right_aligned(), first);
    if area.height > 1 {
        let second = Rect {
            y: area.y + 1,
            height: 1,
            ..area
        };
        let line = status(app, services, usize::from(area.width));
        frame.render_widget(line, second);
    }
}

/// The name of the program and the states that somebody is in, worst first.
fn counts(app: &App, room: usize) -> Line<'static> {
    let mut states: Vec<State> = State::ALL.to_vec();
    states.sort_by_key(|state| rank(*state));
    let counted: Vec<(State, usize)> = states
        .into_iter()
        .map(|state| (state, app.list.count(state)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let build = |words: bool| {
        let mut spans = vec![Span::raw(" "), Span::styled("healthctl", theme::strong())];
        for (state, count) in &counted {
            let look = app.theme.state(*state);
            let word = if words {
                format!(" {count} {state}")
            } else {
                format!(" {count}")
            };
            spans.extend([
                Span::raw("  "),
                Span::styled(look.glyph, look.mark),
                Span::styled(word, look.word),
            ]);
        }
        Line::from(spans)
    };
    let full = build(true);
    // Glyphs without words only where many states meet on a narrow screen; the rows below have the words.
    if full.width() <= room {
        full
    } else {
        build(false)
    }
}

/// Where the services come from, which are shown and in which order, and how fresh all of it is.
fn status(app: &App, services: Option<Rect>, columns: usize) -> Line<'static> {
    let total = app.list.all().len();
    let noun = if total == 1 { "service" } else { "services" };
    let hidden = services.map_or(String::new(), |area| hidden(app, area));
    let mut parts = vec![Span::raw(format!("{total} {noun}{hidden}"))];
    if !app.selectors.is_empty() {
        parts.push(Span::raw(format!("only {}", app.selectors)));
    }
    let filter = app.filter.value();
    if !filter.is_empty() {
        let text = format!("filter {filter}: {} shown", app.list.len());
        parts.push(Span::styled(text, app.theme.alarm()));
    }
    parts.extend(marked(app));
    match app.under_way() {
        0 => {}
        1 => parts.push(Span::styled("1 action under way", theme::strong())),
        count => parts.push(Span::styled(
            format!("{count} actions under way"),
            theme::strong(),
        )),
    }
    parts.extend(failed(app));
    let order = parts.len();
    parts.push(Span::raw(app.list.sort.as_str()));
    if app.read_only {
        parts.push(Span::raw("read-only"));
    }
    parts.extend(automatic(app));
    parts.push(freshness(app));
    let taken = |parts: &[Span<'_>]| parts.iter().map(|part| part.width() + 3).sum::<usize>() + 1;
    // What hides rows and how fresh they are is said first, then where they come from.
    if taken(&parts) + SHORTEST_PATH > columns {
        parts.remove(order);
    }
    let room = columns.saturating_sub(taken(&parts));
    let mut spans = vec![Span::raw(" ")];
    if room >= SHORTEST_PATH {
        spans.push(Span::raw(cut_middle(&app.inventory, room).into_owned()));
    }
    for part in parts {
        if spans.len() > 1 {
            spans.push(Span::raw(" · "));
        }
        spans.push(part);
    }
    Line::from(spans)
}

/// How many rows stand above and below those on the screen: `, 3 above, 12 below`.
fn hidden(app: &App, area: Rect) -> String {
    let rows = usize::from(area.height.saturating_sub(1));
    let above = app.list.top.min(app.list.len());
    let below = app.list.len().saturating_sub(above.saturating_add(rows));
    let told = [(above, "above"), (below, "below")];
    let told = told.into_iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, place)| format!(", {count} {place}"))
        .collect();
    told.concat()
}

/// How many services actions mean, and how many of them have no row at the moment.
fn marked(app: &App) -> Option<Span<'static>> {
    let count = app.list.marked().count();
    let text = match (count, app.list.marked_unseen()) {
        (0, _) => return None,
        (count, 0) => format!("{count} marked *"),
        (count, unseen) => format!("{count} marked *, {unseen} not shown"),
    };
    Some(Span::styled(text, theme::strong()))
}

/// Whether services are restarted by themselves, and whether that has come to its limit.
fn automatic(app: &App) -> Option<Span<'static>> {
    if !app.automatic {
        return None;
    }
    let mut given_up = app.given_up.iter();
    Some(match (given_up.next(), given_up.count()) {
        (None, _) => Span::styled("automatic restart on", theme::strong()),
        (Some(name), 0) => Span::styled(
            format!("gave up restarting {}", cut_middle(name, 20)),
            app.theme.alarm(),
        ),
        (Some(_), more) => Span::styled(
            format!("gave up restarting {} services", more + 1),
            app.theme.alarm(),
        ),
    })
}

/// How many actions have failed, and how many were left out for that.
fn failed(app: &App) -> Option<Span<'static>> {
    let (mut failed, mut undone) = (0_usize, 0_usize);
    for end in app.list.all().iter().filter_map(|it| app.failure(it)) {
        match end {
            Failure::Failed => failed += 1,
            Failure::NotDone => undone += 1,
        }
    }
    let noun = if failed == 1 { "action" } else { "actions" };
    let text = match (failed, undone) {
        (0, 0) => return None,
        (failed, 0) => format!("{failed} {noun} failed"),
        (0, undone) => format!("{undone} not done"),
        (failed, undone) => format!("{failed} {noun} failed, {undone} not done"),
    };
    Some(Span::styled(text, app.theme.alarm()))
}

/// A path cut shorter than this tells nothing.
const SHORTEST_PATH: usize = 12;

/// How old the newest answer is. A screen that no longer moves must not look like a fleet that is well.
fn freshness(app: &App) -> Span<'static> {
    let Some(newest) = app.newest else {
        return Span::raw("no answer yet");
    };
    let age = app.now.since(newest);
    let text = short_age(age);
    let interval = app
        .list
        .all()
        .iter()
        .flat_map(|picture| &picture.probes)
        .map(|probe| probe.interval)
        .min();
    let late = interval
        .unwrap_or_default()
        .saturating_mul(3)
        .max(Duration::from_secs(10));
    if age > late {
        Span::styled(format!("NO ANSWER FOR {text}"), app.theme.alarm())
    } else {
        Span::raw(format!("newest answer {text} ago"))
    }
}
