//! The keys, from the keymap: the footer with those that count now, and the help with all of them and the states.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use crate::health::State;
use crate::tui::app::App;
use crate::tui::keymap::{self, Mode};
use crate::tui::theme;

use super::layout::{self, Regions};
use super::lines::TextLines;

/// The width of the column of keys in the help, in cells.
const KEYS: usize = 12;

/// Draws the keys that count now, after the filter while that is typed.
pub(super) fn draw_footer(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let mut line = Line::raw(" ");
    if app.mode() == Mode::Filter {
        let cursor = u16::try_from(app.filter.visual_cursor()).unwrap_or(u16::MAX);
        let x = area.x.saturating_add(cursor).saturating_add(2);
        if x < area.right() {
            frame.set_cursor_position(Position::new(x, area.y));
        }
        let text = format!("/{}", app.filter.value());
        line.push_span(Span::styled(text, theme::strong()));
        line.push_span("   ");
    }
    let room = usize::from(area.width);
    for row in keymap::bindings(app.mode(), app.setup.read_only) {
        let (Some(word), Some(key)) = (row.footer, row.keys.first()) else {
            continue;
        };
        let key = Span::styled(key.name(), app.theme.key());
        let word = Span::raw(format!(" {word}  "));
        // The two spaces after the last word may fall off the end.
        if line.width() + key.width() + word.width() - 2 > room {
            break;
        }
        line.push_span(key);
        line.push_span(word);
    }
    frame.render_widget(line, area);
}

/// Draws the help over this area.
pub(super) fn draw_help(app: &App, area: Rect, frame: &mut Frame<'_>) {
    frame.render_widget(Clear, area);
    let lines = lines(app, area);
    let rows = usize::from(area.height.saturating_sub(1));
    let top = app.help_top.unwrap_or(0);
    let position = if lines.len() > rows {
        layout::position(top, rows, lines.len())
    } else {
        String::new()
    };
    let title = Line::styled(" Keys ", theme::strong());
    let inner = layout::pane(area, title, Line::raw(position), frame);
    let lines: Vec<Line<'_>> = lines.into_iter().skip(top).take(rows).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Returns the number of lines of the help.
pub(crate) fn line_count(app: &App, regions: &Regions) -> usize {
    lines(app, regions.body()).len()
}

fn lines(app: &App, area: Rect) -> Vec<Line<'static>> {
    let mut lines = TextLines::new(usize::from(area.width));
    let mut row = |label: Vec<Span<'static>>, text: &str| {
        let taken: usize = label.iter().map(Span::width).sum();
        let mut lead = vec![Span::raw(" ".repeat(1 + KEYS.saturating_sub(taken)))];
        lead.extend(label);
        lead.push(Span::raw("  "));
        lines.hanging(lead, KEYS + 3, text, Style::new());
    };
    for binding in keymap::bindings(Mode::Browse, app.setup.read_only) {
        let keys = Span::styled(binding.names(), app.theme.key());
        row(vec![keys], binding.command.help());
    }
    if app.setup.read_only {
        row(Vec::new(), "read-only: the keys of actions are gone");
    }
    row(Vec::new(), "");
    for state in State::ALL {
        let style = app.theme.state(*state);
        row(style.spans(state.as_str()).to_vec(), meaning(*state));
    }
    lines.lines
}

/// Returns what a state means, in a sentence.
const fn meaning(state: State) -> &'static str {
    match state {
        State::Unknown => "not probed yet, or the answers do not say",
        State::Starting => "starting up; failures do not count yet",
        State::Healthy => "all probes pass",
        State::Degraded => "works, but a dependency or a part of it does not",
        State::Unready => "alive, and not ready for traffic",
        State::Unhealthy => "not alive, or something it requires is broken",
        State::Draining => "finishing its work before it stops",
        State::Stopped => "was asked to stop and no longer answers",
    }
}
