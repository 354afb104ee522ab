//! The table of services. A column is one row of [`COLUMNS`] and the function that writes its cell.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::action::Action;
use crate::health::{DependencyStatus, ProbeSnapshot, Role, ServiceSnapshot};
use crate::text::{SHORT_WIDTH, short_age, short_latency};
use crate::tui::app::App;
use crate::tui::list::ServiceList;
use crate::tui::progress::ActionFailure;
use crate::tui::theme;

use super::age;
use super::table::{self, Cell, Column, Fit, TableLayout};

/// A column of the table of services.
#[derive(Debug)]
struct ServiceColumn {
    title: &'static str,
    fit: Fit,
    /// The narrowest width, in cells.
    width: usize,
    /// The columns with the lowest number are left out first where there is little room. Those with 0 are shown only
    /// where there is room left.
    priority: u8,
    /// Pairs of a turn and a width: where there is room left, the column appears at that width or grows to it. The
    /// lowest turn comes first.
    growth: &'static [(u8, usize)],
    /// Returns the greatest width that the services need.
    limit: fn(&ServiceList) -> usize,
    /// Returns the cell of a service in a column of this width.
    cell: fn(&App, &ServiceSnapshot, usize) -> Cell,
}

/// The columns from left to right.
const COLUMNS: &[ServiceColumn] = &[
    column("STATE", Fit::Left, 11, 10, &[], state),
    column("FOR", Fit::Right, 6, 0, &[(3, 6)], since),
    column(
        " NAME",
        Fit::Name,
        14,
        9,
        &[(1, 21), (6, 33), (9, 64)],
        name,
    )
    .at_most(name_width),
    column("GROUP", Fit::Name, 10, 0, &[(8, 10)], group).at_most(group_width),
    column("LIVE", Fit::Left, 4, 4, &[], live),
    column("READY", Fit::Left, 5, 5, &[], ready),
    column("LATENCY", Fit::Left, 11, 6, &[(7, 17)], latency),
    column("UPTIME", Fit::Right, 6, 2, &[], uptime),
    column("VERSION", Fit::Left, 8, 0, &[(2, 8)], version),
    column("DEPS", Fit::Right, 5, 3, &[], dependencies),
    column("LAST OK", Fit::Right, 7, 8, &[], last_success),
    column("FLAGS", Fit::Left, 8, 7, &[(5, 11)], flags),
    column("WHY", Fit::Left, 20, 0, &[(4, 20), (10, 999)], why),
];

/// Makes a column. The numbers are its width and its priority; see [`ServiceColumn`].
const fn column(
    title: &'static str,
    fit: Fit,
    width: usize,
    priority: u8,
    growth: &'static [(u8, usize)],
    cell: fn(&App, &ServiceSnapshot, usize) -> Cell,
) -> ServiceColumn {
    ServiceColumn {
        title,
        fit,
        width,
        priority,
        growth,
        limit: |_| usize::MAX,
        cell,
    }
}

