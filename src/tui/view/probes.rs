//! The probe table of the selected service: what each probe found, how long it took and where the time went.

use crate::health::{ProbeSnapshot, ServiceSnapshot};
use crate::text::{format_duration, short_count, short_latency, width};
use crate::tui::app::App;
use crate::tui::theme;

use super::age;
use super::lines::TextLines;
use super::table::{Cell, Fit, TableLayout};

/// Adds the table, with the failure of a probe below its row.
pub(super) fn add(app: &App, snapshot: &ServiceSnapshot, zoomed: bool, lines: &mut TextLines) {
    let names = snapshot.probes.iter().map(|probe| width(&probe.info.name));
    let longest = names.max().unwrap_or(0);
    let last = ("TARGET", Fit::Name);
    let table = TableLayout::of_history("PROBE", longest, "RESULT", last, lines.columns);
    lines.push(table.titles());
    for probe in &snapshot.probes {
        lines.push(table.row(cells(app, probe)));
        let mut note = |text: &str, style| lines.hanging("     ", 5, text, style);
        if let Some(failure) = &probe.failure {
            let text = format!("{}: {}{}", failure.kind, failure.message, in_a_row(probe));
            note(&text, app.theme.alarm());
        }
        if zoomed {
            note(&measured(app, probe).join(" · "), theme::quiet());
        }
    }
}

fn cells(app: &App, probe: &ProbeSnapshot) -> Vec<Cell> {
    let (style, word) = app.theme.result(probe.latest);
    let age = |at| Cell::or_dash(probe.latest.map(|_| age::ago(app, at)));
    vec![
        Cell::new(&probe.info.name),
        Cell::status(style, word),
        Cell::new(short_count(probe.counters.success)),
        Cell::new(short_count(probe.counters.failure)),
        age(probe.last_success),
        age(probe.last_failure),
        Cell::or_dash(probe.latency.map(short_latency)),
        Cell::new(&probe.info.target),
    ]
}

/// Returns why a failing answer has not turned the probe yet, or how many answers have failed in a row.
fn in_a_row(probe: &ProbeSnapshot) -> String {
    let failures = probe.consecutive_failures;
    match probe.counted {
        Some(counted) if Some(counted) != probe.latest => {
            format!(" ({failures} in a row; still counts as {counted})")
        }
        _ if failures > 1 => format!(" ({failures} in a row)"),
        _ => String::new(),
    }
}

/// Returns where the time went and what else is known of the latest answer.
fn measured(app: &App, probe: &ProbeSnapshot) -> Vec<String> {
    let phases = probe.phases;
    let phases = [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("head", phases.head),
        ("body", phases.body),
    ];
    let phases = phases.map(|(phase, span)| Some(format!("{phase} {}", short_latency(span?))));
    let address = probe.address.as_ref();
    let mut facts = vec![
        address.map(|address| format!("at {address}")),
        probe.code.map(|code| format!("code {code}")),
    ];
    facts.extend(phases);
    let successes = probe.consecutive_successes;
    let probed = probe
        .checked_at
        .map(|at| format!("asked {} ago", age::since(app, at)));
    facts.extend([
        (successes > 0).then(|| format!("{successes} good in a row")),
        Some(format!("every {}", format_duration(probe.info.interval))),
        Some(probed.unwrap_or_else(|| "not probed yet".to_owned())),
        probe.flapping.then(|| "flapping".to_owned()),
    ]);
    facts.into_iter().flatten().collect()
}
