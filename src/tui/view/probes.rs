//! The probes of the selected service: what each found, how long it took and where the time went.

use ratatui::text::{Line, Span};

use crate::health::{Phases, Picture, ProbePicture};
use crate::text::{format_duration, short_age, short_count, short_latency, width, wrap};
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
    let longest = picture
        .probes
        .iter()
        .map(|probe| width(&probe.name))
        .max()
        .unwrap_or(0);
    let fixed = [
        column("PROBE", longest.clamp(10, (columns / 5).max(10)), Fit::Name),
        column("RESULT", 10, Fit::Left),
        column("OK", 6, Fit::Right),
        column("FAIL", 6, Fit::Right),
        column("LAST OK", 7, Fit::Right),
        column("LAST FAIL", 9, Fit::Right),
        column("LATENCY", 7, Fit::Right),
    ];
    let taken: usize = fixed.iter().map(|column| column.width + 1).sum::<usize>() + 1;
    let mut table = fixed.to_vec();
    table.push(column("TARGET", columns.saturating_sub(taken), Fit::Name));
    let mut lines = vec![grid::titles(&table, 1, theme::label())];
    for probe in &picture.probes {
        lines.push(grid::row(&table, 1, cells(app, probe)));
        if let Some(failure) = &probe.failure {
            let text = format!("{}: {}{}", failure.kind, failure.message, patience(probe));
            note(&text, columns, app.theme.alarm(), &mut lines);
        }
        if zoomed {
            note(&measured(app, probe), columns, theme::quiet(), &mut lines);
        }
    }
    lines
}

fn cells(app: &App, probe: &ProbePicture) -> Vec<Cell> {
    let (look, word) = app.theme.result(probe.latest);
    let none = || Cell::styled("–", theme::quiet());
    let asked = probe.latest.is_some();
    let age = |moment| {
        if asked {
            Cell::new(figures::ago(app.now, moment))
        } else {
            none()
        }
    };
    vec![
        Cell::new(&probe.name),
        Cell::look(look, word),
        Cell::new(short_count(probe.counters.success)),
        Cell::new(short_count(probe.counters.failure)),
        age(probe.last_success),
        age(probe.last_failure),
        probe
            .latency
            .map_or_else(none, |latency| Cell::new(short_latency(latency))),
        Cell::new(&probe.target),
    ]
}

/// Why a failing answer has not turned the probe yet, or how long it goes on.
fn patience(probe: &ProbePicture) -> String {
    match probe.counted {
        Some(counted) if Some(counted) != probe.latest => {
            format!(
                " ({} in a row; still counts as {counted})",
                probe.consecutive_failures
            )
        }
        _ if probe.consecutive_failures > 1 => {
            format!(" ({} in a row)", probe.consecutive_failures)
        }
        _ => String::new(),
    }
}

/// Where the time went and what else is known of the latest answer.
fn measured(app: &App, probe: &ProbePicture) -> String {
    let mut parts = Vec::new();
    parts.extend(
        probe
            .address
            .as_ref()
            .map(|address| format!("at {address}")),
    );
    parts.extend(probe.code.map(|code| format!("code {code}")));
    parts.extend(phases(probe.phases));
    if probe.consecutive_successes > 0 {
        parts.push(format!("{} good in a row", probe.consecutive_successes));
    }
    parts.push(format!("every {}", interval(probe)));
    parts.push(probe.checked_at.map_or_else(
        || "not asked yet".to_owned(),
        |at| format!("asked {} ago", short_age(app.now.since(at))),
    ));
    if probe.flapping {
        parts.push("flapping".to_owned());
    }
    parts.join(" · ")
}

/// An interval as it was configured: `500ms`, `5s`.
fn interval(probe: &ProbePicture) -> String {
    format_duration(probe.interval).to_string()
}

fn phases(phases: Phases) -> impl Iterator<Item = String> {
    [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("head", phases.head),
        ("body", phases.body),
    ]
    .into_iter()
    .filter_map(|(name, span)| span.map(|span| format!("{name} {}", short_latency(span))))
}

fn note(text: &str, columns: usize, style: ratatui::style::Style, lines: &mut Vec<Line<'static>>) {
    for text in wrap(text, columns.saturating_sub(5)) {
        lines.push(Line::from(vec![
            Span::raw("     "),
            Span::styled(text, style),
        ]));
    }
}
