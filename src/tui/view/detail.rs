//! The selected service: why it is as it is, what is being done to it, its dependencies, its probes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::health::{Flag, Picture};
use crate::tui::app::{App, Progress, Screen};
use crate::tui::figures;
use crate::tui::text::{cut, cut_middle, wrap};
use crate::tui::theme;

use super::{about, dependencies, probes};

/// What says more than this in the pane is cut; the zoomed detail has all of it.
const MOST_LINES: usize = 2;

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let zoomed = app.screen == Screen::Detail;
    let columns = usize::from(area.width);
    let Some(picture) = app.list.selected() else {
        super::pane(
            area,
            Line::raw(" no service selected "),
            Line::default(),
            theme::quiet(),
            frame,
        );
        return;
    };
    let rows = usize::from(area.height.saturating_sub(1));
    let lines = lines(app, picture, columns, zoomed);
    let hidden = lines.len().saturating_sub(app.detail_top + rows);
    let more = match (hidden, app.detail_top) {
        (0, 0) => String::new(),
        (0, _) => " end ".to_owned(),
        (hidden, _) if zoomed => format!(" {hidden} more lines "),
        (hidden, _) => format!(" {hidden} more lines: Enter "),
    };
    let left = title(app, picture, columns.saturating_sub(more.len() + 1));
    let room = columns.saturating_sub(left.width() + 4);
    let right = match &picture.url {
        Some(url) if more.is_empty() && url.len() <= room => format!(" {url} "),
        _ => more,
    };
    let right = Line::raw(right);
    let inner = super::pane(area, left, right, theme::quiet(), frame);
    let lines: Vec<Line<'_>> = lines.into_iter().skip(app.detail_top).take(rows).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn title(app: &App, picture: &Picture, columns: usize) -> Line<'static> {
    let look = app.theme.state(picture.state);
    let gap = if look.mark.bg.is_some() {
        look.mark
    } else {
        Style::new()
    };
    let since = format!(" for {} ", figures::age(app.now.since(picture.since)));
    let taken = picture.state.as_str().len() + since.len() + 5;
    let name = cut_middle(&picture.name, columns.saturating_sub(taken).max(8)).into_owned();
    Line::from(vec![
        Span::raw(" "),
        Span::styled(name, theme::strong()),
        Span::raw("  "),
        Span::styled(look.glyph, look.mark),
        Span::styled(" ", gap),
        Span::styled(picture.state.as_str(), look.word),
        Span::raw(since),
    ])
}

/// All lines of the detail.
pub(super) fn lines(
    app: &App,
    picture: &Picture,
    columns: usize,
    zoomed: bool,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut say = |text: &str, style: Style| {
        let mut texts = wrap(text, columns.saturating_sub(3));
        if !zoomed && texts.len() > MOST_LINES {
            texts.truncate(MOST_LINES);
            if let Some(last) = texts.last_mut() {
                *last = format!("{}…", cut(last, columns.saturating_sub(4)));
            }
        }
        for (n, text) in texts.into_iter().enumerate() {
            let lead = if n == 0 { " " } else { "   " };
            lines.push(Line::from(vec![Span::raw(lead), Span::styled(text, style)]));
        }
    };
    if picture.probes.iter().all(|probe| probe.latest.is_none()) {
        say("not asked yet", theme::quiet());
    }
    if let Some(root) = &picture.blocked_by {
        say(
            &format!("blocked by {root}: look there first"),
            app.theme.alarm(),
        );
    }
    for reason in &picture.reasons {
        say(reason, theme::strong());
    }
    let flags: Vec<&str> = picture
        .flags
        .iter()
        .filter(|flag| **flag != Flag::Blocked)
        .map(|flag| flag.as_str())
        .collect();
    if !flags.is_empty() {
        say(&format!("flags: {}", flags.join(", ")), app.theme.alarm());
    }
    match app.progress.get(&picture.name) {
        Some(Progress::Running {
            action,
            text,
            since,
        }) => {
            let age = figures::age(app.now.since(*since));
            say(
                &format!("{action} under way for {age}: {text}"),
                theme::strong(),
            );
        }
        Some(Progress::Ended(done)) => {
            let style = if done.verdict.exit_code() == 0 {
                app.theme.good()
            } else {
                app.theme.alarm()
            };
            let ago = figures::age(app.now.since(done.at));
            let took = figures::latency(done.elapsed);
            say(
                &format!(
                    "{}: {} after {took}, {ago} ago: {}",
                    done.action, done.verdict, done.text
                ),
                style,
            );
            if zoomed {
                for line in &done.evidence {
                    say(&format!("  {line}"), Style::new());
                }
            }
        }
        None => {}
    }
    for note in &picture.notes {
        say(note, Style::new());
    }
    if zoomed && !lines.is_empty() {
        lines.push(Line::default());
    }
    let tables = [
        dependencies::lines(app, picture, columns, zoomed),
        probes::lines(app, picture, columns, zoomed),
    ];
    for mut table in tables {
        if table.is_empty() {
            continue;
        }
        lines.append(&mut table);
        if zoomed {
            lines.push(Line::default());
        }
    }
    lines.append(&mut about::lines(app, picture, columns));
    lines
}
