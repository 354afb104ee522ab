//! One probe of a service: what an outcome says of who is there, what is remembered of it, and its statistics.

use std::collections::VecDeque;
use std::sync::Arc;

use super::heartbeat::HeartbeatState;
use super::thresholds::{Flapping, Thresholds};
use crate::health::{
    Counters, Failure, FailureKind, Moment, Outcome, Phases, ProbeInfo, ProbeResult, ProbeSnapshot,
    Reading, Role, State,
};

/// The state of one probe: its configuration, statistics, thresholds and last reading.
#[derive(Debug)]
pub(super) struct ProbeState {
    pub(super) info: Arc<ProbeInfo>,
    /// The endpoint: two probes with the same endpoint are refused together.
    pub(super) endpoint: String,
    pub(super) stats: ProbeStats,
    pub(super) thresholds: Thresholds,
    /// The latest reading that came; an answer without one leaves it.
    pub(super) reading: Option<(Arc<Reading>, Moment)>,
    /// When the question was asked that it answers.
    pub(super) asked: Option<Moment>,
    /// The sign of life that it reads.
    pub(super) heartbeat: Option<HeartbeatState>,
    /// The dependencies of that reading have been recorded.
    pub(super) is_remembered: bool,
    /// The claim of the latest answers that explains status codes.
    pub(super) claim: Option<PhaseClaim>,
    pub(super) reachability: Option<Reachability>,
    /// The latest answer was no success, and does not count for it.
    pub(super) excused: bool,
    /// The connection broke off at the end of the process and this was excused; it is excused only once.
    pub(super) broke_off: bool,
}

impl ProbeState {
    pub(super) fn new(info: Arc<ProbeInfo>) -> Self {
        Self {
            endpoint: endpoint(info.kind, &info.target).to_owned(),
            stats: ProbeStats::new(&info),
            thresholds: Thresholds::new(
                info.failure_threshold,
                info.success_threshold,
                counts_first(info.role),
            ),
            reading: None,
            asked: None,
            heartbeat: None,
            is_remembered: false,
            claim: None,
            reachability: None,
            excused: false,
            broke_off: false,
            info,
        }
    }

    /// Takes in what needs no weighing.
    pub(super) fn observe(&mut self, outcome: &Outcome, reachability: Reachability) {
        self.stats.record(outcome, reachability.is_answer());
        self.reachability = Some(reachability);
        self.excused = false;
        self.broke_off &= broke_off(outcome);
    }

    /// Takes in what was read.
    pub(super) fn read(&mut self, reading: &Arc<Reading>, asked: Moment, at: Moment) {
        self.reading = Some((Arc::clone(reading), at));
        self.asked = Some(asked);
        if let Some(reported) = &reading.heartbeat {
            match &mut self.heartbeat {
                Some(heartbeat) => heartbeat.update(reported, asked, at),
                none => *none = Some(HeartbeatState::new(reported, asked, at)),
            }
        }
        self.is_remembered = false;
    }

    /// Forgets what belongs to a process that is gone.
    pub(super) fn forget(&mut self) {
        self.thresholds.forget(counts_first(self.info.role));
        self.claim = None;
        self.excused = false;
    }

    /// Returns the result with the thresholds applied.
    pub(super) fn counted(&self) -> Option<ProbeResult> {
        self.thresholds.counted().map(|counted| counted.result)
    }

    /// Good, bad, or not to be reported.
    pub(super) fn verdict(&self) -> Option<bool> {
        match self.counted() {
            _ if self.excused => Some(false),
            Some(ProbeResult::Pass | ProbeResult::Warn) => Some(true),
            Some(ProbeResult::Fail) => Some(false),
            Some(ProbeResult::Unknown) | None => None,
        }
    }
}

/// The first answer ever counts at once, except for `startup`.
const fn counts_first(role: Role) -> bool {
    !matches!(role, Role::Startup)
}

/// The part of a target that says where, without what is asked there.
fn endpoint<'a>(kind: &str, target: &'a str) -> &'a str {
    if kind == "exec" {
        return target;
    }
    let Some((scheme, rest)) = target.split_once("://") else {
        return target;
    };
    let end = match scheme {
        // The path of the request follows the path of the socket behind a colon.
        "unix" => rest.find(":/"),
        _ => rest.find(['/', '?', '#']),
    };
    let end = end.map_or(target.len(), |end| scheme.len() + "://".len() + end);
    target.get(..end).unwrap_or(target)
}

/// As many latencies as a sparkline has room for.
const HISTORY: usize = 60;

/// The stats of one probe, kept in the shape in which they are shown.
#[derive(Debug)]
pub(super) struct ProbeStats {
    shown: ProbeSnapshot,
    flapping: Flapping,
}

impl ProbeStats {
    pub(super) fn new(info: &Arc<ProbeInfo>) -> Self {
        Self {
            shown: ProbeSnapshot {
                info: Arc::clone(info),
                address: None,
                latest: None,
                counted: None,
                failure: None,
                latency: None,
                phases: Phases::default(),
                code: None,
                checked_at: None,
                counters: Counters::default(),
                consecutive_successes: 0,
                consecutive_failures: 0,
                last_success: None,
                last_failure: None,
                flapping: false,
                history: VecDeque::new(),
            },
            flapping: Flapping::default(),
        }
    }

