//! The selected service: why it is as it is, what is being done to it, its dependencies, its probes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::health::{Flag, Picture};
use crate::text::{cut_middle, short_age};
use crate::tui::app::{App, Screen};
use crate::tui::theme;

use super::{about, account, dependencies, probes};

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
    let detail = detail(app, picture, columns, zoomed);
    let all = detail.lines.len();
    let lines = detail.window(app.detail_top, rows);
    let hidden = all.saturating_sub(app.detail_top + lines.len());
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
    frame.render_widget(Paragraph::new(lines), inner);
}

fn title(app: &App, picture: &Picture, columns: usize) -> Line<'static> {
    let look = app.theme.state(picture.state);
    let gap = if look.mark.bg.is_some() {
        look.mark
    } else {
        Style::new()
    };
    let mark = if app.list.is_marked(picture) {
        "*"
    } else {
        " "
    };
    let since = format!(" for {} ", short_age(app.now.since(picture.since)));
    let taken = picture.state.as_str().len() + since.len() + 5;
    let name = cut_middle(&picture.name, columns.saturating_sub(taken).max(8)).into_owned();
    Line::from(vec![
        Span::styled(mark, theme::strong()),
        Span::styled(name, theme::strong()),
        Span::raw("  "),
        Span::styled(look.glyph, look.mark),
        Span::styled(" ", gap),
        Span::styled(picture.state.as_str(), look.word),
        Span::raw(since),
    ])
}

/// All that there is to say of a service.
#[derive(Debug, Default)]
pub(super) struct Detail {
    pub(super) lines: Vec<Line<'static>>,
    /// Which of them are the titles of tables: one that stands alone says nothing.
    titles: Vec<usize>,
}

impl Detail {
    /// The lines on so many rows from `top` on, without the title of a table of which no row is among them.
    fn window(self, top: usize, rows: usize) -> Vec<Line<'static>> {
        let last = top + rows.saturating_sub(1);
        let alone = self.titles.contains(&last);
        let shown = if alone { rows.saturating_sub(1) } else { rows };
        self.lines.into_iter().skip(top).take(shown).collect()
    }

    /// A table with its title, where it has any row.
    fn table(&mut self, mut table: Vec<Line<'static>>, zoomed: bool) {
        if table.is_empty() {
            return;
        }
        self.titles.push(self.lines.len());
        self.lines.append(&mut table);
        if zoomed {
            self.lines.push(Line::default());
        }
    }
}

/// All lines of the detail. What is being done now comes first, then what is wrong, then what was done.
pub(super) fn detail(app: &App, picture: &Picture, columns: usize, zoomed: bool) -> Detail {
    let mut detail = Detail::default();
    let progress = app.progress.get(&picture.name);
    let mut history = None;
    if let Some(progress) = progress.filter(|it| it.runs()) {
        detail.lines = account::running(app, progress, columns, zoomed);
    }
    why(app, picture, columns, zoomed, &mut detail.lines);
    if let Some(progress) = progress
        && let Some(done) = &progress.ended
    {
        if progress.is_history(picture, app.now) {
            history = Some(done);
        } else {
            let mut lines = account::ended(app, progress, done, columns, zoomed);
            detail.lines.append(&mut lines);
        }
    }
    for note in &picture.notes {
        say(note, Style::new(), columns, zoomed, &mut detail.lines);
    }
    if zoomed && !detail.lines.is_empty() {
        detail.lines.push(Line::default());
    }
    detail.table(dependencies::lines(app, picture, columns, zoomed), zoomed);
    detail.table(probes::lines(app, picture, columns, zoomed), zoomed);
    let mut about = about::lines(app, picture, columns, history.map(AsRef::as_ref));
    detail.lines.append(&mut about);
    detail
}

/// Why it is as it is.
fn why(app: &App, picture: &Picture, columns: usize, zoomed: bool, lines: &mut Vec<Line<'static>>) {
    let mut say = |text: &str, style: Style| say(text, style, columns, zoomed, lines);
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
    if app.automatic && app.given_up.contains(&picture.name) {
        say(
            "automatic restart has given up on it, until its code changes or `a` is switched off and on",
            app.theme.alarm(),
        );
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
}

fn say(text: &str, style: Style, columns: usize, zoomed: bool, lines: &mut Vec<Line<'static>>) {
    let most = if zoomed { usize::MAX } else { MOST_LINES };
    account::block(text, style, columns, most, lines);
}
