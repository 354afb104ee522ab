//! The state of a service and the reasons for it: what each probe and each dependency contributes, and what explains a
//! failure. A 503 with a body becomes a state here.

use std::sync::Arc;

use super::heartbeat::{HeartbeatEnd, HeartbeatState};
use super::probe::{PhaseClaim, ProbeState};
use super::thresholds::CountedResult;
use super::{Assessment, Tracker};
use crate::health::{Dependency, DependencyStatus, Moment, ProbeResult, Reading, Role, State};
use crate::text;

const NOT_ASKED: &str = "not asked yet";
const NOT_ASKED_AGAIN: &str = "not asked again yet";

/// A finding against *healthy*.
struct Finding {
    state: State,
    /// `None` where another finding tells more.
    reason: Option<FindingReason>,
}

struct FindingReason {
    /// The subject of the finding: `live`, `dependency qdrant`.
    subject: String,
    text: String,
}

/// The order in which contributions outrank each other: unhealthy > unready > unknown > degraded > healthy.
const fn rank(state: State) -> u8 {
    match state {
        State::Unhealthy => 5,
        State::Unready => 4,
        State::Unknown => 3,
        // A probe that has not come to count while the process comes up: less than known trouble, more than none.
        State::Starting => 2,
        State::Degraded => 1,
        State::Healthy | State::Draining | State::Stopped => 0,
    }
}

impl Tracker {
    pub(super) fn assess(&self, now: Moment) -> Assessment {
        if let Some(why) = self.shutdown.stopped() {
            if self.shutdown.process_runs() {
                return Assessment::new(
                    State::Draining,
                    "nobody listens any more, its process still runs",
                );
            }
            if self.startup.is_awaited() {
                return Assessment::new(State::Starting, "was started and does not answer yet");
            }
            return Assessment::new(State::Stopped, why);
        }
        if let Some(ending) = self.heartbeat_end() {
            return match ending {
                HeartbeatEnd::Announced => Assessment::new(
                    State::Draining,
                    "the last beat says that it is shutting down",
                ),
                HeartbeatEnd::Silent => Assessment::new(
                    State::Stopped,
                    "on purpose: the last beat said that it was shutting down",
                ),
            };
        }
        if let Some(claim) = self.claim() {
            return self.assess_claim(claim, now);
        }
        if self.startup.holds_back() {
            return self.assess_startup();
        }
        if self.startup.period_until(now).is_some() {
            let reason = self.latest_trouble().map_or_else(
                || "in its start period".to_owned(),
                |trouble| format!("in its start period: {trouble}"),
            );
            return Assessment::new(State::Starting, reason);
        }
        let assessment = combine(self.findings());
        let is_trouble = matches!(
            assessment.state,
            State::Unhealthy | State::Unready | State::Unknown
        );
        if is_trouble && self.startup.is_awaited() {
            let reason = assessment.reasons.first().map_or("", String::as_str);
            return Assessment::new(
                State::Starting,
                format!("was started and is not up yet: {reason}"),
            );
        }
        assessment
    }

