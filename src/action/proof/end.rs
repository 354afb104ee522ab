//! When a proof is complete, and what it amounts to when the time is up before that.

use super::{
    APART, FRESH, Life, Look, Proof, SETTLED, STRANGER_FOR, STRANGER_SEEN, TURNED_DOWN, Who,
};
use crate::action::Verdict;
use crate::health::Moment;

/// Why nothing can be proved of a service of which nothing is known but what is sent to it.
pub const NOTHING_TO_LOOK_AT: &str = "neither an address nor a process is known to look at";
/// What would make it provable.
pub const WOULD_SHOW: &str =
    "a `url`, a probe by HTTP or TCP, or a `pid_file` would show what becomes of it";

impl Proof {
    /// The verdict, as soon as no later look could change it.
    pub(super) fn certain(&self, at: Moment) -> Option<(Verdict, String)> {
        self.stopped(at)
            .or_else(|| self.replaced(at))
            .or_else(|| self.not_taken(at))
    }

    /// Two looks, apart from each other and with nothing else between them, have found nothing.
    fn stopped(&self, at: Moment) -> Option<(Verdict, String)> {
        if at.since(self.gone_since?) < APART {
            return None;
        }
        let verdict = if self.exited() {
            Verdict::Stopped
        } else {
            Verdict::NotListening
        };
        Some((verdict, self.nothing_left()))
    }

    /// The old one is gone and another has taken its place.
    fn replaced(&self, at: Moment) -> Option<(Verdict, String)> {
        let who = self.answer.map(|(_, _, who)| who);
        let stranger = who.is_some_and(Who::is_new);
        let steady = || {
            self.stranger.filter(|(since, times)| {
                *times >= STRANGER_SEEN && at.since(*since) >= STRANGER_FOR
            })
        };
        let text = if self.exited() {
            // Its address was free in between, or who answers is proved to be new.
            let back = self.back_since.is_some();
            let proved = stranger && self.accepts();
            (back || proved).then(|| {
                format!(
                    "{}, but a new process answers at {}",
                    self.exits(),
                    self.accepting()
                )
            })
        } else if who == Some(Who::Reborn) {
            steady().map(|_| format!("{} and has replaced itself", self.running()))
        } else if self.processes.contains(&Life::Running) || self.subject.replicas {
            None
        } else if let Some(since) = self.back_since {
            let settled = self
                .answer
                .is_some_and(|(heard, _, who)| heard.mono >= since.mono && who == Who::Unknown)
                && at.since(since) >= SETTLED;
            (stranger || settled).then(|| {
                format!(
                    "nothing listened any more, but {} answers again",
                    self.accepting()
                )
            })
        } else {
            steady().map(|_| "the process was replaced: a new one answers".to_owned())
        };
        text.map(|text| (Verdict::GoneThenBack, text))
    }

    /// It said no, and goes on.
    fn not_taken(&self, at: Moment) -> Option<(Verdict, String)> {
        let (since, how) = self.turned_down.as_ref()?;
        let goes_on = match self.answer {
            Some((heard, draining, _)) if heard.mono > since.mono => !draining,
            _ => self.accepts(),
        };
        (goes_on && !self.drained && at.since(*since) >= TURNED_DOWN).then(|| {
            (
                Verdict::StillAnswering,
                format!("it {how} and goes on answering"),
            )
        })
    }

    /// The verdict when the time is up: what is known, and no more than that.
    pub(super) fn time_up(&self, at: Moment) -> (Verdict, String) {
        let after = short(at.since(self.began));
        let heard = self
            .answer
            .filter(|(heard, _, _)| at.since(*heard) <= FRESH && self.accepts());
        let turned_down = match &self.turned_down {
            Some((_, how)) => format!("; it {how}"),
            None => String::new(),
        };
        if let Some((_, true, who)) = heard
            && !who.is_new()
        {
            return (
                Verdict::StillDraining,
                format!("still draining after {after}"),
            );
        }
        if let Some((_, _, who)) = heard {
            return self.still_heard(who, &after, &turned_down);
        }
        if self.runs() && self.refused() {
            let text = if self.addresses.is_empty() {
                format!("{} after {after}", self.running())
            } else {
                format!("{}, but {} after {after}", self.refusal(), self.running())
            };
            return (Verdict::StillDraining, format!("{text}{turned_down}"));
        }
        if self.accepts() && self.drained {
            return (
                Verdict::StillDraining,
                format!(
                    "it said that it drains, and {} still accepts connections after {after}",
                    self.accepting()
                ),
            );
        }
        if self.accepts() && self.runs() {
            return (
                Verdict::StillAnswering,
                format!(
                    "{} still accepts connections and {} after {after}{turned_down}",
                    self.accepting(),
                    self.running()
                ),
            );
        }
        let hint = if self.is_blind() {
            format!(": {WOULD_SHOW}")
        } else {
            String::new()
        };
        (
            Verdict::Unverified,
            format!("{} after {after}{turned_down}{hint}", self.open_question()),
        )
    }