impl ServiceColumn {
    const fn at_most(self, limit: fn(&ServiceList) -> usize) -> Self {
        Self { limit, ..self }
    }
}

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let room = usize::from(area.width);
    let fitting = fitting(&app.list, room);
    let columns = fitting.iter().map(|(_, column)| *column).collect();
    let table = TableLayout { columns };
    let rows = usize::from(area.height.saturating_sub(1));
    let mut lines = vec![table.titles()];
    for (n, snapshot) in app.list.window(app.list.top, rows).enumerate() {
        let cells = fitting.iter();
        let line = table.row(cells.map(|(spec, column)| (spec.cell)(app, snapshot, column.width)));
        lines.push(if app.list.position() == Some(app.list.top + n) {
            table::selected(line, room)
        } else {
            line
        });
    }
    if app.list.len() == 0 {
        lines.push(Line::styled(empty(app), theme::quiet()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn empty(app: &App) -> &'static str {
    if app.list.all().is_empty() {
        " no services: nothing is watched"
    } else if app.filter.value().is_empty() {
        " no service matches the selectors now"
    } else {
        " no service matches the filter; Esc clears it"
    }
}

/// Returns the columns that fit into `room` cells, with their widths.
fn fitting(list: &ServiceList, room: usize) -> Vec<(&'static ServiceColumn, Column)> {
    let wanted = |column: &ServiceColumn, width: usize| width.min((column.limit)(list));
    let mut shown: Vec<(&ServiceColumn, usize)> = COLUMNS
        .iter()
        .filter(|column| column.priority > 0)
        .map(|column| (column, wanted(column, column.width)))
        .collect();
    // One cell at the left for the marker, one between any two columns.
    let taken = |shown: &[(&ServiceColumn, usize)]| -> usize {
        shown.iter().map(|(_, width)| width + 1).sum()
    };
    while taken(&shown) > room
        && shown.len() > 2
        && let Some(least) = shown.iter().map(|(column, _)| column.priority).min()
    {
        shown.retain(|(column, _)| column.priority != least);
    }
    let mut growth: Vec<(u8, usize, &ServiceColumn)> = COLUMNS
        .iter()
        .flat_map(|column| {
            column
                .growth
                .iter()
                .map(move |(turn, to)| (*turn, *to, column))
        })
        .collect();
    growth.sort_by_key(|(turn, ..)| *turn);
    for (_, to, column) in growth {
        let left = room.saturating_sub(taken(&shown));
        let to = wanted(column, to);
        if let Some((_, width)) = shown.iter_mut().find(|(it, _)| it.title == column.title) {
            *width += to.saturating_sub(*width).min(left);
        } else if column.priority == 0 && to > 0 && left > to {
            shown.push((column, to));
        }
    }
    COLUMNS
        .iter()
        .filter_map(|column| {
            let (_, width) = shown.iter().find(|(it, _)| it.title == column.title)?;
            Some((column, table::column(column.title, *width, column.fit)))
        })
        .collect()
}

/// The widest name, with the mark before it.
fn name_width(list: &ServiceList) -> usize {
    list.longest_name().max(4).saturating_add(1)
}

fn group_width(list: &ServiceList) -> usize {
    if list.grouped() { usize::MAX } else { 0 }
}

fn state(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    Cell::status(app.theme.state(snapshot.state), snapshot.state.as_str())
}

fn since(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    Cell::new(age::since(app, snapshot.since))
}

fn name(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    let mark = if app.list.is_marked(snapshot) {
        "*"
    } else {
        " "
    };
    Cell::styled(format!("{mark}{}", snapshot.info.name), theme::strong())
}

fn group(_: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    Cell::new(snapshot.info.group.as_deref().unwrap_or(""))
}

fn live(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    let (style, word) = app.theme.yes_no(snapshot.live);
    Cell::styled(word, style)
}

fn ready(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    let (style, word) = app.theme.yes_no(snapshot.ready);
    Cell::styled(word, style)
}

/// Returns the latest latency of the most telling probe, and those before it, newest at the right.
fn latency(_: &App, snapshot: &ServiceSnapshot, width: usize) -> Cell {
    let weight = |probe: &&ProbeSnapshot| match probe.info.role {
        Role::Status => 0,
        Role::Ready => 1,
        Role::Live => 2,
        Role::Named => 3,
        Role::Startup => 4,
    };
    let answered = snapshot.probes.iter().filter(|it| it.checked_at.is_some());
    let probe = answered.min_by_key(weight);
    let latest = probe.and_then(|probe| probe.latency);
    let latest = latest.map_or_else(|| "–".to_owned(), short_latency);
    let room = width.saturating_sub(SHORT_WIDTH + 1);
    let history = probe.map_or_else(String::new, |it| sparkline(it.history.iter(), room));
    Cell::new(format!("{latest:>SHORT_WIDTH$} {history}"))
}

/// Draws the latest latencies as blocks, newest at the right; `✗` stands where no answer came.
///
/// A steady latency is drawn at half height, so that only what leaves its own median stands out.
fn sparkline<'a>(
    history: impl DoubleEndedIterator<Item = &'a Option<Duration>>,
    width: usize,
) -> String {
    // Without the full block: two rows of them would run into each other.
    const BLOCKS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
    let mut latest: Vec<Option<Duration>> = history.rev().take(width).copied().collect();
    latest.reverse();
    let mut known: Vec<Duration> = latest.iter().flatten().copied().collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or_default();
    let highest = known.last().copied().unwrap_or_default();
    let top = highest.max(median.saturating_mul(2)).as_secs_f64();
    let mut out = " ".repeat(width.saturating_sub(latest.len()));
    out.extend(latest.into_iter().map(|latency| {
        latency.map_or('✗', |latency| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 0 to 7 rounded up"
            )]
            let level = (latency.as_secs_f64() / top.max(f64::MIN_POSITIVE) * 7.0).ceil() as usize;
            BLOCKS[level.clamp(1, BLOCKS.len()) - 1]
        })
    }));
    out
}

