//! The dependency table of the selected service: what is broken first, else in the order of the service's report.

use crate::health::{DependencySnapshot, DependencyStatus, ServiceSnapshot, details};
use crate::text::{short_age, short_count, short_latency, width};
use crate::tui::app::App;
use crate::tui::theme;

use super::age;
use super::lines::TextLines;
use super::table::{Cell, Fit, TableLayout};

/// Adds the table, where the service reports any dependency.
pub(super) fn add(app: &App, snapshot: &ServiceSnapshot, zoomed: bool, lines: &mut TextLines) {
    let mut sorted: Vec<&DependencySnapshot> = snapshot.dependencies.iter().collect();
    if sorted.is_empty() {
        return;
    }
    sorted.sort_by_key(|dependency| rank(dependency.status));
    let names = sorted
        .iter()
        .map(|it| width(&it.name) + usize::from(it.required));
    let longest = names.max().unwrap_or(0);
    let last = ("ERROR", Fit::Left);
    let table = TableLayout::of_history("DEPENDENCY", longest, "STATUS", last, lines.columns);
    let outdated = age::outdated_dependencies(app, snapshot);
    if let Some(age) = outdated {
        let age = short_age(age);
        let text = format!(" last reported {age} ago; their present status is not known:");
        lines.styled(text, app.theme.alarm());
    }
    lines.push(table.titles());
    for dependency in sorted {
        let mut cells = cells(app, dependency);
        if outdated.is_some() {
            for cell in &mut cells {
                cell.restyle(theme::quiet());
            }
        }
        lines.push(table.row(cells));
        if zoomed {
            let error_room = table.columns.last().map_or(0, |column| column.width);
            let rest = rest(app, dependency, error_room).join(" · ");
            if !rest.is_empty() {
                lines.hanging("     ", 5, &rest, theme::quiet());
            }
        }
    }
    if snapshot.dependencies.iter().any(|it| it.required) {
        let text = " * required: its error makes the service unhealthy";
        lines.styled(text, theme::quiet());
    }
}

fn cells(app: &App, dependency: &DependencySnapshot) -> Vec<Cell> {
    let (style, word) = app.theme.dependency(dependency.status);
    let required = if dependency.required { "*" } else { "" };
    let mut cells = vec![
        Cell::new(format!("{}{required}", dependency.name)),
        Cell::status(style, word),
    ];
    if dependency.status == DependencyStatus::NotUsed {
        // What is switched off has no figures; zeros and 'never' would look like trouble.
        cells.extend((0..5).map(|_| Cell::or_dash(None)));
        return cells;
    }
    cells.extend([
        Cell::or_dash(dependency.success_count.map(short_count)),
        Cell::or_dash(dependency.failure_count.map(short_count)),
        Cell::new(age::ago(app, dependency.last_success)),
        Cell::new(age::ago(app, dependency.last_failure)),
        Cell::or_dash(dependency.latency.map(short_latency)),
        Cell::new(dependency.error.as_deref().unwrap_or("")),
    ]);
    cells
}

/// Returns what has no room in the row: the whole error, the word as reported, totals across restarts, all other details.
fn rest(app: &App, dependency: &DependencySnapshot, error_room: usize) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(error) = &dependency.error
        && width(error) > error_room
    {
        facts.push(error.clone());
    }
    let (_, meaning) = app.theme.dependency(dependency.status);
    if let Some(word) = &dependency.word
        && !word.eq_ignore_ascii_case(meaning)
        && word != dependency.status.as_str()
    {
        facts.push(format!("reported as {word}"));
    }
    if let Some(heartbeat) = &dependency.heartbeat {
        facts.push(format!("heartbeat {}", age::heartbeat(app, heartbeat)));
    }
    let totals = (dependency.success_total, dependency.failure_total);
    if let (Some(success), Some(failure)) = totals
        && totals != (dependency.success_count, dependency.failure_count)
    {
        facts.push(format!("across restarts {success} ok, {failure} failed"));
    }
    facts.extend(details(&dependency.details));
    facts
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
