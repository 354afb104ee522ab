//! The table of services. Only the rows on the screen are made.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::action::Action;
use crate::health::{DependencyStatus, Picture, ProbePicture, Role};
use crate::text::{SHORT_WIDTH, short_age, short_latency};
use crate::tui::app::App;
use crate::tui::figures;
use crate::tui::progress::Failure;
use crate::tui::theme;

use super::grid::{self, Cell, Column, Fit, column};

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    State,
    Name,
    Live,
    Ready,
    Latency,
    Uptime,
    Version,
    Dependencies,
    LastSuccess,
    Flags,
    Since,
    Group,
    Why,
}

/// The columns from left to right, each with its narrowest width. Below 80 columns the ones with the lowest number go
/// first; those with 0 come only where there is room.
const FIELDS: &[(Field, &str, usize, Fit, u8)] = &[
    (Field::State, "STATE", 11, Fit::Left, 10),
    (Field::Since, "FOR", SHORT_WIDTH, Fit::Right, 0),
    (Field::Name, " NAME", 14, Fit::Name, 9),
    (Field::Group, "GROUP", 10, Fit::Name, 0),
    (Field::Live, "LIVE", 4, Fit::Left, 4),
    (Field::Ready, "READY", 5, Fit::Left, 5),
    (Field::Latency, "LATENCY", SHORT_WIDTH + 5, Fit::Left, 6),
    (Field::Uptime, "UPTIME", SHORT_WIDTH, Fit::Right, 2),
    (Field::Version, "VERSION", 8, Fit::Left, 0),
    (Field::Dependencies, "DEPS", 5, Fit::Right, 3),
    (Field::LastSuccess, "LAST OK", 7, Fit::Right, 8),
    (Field::Flags, "FLAGS", 8, Fit::Left, 7),
    (Field::Why, "WHY", 20, Fit::Left, 0),
];