fn uptime(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    let uptime = age::uptime(app, snapshot).map(short_age);
    Cell::new(uptime.unwrap_or_else(|| "–".to_owned()))
}

fn version(_: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    Cell::new(snapshot.version.as_deref().unwrap_or("–"))
}

/// Returns the number of working dependencies of those in use: `2/3`.
fn dependencies(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    if snapshot.dependencies.is_empty() {
        return Cell::or_dash(None);
    }
    let count = |counts: fn(DependencyStatus) -> bool| {
        let all = snapshot.dependencies.iter();
        all.filter(|it| counts(it.status)).count()
    };
    let total = count(|status| status != DependencyStatus::NotUsed);
    let working = count(|status| status == DependencyStatus::Working);
    let text = format!("{working}/{total}");
    if age::outdated_dependencies(app, snapshot).is_some() {
        Cell::styled(text, theme::quiet())
    } else if working == total {
        Cell::new(text)
    } else {
        Cell::styled(text, app.theme.alarm())
    }
}

/// Returns the age of the last success of the probe for which that is longest ago.
fn last_success(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    let probes = probes_in_use(snapshot);
    if probes.is_empty() {
        return Cell::or_dash(None);
    }
    let failing = probes.iter().any(|probe| probe.consecutive_failures > 0);
    // `None`, which is never, is less than any time.
    let oldest = probes.iter().map(|probe| probe.last_success);
    let oldest = oldest.min_by_key(|at| at.map(|at| at.mono)).flatten();
    let text = age::ago(app, oldest);
    if failing {
        Cell::styled(text, app.theme.alarm())
    } else {
        Cell::new(text)
    }
}

/// Returns the probes that have answered and go on being asked. Once the service has started, its startup probe is not,
/// and the age of its last answer means nothing.
fn probes_in_use(snapshot: &ServiceSnapshot) -> Vec<&ProbeSnapshot> {
    let answered = || {
        let probes = snapshot.probes.iter();
        probes.filter(|probe| probe.checked_at.is_some())
    };
    let started = answered().any(|probe| probe.info.role != Role::Startup);
    answered()
        .filter(|probe| !started || probe.info.role != Role::Startup)
        .collect()
}

/// Returns the action that runs, else how the last one failed and the flags.
fn flags(app: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    if let Some(running) = app.running(&snapshot.info.name) {
        let word = match running.action {
            _ if running.waits => "waiting",
            Action::Shutdown | Action::Schedule => "stopping",
            Action::Reload => "reloading",
            Action::Start => "starting",
            Action::Restart => "restarting",
        };
        return Cell::styled(word, theme::strong());
    }
    let words = snapshot.flags.iter().map(|flag| flag.as_str());
    let failure = app.failure(snapshot).map(ActionFailure::as_str);
    let mut flags = failure.into_iter().chain(words);
    let Some(first) = flags.next() else {
        return Cell::default();
    };
    let text = match flags.count() {
        0 => first.to_owned(),
        more => format!("{first}+{more}"),
    };
    Cell::styled(text, app.theme.alarm())
}

