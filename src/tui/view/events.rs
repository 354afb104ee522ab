//! What happened, newest first: turns, flags, steps and verdicts of actions, with times of day.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::text::{cut, cut_middle, width};
use crate::tui::app::{App, Screen};
use crate::tui::log::{Entry, Kind};
use crate::tui::theme;

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let rows = usize::from(area.height.saturating_sub(1));
    let total = app.log.len();
    let shown = if app.log_top == 0 && total <= rows {
        String::new()
    } else {
        format!(
            " {}-{} of {total} ",
            app.log_top + 1,
            (app.log_top + rows).min(total)
        )
    };
    let style = if app.screen == Screen::Events {
        theme::strong()
    } else {
        Style::new()
    };
    let title = Line::styled(" Events, newest first ", style);
    let inner = super::pane(area, title, Line::raw(shown), theme::quiet(), frame);
    let columns = usize::from(inner.width);
    let most = if columns < 100 { 16 } else { 28 };
    let name = app.list.longest_name().clamp(9, most);
    let mut lines: Vec<Line<'_>> = app
        .log
        .entries()
        .skip(app.log_top)
        .take(rows)
        .map(|entry| line(app, entry, columns, name))
        .collect();
    if total == 0 {
        lines.push(Line::styled(" nothing happened yet", theme::quiet()));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn line(app: &App, entry: &Entry, columns: usize, name_width: usize) -> Line<'static> {
    let theme = app.theme;
    let (mark, style) = match entry.kind {
        Kind::Turn(state) => {
            let look = theme.state(state);
            (look.glyph, look.mark)
        }
        Kind::Dependency(status) => {
            let (look, _) = theme.dependency(status);
            (look.glyph, look.mark)
        }
        Kind::Verdict(verdict) if verdict.exit_code() == 0 => ("✓", theme.good()),
        Kind::Verdict(_) => ("✗", theme.alarm()),
        Kind::Step => ("›", theme::strong()),
        Kind::Remark => ("·", Style::new()),
    };
    let time = super::time_of_day(app, entry.at);
    let name = entry.service.as_deref().unwrap_or("healthctl");
    let name = cut_middle(name, name_width).into_owned();
    let pad = " ".repeat(name_width.saturating_sub(width(&name)));
    let room = columns.saturating_sub(width(&time) + name_width + 6);
    Line::from(vec![
        Span::styled(format!(" {time} "), theme::quiet()),
        Span::styled(name, theme::strong()),
        // The glyph is that of what happened, so it stands beside that and not beside the service.
        Span::raw(format!("{pad} ")),
        Span::styled(mark, style),
        Span::raw(" "),
        Span::raw(cut(&entry.text, room).into_owned()),
    ])
}
