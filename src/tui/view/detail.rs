//! The selected service: the action on it, why it is in its state, its dependencies, its probes, facts about it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::event::ActionResult;
use crate::health::{Flag, ServiceSnapshot, Start, details};
use crate::text::{cut_middle, short_age};
use crate::tui::app::{App, Page};
use crate::tui::theme;

use super::layout::{self, Regions};
use super::lines::TextLines;
use super::{action, age, dependencies, probes};

/// The number of lines of a sentence in the pane; the page of the detail has all of them.
const SENTENCE: usize = 2;
/// The width of the label of a fact, in cells.
const LABEL: usize = 12;

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let zoomed = app.page == Page::Detail;
    let columns = usize::from(area.width);
    let Some(snapshot) = app.list.selected() else {
        let title = Line::raw(" no service selected ");
        layout::pane(area, title, Line::default(), frame);
        return;
    };
    let detail = Detail::new(app, snapshot, columns, zoomed);
    let all = detail.lines.len();
    let lines = detail.window(app.detail_top, usize::from(area.height.saturating_sub(1)));
    let hidden = all.saturating_sub(app.detail_top + lines.len());
    let more = match (hidden, app.detail_top) {
        (0, 0) => String::new(),
        (0, _) => " end ".to_owned(),
        (hidden, _) if zoomed => format!(" {hidden} more lines "),
        (hidden, _) => format!(" {hidden} more lines: Enter "),
    };
    let left = title(app, snapshot, columns.saturating_sub(more.len() + 1));
    let room = columns.saturating_sub(left.width() + 4);
    let right = match &snapshot.info.url {
        Some(url) if more.is_empty() && url.len() <= room => format!(" {url} "),
        _ => more,
    };
    let inner = layout::pane(area, left, Line::raw(right), frame);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Returns the number of lines of the detail in its region.
pub(crate) fn line_count(app: &App, regions: &Regions) -> usize {
    let (Some(area), Some(snapshot)) = (regions.detail, app.list.selected()) else {
        return 0;
    };
    let zoomed = app.page == Page::Detail;
    let detail = Detail::new(app, snapshot, usize::from(area.width), zoomed);
    detail.lines.len()
}

fn title(app: &App, snapshot: &ServiceSnapshot, columns: usize) -> Line<'static> {
    let mark = if app.list.is_marked(snapshot) {
        "*"
    } else {
        " "
    };
    let state = snapshot.state.as_str();
    let since = format!(" for {} ", age::since(app, snapshot.since));
    let taken = state.len() + since.len() + 5;
    let name = cut_middle(&snapshot.info.name, columns.saturating_sub(taken).max(8)).into_owned();
    let mut spans = vec![
        Span::styled(format!("{mark}{name}"), theme::strong()),
        Span::raw("  "),
    ];
    spans.extend(app.theme.state(snapshot.state).spans(state));
    spans.push(Span::raw(since));
    Line::from(spans)
}

/// All lines about a service.
#[derive(Debug)]
struct Detail {
    lines: Vec<Line<'static>>,
    /// The lines that are titles of tables: a title that stands alone says nothing.
    titles: Vec<usize>,
}

impl Detail {
    /// Returns the running action first, then what is wrong, then the last result, tables and facts.
    fn new(app: &App, snapshot: &ServiceSnapshot, columns: usize, zoomed: bool) -> Self {
        let mut lines = TextLines::new(columns);
        let progress = app.progress.get(&snapshot.info.name);
        let result = progress.and_then(|progress| Some((progress, progress.ended.as_deref()?)));
        if let Some(running) = app.running(&snapshot.info.name) {
            action::running(app, running, zoomed, &mut lines);
        }
        let most = if zoomed { usize::MAX } else { SENTENCE };
        reasons(app, snapshot, most, &mut lines);
        let mut last_action = None;
        match result {
            Some((progress, result)) if progress.is_history(snapshot, app.now) => {
                last_action = Some(result);
            }
            Some((progress, result)) => action::ended(app, progress, result, zoomed, &mut lines),
            None => {}
        }
        for note in &snapshot.notes {
            lines.sentence(note, Style::new(), most);
        }
        if zoomed && !lines.lines.is_empty() {
            lines.push("");
        }
        let mut titles = Vec::new();
        for add in [dependencies::add, probes::add] {
            let first = lines.lines.len();
            add(app, snapshot, zoomed, &mut lines);
            if lines.lines.len() > first {
                titles.push(first);
                if zoomed {
                    lines.push("");
                }
            }
        }
        facts(app, snapshot, last_action, &mut lines);
        let lines = lines.lines;
        Self { lines, titles }
    }

