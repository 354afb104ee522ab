//! Derives the state of a service and the reasons for it from what each probe and each dependency contributes. Draining,
//! starting and the start period explain failures. This is the last step from a 503 with a body to a state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::heartbeat::{HeartbeatEnd, HeartbeatState};
use super::probe::{PhaseClaim, ProbeState, Reachability};
use super::thresholds::CountedResult;
use super::{Assessment, Tracker};
use crate::health::{
    Dependency, DependencyStatus, Moment, OnRecord, ProbeResult, Reading, Role, STILL_FRESH, State,
};
use crate::text;

const STILL_RUNS: &str = "nobody listens any more, its process still runs";
const NOT_ASKED: &str = "not asked yet";
const NOT_ASKED_AGAIN: &str = "not asked again yet";

/// A finding against *healthy*.
struct Finding {
    state: State,
    /// The subject of the finding: `live`, `dependency qdrant`; may be empty.
    subject: String,
    /// `None` where another finding tells more.
    text: Option<String>,
}

/// The order in which contributions outrank each other: unhealthy > unready > unknown > degraded > healthy.
const fn rank(state: State) -> u8 {
    match state {
        State::Unhealthy => 5,
        State::Unready => 4,
        State::Unknown => 3,
        // A probe of which no answer counts yet, while the process starts: less than known trouble, more than none.
        State::Starting => 2,
        State::Degraded => 1,
        State::Healthy | State::Draining | State::Stopped => 0,
    }
}

impl Tracker {
    pub(super) fn assess(&self, now: Moment) -> Assessment {
        if let Some(why) = self.shutdown.stopped() {
            // The process that is seen may be the one that was started since.
            let (state, reason) = if self.startup.is_awaited() {
                (State::Starting, "was started and does not answer yet")
            } else if self.shutdown.process_runs || self.host.process.is_some() {
                (State::Draining, STILL_RUNS)
            } else {
                (State::Stopped, why)
            };
            return Assessment::new(state, reason);
        }
        if let Some(assessment) = self.assess_exit() {
            return assessment;
        }
        if let Some(assessment) = self.assess_record(now) {
            return assessment;
        }
        match self.heartbeat_end() {
            None => {}
            Some(HeartbeatEnd::Announced(announcement)) => {
                return Assessment::new(State::Draining, announcement);
            }
            Some(HeartbeatEnd::Silent) => {
                let reason = "on purpose: the last beat said that it was shutting down";
                return Assessment::new(State::Stopped, reason);
            }
        }
        if let Some(claim) = self.claim() {
            return self.assess_claim(claim, now);
        }
        if self.startup.holds_back {
            return self.assess_startup();
        }
        if self.startup.period_until(now).is_some() {
            let reason = match self.latest_trouble() {
                Some(trouble) => format!("in its start period: {trouble}"),
                None => "in its start period".to_owned(),
            };
            return Assessment::new(State::Starting, reason);
        }
        let assessment = combine(self.findings());
        let is_trouble = matches!(
            assessment.state,
            State::Unhealthy | State::Unready | State::Unknown
        );
        if is_trouble && self.startup.is_awaited() {
            let reason = assessment.reasons.first().map_or("", String::as_str);
            let reason = format!("was started and is not up yet: {reason}");
            return Assessment::new(State::Starting, reason);
        }
        assessment
    }

    /// What the records tell of a service that does not answer, whoever made them; `None` where it answers, or an action
    /// of our own tells more.
    fn assess_record(&self, now: Moment) -> Option<Assessment> {
        if self.startup.is_awaited() || !self.is_unanswering() {
            return None;
        }
        let (state, reason) = match self.host.on_record {
            OnRecord::NeverStarted if !self.has_answered() => {
                (State::Stopped, "not running; healthctl has not started it")
            }
            OnRecord::ShutDown(at) if self.is_explained_by(at) => match self.host.process {
                Some(_) => (State::Draining, STILL_RUNS),
                None => (State::Stopped, "shut down on purpose"),
            },
            OnRecord::StartedUntil(until)
                if now.wall < until && !self.has_answered_since_start() =>
            {
                (State::Starting, "was started and does not answer yet")
            }
            _ => return None,
        };
        let is_shut_down = matches!(self.host.on_record, OnRecord::ShutDown(_));
        let traces = self.own_probes().find(|probe| self.goes_by_traces(probe));
        let traces = traces.filter(|probe| probe.stats.latest.is_some_and(ProbeResult::is_success));
        let traces = traces.map(|probe| {
            let name = &probe.info.name;
            format!("{name} still passes, maybe by what the process has left behind")
        });
        let why = self.latest_trouble().or(traces);
        let why = why.filter(|_| is_shut_down && state == State::Stopped);
        let reason = why.map_or_else(|| reason.to_owned(), |why| format!("{reason}; {why}"));
        Some(Assessment::new(state, reason))
    }