/// What is done with room that is left, in this order: a column is widened to, or first shown at, this width.
const GROWTH: &[(Field, usize)] = &[
    (Field::Name, 21),
    (Field::Version, 8),
    (Field::Since, SHORT_WIDTH),
    (Field::Why, 20),
    (Field::Flags, 11),
    (Field::Name, 33),
    (Field::Latency, SHORT_WIDTH + 11),
    (Field::Group, 10),
    (Field::Name, 64),
    (Field::Why, usize::MAX),
];

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let fields = fields(
        usize::from(area.width),
        app.list.longest_name(),
        app.list.grouped(),
    );
    let columns: Vec<Column> = fields.iter().map(|(_, column)| *column).collect();
    let rows = usize::from(area.height.saturating_sub(1));
    let mut lines = vec![grid::titles(&columns, 1, theme::label())];
    let focus = app.list.position();
    for (n, picture) in app.list.window(app.list.top, rows).enumerate() {
        let cells = fields
            .iter()
            .map(|(field, column)| cell(app, picture, *field, column.width))
            .collect();
        let line = grid::row(&columns, 1, cells);
        lines.push(if focus == Some(app.list.top + n) {
            grid::selected(line, ">", usize::from(area.width))
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
        " no service is as selected now"
    } else {
        " no service matches the filter; Esc clears it"
    }
}

/// The columns that fit, with their widths.
fn fields(width: usize, longest_name: usize, grouped: bool) -> Vec<(Field, Column)> {
    // The mark stands before the name.
    let longest_name = longest_name.max(4).saturating_add(1);
    let narrowest = |field: Field, narrowest: usize| {
        if field == Field::Name {
            narrowest.min(longest_name)
        } else {
            narrowest
        }
    };
    let mut chosen: Vec<(Field, usize, u8)> = FIELDS
        .iter()
        .filter(|row| row.4 > 0)
        .map(|(field, _, width, _, keep)| (*field, narrowest(*field, *width), *keep))
        .collect();
    // One column at the left for the marker, one between any two.
    let taken =
        |chosen: &[(Field, usize, u8)]| chosen.iter().map(|(_, width, _)| width + 1).sum::<usize>();
    while taken(&chosen) > width
        && chosen.len() > 2
        && let Some(least) = chosen.iter().map(|(_, _, keep)| *keep).min()
    {
        chosen.retain(|(_, _, keep)| *keep != least);
    }
    for (field, wanted) in GROWTH {
        if *field == Field::Group && !grouped {
            continue;
        }
        let room = width.saturating_sub(taken(&chosen));
        let wanted = if *field == Field::Name {
            longest_name.min(*wanted)
        } else {
            *wanted
        };
        if let Some((_, has, _)) = chosen.iter_mut().find(|(it, ..)| it == field) {
            *has += wanted.saturating_sub(*has).min(room);
        } else if room > wanted && FIELDS.iter().any(|row| row.0 == *field && row.4 == 0) {
            chosen.push((*field, wanted, 0));
        }
    }
    FIELDS
        .iter()
        .filter_map(|(field, title, _, fit, _)| {
            let (_, width, _) = chosen.iter().find(|(it, ..)| it == field)?;
            Some((*field, column(title, *width, *fit)))
        })
        .collect()
}

fn cell(app: &App, picture: &Picture, field: Field, width: usize) -> Cell {
    let theme = app.theme;
    match field {
        Field::State => Cell::look(theme.state(picture.state), picture.state.as_str()),
        Field::Since => Cell::new(short_age(app.now.since(picture.since))),
        Field::Name => {
            let mark = if app.list.is_marked(picture) {
                '*'
            } else {
                ' '
            };
            Cell::styled(format!("{mark}{}", picture.name), theme::strong())
        }
        Field::Group => Cell::new(picture.group.as_deref().unwrap_or("")),
        Field::Live => answer(app, picture.live),
        Field::Ready => answer(app, picture.ready),
        Field::Latency => latency(picture, width),
        Field::Uptime => Cell::new(uptime(app, picture).map_or_else(|| "–".to_owned(), short_age)),
        Field::Version => Cell::new(picture.version.as_deref().unwrap_or("–")),
        Field::Dependencies => dependencies(app, picture),
        Field::LastSuccess => last_success(app, picture),
        Field::Flags => flags(app, picture),
        Field::Why => Cell::new(picture.reasons.first().map_or("", String::as_str)),
    }
}

fn answer(app: &App, answer: Option<bool>) -> Cell {
    let (style, word) = app.theme.yes_no(answer);
    Cell::styled(word, style)
}

/// The probe whose latency stands for the service: the one that says most.
fn leading_probe(picture: &Picture) -> Option<&ProbePicture> {
    let weight = |probe: &&ProbePicture| match probe.role {
        Role::Status => 0,
        Role::Ready => 1,
        Role::Live => 2,
        Role::Named => 3,
        Role::Startup => 4,
    };
    picture
        .probes
        .iter()
        .filter(|probe| probe.checked_at.is_some())
        .min_by_key(weight)
}

/// The latest latency and those before it, newest at the right.
fn latency(picture: &Picture, width: usize) -> Cell {
    let Some(probe) = leading_probe(picture) else {
        return Cell::new(format!("{:>SHORT_WIDTH$}", "–"));
    };
    let latest = probe.latency.map_or_else(|| "–".to_owned(), short_latency);
    let room = width.saturating_sub(SHORT_WIDTH + 1);
    let history = figures::sparkline(probe.history.iter(), room);
    Cell::new(format!("{latest:>SHORT_WIDTH$} {history}"))
}

/// How long the process has been up by now, where the service told lately: one that hangs must not look busy.
pub(super) fn uptime(app: &App, picture: &Picture) -> Option<Duration> {
    let (uptime, at) = picture.uptime?;
    (!super::is_old(app, picture, at)).then(|| uptime.saturating_add(app.now.since(at)))
}

/// Working of those in use.
fn dependencies(app: &App, picture: &Picture) -> Cell {
    let used = picture
        .dependencies
        .iter()
        .filter(|it| it.status != DependencyStatus::NotUsed);
    let (mut working, mut total) = (0_usize, 0_usize);
    for dependency in used {
        total += 1;
        working += usize::from(dependency.status == DependencyStatus::Working);
    }
    if picture.dependencies.is_empty() {
        return Cell::styled("–", theme::quiet());
    }
    let text = format!("{working}/{total}");
    if super::dependencies::outdated(app, picture).is_some() {
        return Cell::styled(text, theme::quiet());
    }
    if working == total {
        Cell::new(text)
    } else {
        Cell::styled(text, app.theme.alarm())
    }
}

/// The time since every probe of the service was well: the oldest of their last successes.
fn last_success(app: &App, picture: &Picture) -> Cell {
    let asked = still_asked(picture);
    if asked.is_empty() {
        return Cell::styled("–", theme::quiet());
    }
    let failing = asked.iter().any(|probe| probe.consecutive_failures > 0);
    let oldest = asked
        .iter()
        .map(|probe| probe.last_success)
        .reduce(|a, b| match (a, b) {
            (Some(a), Some(b)) => Some(if a.mono <= b.mono { a } else { b }),
            _ => None,
        });
    let text = figures::ago(app.now, oldest.flatten());
    if failing {
        Cell::styled(text, app.theme.alarm())
    } else {
        Cell::new(text)
    }
}

/// The probes that have answered and go on being asked: once the service has come up, its startup probe is not, and what
/// it found then grows old without meaning anything.
fn still_asked(picture: &Picture) -> Vec<&ProbePicture> {
    let answered = || {
        let probes = picture.probes.iter();
        probes.filter(|probe| probe.checked_at.is_some())
    };
    let up = answered().any(|probe| probe.role != Role::Startup);
    answered()
        .filter(|probe| !up || probe.role != Role::Startup)
        .collect()
}

/// An action under way, in a word.
const fn doing(action: Action) -> &'static str {
    match action {
        Action::Shutdown | Action::Schedule => "stopping",
        Action::Reload => "reloading",
        Action::Start => "starting",
        Action::Restart => "restarting",
    }
}

