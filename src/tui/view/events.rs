//! The events, newest first: changes of state and flags, steps and results of actions, with times of day.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::text::{cut, cut_middle, width};
use crate::tui::app::{App, Page};
use crate::tui::log::{LogEntry, LogKind};
use crate::tui::theme;

use super::{age, layout};

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let rows = usize::from(area.height.saturating_sub(1));
    let total = app.log.len();
    let position = if app.log_top == 0 && total <= rows {
        String::new()
    } else {
        layout::position(app.log_top, rows, total)
    };
    let style = if app.page == Page::Events {
        theme::strong()
    } else {
        Style::new()
    };
    let title = Line::styled(" Events, newest first ", style);
    let inner = layout::pane(area, title, Line::raw(position), frame);
    let columns = usize::from(inner.width);
    let most = if columns < 100 { 16 } else { 28 };
    let name_width = app.list.longest_name().clamp(9, most);
    let shown = app.log.entries().skip(app.log_top).take(rows);
    let mut lines: Vec<Line<'_>> = shown
        .map(|entry| line(app, entry, columns, name_width))
        .collect();
    if total == 0 {
        lines.push(Line::styled(" no events yet", theme::quiet()));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn line(app: &App, entry: &LogEntry, columns: usize, name_width: usize) -> Line<'static> {
    let theme = app.theme;
    let (glyph, style) = match entry.kind {
        LogKind::State(state) => {
            let style = theme.state(state);
            (style.glyph, style.glyph_style)
        }
        LogKind::Dependency(status) => {
            let (style, _) = theme.dependency(status);
            (style.glyph, style.glyph_style)
        }
        LogKind::Verdict(verdict) if verdict.exit_code() == 0 => ("✓", theme.good()),
        LogKind::Verdict(_) => ("✗", theme.alarm()),
        LogKind::Step => ("›", theme::strong()),
        LogKind::Remark => ("·", Style::new()),
    };
    let time = age::time_of_day(app, entry.at);
    let name = entry.service.as_deref().unwrap_or("healthctl");
    let name = cut_middle(name, name_width).into_owned();
    let padding = " ".repeat(name_width.saturating_sub(width(&name)));
    let room = columns.saturating_sub(width(&time) + name_width + 6);
    Line::from(vec![
        Span::styled(format!(" {time} "), theme::quiet()),
        Span::styled(name, theme::strong()),
        // The glyph is that of what happened, so it stands beside that and not beside the service.
        Span::raw(format!("{padding} ")),
        Span::styled(glyph, style),
        Span::raw(format!(" {}", cut(&entry.text, room))),
    ])
}
