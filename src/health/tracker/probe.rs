//! One probe of a service: what an outcome says of who is there, what is remembered of it, and its statistics.

use std::sync::Arc;

use super::heartbeat::HeartbeatState;
use super::thresholds::{Flapping, Thresholds};
use crate::health::{
    FailureKind, Moment, Outcome, ProbeInfo, ProbeResult, ProbeSnapshot, Reading, Role, State,
};

/// The state of one probe: its configuration, statistics, thresholds and last reading.
#[derive(Debug, Default)]
pub(super) struct ProbeState {
    pub(super) info: Arc<ProbeInfo>,
    /// The endpoint: two probes with the same endpoint are refused together.
    pub(super) endpoint: String,
    /// The statistics, in the shape in which they are shown, without the result with the thresholds applied.
    pub(super) stats: ProbeSnapshot,
    flapping: Flapping,
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
    /// When something last answered.
    pub(super) answered_at: Option<Moment>,
    /// The latest answer was no success, and something explains it, so the thresholds did not see it.
    pub(super) excused: bool,
    /// The connection broke off at the end of the process and this was excused; it is excused only once.
    pub(super) broke_off: bool,
}

impl ProbeState {
    pub(super) fn new(info: Arc<ProbeInfo>) -> Self {
        Self {
            endpoint: endpoint(info.kind, &info.target).to_owned(),
            stats: ProbeSnapshot {
                info: Arc::clone(&info),
                ..ProbeSnapshot::default()
            },
            thresholds: Thresholds::new(
                info.failure_threshold,
                info.success_threshold,
                counts_first(info.role),
            ),
            info,
            ..Self::default()
        }
    }

    /// Takes in what needs no weighing.
    pub(super) fn observe(&mut self, outcome: &Outcome, reachability: Reachability) {
        self.count(outcome, reachability.is_answer());
        self.reachability = Some(reachability);
        if reachability.is_answer() {
            self.answered_at = Some(outcome.at);
        }
        self.excused = false;
        self.broke_off &= broke_off(outcome);
    }

    /// Counts an answer; `came` is false where there was none, so that no time of one can be shown.
    fn count(&mut self, outcome: &Outcome, came: bool) {
        let stats = &mut self.stats;
        let success = outcome.result.is_success();
        if success {
            stats.counters.success = stats.counters.success.saturating_add(1);
            stats.consecutive_successes = stats.consecutive_successes.saturating_add(1);
            stats.consecutive_failures = 0;
            stats.last_success = Some(outcome.at);
        } else {
            stats.consecutive_failures = stats.consecutive_failures.saturating_add(1);
            stats.consecutive_successes = 0;
        }
        if outcome.result == ProbeResult::Fail {
            stats.counters.failure = stats.counters.failure.saturating_add(1);
            stats.last_failure = Some(outcome.at);
        }
        if stats.history.len() == HISTORY {
            stats.history.pop_front();
        }
        stats.history.push_back(outcome.latency.filter(|_| came));
        stats.latest = Some(outcome.result);
        stats.failure.clone_from(&outcome.failure);
        stats.latency = outcome.latency;
        stats.phases = outcome.phases;
        stats.code = outcome.code;
        stats.checked_at = Some(outcome.at);
        if outcome.address.is_some() {
            stats.address.clone_from(&outcome.address);
        }
        self.flapping.record(success);
        stats.flapping = self.flapping.raised;
    }

    /// Takes in what was read.
    pub(super) fn read(&mut self, reading: &Arc<Reading>, asked: Moment, at: Moment) {
        self.reading = Some((Arc::clone(reading), at));
        self.asked = Some(asked);
        if let Some(reported) = &reading.heartbeat {
            HeartbeatState::record(&mut self.heartbeat, reported, asked, at);
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
        Some(self.thresholds.counted.as_ref()?.result)
    }

    /// Returns the reading of the result with the thresholds applied.
    pub(super) fn counted_reading(&self) -> Option<&Arc<Reading>> {
        self.thresholds.counted.as_ref()?.reading.as_ref()
    }

    /// Returns whether the probe counts as a success; `None` where nothing counts or it is unknown. An excused failure is
    /// a failure here.
    pub(super) fn verdict(&self) -> Option<bool> {
        if self.excused {
            return Some(false);
        }
        let counted = self.counted().filter(|it| *it != ProbeResult::Unknown)?;
        Some(counted.is_success())
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
            match outcome.failure_kind() {
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
    let broke = matches!(
        outcome.failure_kind(),
        Some(FailureKind::Connect | FailureKind::Tls | FailureKind::Protocol)
    );
    broke && !outcome.refused
}

/// A word, header or flag of an answer that explains its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PhaseClaim {
    /// True: it says that it is draining; false: that it is starting.
    pub(super) is_draining: bool,
    /// The status word that says so, as written.
    pub(super) raw: Option<String>,
}

impl PhaseClaim {
    pub(super) fn of(reading: &Reading) -> Option<Self> {
        let status = reading.status.as_ref();
        let raw = status.and_then(|status| status.raw.clone());
        let (is_draining, raw) = match status.map(|status| status.state) {
            Some(State::Draining | State::Stopped) => (true, raw),
            // A flag or header says so, not the word.
            _ if reading.draining => (true, None),
            Some(State::Starting) => (false, raw),
            _ => return None,
        };
        Some(Self { is_draining, raw })
    }
}

/// Returns whether the answer is complete, so that a claim that it leaves out has ended.
pub(super) fn is_whole(outcome: &Outcome) -> bool {
    let partial = matches!(
        outcome.failure_kind(),
        Some(
            FailureKind::Timeout
                | FailureKind::Decode
                | FailureKind::BodyLimit
                | FailureKind::Protocol
        )
    );
    outcome.reading.is_some() || !partial
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
