//! How old what is shown is: ages, times of day, and what is too old to be taken for the present.

use std::time::Duration;

use crate::health::{HeartbeatSnapshot, Moment, ServiceSnapshot, State};
use crate::text::short_age;
use crate::tui::app::App;

use super::lines::joined;

/// Formats how long ago something was, as `1m34s` or `never`.
pub(super) fn ago(app: &App, then: Option<Moment>) -> String {
    then.map_or_else(|| "never".to_owned(), |then| since(app, then))
}

/// Formats the time from `then` until now, as `1m34s`.
pub(super) fn since(app: &App, then: Moment) -> String {
    short_age(app.now.since(then))
}

/// Formats a time of day, with the date instead of the seconds where it was on another day.
pub(super) fn time_of_day(app: &App, at: Moment) -> String {
    let at = at.wall.to_zoned(app.setup.zone.clone());
    let today = app.now.wall.to_zoned(app.setup.zone.clone()).date();
    let format = if at.date() == today {
        "%H:%M:%S"
    } else {
        "%m-%d %H:%M"
    };
    at.strftime(format).to_string()
}

/// Returns the uptime of the process by now, where the service reported it lately: one that hangs must not look busy.
pub(super) fn uptime(app: &App, snapshot: &ServiceSnapshot) -> Option<Duration> {
    let (uptime, at) = snapshot.uptime?;
    (!is_old(app, snapshot, at)).then(|| uptime.saturating_add(app.now.since(at)))
}

/// Returns the age of what the service reported about its dependencies, where that may hold no more: the service is
/// stopped or silent.
pub(super) fn outdated_dependencies(app: &App, snapshot: &ServiceSnapshot) -> Option<Duration> {
    let observed = snapshot.dependencies.iter().map(|it| it.observed_at);
    let newest = observed.max_by_key(|at| at.mono)?;
    let old = snapshot.state == State::Stopped || is_old(app, snapshot, newest);
    old.then(|| app.now.since(newest))
}

/// Returns whether a report is too old to be taken for the present: two rounds of probes went by without another.
fn is_old(app: &App, snapshot: &ServiceSnapshot, reported: Moment) -> bool {
    let probes = snapshot.probes.iter();
    let interval = probes.map(|probe| probe.info.interval).max();
    let limit = interval.unwrap_or_default().saturating_mul(2) + Duration::from_secs(1);
    app.now.since(reported) > limit
}

/// Formats a heartbeat, as `12s ago, good for 30s, held by syncer-1, missed 1`. Its age grows between two probes.
pub(super) fn heartbeat(app: &App, heartbeat: &HeartbeatSnapshot) -> String {
    let last = heartbeat
        .beat_at
        .map(|at| format!("{} ago", since(app, at)));
    let fresh_for = heartbeat.fresh_for;
    let facts = [
        Some(last.unwrap_or_else(|| "none yet".to_owned())),
        fresh_for.map(|span| format!("good for {}", short_age(span))),
        heartbeat.holder.as_ref().map(|it| format!("held by {it}")),
        (heartbeat.missed > 0).then(|| format!("missed {}", heartbeat.missed)),
        heartbeat.is_final.then(|| "the last one".to_owned()),
    ];
    joined(facts, ", ").unwrap_or_default()
}