    /// Something answered a moment ago.
    fn still_heard(&self, who: Who, after: &str, turned_down: &str) -> (Verdict, String) {
        let where_ = self.accepting();
        match who {
            Who::Same => (
                Verdict::StillAnswering,
                format!("the same process answers at {where_} after {after}{turned_down}"),
            ),
            Who::Other => (
                Verdict::StillAnswering,
                format!(
                    "another process, which was there before, answers at {where_} after {after}"
                ),
            ),
            Who::New | Who::Reborn if self.runs() => (
                Verdict::StillAnswering,
                format!(
                    "{} and another process answers at {where_} after {after}",
                    self.running()
                ),
            ),
            Who::New | Who::Reborn | Who::Unknown if self.exited() || self.subject.replicas => (
                Verdict::Unverified,
                format!(
                    "something answers at {where_} after {after}, and nothing tells whether it is the old process{}",
                    if self.exited() {
                        format!(" ({})", self.exits())
                    } else {
                        String::new()
                    }
                ),
            ),
            Who::New | Who::Reborn | Who::Unknown => (
                Verdict::StillAnswering,
                format!("{where_} still answers after {after}{turned_down}"),
            ),
        }
    }

    /// What is not known, where neither an end nor a life is.
    fn open_question(&self) -> String {
        let place = match self.subject.addresses.as_slice() {
            [] => NOTHING_TO_LOOK_AT.to_owned(),
            _ if self.accepts() => match self.hollow {
                Some(code) => format!(
                    "{} answers {code}, which may be a proxy's word for a service that is gone,",
                    self.accepting()
                ),
                None => format!(
                    "{} accepts connections but does not answer",
                    self.accepting()
                ),
            },
            addresses if self.addresses.iter().all(|look| *look == Look::Unreachable) => {
                format!("{} cannot be looked at from here", list(addresses))
            }
            addresses => format!("{} neither refuses nor answers", list(addresses)),
        };
        if self.exited() {
            format!("{}, but {place}", self.exits())
        } else if self.runs() {
            format!("{place} and {}", self.running())
        } else {
            place
        }
    }

    /// `127.0.0.1:8000 refuses connections and pid 4711 (api) has exited`
    pub(super) fn nothing_left(&self) -> String {
        match (self.subject.addresses.is_empty(), self.exited()) {
            (true, _) => self.exits(),
            (false, true) => format!("{} and {}", self.refusal(), self.exits()),
            (false, false) => format!("{}; its process is not known", self.refusal()),
        }
    }

    pub(super) fn refusal(&self) -> String {
        let refusing = self.those(Look::Refused);
        let verb = if refusing.len() == 1 {
            "refuses"
        } else {
            "refuse"
        };
        format!("{} {verb} connections", list(&refusing))
    }

    pub(super) fn accepting(&self) -> String {
        let accepting = self.those(Look::Accepted);
        if accepting.is_empty() {
            list(&self.subject.addresses)
        } else {
            list(&accepting)
        }
    }

    pub(super) fn exits(&self) -> String {
        let verb = if self.subject.processes.len() == 1 {
            "has"
        } else {
            "have"
        };
        format!("{} {verb} exited", list(&self.subject.processes))
    }

    pub(super) fn running(&self) -> String {
        let running: Vec<String> = self
            .subject
            .processes
            .iter()
            .zip(&self.processes)
            .filter(|(_, life)| **life == Life::Running)
            .map(|(name, _)| name.clone())
            .collect();
        let verb = if running.len() == 1 { "runs" } else { "run" };
        format!("{} still {verb}", list(&running))
    }

    fn those(&self, wanted: Look) -> Vec<String> {
        self.subject
            .addresses
            .iter()
            .zip(&self.addresses)
            .filter(|(_, look)| **look == wanted)
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// `a`, `a and b`, `a, b and c`
pub(in crate::action) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `2.1s`
fn short(duration: std::time::Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}
