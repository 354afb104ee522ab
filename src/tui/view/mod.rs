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
//! ├ detail: action, reasons, dependencies, probes, facts ────────────────────────┤
//! │─ orders  ✗ unhealthy for 42s ────────────────────── http://127.0.0.1:8000 ───│
//! │ dependency database: error: connection refused                               │
//! │ DEPENDENCY STATUS      OK   FAIL LAST OK LAST FAIL LATENCY ERROR             │
//! │ database*  ✗ error    880      7   1m34s        1s       – connection refused│
//! ├ events ──────────────────────────────────────────────────────────────────────┤
//! │─ Events, newest first ───────────────────────────────────────────────────────│
//! │ 10:41:25 orders  healthy → unhealthy: dependency database: error: connection…│
//! ├ keys ────────────────────────────────────────────────────────────────────────┤
//! │ ? help  q quit  Enter detail  / filter  Space mark  r restart  x shut down   │
//! └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! From 140 columns on the events stand beside the detail, from 190 on both stand beside the table. A dialog or the help
//! lies over all of it. `layout` places the regions; `lines`, `table` and `age` write what stands in them.

mod action;
mod age;
mod dependencies;
mod detail;
mod dialog;
mod events;
mod header;
mod keys;
mod layout;
mod lines;
mod probes;
mod services;
mod table;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::app::App;
pub(crate) use detail::line_count as detail_lines;
pub(crate) use dialog::viewport as dialog_viewport;
pub(crate) use keys::line_count as help_lines;
pub(crate) use layout::{Regions, regions};

/// Draws the whole screen.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let Some(regions) = regions(app, area) else {
        too_small(area, frame);
        return;
    };
    header::draw(app, &regions, frame);
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
        keys::draw_help(app, regions.body(), frame);
    }
    keys::draw_footer(app, regions.footer, frame);
    dialog::draw(app, area, frame);
}

fn too_small(area: Rect, frame: &mut Frame<'_>) {
    let (has, needs) = ((area.width, area.height), layout::SMALLEST);
    let lines = vec![
        Line::raw("terminal too small"),
        Line::raw(format!(
            "{}x{}, needs {}x{}",
            has.0, has.1, needs.0, needs.1
        )),
        Line::raw("q quits"),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}