    /// Returns whether the records say that it does not run, and nothing contradicts them.
    pub(super) fn is_down_on_record(&self, now: Moment) -> bool {
        let assessment = self.assess_record(now);
        assessment.is_some_and(|it| it.state == State::Stopped)
    }

    /// Returns whether nothing of the service answers, as far as anybody has looked.
    pub(super) fn is_unanswering(&self) -> bool {
        let mut own = self.own_probes().filter(|it| it.reachability.is_some());
        let answers = |probe: &ProbeState| {
            let is_answer = probe.reachability.is_some_and(Reachability::is_answer);
            is_answer && !self.goes_by_traces(probe)
        };
        let has_looked = self.host.gone || own.next().is_some();
        has_looked && !self.own_probes().any(answers)
    }

    /// Returns whether what a probe answers may be what a process that has ended has left behind: a command may go by a
    /// heartbeat in a file. One that has failed since has passed again by something else.
    pub(super) fn goes_by_traces(&self, probe: &ProbeState) -> bool {
        let Some(exit) = &self.host.exit else {
            return false;
        };
        let is_close = |answer: Moment| answer.wall.duration_since(exit.at) < STILL_FRESH;
        let failed = probe.stats.last_failure;
        probe.info.kind == "exec"
            && self.host.process.is_none()
            && failed.is_none_or(|failed| failed.wall <= exit.at)
            && probe.answered_at.is_some_and(is_close)
    }

    fn has_answered(&self) -> bool {
        self.own_probes().any(|probe| probe.answered_at.is_some())
    }

    /// Returns whether it has answered since its process started, or at all where that process is not known.
    fn has_answered_since_start(&self) -> bool {
        let started = self.host.process.map(|process| process.started);
        let mut answers = self.own_probes().filter_map(|probe| probe.answered_at);
        answers.any(|answer| started.is_none_or(|started| answer.wall > started))
    }

    /// Returns whether a shutdown at this time explains that the service does not answer: it has not answered since, but
    /// for the time that it may take to drain.
    fn is_explained_by(&self, shutdown: Timestamp) -> bool {
        let since = |answered: Moment| answered.wall.duration_since(shutdown);
        let own = self.own_probes().filter(|it| !self.goes_by_traces(it));
        let mut ages = own.filter_map(|it| it.answered_at.map(since));
        self.past_shutdown != Some(shutdown)
            && ages.all(|age| Duration::try_from(age).unwrap_or_default() <= self.shutdown.timeout)
    }

    /// The probes that ask the service itself.
    fn own_probes(&self) -> impl Iterator<Item = &ProbeState> {
        let probes = self.probes.iter().enumerate();
        let own = probes.filter(|(index, _)| self.speaks_for_service(*index));
        own.map(|(_, probe)| probe)
    }

    /// The end of the process that healthctl started, where nothing has answered since and no action waits for another one:
    /// no probe has to find out.
    fn assess_exit(&self) -> Option<Assessment> {
        let exit = self.host.exit.as_ref().filter(|exit| !exit.asked)?;
        let answers = |probe: &ProbeState| {
            let last = probe.stats.last_success;
            last.is_some_and(|last| last.wall > exit.at) && !self.goes_by_traces(probe)
        };
        if self.startup.is_awaited() || self.own_probes().any(answers) {
            return None;
        }
        let reason = format!(
            "its process, pid {}, has ended by itself ({})",
            exit.pid, exit.how
        );
        let state = if exit.is_failure {
            State::Unhealthy
        } else {
            State::Stopped
        };
        Some(Assessment::new(state, reason))
    }