fn why(_: &App, snapshot: &ServiceSnapshot, _: usize) -> Cell {
    Cell::new(snapshot.reasons.first().map_or("", String::as_str))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::health::{ProbeResult, Selection, State};
    use crate::tui::samples;

    /// A list with one service in a group, whose name has this length.
    fn list(name_length: usize) -> ServiceList {
        let mut snapshot = samples::snapshot(&"n".repeat(name_length), State::Healthy);
        Arc::make_mut(&mut snapshot.info).group = Some("backend".to_owned());
        ServiceList::new(vec![Arc::new(snapshot)], Selection::default())
    }

    fn titles(room: usize, name_length: usize) -> Vec<&'static str> {
        let list = list(name_length);
        let fitting = fitting(&list, room);
        fitting.iter().map(|(column, _)| column.title).collect()
    }

    #[test]
    fn a_startup_probe_counts_until_the_others_are_asked() {
        let answered =
            |name, role| samples::answered(samples::probe(name, role), ProbeResult::Pass);
        let mut snapshot = samples::snapshot("api", State::Starting);
        snapshot.probes = vec![
            answered("startup", Role::Startup),
            samples::probe("live", Role::Live),
        ];
        let names = |snapshot: &ServiceSnapshot| -> Vec<String> {
            let probes = probes_in_use(snapshot);
            probes.iter().map(|probe| probe.info.name.clone()).collect()
        };
        assert_eq!(names(&snapshot), ["startup"]);
        snapshot.probes[1] = answered("live", Role::Live);
        assert_eq!(names(&snapshot), ["live"]);
        snapshot.probes.clear();
        assert!(names(&snapshot).is_empty());
    }

    #[test]
    fn at_80_columns_everything_to_act_on_is_there() {
        let expected = [
            "STATE", " NAME", "LIVE", "READY", "LATENCY", "UPTIME", "DEPS", "LAST OK", "FLAGS",
        ];
        assert_eq!(titles(80, 13), expected);
        assert_eq!(titles(80, 63), expected);
    }

    #[test]
    fn more_room_gives_more_columns() {
        assert!(titles(100, 13).contains(&"VERSION"));
        assert!(titles(160, 13).contains(&"WHY"));
        assert!(titles(160, 13).contains(&"GROUP"));
    }

    #[test]
    fn columns_never_take_more_than_there_is() {
        for name_length in [0, 5, 13, 30, 63, 400] {
            let list = list(name_length);
            for room in 40..300 {
                let columns = fitting(&list, room);
                let taken: usize = columns.iter().map(|(_, column)| column.width + 1).sum();
                assert!(taken <= room, "{room} {name_length}: {columns:?}");
                let shown = |title| columns.iter().any(|(column, _)| column.title == title);
                assert!(shown(" NAME") && shown("STATE"));
            }
        }
    }

    #[test]
    fn a_sparkline_shows_gaps_and_what_stands_out() {
        let ms = |n: u64| Some(Duration::from_millis(n));
        let draw = |history: &[Option<Duration>], width| sparkline(history.iter(), width);
        assert_eq!(draw(&[], 4), "    ");
        assert_eq!(draw(&[ms(5), ms(5), ms(5)], 4), " ▄▄▄");
        assert_eq!(draw(&[ms(1), ms(8), None, ms(1)], 4), "▁▇✗▁");
        assert_eq!(draw(&[ms(8), ms(1), ms(1)], 2), "▄▄");
        assert_eq!(draw(&[ms(0), None], 2), "▁✗");
    }
}