    /// How far a service has come to an announced end of which nothing is known but its beats: that of the lease it is,
    /// or that of everyone who beats to it. While there is trouble in looking, or a word of its own, that counts.
    fn heartbeat_end(&self) -> Option<HeartbeatEnd> {
        let well = |probe: &ProbeState| {
            let counted = probe.thresholds.counted();
            counted.is_some_and(|counted| counted.result.is_success())
        };
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
            match self
                .dependencies
                .heartbeat(dependency)
                .map(HeartbeatState::end)
            {
                Some(Some(HeartbeatEnd::Announced)) => ending = Some(HeartbeatEnd::Announced),
                Some(Some(HeartbeatEnd::Silent)) => ending = ending.or(Some(HeartbeatEnd::Silent)),
                None if dependency.status == DependencyStatus::NotUsed => {}
                _ => return None,
            }
        }
        ending
    }

    /// Draining and starting explain codes, readiness and dependencies, but neither silence nor going on for ever.
    fn assess_claim(&self, claim: &PhaseClaim, now: Moment) -> Assessment {
        let late = claim.is_draining()
            && self
                .shutdown
                .drain_until()
                .is_some_and(|until| until.mono <= now.mono);
        if late {
            let timeout = text::format_duration(self.shutdown.timeout());
            return Assessment::new(State::Unhealthy, format!("still draining after {timeout}"));
        }
        let silent = self.probes.iter().filter_map(|probe| {
            let counted = probe.thresholds.counted()?;
            let counts = matches!(probe.info.role, Role::Live | Role::Status);
            (counts && counted.result == ProbeResult::Fail && !counted.answered)
                .then(|| finding(State::Unhealthy, &probe.info.name, explain(counted)))
        });
        let silent = combine(silent.collect());
        if silent.state == State::Unhealthy {
            return silent;
        }
        let (state, raw) = match claim {
            PhaseClaim::Draining(raw) => (State::Draining, raw),
            PhaseClaim::Starting(raw) => (State::Starting, raw),
        };
        let claims = |probe: &&ProbeState| probe.claim.as_ref() == Some(claim);
        let source = self.probes.iter().find(claims);
        let source = source.map_or("status", |probe| probe.info.name.as_str());
        Assessment::new(
            state,
            format!("{source}: {}", state_word(state, raw.as_deref())),
        )
    }

    fn assess_startup(&self) -> Assessment {
        let startup = || {
            self.probes
                .iter()
                .filter(|probe| probe.info.role == Role::Startup)
        };
        let turned = startup().find_map(|probe| Some((probe, probe.thresholds.counted()?)));
        match turned {
            Some((_, counted)) if counted.result == ProbeResult::Fail => Assessment::new(
                State::Unhealthy,
                format!("did not start: {}", explain(counted)),
            ),
            Some((probe, counted)) if counted.result == ProbeResult::Unknown => Assessment::new(
                State::Unknown,
                format!("{}: {}", probe.info.name, explain(counted)),
            ),
            _ => {
                let reason = startup()
                    .find_map(|probe| {
                        let failure = probe.stats.failure()?;
                        Some(format!("startup: not passed yet: {}", failure.message))
                    })
                    .unwrap_or_else(|| "startup: not passed yet".to_owned());
                Assessment::new(State::Starting, reason)
            }
        }
    }

    /// The latest answer that was no success, of the first probe that has one.
    fn latest_trouble(&self) -> Option<String> {
        self.probes.iter().find_map(|probe| {
            let latest = probe.stats.latest()?;
            let failure = probe.stats.failure()?;
            (!latest.is_success()).then(|| format!("{}: {}", probe.info.name, failure.message))
        })
    }

    fn findings(&self) -> Vec<Finding> {
        let asked = |probe: &ProbeState| probe.stats.latest().is_some();
        if !self.probes.iter().any(asked) {
            return vec![Finding {
                state: State::Unknown,
                reason: Some(FindingReason {
                    subject: String::new(),
                    text: NOT_ASKED.to_owned(),
                }),
            }];
        }
        let dependencies = self.dependency_findings();
        let worst_dependency = dependencies.iter().map(|it| rank(it.state)).max();
        let mut findings: Vec<_> = self
            .probes
            .iter()
            .filter(|probe| probe.info.role != Role::Startup)
            .flat_map(|probe| self.probe_findings(probe, worst_dependency.unwrap_or(0)))
            .collect();
        findings.extend(dependencies);
        findings.extend(self.absent_findings());
        findings.extend(self.probes.iter().filter_map(|probe| {
            let missed = probe.heartbeat.as_ref()?.failure()?;
            let counted = probe.thresholds.counted()?;
            // A look that failed tells its own story.
            let state = failed(probe, counted);
            (counted.result.is_success()).then(|| finding(state, &probe.info.name, missed))
        }));
        findings
    }

    /// What a probe contributes. `explained_up_to` is the rank of the worst dependency: a word that is no worse only sums
    /// up what the dependencies tell in detail.
    fn probe_findings(&self, probe: &ProbeState, explained_up_to: u8) -> Vec<Finding> {
        let name = &probe.info.name;
        let Some(counted) = probe.thresholds.counted() else {
            return vec![self.not_counted_yet(probe)];
        };
        let said = counted.reading.as_ref().and_then(|it| it.status.as_ref());
        let worse = |state: State| rank(state) > explained_up_to;
        match counted.result {
            ProbeResult::Unknown => vec![finding(State::Unknown, name, explain(counted))],
            ProbeResult::Fail => {
                vec![finding(failed(probe, counted), name, explain(counted))]
            }
            ProbeResult::Pass | ProbeResult::Warn => {
                let state = said.map_or(State::Healthy, |word| word.state);
                let floor = if counted.result == ProbeResult::Warn {
                    State::Degraded
                } else {
                    State::Healthy
                };
                let state = if rank(state) >= rank(floor) {
                    state
                } else {
                    floor
                };
                match state {
                    State::Healthy | State::Starting | State::Draining | State::Stopped => {
                        Vec::new()
                    }
                    state if worse(state) => vec![finding(state, name, explain(counted))],
                    state => vec![Finding {
                        state,
                        reason: None,
                    }],
                }
            }
        }
    }

    /// A probe of which no answer counts: either nobody asked, or the process is coming up and its failures are excused.
    fn not_counted_yet(&self, probe: &ProbeState) -> Finding {
        let name = &probe.info.name;
        if probe.thresholds.is_fresh() {
            let state = if self.startup.has_startup() {
                State::Starting
            } else {
                State::Unknown
            };
            let text = match probe.stats.latest() {
                None => NOT_ASKED,
                // What it found was of a process that is gone.
                Some(_) => NOT_ASKED_AGAIN,
            };
            return finding(state, name, text.to_owned());
        }
        let trouble = probe.stats.failure().map_or_else(
            || "no answer that counts yet".to_owned(),
            |failure| failure.message.clone(),
        );
        finding(State::Starting, name, trouble)
    }
}