    /// Returns how far an announced shutdown has come, as far as final heartbeats tell: that of the service itself, or,
    /// where it reports no status, those of all its dependencies in use. `None` while a probe does not succeed.
    fn heartbeat_end(&self) -> Option<HeartbeatEnd> {
        let well = |probe: &ProbeState| probe.counted().is_some_and(ProbeResult::is_success);
        if !self.probes.iter().all(well) {
            return None;
        }
        let mut probes = self.probes.iter().enumerate();
        let own = probes.find_map(|(index, probe)| {
            let heartbeat = probe.heartbeat.as_ref()?;
            self.speaks_for_service(index).then(|| heartbeat.end())
        });
        if let Some(ending) = own {
            return ending;
        }
        let table = self.counted_table().filter(|it| it.status.is_none())?;
        let mut ending = None;
        for dependency in table.dependencies.iter().flatten() {
            let heartbeat = self.dependencies.heartbeat(dependency);
            match heartbeat.map(HeartbeatState::end) {
                Some(Some(announced @ HeartbeatEnd::Announced(_))) => ending = Some(announced),
                Some(Some(HeartbeatEnd::Silent)) => ending = ending.or(Some(HeartbeatEnd::Silent)),
                None if dependency.status == DependencyStatus::NotUsed => {}
                _ => return None,
            }
        }
        ending
    }

    /// Draining and starting explain codes, readiness and dependencies, but neither silence nor going on for ever.
    fn assess_claim(&self, claim: &PhaseClaim, now: Moment) -> Assessment {
        let until = self.shutdown.drain_until();
        if claim.is_draining && until.is_some_and(|until| until.mono <= now.mono) {
            let timeout = text::format_duration(self.shutdown.timeout);
            return Assessment::new(State::Unhealthy, format!("still draining after {timeout}"));
        }
        let silent = self.probes.iter().filter_map(|probe| {
            let counted = probe.thresholds.counted.as_ref()?;
            let counts = matches!(probe.info.role, Role::Live | Role::Status);
            (counts && counted.result == ProbeResult::Fail && !counted.answered)
                .then(|| Finding::new(State::Unhealthy, &probe.info.name, explain(counted)))
        });
        let silent = combine(silent.collect());
        if silent.state == State::Unhealthy {
            return silent;
        }
        let state = if claim.is_draining {
            State::Draining
        } else {
            State::Starting
        };
        let claims = |probe: &&ProbeState| probe.claim.as_ref() == Some(claim);
        let source = self.probes.iter().find(claims);
        let source = source.map_or("status", |probe| probe.info.name.as_str());
        let word = state_word(state, claim.raw.as_deref());
        Assessment::new(state, format!("{source}: {word}"))
    }

    fn assess_startup(&self) -> Assessment {
        let mut startup = self
            .probes
            .iter()
            .filter(|probe| probe.info.role == Role::Startup);
        let turned = startup
            .clone()
            .find_map(|probe| Some((probe, probe.thresholds.counted.as_ref()?)));
        if let Some((probe, counted)) = turned {
            let (state, subject) = match counted.result {
                ProbeResult::Fail => (State::Unhealthy, "did not start"),
                ProbeResult::Unknown => (State::Unknown, probe.info.name.as_str()),
                ProbeResult::Pass | ProbeResult::Warn => (State::Starting, ""),
            };
            if state != State::Starting {
                return Assessment::new(state, format!("{subject}: {}", explain(counted)));
            }
        }
        let reason = match startup.find_map(|probe| probe.stats.failure.as_ref()) {
            Some(failure) => format!("startup: not passed yet: {}", failure.message),
            None => "startup: not passed yet".to_owned(),
        };
        Assessment::new(State::Starting, reason)
    }

    /// The latest answer that was no success, of the first probe that has one.
    fn latest_trouble(&self) -> Option<String> {
        self.probes.iter().find_map(|probe| {
            let latest = probe.stats.latest?;
            let failure = probe.stats.failure.as_ref()?;
            (!latest.is_success()).then(|| format!("{}: {}", probe.info.name, failure.message))
        })
    }

