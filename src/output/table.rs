//! The report for people: a table, and below it the reasons, a line for each service that has one.

use std::fmt::Write as _;

use crate::health::{CheckVerdict, DependencyStatus, Moment, ServiceSnapshot, State};
use crate::text::{Cell, Color, TextTable, ago, long_age, long_latency};

use super::Report;

/// Formats the report as a table with reasons and a summary below it.
pub(crate) fn table(report: &Report, color: bool) -> String {
    if report.services.is_empty() {
        return "no service was selected\n".to_owned();
    }
    let titles = [
        "SERVICE",
        "STATE",
        "READY",
        "LATENCY",
        "UPTIME",
        "VERSION",
        "DEPS",
        "LAST SUCCESS",
        "FLAGS",
    ];
    let mut table = TextTable::new(&titles, color).align_right(&[3, 4, 6]);
    for service in &report.services {
        table.add_row(row(&service.snapshot, report.at, color));
    }
    let mut out = format!("{table}\n");
    reasons(&mut out, report, color);
    let _ = writeln!(out, "{}", summary(report));
    out
}

fn row(snapshot: &ServiceSnapshot, now: Moment, color: bool) -> [Cell; 9] {
    let state = Cell::new(format!("{} {}", snapshot.state.glyph(), snapshot.state));
    let or_dash = |text: Option<String>| Cell::new(text.unwrap_or_else(|| "-".to_owned()));
    let ready = snapshot.ready.map(|ready| if ready { "yes" } else { "no" });
    let probes = snapshot.probes.iter();
    let slowest = probes.clone().filter_map(|probe| probe.latency).max();
    let ages = probes.filter_map(|probe| Some(now.since(probe.last_success?)));
    let uptime = snapshot.uptime;
    let flags: Vec<_> = snapshot.flags.iter().map(|flag| flag.as_str()).collect();
    [
        Cell::new(&snapshot.info.name),
        if color {
            state.fg(state_color(snapshot.state))
        } else {
            state
        },
        or_dash(ready.map(str::to_owned)),
        or_dash(slowest.map(long_latency)),
        or_dash(uptime.map(|(uptime, at)| long_age(uptime + now.since(at)))),
        or_dash(snapshot.version.clone()),
        or_dash(dependencies(snapshot)),
        Cell::new(ago(ages.min())),
        Cell::new(flags.join(" ")),
    ]
}

/// Adds a line for each service that is not healthy, blocked services last, and a line for each flag with a note.
fn reasons(out: &mut String, report: &Report, color: bool) {
    let (blocked, causes): (Vec<_>, Vec<_>) = report
        .services
        .iter()
        .filter(|it| !it.snapshot.reasons.is_empty() || it.snapshot.blocked_by.is_some())
        .partition(|it| it.snapshot.blocked_by.is_some());
    for service in causes.iter().chain(&blocked) {
        let snapshot = &service.snapshot;
        let why = snapshot.reasons.join("; ");
        let why = match &snapshot.blocked_by {
            None => why,
            Some(root) if why.is_empty() => format!("blocked by {root}"),
            Some(root) => format!("blocked by {root} ({why})"),
        };
        let (name, state) = (&snapshot.info.name, snapshot.state);
        let line = format!("{} {name}: {state}: {why}", state.glyph());
        let failed = service.verdict == CheckVerdict::Fail && snapshot.blocked_by.is_none();
        if color && failed {
            let _ = writeln!(out, "\u{1b}[31m{line}\u{1b}[0m");
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    let mut any_note = false;
    for service in &report.services {
        for note in service.flag_notes() {
            any_note = true;
            let _ = writeln!(out, "! {}: {note}", service.snapshot.info.name);
        }
    }
    if any_note || !(causes.is_empty() && blocked.is_empty()) {
        out.push('\n');
    }
}

/// Formats the counts and the verdict, as `3 services: 2 healthy, 1 degraded; verdict fail`.
fn summary(report: &Report) -> String {
    let total = report.services.len();
    let noun = if total == 1 { "service" } else { "services" };
    let counts: Vec<_> = State::ALL
        .iter()
        .map(|state| (report.count(*state), state))
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    let counts = counts.join(", ");
    format!("{total} {noun}: {counts}; verdict {}", report.verdict)
}

/// Formats the number of working dependencies of those in use, as `3/4`.
fn dependencies(snapshot: &ServiceSnapshot) -> Option<String> {
    let statuses = snapshot.dependencies.iter().map(|it| it.status);
    let used = statuses.filter(|status| *status != DependencyStatus::NotUsed);
    let used: Vec<_> = used.collect();
    let working = used.iter();
    let working = working.filter(|status| **status == DependencyStatus::Working);
    (!used.is_empty()).then(|| format!("{}/{}", working.count(), used.len()))
}

const fn state_color(state: State) -> Color {
    match state {
        State::Healthy => Color::Green,
        State::Degraded | State::Unready => Color::Yellow,
        State::Unhealthy => Color::Red,
        State::Unknown => Color::Magenta,
        State::Starting | State::Draining => Color::Cyan,
        State::Stopped => Color::DarkGrey,
    }
}
