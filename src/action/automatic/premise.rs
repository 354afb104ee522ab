//! What a restart by itself rests on, and whether that still holds when it is about to be sent: what was seen of the
//! service may be seconds old, and somebody may have acted on it since.

use std::time::Duration;

use jiff::Timestamp;

use crate::health::{Identity, Moment, Sameness, Seen};

/// What is seen on this machine may be told so much later.
const LOOK: Duration = Duration::from_secs(10);

/// One that is asked to stop may live on so long.
const STOPPING: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);

/// Who is there when a restart is about to be sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Present {
    /// All that is known of who answers.
    pub identity: Identity,
    /// Its process, where that is on this machine.
    pub process: Option<Seen>,
    /// It has been asked to stop.
    pub draining: bool,
}

/// What a restart by itself rests on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Premise {
    pub(super) state: Supposed,
    /// Since when that has been seen.
    pub(super) since: Moment,
    /// Who was seen.
    pub(super) identity: Identity,
    pub(super) process: Option<Seen>,
    /// The time of its newest code.
    pub(super) code: Option<Timestamp>,
    /// When it was last seen to live.
    pub(super) lived: Option<Moment>,
}

/// What a service is supposed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supposed {
    /// It runs, with old code.
    Stale,
    /// It does not live; its process may be there or not.
    Unhealthy,
    /// We have taken it down and it has not come up: nothing of it is there.
    Down,
    /// We have started it and it has not got ready; it may have ended since.
    Unready,
}

impl Premise {
    /// Whether it is down because somebody has wanted that, at this time. One that was seen to live long after was started
    /// again by other hands than ours.
    pub(super) fn is_put_down(&self, at: Timestamp) -> bool {
        let has_lived = |lived: Moment| lived.wall.duration_since(at) > STOPPING;
        !self.lived.is_some_and(has_lived)
    }

    pub(super) const fn wants_it_running(&self) -> bool {
        matches!(self.state, Supposed::Stale)
    }

    /// Whether a restart is still called for; nobody is `present` where nothing of the service is there.
    pub(super) fn holds(&self, present: Option<&Present>) -> bool {
        match (self.state, present) {
            (Supposed::Unhealthy | Supposed::Down | Supposed::Unready, None) => true,
            // Somebody has stopped it meanwhile (what has ended by itself turns up as unhealthy), or has started it.
            (Supposed::Stale, None) | (Supposed::Down, Some(_)) => false,
            (Supposed::Stale | Supposed::Unready, Some(present)) => {
                !present.draining && !self.is_succeeded_by(present)
            }
            (Supposed::Unhealthy, Some(present)) => !self.is_succeeded_by(present),
        }
    }

    /// Whether somebody has put another process in the place of the one that was seen. One that is merely known by
    /// another of its processes has not begun since.
    fn is_succeeded_by(&self, present: &Present) -> bool {
        if Identity::compare(&self.identity, &present.identity).sameness == Sameness::New {
            return true;
        }
        let Some(process) = present.process else {
            return false;
        };
        if self.process.is_some_and(|seen| seen.pid == process.pid) {
            return false;
        }
        let since = self.since.wall;
        match self.state {
            Supposed::Stale => {
                let has_newest = self.code.is_none_or(|code| code < process.started);
                // It was there before it was seen.
                has_newest && self.since.minus(LOOK).wall < process.started
            }
            Supposed::Unhealthy | Supposed::Down | Supposed::Unready => since < process.started,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Start;

    fn at(seconds: f64) -> Moment {
        Moment::at_seconds(seconds)
    }

    fn process(pid: u32, started: f64) -> Seen {
        Seen {
            pid,
            started: at(started).wall,
        }
    }

    /// Seen at 100 with process 7, which started at 10, and code of 95.
    fn premise(state: Supposed) -> Premise {
        Premise {
            state,
            since: at(100.0),
            identity: Identity::default(),
            process: Some(process(7, 10.0)),
            code: Some(at(95.0).wall),
            lived: Some(at(99.0)),
        }
    }

    fn present(process: Seen) -> Present {
        Present {
            process: Some(process),
            ..Present::default()
        }
    }

    #[test]
    fn what_is_stale_has_to_be_there_still() {
        let stale = premise(Supposed::Stale);
        assert!(!stale.holds(None), "somebody has stopped it");
        for (process, holds) in [
            (process(7, 10.0), true),
            // Somebody has restarted it.
            (process(9, 101.0), false),
            (process(9, 98.0), false),
            // It has been there all the time, or has not the newest code either.
            (process(9, 50.0), true),
            (process(9, 94.0), true),
        ] {
            assert_eq!(stale.holds(Some(&present(process))), holds, "{process:?}");
        }
        let unknown = Present::default();
        assert!(stale.holds(Some(&unknown)));
        let draining = Present {
            draining: true,
            ..present(process(7, 10.0))
        };
        assert!(!stale.holds(Some(&draining)), "somebody stops it");
    }

    #[test]
    fn another_start_that_it_reports_is_another_process() {
        let start = |seconds| Identity {
            start: Some(Start {
                at: at(seconds).wall,
                tolerance: Duration::ZERO,
                derived: false,
            }),
            ..Identity::default()
        };
        for (seen, now, holds) in [(10.0, 10.0, true), (10.0, 101.0, false)] {
            let stale = Premise {
                identity: start(seen),
                process: None,
                ..premise(Supposed::Stale)
            };
            let present = Present {
                identity: start(now),
                ..Present::default()
            };
            assert_eq!(stale.holds(Some(&present)), holds, "{now}");
        }
    }

    #[test]
    fn what_somebody_has_had_stopped_is_down_unless_it_has_lived_long_since() {
        let mut dead = premise(Supposed::Unhealthy);
        assert!(dead.is_put_down(at(98.0).wall));
        assert!(dead.is_put_down(at(5.0).wall), "it was still stopping");
        dead.lived = Some(at(300.0));
        assert!(!dead.is_put_down(at(5.0).wall));
        dead.lived = None;
        assert!(dead.is_put_down(at(5.0).wall), "the dashboard came later");
    }

    #[test]
    fn what_does_not_live_may_be_there_or_not() {
        let dead = premise(Supposed::Unhealthy);
        assert!(dead.holds(None));
        assert!(dead.holds(Some(&present(process(7, 10.0)))));
        assert!(dead.holds(Some(&present(process(9, 99.0)))));
        assert!(!dead.holds(Some(&present(process(9, 101.0)))));
    }

    #[test]
    fn what_we_have_taken_down_is_started_by_nobody_else() {
        let down = premise(Supposed::Down);
        assert!(down.holds(None));
        assert!(!down.holds(Some(&present(process(9, 101.0)))));
        let unready = premise(Supposed::Unready);
        assert!(unready.holds(None));
        assert!(unready.holds(Some(&present(process(9, 99.0)))));
        assert!(!unready.holds(Some(&present(process(9, 101.0)))));
    }
}
