//! The state of a service and the reasons for it: what each probe and dependency contributes, and what explains them away.

mod dependencies;

use super::Tracker;
use super::heard::Claim;
use super::probe::Probe;
use super::pulse::{Ending, Pulse};
use super::standing::Counted;
use crate::health::{DependencyStatus, Moment, ProbeResult, Role, State};
use crate::text;

const NOT_ASKED: &str = "not asked yet";
const NOT_ASKED_AGAIN: &str = "not asked again yet";

/// What is believed, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Belief {
    pub(super) state: State,
    /// Most important first.
    pub(super) reasons: Vec<String>,
}

impl Belief {
    fn new(state: State, reason: impl Into<String>) -> Self {
        Self {
            state,
            reasons: vec![reason.into()],
        }
    }
}

/// One thing that speaks against *healthy*.
struct Finding {
    state: State,
    /// `None` where another finding tells more.
    reason: Option<Reason>,
}

struct Reason {
    /// `live`, `dependency qdrant`.
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
    pub(super) fn believe(&self, now: Moment) -> Belief {
        if let Some(why) = self.ending.stopped() {
            if self.ending.lingers() {
                return Belief::new(
                    State::Draining,
                    "nobody listens any more, its process still runs",
                );
            }
            if self.coming_up.is_awaited() {
                return Belief::new(State::Starting, "was started and does not answer yet");
            }
            return Belief::new(State::Stopped, why);
        }
        if let Some(ending) = self.ending_pulse() {
            return match ending {
                Ending::Announced => Belief::new(
                    State::Draining,
                    "the last beat says that it is shutting down",
                ),
                Ending::Silent => Belief::new(
                    State::Stopped,
                    "on purpose: the last beat said that it was shutting down",
                ),
            };
        }
        if let Some(claim) = self.claim() {
            return self.believe_claim(claim, now);
        }
        if self.coming_up.holds_back() {
            return self.believe_startup();
        }
        if self.coming_up.period_until(now).is_some() {
            let reason = self.latest_trouble().map_or_else(
                || "in its start period".to_owned(),
                |trouble| format!("in its start period: {trouble}"),
            );
            return Belief::new(State::Starting, reason);
        }
        let belief = weigh_up(self.findings());
        let is_trouble = matches!(
            belief.state,
            State::Unhealthy | State::Unready | State::Unknown
        );
        if is_trouble && self.coming_up.is_awaited() {
            let reason = belief.reasons.first().map_or("", String::as_str);
            return Belief::new(
                State::Starting,
                format!("was started and is not up yet: {reason}"),
            );
        }
        belief
    }

    /// How far a service has come to an announced end of which nothing is known but its beats: that of the lease it is,
    /// or that of everyone who beats to it. While there is trouble in looking, or a word of its own, that counts.
    fn ending_pulse(&self) -> Option<Ending> {
        let well = |probe: &Probe| {
            let counted = probe.standing.counted();
            counted.is_some_and(|counted| counted.result.is_success())
        };
        if !self.probes.iter().all(well) {
            return None;
        }
        let mut probes = self.probes.iter().enumerate();
        let own = probes.find_map(|(index, probe)| {
            let pulse = probe.pulse.as_ref()?;
            self.speaks_for_service(index).then(|| pulse.ending())
        });
        if let Some(ending) = own {
            return ending;
        }
        let table = self.counted_table().filter(|it| it.status.is_none())?;
        let mut ending = None;
        for dependency in table.dependencies.iter().flatten() {
            match self.dependencies.pulse(dependency).map(Pulse::ending) {
                Some(Some(Ending::Announced)) => ending = Some(Ending::Announced),
                Some(Some(Ending::Silent)) => ending = ending.or(Some(Ending::Silent)),
                None if dependency.status == DependencyStatus::NotUsed => {}
                _ => return None,
            }
        }
        ending
    }

    /// Draining and starting explain codes, readiness and dependencies, but neither silence nor going on for ever.
    fn believe_claim(&self, claim: &Claim, now: Moment) -> Belief {
        let late = claim.is_draining()
            && self
                .ending
                .drain_until()
                .is_some_and(|until| until.mono <= now.mono);
        if late {
            let timeout = text::format_duration(self.ending.timeout());
            return Belief::new(State::Unhealthy, format!("still draining after {timeout}"));
        }
        let silent = self.probes.iter().filter_map(|probe| {
            let counted = probe.standing.counted()?;
            let counts = matches!(probe.info.role, Role::Live | Role::Status);
            (counts && counted.result == ProbeResult::Fail && !counted.spoke)
                .then(|| finding(State::Unhealthy, &probe.info.name, explain(counted)))
        });
        let silent = weigh_up(silent.collect());
        if silent.state == State::Unhealthy {
            return silent;
        }
        let (state, raw) = match claim {
            Claim::Draining(raw) => (State::Draining, raw),
            Claim::Starting(raw) => (State::Starting, raw),
        };
        let claims = |probe: &&Probe| probe.claim.as_ref() == Some(claim);
        let source = self.probes.iter().find(claims);
        let source = source.map_or("status", |probe| probe.info.name.as_str());
        Belief::new(state, format!("{source}: {}", say(state, raw.as_deref())))
    }

