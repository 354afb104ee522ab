//! The event log: changes of state, flags and dependencies, steps and results of actions, in words.

use std::collections::VecDeque;

use crate::action::Verdict;
use crate::event::{ActionResult, ActionStep};
use crate::health::{Change, DependencyStatus, Moment, ServiceSnapshot, State};
use crate::text::short_latency;

/// The largest number of events kept.
const KEPT: usize = 1_000;

/// The subject of an entry. It decides how the entry looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    /// The service changed to this state.
    State(State),
    /// A dependency changed to this status.
    Dependency(DependencyStatus),
    /// A flag, a version or a process changed.
    Remark,
    Step,
    Verdict(Verdict),
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogEntry {
    pub(crate) at: Moment,
    pub(crate) service: Option<String>,
    pub(crate) kind: LogKind,
    pub(crate) text: String,
}

impl LogEntry {
    pub(super) fn new(at: Moment, service: Option<&str>, kind: LogKind, text: String) -> Self {
        Self {
            at,
            service: service.map(str::to_owned),
            kind,
            text,
        }
    }
}

/// The newest entries, newest first.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    entries: VecDeque<LogEntry>,
}

impl EventLog {
    /// Returns the entries, newest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn push(&mut self, entry: LogEntry) {
        self.entries.push_front(entry);
        self.entries.truncate(KEPT);
    }
}

/// Returns an entry for each change that matters between two snapshots of a service.
pub(crate) fn of_snapshot(
    old: &ServiceSnapshot,
    new: &ServiceSnapshot,
    changed: &[Change],
) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    let mut add = |kind, text| {
        entries.push(LogEntry::new(new.at, Some(&new.info.name), kind, text));
    };
    // That 1,000 services answer for the first time and are well is no news.
    let first =
        old.state == State::Unknown && old.probes.iter().any(|probe| probe.latest.is_none());
    if changed.contains(&Change::Start)
        && let (Some(was), Some(is)) = (old.started, new.started)
    {
        let text = format!(
            "a new process: started {}, the one before {}",
            clock(is.at),
            clock(was.at)
        );
        add(LogKind::Remark, text);
    }
    if changed.contains(&Change::Version)
        && let (Some(was), Some(is)) = (&old.version, &new.version)
    {
        add(LogKind::Remark, format!("version {was} → {is}"));
    }
    for flag in new.flags.difference(&old.flags) {
        add(LogKind::Remark, format!("now {flag}"));
    }
    for flag in old.flags.difference(&new.flags) {
        add(LogKind::Remark, format!("no longer {flag}"));
    }
    for dependency in &new.dependencies {
        let mut before = old.dependencies.iter();
        if let Some(was) = before.find(|it| it.name == dependency.name)
            && was.status != dependency.status
        {
            let why = reason(dependency.error.as_ref());
            let text = format!(
                "dependency {}: {} → {}{why}",
                dependency.name, was.status, dependency.status
            );
            add(LogKind::Dependency(dependency.status), text);
        }
    }
    if old.state != new.state && !(first && new.state == State::Healthy) {
        let was = if first {
            String::new()
        } else {
            format!("{} → ", old.state)
        };
        let text = format!("{was}{}{}", new.state, reason(new.reasons.first()));
        add(LogKind::State(new.state), text);
    }
    entries
}

/// Formats a reason as it stands behind what it explains; nothing where there is none.
fn reason(why: Option<&String>) -> String {
    why.map_or_else(String::new, |why| format!(": {why}"))
}

pub(crate) fn of_step(step: &ActionStep) -> LogEntry {
    let text = format!("{}: {}", step.action, step.text);
    LogEntry::new(step.at, Some(&step.service), LogKind::Step, text)
}

pub(crate) fn of_result(result: &ActionResult) -> LogEntry {
    let elapsed = short_latency(result.elapsed);
    let (action, verdict) = (result.action, result.verdict);
    let text = format!("{action}: {verdict} after {elapsed}: {}", result.text);
    let kind = LogKind::Verdict(verdict);
    LogEntry::new(result.at, Some(&result.service), kind, text)
}

/// Formats a time of day in UTC. The date is left out because it would hide what is different.
fn clock(at: jiff::Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::action::Action;
    use crate::health::{Flag, ProbeResult};
    use crate::tui::samples;

    fn texts(old: &ServiceSnapshot, new: &ServiceSnapshot, changed: &[Change]) -> Vec<String> {
        of_snapshot(old, new, changed)
            .into_iter()
            .map(|entry| entry.text)
            .collect()
    }

    #[test]
    fn a_first_healthy_answer_is_no_news_and_a_bad_one_is() {
        let waiting = samples::waiting("api");
        let healthy = samples::snapshot("api", State::Healthy);
        assert!(texts(&waiting, &healthy, &[Change::State]).is_empty());
        let mut bad = samples::snapshot("api", State::Unhealthy);
        bad.reasons = vec!["live: connection refused".to_owned()];
        assert_eq!(
            texts(&waiting, &bad, &[Change::State]),
            ["unhealthy: live: connection refused"]
        );
    }

    #[test]
    fn turns_name_both_states_and_the_reason() {
        let healthy = samples::snapshot("api", State::Healthy);
        let mut degraded = samples::snapshot("api", State::Degraded);
        degraded.reasons = vec!["dependency qdrant: error".to_owned(), "another".to_owned()];
        degraded.flags.insert(Flag::Flapping);
        assert_eq!(
            texts(&healthy, &degraded, &[Change::State, Change::Flags]),
            [
                "now flapping",
                "healthy → degraded: dependency qdrant: error"
            ]
        );
        assert_eq!(
            texts(&degraded, &healthy, &[Change::State, Change::Flags]),
            ["no longer flapping", "degraded → healthy"]
        );
    }

    #[test]
    fn a_dependency_that_turns_is_news_of_its_own() {
        let mut old = samples::snapshot("api", State::Healthy);
        old.dependencies = vec![samples::dependency("db", DependencyStatus::Working)];
        let mut new = samples::snapshot("api", State::Healthy);
        let mut db = samples::dependency("db", DependencyStatus::Error);
        db.error = Some("timeout".to_owned());
        new.dependencies = vec![db];
        assert_eq!(
            texts(&old, &new, &[Change::Dependency]),
            ["dependency db: working → error: timeout"]
        );
    }

    #[test]
    fn figures_that_move_are_no_news() {
        let old = samples::snapshot("api", State::Healthy);
        let mut new = old.clone();
        for probe in &mut new.probes {
            probe.latest = Some(ProbeResult::Pass);
            probe.latency = Some(Duration::from_secs(1));
        }
        assert!(texts(&old, &new, &[]).is_empty());
    }

    #[test]
    fn the_end_of_an_action_gives_verdict_time_and_evidence() {
        let result = ActionResult {
            service: "api".to_owned(),
            action: Action::Shutdown,
            verdict: Verdict::Stopped,
            text: "pid 4711 has exited".to_owned(),
            evidence: Vec::new(),
            parts: Vec::new(),
            details: crate::event::ActionDetails::default(),
            elapsed: Duration::from_millis(2_100),
            at: Moment::at_seconds(9.0),
        };
        assert_eq!(
            of_result(&result).text,
            "shutdown: stopped after 2.1s: pid 4711 has exited"
        );
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut log = EventLog::default();
        for n in 0..KEPT + 5 {
            let at = Moment::at_seconds(0.0);
            log.push(LogEntry::new(at, None, LogKind::Remark, n.to_string()));
        }
        assert_eq!(log.len(), KEPT);
        assert_eq!(log.entries().next().unwrap().text, (KEPT + 4).to_string());
    }
}