    /// Takes in an answer; `came` is false where there was none, so that no time of one can be shown.
    pub(super) fn record(&mut self, outcome: &Outcome, came: bool) {
        let shown = &mut self.shown;
        let success = outcome.result.is_success();
        if success {
            shown.counters.success = shown.counters.success.saturating_add(1);
            shown.consecutive_successes = shown.consecutive_successes.saturating_add(1);
            shown.consecutive_failures = 0;
            shown.last_success = Some(outcome.at);
        } else {
            shown.consecutive_failures = shown.consecutive_failures.saturating_add(1);
            shown.consecutive_successes = 0;
        }
        if outcome.result == ProbeResult::Fail {
            shown.counters.failure = shown.counters.failure.saturating_add(1);
            shown.last_failure = Some(outcome.at);
        }
        if shown.history.len() == HISTORY {
            shown.history.pop_front();
        }
        shown.history.push_back(outcome.latency.filter(|_| came));
        shown.latest = Some(outcome.result);
        shown.failure.clone_from(&outcome.failure);
        shown.latency = outcome.latency;
        shown.phases = outcome.phases;
        shown.code = outcome.code;
        shown.checked_at = Some(outcome.at);
        if outcome.address.is_some() {
            shown.address.clone_from(&outcome.address);
        }
        self.flapping.record(success);
        shown.flapping = self.flapping.is_raised();
    }

    pub(super) const fn latest(&self) -> Option<ProbeResult> {
        self.shown.latest
    }

    pub(super) const fn failure(&self) -> Option<&Failure> {
        self.shown.failure.as_ref()
    }

    pub(super) const fn is_flapping(&self) -> bool {
        self.shown.flapping
    }

    pub(super) fn snapshot(&self, counted: Option<ProbeResult>) -> ProbeSnapshot {
        ProbeSnapshot {
            counted,
            ..self.shown.clone()
        }
    }
}

/// The reachability of a service, as one outcome shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reachability {
    /// The service answered: a status code, a payload, a success.
    Answered,
    /// Something listens, but gives no answer: a broken handshake, another protocol.
    Unintelligible,
    /// Nothing, and nothing follows from it: a time-out, a name that does not resolve, a fault on our own side.
    Unknown,
    /// Nothing listens: the connection was refused, or the socket is gone.
    Refused,
}

impl Reachability {
    pub(super) fn of(outcome: &Outcome) -> Self {
        if outcome.refused {
            Self::Refused
        } else if outcome.code.is_some() || outcome.reading.is_some() || outcome.result.is_success()
        {
            Self::Answered
        } else {
            match outcome.failure.as_ref().map(|failure| failure.kind) {
                Some(
                    FailureKind::Timeout
                    | FailureKind::Dns
                    | FailureKind::Connect
                    | FailureKind::Exit
                    | FailureKind::Local,
                )
                | None => Self::Unknown,
                Some(_) => Self::Unintelligible,
            }
        }
    }

    /// Returns whether something listens.
    pub(super) const fn is_answer(self) -> bool {
        matches!(self, Self::Answered | Self::Unintelligible)
    }
}

/// Whether the connection broke off: what a process that ends does to whoever is being served. Nobody listening is more
/// than that, and a time-out less.
pub(super) fn broke_off(outcome: &Outcome) -> bool {
    let kind = outcome.failure.as_ref().map(|failure| failure.kind);
    let broke = matches!(
        kind,
        Some(FailureKind::Connect | FailureKind::Tls | FailureKind::Protocol)
    );
    broke && !outcome.refused
}

/// A word, header or flag of an answer that explains its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PhaseClaim {
    /// The service says that it is finishing.
    Draining(Option<String>),
    /// The service says that it is coming up.
    Starting(Option<String>),
}

impl PhaseClaim {
    pub(super) fn of(reading: &Reading) -> Option<Self> {
        let status = reading.status.as_ref();
        let raw = status.and_then(|status| status.raw.clone());
        match status.map(|status| status.state) {
            Some(State::Draining | State::Stopped) => Some(Self::Draining(raw)),
            // A flag or header says so, not the word.
            _ if reading.draining => Some(Self::Draining(None)),
            Some(State::Starting) => Some(Self::Starting(raw)),
            _ => None,
        }
    }

    pub(super) const fn is_draining(&self) -> bool {
        matches!(self, Self::Draining(_))
    }
}

/// Returns whether the answer is complete, so that a claim that it leaves out has ended.
pub(super) fn is_whole(outcome: &Outcome) -> bool {
    let kind = outcome.failure.as_ref().map(|failure| failure.kind);
    outcome.reading.is_some()
        || !matches!(
            kind,
            Some(
                FailureKind::Timeout
                    | FailureKind::Decode
                    | FailureKind::BodyLimit
                    | FailureKind::Protocol
            )
        )
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn probes_of_one_listener_have_one_endpoint() {
        for (kind, target, expected) in [
            (
                "http",
                "http://localhost:8000/health/live",
                "http://localhost:8000",
            ),
            ("http", "http://localhost:8000", "http://localhost:8000"),
            ("http", "https://a/?b=c://d/e", "https://a"),
            (
                "http",
                "unix:///run/api.sock:/health",
                "unix:///run/api.sock",
            ),
            ("http", "unix:///run/api.sock", "unix:///run/api.sock"),
            ("tcp", "localhost:6379", "localhost:6379"),
            ("exec", "curl http://x/y", "curl http://x/y"),
            ("http", "", ""),
        ] {
            assert_eq!(endpoint(kind, target), expected, "{target}");
        }
    }
}
