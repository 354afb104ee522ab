//! The report for people: a table, and below it the reasons, a line for each service that has one.

use std::fmt::Write as _;
use std::time::Duration;

use crate::health::{CheckVerdict, DependencyStatus, State};

use super::{Report, ServiceReport};
use crate::text::{Cell, Color, Table, ago, long_age, long_latency};

/// How a report for people may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether colour may be used.
    pub(crate) color: bool,
}

/// The table with its summary line and reasons.
pub(crate) fn table(report: &Report, style: Style) -> String {
    let mut out = String::new();
    if report.services.is_empty() {
        out.push_str("no service was selected\n");
        return out;
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
    let mut table = Table::new(&titles, style.color).align_right(&[3, 4, 6]);
    for service in &report.services {
        table.add_row(row(service, style));
    }
    let _ = writeln!(out, "{table}");
    reasons(&mut out, report, style);
    let _ = writeln!(out, "{}", summary(report));
    out
}

fn row(service: &ServiceReport, style: Style) -> Vec<Cell> {
    let state = Cell::new(format!("{} {}", service.state.glyph(), service.state));
    let state = if style.color {
        state.fg(color(service.state))
    } else {
        state
    };
    let flags: Vec<_> = service.flags.iter().map(|flag| flag.as_str()).collect();
    vec![
        Cell::new(&service.name),
        state,
        Cell::new(match service.ready {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        }),
        Cell::new(slowest(service).map_or_else(|| "-".to_owned(), long_latency)),
        Cell::new(
            service
                .uptime_seconds
                .map_or_else(|| "-".to_owned(), |s| long_age(secs(s))),
        ),
        Cell::new(service.version.as_deref().unwrap_or("-")),
        Cell::new(dependencies(service)),
        Cell::new(ago(last_success(service))),
        Cell::new(flags.join(" ")),
    ]
}

/// One line for each service that is not healthy; those that only suffer from another come last. Then one for each flag
/// that has a sentence.
fn reasons(out: &mut String, report: &Report, style: Style) {
    let (blocked, causes): (Vec<_>, Vec<_>) = report
        .services
        .iter()
        .filter(|service| !service.reasons.is_empty() || service.blocked_by.is_some())
        .partition(|service| service.blocked_by.is_some());
    for service in causes.iter().chain(&blocked) {
        let glyph = service.state.glyph();
        let name = &service.name;
        let mut why = service.reasons.join("; ");
        if let Some(root) = &service.blocked_by {
            why = if why.is_empty() {
                format!("blocked by {root}")
            } else {
                format!("blocked by {root} ({why})")
            };
        }
        let line = format!("{glyph} {name}: {}: {why}", service.state);
        if style.color && service.verdict == CheckVerdict::Fail && service.blocked_by.is_none() {
            let _ = writeln!(out, "\u{1b}[31m{line}\u{1b}[0m");
        } else {
            let _ = writeln!(out, "{line}");
        }
    }
    let mut any_flag = false;
    for service in &report.services {
        for note in service.flag_notes() {
            any_flag = true;
            let _ = writeln!(out, "! {}: {note}", service.name);
        }
    }
    if any_flag || !(causes.is_empty() && blocked.is_empty()) {
        out.push('\n');
    }
}

/// `3 services: 2 healthy, 1 degraded: fail`
fn summary(report: &Report) -> String {
    let total = report.summary.total;
    let noun = if total == 1 { "service" } else { "services" };
    let counts: Vec<_> = State::ALL
        .iter()
        .map(|state| (report.summary.of(*state), state))
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    format!(
        "{total} {noun}: {}; verdict {}",
        counts.join(", "),
        report.verdict
    )
}

fn slowest(service: &ServiceReport) -> Option<Duration> {
    service
        .probes
        .iter()
        .filter_map(|probe| probe.latency_ms)
        .map(|ms| secs(ms / 1e3))
        .max()
}

/// Age of the newest success of any probe.
fn last_success(service: &ServiceReport) -> Option<Duration> {
    service
        .probes
        .iter()
        .filter_map(|probe| probe.last_success_seconds)
        .map(secs)
        .min()
}

/// `3/4`: working of those in use.
fn dependencies(service: &ServiceReport) -> String {
    let used: Vec<_> = service
        .dependencies
        .iter()
        .filter(|dependency| dependency.status != DependencyStatus::NotUsed)
        .collect();
    if used.is_empty() {
        return "-".to_owned();
    }
    let working = used
        .iter()
        .filter(|dependency| dependency.status == DependencyStatus::Working)
        .count();
    format!("{working}/{}", used.len())
}

fn secs(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

const fn color(state: State) -> Color {
    match state {
        State::Healthy => Color::Green,
        State::Degraded | State::Unready => Color::Yellow,
        State::Unhealthy => Color::Red,
        State::Unknown => Color::Magenta,
        State::Starting | State::Draining => Color::Cyan,
        State::Stopped => Color::DarkGrey,
    }
}