    fn believe_startup(&self) -> Belief {
        let startup = || {
            self.probes
                .iter()
                .filter(|probe| probe.info.role == Role::Startup)
        };
        let turned = startup().find_map(|probe| Some((probe, probe.standing.counted()?)));
        match turned {
            Some((_, counted)) if counted.result == ProbeResult::Fail => Belief::new(
                State::Unhealthy,
                format!("did not start: {}", explain(counted)),
            ),
            Some((probe, counted)) if counted.result == ProbeResult::Unknown => Belief::new(
                State::Unknown,
                format!("{}: {}", probe.info.name, explain(counted)),
            ),
            _ => {
                let reason = startup()
                    .find_map(|probe| {
                        let failure = probe.figures.failure()?;
                        Some(format!("startup: not passed yet: {}", failure.message))
                    })
                    .unwrap_or_else(|| "startup: not passed yet".to_owned());
                Belief::new(State::Starting, reason)
            }
        }
    }

    /// The latest answer that was no success, of the first probe that has one.
    fn latest_trouble(&self) -> Option<String> {
        self.probes.iter().find_map(|probe| {
            let latest = probe.figures.latest()?;
            let failure = probe.figures.failure()?;
            (!latest.is_success()).then(|| format!("{}: {}", probe.info.name, failure.message))
        })
    }

    fn findings(&self) -> Vec<Finding> {
        let asked = |probe: &Probe| probe.figures.latest().is_some();
        if !self.probes.iter().any(asked) {
            return vec![Finding {
                state: State::Unknown,
                reason: Some(Reason {
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
            let missed = probe.pulse.as_ref()?.failure()?;
            let counted = probe.standing.counted()?;
            // A look that failed tells its own story.
            let state = failed(probe, counted);
            (counted.result.is_success()).then(|| finding(state, &probe.info.name, missed))
        }));
        findings
    }

    /// What a probe contributes. `explained_up_to` is the rank of the worst dependency: a word that is no worse only sums
    /// up what the dependencies tell in detail.
    fn probe_findings(&self, probe: &Probe, explained_up_to: u8) -> Vec<Finding> {
        let name = &probe.info.name;
        let Some(counted) = probe.standing.counted() else {
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
    fn not_counted_yet(&self, probe: &Probe) -> Finding {
        let name = &probe.info.name;
        if probe.standing.is_fresh() {
            let state = if self.coming_up.has_startup() {
                State::Starting
            } else {
                State::Unknown
            };
            let text = match probe.figures.latest() {
                None => NOT_ASKED,
                // What it found was of a process that is gone.
                Some(_) => NOT_ASKED_AGAIN,
            };
            return finding(state, name, text.to_owned());
        }
        let trouble = probe.figures.failure().map_or_else(
            || "no answer that counts yet".to_owned(),
            |failure| failure.message.clone(),
        );
        finding(State::Starting, name, trouble)
    }
}

/// The state that the failure of a probe speaks for.
fn failed(probe: &Probe, counted: &Counted) -> State {
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
        reason: Some(Reason {
            subject: subject.to_owned(),
            text,
        }),
    }
}

/// The worst state, and the reasons in the order of what they weigh. Of several probes that tell the same, the first is
/// enough.
fn weigh_up(mut findings: Vec<Finding>) -> Belief {
    findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding.state)));
    let state = findings
        .first()
        .map_or(State::Healthy, |finding| finding.state);
    let mut reasons: Vec<Reason> = Vec::new();
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
        .map(|Reason { subject, text }| {
            if subject.is_empty() {
                text
            } else {
                format!("{subject}: {text}")
            }
        })
        .collect();
    Belief { state, reasons }
}

/// Why a probe counts as what it does: its failure, else what the service said of itself.
fn explain(counted: &Counted) -> String {
    if let Some(failure) = &counted.failure {
        return failure.message.clone();
    }
    let reading = counted.reading.as_ref();
    let word = reading.and_then(|reading| reading.status.as_ref());
    let message = reading.and_then(|reading| reading.message.as_deref());
    let word = word.map(|word| say(word.state, word.raw.as_deref()));
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
fn say(state: State, raw: Option<&str>) -> String {
    match raw {
        Some(raw) if !raw.eq_ignore_ascii_case(state.as_str()) => {
            format!("{state} (says `{raw}`)")
        }
        _ => state.to_string(),
    }
}
