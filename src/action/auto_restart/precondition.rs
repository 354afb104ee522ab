//! What has to hold when an automatic restart is sent. What was observed of the service may be seconds old, and somebody may
//! have acted on it since.

use std::time::Duration;

use jiff::Timestamp;

use crate::health::{Identity, LocalProcess, Moment, Sameness};

/// The longest time until what is seen on this machine is reported.
const OBSERVATION_DELAY: Duration = Duration::from_secs(10);

/// The longest time that a process which is asked to stop may live on.
const STOPPING: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);

/// The instance that is found when a restart is about to be sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CurrentInstance {
    pub(crate) identity: Identity,
    /// The process that answers, where that is on this machine.
    pub(crate) process: Option<LocalProcess>,
    /// The service has been asked to stop.
    pub(crate) draining: bool,
}

/// The observations on which an automatic restart is based.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Precondition {
    pub(super) expected: ExpectedState,
    /// The time since when the service has been seen in this state.
    pub(super) since: Moment,
    pub(super) identity: Identity,
    pub(super) process: Option<LocalProcess>,
    /// The time of the newest code.
    pub(super) code: Option<Timestamp>,
    /// The time when the service was last seen alive.
    pub(super) last_alive: Option<Moment>,
}

/// The state in which a restart expects to find the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedState {
    /// The service runs with old code.
    Stale,
    /// The service is not alive, whether its process runs or not.
    Unhealthy,
    /// An automatic restart has stopped the service and could not start it: no process is there.
    Down,
    /// An automatic restart has started the service, which did not get ready. Its process may have exited since.
    Unready,
}

impl Precondition {
    /// Tells whether a shutdown at this time is the reason that the service is down. A service that was seen alive long
    /// after it was started again without healthctl.
    pub(crate) fn is_shut_down(&self, at: Timestamp) -> bool {
        let was_alive = |alive: Moment| alive.wall.duration_since(at) > STOPPING;
        !self.last_alive.is_some_and(was_alive)
    }

    /// Tells whether the restart is only for a service that runs.
    pub(crate) const fn expects_running(&self) -> bool {
        matches!(self.expected, ExpectedState::Stale)
    }

    /// Tells whether the restart is still called for; `None` where nothing of the service is there.
    pub(crate) fn holds(&self, current: Option<&CurrentInstance>) -> bool {
        match (self.expected, current) {
            (ExpectedState::Unhealthy | ExpectedState::Down | ExpectedState::Unready, None) => true,
            // Somebody has stopped the service (one that exits by itself is seen as unhealthy), or has started it.
            (ExpectedState::Stale, None) | (ExpectedState::Down, Some(_)) => false,
            (ExpectedState::Stale | ExpectedState::Unready, Some(current)) => {
                !current.draining && !self.is_succeeded_by(current)
            }
            (ExpectedState::Unhealthy, Some(current)) => !self.is_succeeded_by(current),
        }
    }

    /// Tells whether somebody has put another process in the place of the one that was seen. A process that is older
    /// than the observation was merely not seen as the head of the service before.
    fn is_succeeded_by(&self, current: &CurrentInstance) -> bool {
        if Identity::compare(&self.identity, &current.identity).sameness == Sameness::New {
            return true;
        }
        let Some(process) = current.process else {
            return false;
        };
        if self.process.is_some_and(|seen| seen.pid == process.pid) {
            return false;
        }
        match self.expected {
            ExpectedState::Stale => {
                let has_newest_code = self.code.is_none_or(|code| code < process.started);
                has_newest_code && self.since.minus(OBSERVATION_DELAY).wall < process.started
            }
            ExpectedState::Unhealthy | ExpectedState::Down | ExpectedState::Unready => {
                self.since.wall < process.started
            }
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

    fn process(pid: u32, started: f64) -> LocalProcess {
        LocalProcess {
            pid,
            started: at(started).wall,
        }
    }

    /// Seen at 100 with process 7, which started at 10, and code of 95.
    fn precondition(expected: ExpectedState) -> Precondition {
        Precondition {
            expected,
            since: at(100.0),
            identity: Identity::default(),
            process: Some(process(7, 10.0)),
            code: Some(at(95.0).wall),
            last_alive: Some(at(99.0)),
        }
    }

    fn current(process: LocalProcess) -> CurrentInstance {
        CurrentInstance {
            process: Some(process),
            ..CurrentInstance::default()
        }
    }

    #[test]
    fn a_stale_service_has_to_run_still() {
        let stale = precondition(ExpectedState::Stale);
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
            assert_eq!(stale.holds(Some(&current(process))), holds, "{process:?}");
        }
        let unknown = CurrentInstance::default();
        assert!(stale.holds(Some(&unknown)));
        let draining = CurrentInstance {
            draining: true,
            ..current(process(7, 10.0))
        };
        assert!(!stale.holds(Some(&draining)), "somebody stops it");
    }

    #[test]
    fn another_reported_start_means_another_process() {
        let start = |seconds| Identity {
            start: Some(Start {
                at: at(seconds).wall,
                tolerance: Duration::ZERO,
                derived: false,
            }),
            ..Identity::default()
        };
        for (seen, now, holds) in [(10.0, 10.0, true), (10.0, 101.0, false)] {
            let stale = Precondition {
                identity: start(seen),
                process: None,
                ..precondition(ExpectedState::Stale)
            };
            let current = CurrentInstance {
                identity: start(now),
                ..CurrentInstance::default()
            };
            assert_eq!(stale.holds(Some(&current)), holds, "{now}");
        }
    }

    #[test]
    fn a_service_is_shut_down_unless_it_was_alive_long_after_the_shutdown() {
        let mut dead = precondition(ExpectedState::Unhealthy);
        assert!(dead.is_shut_down(at(98.0).wall));
        assert!(dead.is_shut_down(at(5.0).wall), "it was still stopping");
        dead.last_alive = Some(at(300.0));
        assert!(!dead.is_shut_down(at(5.0).wall));
        dead.last_alive = None;
        assert!(dead.is_shut_down(at(5.0).wall), "the dashboard came later");
    }

    #[test]
    fn the_process_of_an_unhealthy_service_may_run_or_not() {
        let dead = precondition(ExpectedState::Unhealthy);
        assert!(dead.holds(None));
        assert!(dead.holds(Some(&current(process(7, 10.0)))));
        assert!(dead.holds(Some(&current(process(9, 99.0)))));
        assert!(!dead.holds(Some(&current(process(9, 101.0)))));
    }

    #[test]
    fn a_service_that_an_automatic_restart_has_stopped_must_not_run_again() {
        let down = precondition(ExpectedState::Down);
        assert!(down.holds(None));
        assert!(!down.holds(Some(&current(process(9, 101.0)))));
        let unready = precondition(ExpectedState::Unready);
        assert!(unready.holds(None));
        assert!(unready.holds(Some(&current(process(9, 99.0)))));
        assert!(!unready.holds(Some(&current(process(9, 101.0)))));
    }
}