/// The state that the failure of a probe speaks for.
fn failed(probe: &ProbeState, counted: &CountedResult) -> State {
    let reading = counted.reading.as_ref();
    let said = reading.and_then(|reading| reading.status.as_ref());
    match (probe.info.role, said.map(|word| word.state)) {
        (Role::Ready, _) | (Role::Status, Some(State::Unready)) => State::Unready,
        (Role::Named, _) if !probe.info.required => State::Degraded,
        _ => State::Unhealthy,
    }
}

fn finding(state: State, subject: &str, text: String) -> Finding {
    Finding {
        state,
        reason: Some(FindingReason {
            subject: subject.to_owned(),
            text,
        }),
    }
}

/// The worst state, and the reasons in the order of what they record_answer. Of several probes that tell the same, the first is
/// enough.
fn combine(mut findings: Vec<Finding>) -> Assessment {
    findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding.state)));
    let state = findings
        .first()
        .map_or(State::Healthy, |finding| finding.state);
    let mut reasons: Vec<FindingReason> = Vec::new();
    for reason in findings.into_iter().filter_map(|finding| finding.reason) {
        let is_probe = !reason.subject.starts_with("dependency ");
        let told = is_probe
            && reason.text != NOT_ASKED
            && reasons.iter().any(|earlier| earlier.text == reason.text);
        if !told {
            reasons.push(reason);
        }
    }
    let reasons = reasons
        .into_iter()
        .map(|FindingReason { subject, text }| {
            if subject.is_empty() {
                text
            } else {
                format!("{subject}: {text}")
            }
        })
        .collect();
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

impl Tracker {
    /// Returns the findings about the dependencies that the service reports on.
    fn dependency_findings(&self) -> Vec<Finding> {
        let Some(table) = self.counted_table() else {
            return Vec::new();
        };
        let ours = |dependency: &&Dependency| {
            !table.ignores_dependencies || self.info.required.contains(&dependency.name)
        };
        let dependencies = table.dependencies.iter().flatten().filter(ours);
        dependencies
            .filter_map(|dependency| {
                let dependency = &*self.dependencies.evaluate(dependency);
                let required = self.is_required(dependency);
                let state = match dependency.status {
                    DependencyStatus::Error if required => State::Unhealthy,
                    DependencyStatus::Error | DependencyStatus::Degraded => State::Degraded,
                    DependencyStatus::Unknown if required => State::Unknown,
                    _ => return None,
                };
                let subject = format!("dependency {}", dependency.name);
                Some(finding(state, &subject, describe(dependency)))
            })
            .collect()
    }

    /// Those that the inventory requires and no payload names: nothing is known of them.
    fn absent_findings(&self) -> Vec<Finding> {
        if self.info.required.is_empty() {
            return Vec::new();
        }
        let readings = self
            .probes
            .iter()
            .filter_map(|probe| probe.thresholds.counted()?.reading.as_ref());
        let tables: Vec<_> = readings
            .filter(|reading| reading.dependencies.is_some())
            .collect();
        // Where only failures are listed, not to be there is good news.
        if tables.is_empty() || tables.iter().any(|it| it.lists_failures_only) {
            return Vec::new();
        }
        let is_listed = |name: &String| {
            let mut all = tables
                .iter()
                .flat_map(|it| it.dependencies.iter().flatten());
            all.any(|dependency| dependency.name == *name)
        };
        let absent = self.info.required.iter().filter(|name| !is_listed(name));
        absent
            .map(|name| {
                let subject = format!("dependency {name}");
                finding(State::Unknown, &subject, "not reported".to_owned())
            })
            .collect()
    }

    /// The reading whose dependencies count: of the first probe that has some, thresholds applied.
    fn counted_table(&self) -> Option<&Arc<Reading>> {
        self.probes.iter().find_map(|probe| {
            let reading = probe.thresholds.counted()?.reading.as_ref()?;
            let table = reading.dependencies.as_ref()?;
            (!table.is_empty()).then_some(reading)
        })
    }

    pub(super) fn is_required(&self, dependency: &Dependency) -> bool {
        dependency.required || self.info.required.contains(&dependency.name)
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
