//! The dependency table of the selected service: what is broken first, else as the service reports them.

use std::time::Duration;

use ratatui::text::{Line, Span};

use crate::health::{DependencyPicture, DependencyStatus, Picture, State, details};
use crate::text::{short_age, short_count, short_latency, width, wrap};
use crate::tui::app::App;
use crate::tui::figures;
use crate::tui::theme;

use super::grid::{self, Cell, Fit, column};

pub(super) fn lines(
    app: &App,
    picture: &Picture,
    columns: usize,
    zoomed: bool,
) -> Vec<Line<'static>> {
    if picture.dependencies.is_empty() {
        return Vec::new();
    }
    let mut sorted: Vec<&DependencyPicture> = picture.dependencies.iter().collect();
    sorted.sort_by_key(|dependency| rank(dependency.status));
    let longest = sorted
        .iter()
        .map(|it| width(&it.name) + usize::from(it.required))
        .max()
        .unwrap_or(0);
    let name = longest.clamp(10, (columns / 5).max(10));
    let fixed = [
        column("DEPENDENCY", name, Fit::Name),
        column("STATUS", 10, Fit::Left),
        column("OK", 6, Fit::Right),
        column("FAIL", 6, Fit::Right),
        column("LAST OK", 7, Fit::Right),
        column("LAST FAIL", 9, Fit::Right),
        column("LATENCY", 7, Fit::Right),
    ];
    let taken: usize = fixed.iter().map(|column| column.width + 1).sum::<usize>() + 1;
    let mut table = fixed.to_vec();
    table.push(column("ERROR", columns.saturating_sub(taken), Fit::Left));
    let mut lines = Vec::new();
    let outdated = outdated(app, picture);
    if let Some(age) = outdated {
        let text = format!(
            " last heard {} ago; how they are now is not known:",
            short_age(age)
        );
        lines.push(Line::styled(text, app.theme.alarm()));
    }
    lines.push(grid::titles(&table, 1, theme::label()));
    for dependency in sorted {
        let mut cells = cells(app, dependency);
        if outdated.is_some() {
            for cell in &mut cells {
                cell.fade(theme::quiet());
            }
        }
        lines.push(grid::row(&table, 1, cells));
        if zoomed {
            more(
                app,
                dependency,
                columns,
                columns.saturating_sub(taken),
                &mut lines,
            );
        }
    }
    if picture.dependencies.iter().any(|it| it.required) {
        lines.push(Line::styled(
            " * required: its error makes the service unhealthy",
            theme::quiet(),
        ));
    }
    lines
}

/// How old the table is, where that is too old: the service is silent, and what it said then may hold no more.
pub(super) fn outdated(app: &App, picture: &Picture) -> Option<Duration> {
    let heard = picture
        .dependencies
        .iter()
        .map(|it| it.observed_at)
        .max_by_key(|at| at.mono)?;
    let old = picture.state == State::Stopped || super::is_old(app, picture, heard);
    old.then(|| app.now.since(heard))
}

fn cells(app: &App, dependency: &DependencyPicture) -> Vec<Cell> {
    let (look, word) = app.theme.dependency(dependency.status);
    let none = || Cell::styled("–", theme::quiet());
    let count = |count: Option<u64>| count.map_or_else(none, |count| Cell::new(short_count(count)));
    let required = if dependency.required { "*" } else { "" };
    let mut cells = vec![
        Cell::new(format!("{}{required}", dependency.name)),
        Cell::look(look, word),
    ];
    if dependency.status == DependencyStatus::NotUsed {
        // What is switched off has no figures; zeros and 'never' would look like trouble.
        cells.extend((0..5).map(|_| none()));
        return cells;
    }
    cells.extend([
        count(dependency.success_count),
        count(dependency.failure_count),
        Cell::new(figures::ago(app.now, dependency.last_success)),
        Cell::new(figures::ago(app.now, dependency.last_failure)),
        dependency
            .latency
            .map_or_else(none, |latency| Cell::new(short_latency(latency))),
        Cell::new(dependency.error.as_deref().unwrap_or("")),
    ]);
    cells
}

/// What has no room in the row: the whole error, the word as written, totals across restarts, all else that is said.
fn more(
    app: &App,
    dependency: &DependencyPicture,
    columns: usize,
    error_room: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let mut parts = Vec::new();
    if let Some(error) = &dependency.error
        && width(error) > error_room
    {
        parts.push(error.clone());
    }
    let (_, meaning) = app.theme.dependency(dependency.status);
    if let Some(word) = &dependency.word
        && !word.eq_ignore_ascii_case(meaning)
        && word != dependency.status.as_str()
    {
        parts.push(format!("says {word}"));
    }
    if let Some(beat) = &dependency.heartbeat {
        parts.push(format!(
            "heartbeat {}",
            super::about::heartbeat(app.now, beat)
        ));
    }
    if let (Some(success), Some(failure)) = (dependency.success_total, dependency.failure_total)
        && (dependency.success_total, dependency.failure_total)
            != (dependency.success_count, dependency.failure_count)
    {
        parts.push(format!("across restarts {success} ok, {failure} failed"));
    }
    parts.extend(details(&dependency.details));
    if parts.is_empty() {
        return;
    }
    for text in wrap(&parts.join(" · "), columns.saturating_sub(5)) {
        lines.push(Line::from(vec![
            Span::raw("     "),
            Span::styled(text, theme::quiet()),
        ]));
    }
}

const fn rank(status: DependencyStatus) -> u8 {
    match status {
        DependencyStatus::Error => 0,
        DependencyStatus::Unknown => 1,
        DependencyStatus::Degraded => 2,
        DependencyStatus::Working => 3,
        DependencyStatus::NotUsed => 4,
    }
}
