//! What one probe has shown so far: the latest answer, counters, ages, latencies. Thresholds have no part in it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::flapping::Flapping;
use crate::health::{Counters, Failure, Outcome, Phases, ProbeInfo, ProbeResult, ProbeSnapshot};

/// As many latencies as a sparkline has room for.
const HISTORY: usize = 60;

/// The figures of one probe, kept in the shape in which they are shown.
#[derive(Debug)]
pub(super) struct Figures {
    shown: ProbeSnapshot,
    flapping: Flapping,
}

impl Figures {
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
