//! The keys that count now, from the keymap; or the filter while it is typed.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use crate::tui::app::App;
use crate::tui::keymap::{self, Mode};
use crate::tui::theme;

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let mut spans = vec![Span::raw(" ")];
    let mut taken = 1;
    if app.mode() == Mode::Filter {
        let text = format!("/{}", app.filter.value());
        let cursor = u16::try_from(app.filter.visual_cursor()).unwrap_or(u16::MAX);
        let x = area.x.saturating_add(cursor).saturating_add(2);
        if x < area.right() {
            frame.set_cursor_position(Position::new(x, area.y));
        }
        spans.push(Span::styled(text, theme::strong()));
        spans.push(Span::raw("   "));
        taken = spans.iter().map(Span::width).sum();
    }
    let room = usize::from(area.width);
    for row in keymap::bindings(app.mode(), app.read_only) {
        let (Some(word), Some(key)) = (row.footer, row.keys.first()) else {
            continue;
        };
        let key = Span::styled(key.name(), app.theme.key());
        let word = Span::raw(format!(" {word}  "));
        // The two spaces after the last word may fall off the end.
        let width = key.width() + word.width();
        if taken + width - 2 > room {
            break;
        }
        taken += width;
        spans.extend([key, word]);
    }
    frame.render_widget(Line::from(spans), area);
}
