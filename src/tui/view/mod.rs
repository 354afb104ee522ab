//! What the dashboard looks like: pure functions from `&App` to a frame, one file per region.
//!
//! ```text
//! ┌ header ──────────────────────────────────────────────────────────────────────┐
//! │ healthctl  ✗ 1 unhealthy  ! 1 degraded  ✓ 2 healthy             10:42:07 UTC │
//! │ ~/shop/healthctl.yaml · 4 services · 1 marked * · newest answer 1s ago       │
//! ├ services ────────────────────────────────────────────────────────────────────┤
//! │  STATE       NAME      LIVE READY      LATENCY UPTIME  DEPS LAST OK FLAGS    │
//! │> ✗ unhealthy *orders   yes  no     3.1ms ▂▁▃▂▅  2h05m   2/3   1m34s          │
//! │  ✓ healthy   gateway   yes  yes    0.9ms ▄▄▄▄▄  2h05m   3/3      1s          │
//! ├ detail: action, why, dependencies, probes, about ────────────────────────────┤
//! │─ orders  ✗ unhealthy for 42s ────────────────────── http://127.0.0.1:8000 ───│
//! │ dependency database: error: connection refused                               │
//! │ DEPENDENCY STATUS      OK   FAIL LAST OK LAST FAIL LATENCY ERROR             │
//! │ database*  ✗ error    880      7   1m34s        1s       – connection refused│
//! ├ events ──────────────────────────────────────────────────────────────────────┤
//! │─ Events, newest first ───────────────────────────────────────────────────────│
//! │ 10:41:25 orders  healthy → unhealthy: dependency database: error: connection…│
//! ├ footer ──────────────────────────────────────────────────────────────────────┤
//! │ ? help  q quit  Enter detail  / filter  Space mark  r restart  x shut down   │
//! └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! From 140 columns the events stand beside the detail, from 190 both stand beside the table. A dialog or the help is
//! laid over all of it.

mod about;
mod account;
mod dependencies;
mod detail;
mod dialog;
mod events;
mod footer;
mod grid;
mod header;
mod help;
mod layout;
mod probes;
mod services;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::app::{App, Screen};
use crate::health::{Moment, Picture};
pub(crate) use dialog::part as dialog_part;
pub(crate) use layout::Regions;

/// Draws the whole screen.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let Some(regions) = app.regions(area) else {
        too_small(area, frame);
        return;
    };
    header::draw(app, regions.header, regions.services, frame);
    if let Some(area) = regions.services {
        services::draw(app, area, frame);
    }
    if let Some(area) = regions.detail {
        detail::draw(app, area, frame);
    }
    if let Some(area) = regions.events {
        events::draw(app, area, frame);
    }
    if app.help_top.is_some() {
        help::draw(app, regions.body(), frame);
    }
    footer::draw(app, regions.footer, frame);
    dialog::draw(app, area, frame);
}

/// How many lines of the detail do not fit.
pub(crate) fn detail_overflow(app: &App, regions: &Regions) -> usize {
    let (Some(area), Some(picture)) = (regions.detail, app.list.selected()) else {
        return 0;
    };
    let detail = detail::detail(
        app,
        picture,
        usize::from(area.width),
        app.screen == Screen::Detail,
    );
    detail.lines.len().saturating_sub(regions.detail_rows())
}

/// How many lines of the help do not fit.
pub(crate) fn help_overflow(app: &App) -> usize {
    let Some(regions) = app.regions(app.area) else {
        return 0;
    };
    help::lines(app, usize::from(regions.body().width))
        .len()
        .saturating_sub(regions.help_rows())
}

fn too_small(area: Rect, frame: &mut Frame<'_>) {
    let lines = vec![
        Line::raw("terminal too small"),
        Line::raw(format!(
            "{}x{}, needs {}x{}",
            area.width,
            area.height,
            layout::MIN_WIDTH,
            layout::MIN_HEIGHT
        )),
        Line::raw("q quits"),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// A time of day, with the date where it was on another day.
fn time_of_day(app: &App, at: Moment) -> String {
    let at = at.wall.to_zoned(app.zone.clone());
    let today = app.now.wall.to_zoned(app.zone.clone()).date();
    let format = if at.date() == today {
        "%H:%M:%S"
    } else {
        "%m-%d %H:%M"
    };
    at.strftime(format).to_string()
}

/// Whether what was heard then is too old to be taken for how the service is now: two rounds went by without it.
fn is_old(app: &App, picture: &Picture, heard: Moment) -> bool {
    let interval = picture.probes.iter().map(|probe| probe.interval).max();
    let patience = interval
        .unwrap_or_default()
        .saturating_mul(2)
        .saturating_add(Duration::from_secs(1));
    app.now.since(heard) > patience
}

/// A line across the top of a pane with a title at its left and one at its right; gives the room below it.
fn pane(area: Rect, left: Line<'_>, right: Line<'_>, rule: Style, frame: &mut Frame<'_>) -> Rect {
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(rule)
        // The rule may be faint, what stands in it not.
        .title_style(Style::new().remove_modifier(Modifier::DIM))
        .title(left.left_aligned())
        .title(right.right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}