    fn findings(&self) -> Vec<Finding> {
        if self.probes.iter().all(|probe| probe.stats.latest.is_none()) {
            return vec![Finding::new(State::Unknown, "", NOT_ASKED)];
        }
        let dependencies = self.dependency_findings();
        let worst_dependency = dependencies.iter().map(|it| rank(it.state)).max();
        let probes = self.probes.iter();
        let weighed = probes.filter(|probe| probe.info.role != Role::Startup);
        let mut findings: Vec<_> = weighed
            .filter_map(|probe| self.probe_finding(probe, worst_dependency.unwrap_or(0)))
            .collect();
        findings.extend(dependencies);
        findings.extend(self.absent_findings());
        findings.extend(self.probes.iter().filter_map(|probe| {
            let missed = probe.heartbeat.as_ref()?.failure()?;
            let counted = probe.thresholds.counted.as_ref()?;
            // A look that failed tells its own story.
            let state = failed(probe, counted);
            (counted.result.is_success()).then(|| Finding::new(state, &probe.info.name, missed))
        }));
        findings
    }

    /// What a probe contributes. `explained_up_to` is the rank of the worst dependency: a word that is no worse only sums
    /// up what the dependencies tell in detail.
    fn probe_finding(&self, probe: &ProbeState, explained_up_to: u8) -> Option<Finding> {
        let Some(counted) = &probe.thresholds.counted else {
            return Some(self.not_counted_yet(probe));
        };
        let state = match (counted.result, counted.said()) {
            (ProbeResult::Unknown, _) => State::Unknown,
            (ProbeResult::Fail, _) => failed(probe, counted),
            (ProbeResult::Pass, said) => said?,
            (ProbeResult::Warn, Some(said)) if rank(said) > rank(State::Degraded) => said,
            (ProbeResult::Warn, _) => State::Degraded,
        };
        let explained = counted.result.is_success() && rank(state) <= explained_up_to;
        match state {
            State::Healthy | State::Starting | State::Draining | State::Stopped => None,
            state => Some(Finding {
                state,
                subject: probe.info.name.clone(),
                text: (!explained).then(|| explain(counted)),
            }),
        }
    }

    /// A probe of which no answer counts: either nobody asked, or the process is coming up and its failures are excused.
    fn not_counted_yet(&self, probe: &ProbeState) -> Finding {
        let name = &probe.info.name;
        if !probe.thresholds.is_fresh() {
            let failure = probe.stats.failure.as_ref();
            let trouble = failure.map_or("no answer that counts yet", |it| it.message.as_str());
            return Finding::new(State::Starting, name, trouble);
        }
        let state = if self.startup.has_startup {
            State::Starting
        } else {
            State::Unknown
        };
        // What it found, if anything, was of a process that is gone.
        let asked = probe.stats.latest.is_some();
        Finding::new(state, name, if asked { NOT_ASKED_AGAIN } else { NOT_ASKED })
    }

    /// Returns the findings about the dependencies that the service reports on.
    fn dependency_findings(&self) -> Vec<Finding> {
        let Some(table) = self.counted_table() else {
            return Vec::new();
        };
        let ours = |dependency: &&Dependency| {
            !table.ignores_dependencies || self.is_required_here(dependency)
        };
        let dependencies = table.dependencies.iter().flatten().filter(ours);
        let findings = dependencies.filter_map(|dependency| {
            let dependency = &*self.dependencies.evaluate(dependency);
            let required = self.is_required(dependency);
            let state = match dependency.status {
                DependencyStatus::Error if required => State::Unhealthy,
                DependencyStatus::Error | DependencyStatus::Degraded => State::Degraded,
                DependencyStatus::Unknown if required => State::Unknown,
                _ => return None,
            };
            let subject = format!("dependency {}", dependency.name);
            Some(Finding::new(state, &subject, describe(dependency)))
        });
        findings.collect()
    }

    /// Those that the inventory requires and no payload names, also where an answer that should tell of dependencies has
    /// no table of them: nothing is known of them.
    fn absent_findings(&self) -> Vec<Finding> {
        let readings = self.probes.iter().filter_map(ProbeState::counted_reading);
        let tables: Vec<_> = readings.filter(|it| it.dependencies.is_some()).collect();
        let tells = |probe: &ProbeState| {
            probe.info.reports_dependencies && probe.counted().is_some_and(ProbeResult::is_success)
        };
        // Where only failures are listed, not to be there is good news.
        let good_news = tables.iter().any(|it| it.lists_failures_only);
        let answered = !tables.is_empty() || self.probes.iter().any(tells);
        if self.info.required.is_empty() || !answered || good_news {
            return Vec::new();
        }
        let listed = tables
            .iter()
            .flat_map(|it| it.dependencies.iter().flatten());
        let listed: BTreeSet<_> = listed.map(Dependency::reported_name).collect();
        let required = self.info.required.iter();
        let absent = required.filter(|name| !listed.contains(name.as_str()));
        let absent = absent.map(|name| {
            let subject = format!("dependency {name}");
            Finding::new(State::Unknown, &subject, "not reported")
        });
        absent.collect()
    }

