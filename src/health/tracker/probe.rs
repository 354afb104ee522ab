//! One probe of a service, with everything that is remembered of it.

use std::sync::Arc;

use super::figures::Figures;
use super::heard::{Claim, Heard, broke_off};
use super::pulse::Pulse;
use super::standing::Standing;
use crate::health::{Moment, Outcome, ProbeInfo, ProbeResult, Reading, Role};

/// One probe: its configuration, its figures, what it counts as and what it last read.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) info: Arc<ProbeInfo>,
    /// Where it asks: two probes with one endpoint fall silent together.
    pub(super) endpoint: String,
    pub(super) figures: Figures,
    pub(super) standing: Standing,
    /// The latest reading that came; an answer without one leaves it.
    pub(super) reading: Option<(Arc<Reading>, Moment)>,
    /// When the question was asked that it answers.
    pub(super) asked: Option<Moment>,
    /// The sign of life that it reads.
    pub(super) pulse: Option<Pulse>,
    /// Whether the dependencies of that reading are remembered.
    pub(super) is_remembered: bool,
    /// What its latest answers say that explains codes.
    pub(super) claim: Option<Claim>,
    pub(super) heard: Option<Heard>,
    /// The latest answer was no success, and does not count for it.
    pub(super) excused: bool,
    /// Its connection broke off at the end of the process, and that was overlooked: once is enough.
    pub(super) broke_off: bool,
}

impl Probe {
    pub(super) fn new(info: Arc<ProbeInfo>) -> Self {
        Self {
            endpoint: endpoint(info.kind, &info.target).to_owned(),
            figures: Figures::new(&info),
            standing: Standing::new(
                info.failure_threshold,
                info.success_threshold,
                counts_first(info.role),
            ),
            reading: None,
            asked: None,
            pulse: None,
            is_remembered: false,
            claim: None,
            heard: None,
            excused: false,
            broke_off: false,
            info,
        }
    }

    /// Takes in what needs no weighing.
    pub(super) fn observe(&mut self, outcome: &Outcome, heard: Heard) {
        self.figures.record(outcome, heard.is_answer());
        self.heard = Some(heard);
        self.excused = false;
        self.broke_off &= broke_off(outcome);
    }

    /// Takes in what was read.
    pub(super) fn read(&mut self, reading: &Arc<Reading>, asked: Moment, at: Moment) {
        self.reading = Some((Arc::clone(reading), at));
        self.asked = Some(asked);
        if let Some(told) = &reading.heartbeat {
            match &mut self.pulse {
                Some(pulse) => pulse.hear(told, asked, at),
                none => *none = Some(Pulse::new(told, asked, at)),
            }
        }
        self.is_remembered = false;
    }

    /// What it knows is of a process that is gone.
    pub(super) fn forget(&mut self) {
        self.standing.forget(counts_first(self.info.role));
        self.claim = None;
        self.excused = false;
    }

    /// What it counts as.
    pub(super) fn counted(&self) -> Option<ProbeResult> {
        self.standing.counted().map(|counted| counted.result)
    }

    /// Good, bad, or not to be told.
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