    /// Returns the lines on `rows` rows from `top` on, without the title of a table at their end.
    fn window(self, top: usize, rows: usize) -> Vec<Line<'static>> {
        let last = top + rows.saturating_sub(1);
        let alone = self.titles.contains(&last);
        let shown = if alone { rows.saturating_sub(1) } else { rows };
        self.lines.into_iter().skip(top).take(shown).collect()
    }
}

/// Adds why the service is in its state.
fn reasons(app: &App, snapshot: &ServiceSnapshot, most: usize, lines: &mut TextLines) {
    let mut say = |text: &str, style: Style| lines.sentence(text, style, most);
    if snapshot.probes.iter().all(|probe| probe.latest.is_none()) {
        say("not probed yet", theme::quiet());
    }
    if let Some(root) = &snapshot.blocked_by {
        let text = format!("blocked by {root}: look there first");
        say(&text, app.theme.alarm());
    }
    for reason in &snapshot.reasons {
        say(reason, theme::strong());
    }
    if app.automatic.on && app.automatic.given_up.contains(&snapshot.info.name) {
        say(
            "automatic restart has given up on it, until its code changes or `a` is switched off and on",
            app.theme.alarm(),
        );
    }
    let flags = snapshot.flags.iter().filter(|flag| **flag != Flag::Blocked);
    let flags: Vec<&str> = flags.map(|flag| flag.as_str()).collect();
    if !flags.is_empty() {
        say(&format!("flags: {}", flags.join(", ")), app.theme.alarm());
    }
}

/// Adds the facts about the service that say nothing of its state. `last_action` is a result that has become history.
fn facts(
    app: &App,
    snapshot: &ServiceSnapshot,
    last_action: Option<&ActionResult>,
    lines: &mut TextLines,
) {
    let all = |words: Vec<String>| (!words.is_empty()).then(|| words.join(", "));
    let labels = snapshot.info.labels.iter();
    let labels = labels.map(|(key, value)| format!("{key}={value}"));
    let process = snapshot.identity.process.as_ref();
    let heartbeat = snapshot.heartbeat.as_ref();
    let configured = snapshot.info.rows.iter();
    let configured = configured.map(|(label, text)| (label.as_str(), Some(text.clone())));
    let facts = [
        ("url", snapshot.info.url.clone()),
        ("profile", snapshot.info.profile.clone()),
        ("version", snapshot.version.clone()),
        ("own name", snapshot.service.clone()),
        ("uptime", age::uptime(app, snapshot).map(short_age)),
        ("started", snapshot.started.map(|start| started(app, start))),
        ("heartbeat", heartbeat.map(|it| age::heartbeat(app, it))),
        ("process", process.map(|it| format!("pid {}", it.pid))),
        ("instance", snapshot.identity.instance.clone()),
        ("group", snapshot.info.group.clone()),
        ("labels", all(labels.collect())),
        ("depends on", all(snapshot.info.depends_on.clone())),
    ];
    let reported = [
        ("resources", all(details(&snapshot.resources))),
        (
            "last action",
            last_action.map(|it| action::summary(app, it)),
        ),
    ];
    for (label, text) in facts.into_iter().chain(configured).chain(reported) {
        if let Some(text) = text {
            lines.field(&format!(" {label}"), LABEL + 2, &text, Style::new());
        }
    }
}

fn started(app: &App, start: Start) -> String {
    let at = start.at.to_zoned(app.setup.zone.clone());
    let text = at.strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    if start.derived {
        format!("about {text}, computed from its uptime")
    } else {
        text
    }
}
