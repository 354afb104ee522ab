//! The keys, from the keymap; and what glyphs and flags mean.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use crate::health::State;
use crate::text::{width, wrap};
use crate::tui::app::App;
use crate::tui::keymap::{self, Mode};
use crate::tui::theme;

/// The width of the column of keys.
const KEYS: usize = 12;

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    frame.render_widget(Clear, area);
    let lines = lines(app, usize::from(area.width));
    let rows = usize::from(area.height.saturating_sub(1));
    let top = app.help_top.unwrap_or(0);
    let shown = if lines.len() > rows {
        format!(
            " {}-{} of {} ",
            top + 1,
            (top + rows).min(lines.len()),
            lines.len()
        )
    } else {
        String::new()
    };
    let title = Line::styled(" Keys ", theme::strong());
    let inner = super::pane(area, title, Line::raw(shown), theme::quiet(), frame);
    let lines: Vec<Line<'_>> = lines.into_iter().skip(top).take(rows).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

/// All lines of the help.
pub(super) fn lines(app: &App, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for row in keymap::bindings(Mode::Browse, app.read_only) {
        let keys = row.names();
        let pad = " ".repeat(KEYS.saturating_sub(width(&keys)));
        let text = wrap(row.help, columns.saturating_sub(KEYS + 3));
        for (n, text) in text.into_iter().enumerate() {
            let lead = if n == 0 {
                vec![
                    Span::raw(format!(" {pad}")),
                    Span::styled(keys.clone(), app.theme.key()),
                ]
            } else {
                vec![Span::raw(" ".repeat(KEYS + 1))]
            };
            lines.push(Line::from(
                [lead, vec![Span::raw(format!("  {text}"))]].concat(),
            ));
        }
    }
    if app.read_only {
        lines.push(Line::raw(format!(
            " {}  read-only: the keys of actions are gone",
            " ".repeat(KEYS)
        )));
    }
    lines.push(Line::default());
    for state in State::ALL {
        let look = app.theme.state(*state);
        let pad = " ".repeat(KEYS.saturating_sub(state.as_str().len() + 2));
        lines.push(Line::from(vec![
            Span::raw(format!(" {pad}")),
            Span::styled(look.glyph, look.mark),
            Span::styled(format!(" {state}"), look.word),
            Span::raw(format!("  {}", meaning(*state))),
        ]));
    }
    lines
}

/// A state in a sentence.
const fn meaning(state: State) -> &'static str {
    match state {
        State::Unknown => "not asked yet, or what is known does not tell",
        State::Starting => "coming up; failures do not count yet",
        State::Healthy => "all that was asked is well",
        State::Degraded => "works, but something that it needs or reports does not",
        State::Unready => "lives and wants no traffic",
        State::Unhealthy => "does not live, or something it requires is broken",
        State::Draining => "finishes its work before it stops",
        State::Stopped => "was asked to stop and is silent since",
    }
}