    /// The reading whose dependencies count: of the first probe that has some, thresholds applied.
    fn counted_table(&self) -> Option<&Arc<Reading>> {
        let mut readings = self.probes.iter().filter_map(ProbeState::counted_reading);
        readings.find(|it| it.dependencies.as_ref().is_some_and(|it| !it.is_empty()))
    }

    pub(super) fn is_required(&self, dependency: &Dependency) -> bool {
        dependency.required || self.is_required_here(dependency)
    }

    /// Returns whether the inventory requires the dependency.
    fn is_required_here(&self, dependency: &Dependency) -> bool {
        self.info.required.contains(dependency.reported_name())
    }
}

/// The state that the failure of a probe speaks for.
fn failed(probe: &ProbeState, counted: &CountedResult) -> State {
    match (probe.info.role, counted.said()) {
        (Role::Ready, _) | (Role::Status, Some(State::Unready)) => State::Unready,
        (Role::Named, _) if !probe.info.required => State::Degraded,
        _ => State::Unhealthy,
    }
}

impl CountedResult {
    /// Returns the state that the service itself reports.
    fn said(&self) -> Option<State> {
        Some(self.reading.as_ref()?.status.as_ref()?.state)
    }
}

impl Finding {
    fn new(state: State, subject: &str, text: impl Into<String>) -> Self {
        Self {
            state,
            subject: subject.to_owned(),
            text: Some(text.into()),
        }
    }
}

/// Returns the worst state, and the reasons with the worst first. Of several probes with the same reason, only the first
/// is kept.
fn combine(mut findings: Vec<Finding>) -> Assessment {
    findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding.state)));
    let state = findings.first().map_or(State::Healthy, |it| it.state);
    let mut told: Vec<String> = Vec::new();
    let mut reasons = Vec::new();
    for Finding { subject, text, .. } in findings {
        let Some(text) = text else { continue };
        let is_probe = !subject.starts_with("dependency ");
        if is_probe && text != NOT_ASKED && told.contains(&text) {
            continue;
        }
        reasons.push(match subject.as_str() {
            "" => text.clone(),
            subject => format!("{subject}: {text}"),
        });
        told.push(text);
    }
    Assessment { state, reasons }
}

/// Why a probe counts as what it does: its failure, else what the service said of itself.
fn explain(counted: &CountedResult) -> String {
    if let Some(failure) = &counted.failure {
        return failure.message.clone();
    }
    let reading = counted.reading.as_ref();
    let word = reading.and_then(|reading| reading.status.as_ref());
    let message = reading.and_then(|reading| reading.message.as_deref());
    let word = word.map(|word| state_word(word.state, word.raw.as_deref()));
    match (word, message) {
        (Some(word), Some(message)) => format!("{word}: {message}"),
        (Some(word), None) => word,
        (None, Some(message)) => message.to_owned(),
        (None, None) => match counted.result {
            ProbeResult::Warn => "degraded".to_owned(),
            result => result.to_string(),
        },
    }
}

/// A state, and how the service itself calls it where that is another word.
fn state_word(state: State, raw: Option<&str>) -> String {
    match raw {
        Some(raw) if !raw.eq_ignore_ascii_case(state.as_str()) => {
            format!("{state} (says `{raw}`)")
        }
        _ => state.to_string(),
    }
}

/// A dependency in one line: `error: timeout after 2s`.
fn describe(dependency: &Dependency) -> String {
    let status = match (dependency.status, &dependency.word) {
        (DependencyStatus::Unknown, Some(word)) if word != "unknown" => {
            format!("status word not known: {word}")
        }
        (status, _) => status.to_string(),
    };
    match &dependency.error {
        Some(error) => format!("{status}: {error}"),
        None => status,
    }
}