/// What is being done to the service, else how that has failed and its flags.
fn flags(app: &App, picture: &Picture) -> Cell {
    let progress = app.progress.get(&picture.name);
    if let Some(progress) = progress.filter(|it| it.runs()) {
        let word = if progress.waits {
            "waiting"
        } else {
            doing(progress.action)
        };
        return Cell::styled(word, theme::strong());
    }
    let words = picture.flags.iter().map(|flag| flag.as_str());
    let failure = app.failure(picture).map(Failure::as_str);
    let mut flags = failure.into_iter().chain(words);
    let Some(first) = flags.next() else {
        return Cell::default();
    };
    let more = flags.count();
    let text = if more == 0 {
        first.to_string()
    } else {
        format!("{first}+{more}")
    };
    Cell::styled(text, app.theme.alarm())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{ProbeResult, State};
    use crate::tui::samples;

    fn titles(width: usize, longest_name: usize) -> Vec<&'static str> {
        fields(width, longest_name, true)
            .iter()
            .map(|(_, column)| column.title)
            .collect()
    }

    #[test]
    fn a_startup_probe_counts_until_the_others_are_asked() {
        let answered =
            |name, role| samples::answered(samples::probe(name, role), ProbeResult::Pass);
        let mut picture = samples::picture("api", State::Starting);
        picture.probes = vec![
            answered("startup", Role::Startup),
            samples::probe("live", Role::Live),
        ];
        let names = |picture: &Picture| -> Vec<String> {
            let asked = still_asked(picture);
            asked.iter().map(|probe| probe.name.clone()).collect()
        };
        assert_eq!(names(&picture), ["startup"]);
        picture.probes[1] = answered("live", Role::Live);
        assert_eq!(names(&picture), ["live"]);
        picture.probes.clear();
        assert!(names(&picture).is_empty());
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
        for width in 40..300 {
            for longest_name in [0, 5, 13, 30, 63, 400] {
                let fields = fields(width, longest_name, true);
                let taken: usize = fields.iter().map(|(_, column)| column.width + 1).sum();
                assert!(taken <= width, "{width} {longest_name}: {fields:?}");
                assert!(fields.iter().any(|(field, _)| *field == Field::Name));
                assert!(fields.iter().any(|(field, _)| *field == Field::State));
            }
        }
    }
}
