//! Decides which state transitions of a service are passed to its `on_change` command, and when: one after another, the
//! newest first.

use crate::health::{Moment, ProbeResult, ServiceSnapshot, State};
use crate::text;

/// The longest reason that is passed to a command, in characters.
const MAX_REASON: usize = 500;

/// A transition that is passed to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateTransition {
    /// The state that was passed last, or that of the beginning.
    pub(crate) previous: State,
    pub(crate) state: State,
    /// The first reason, in one line; empty where there is none.
    pub(crate) reason: String,
    /// The time of the first snapshot in this state.
    pub(crate) at: Moment,
}

/// The transitions of one service.
#[derive(Debug, Default)]
pub(crate) struct TransitionQueue {
    /// The state that was passed last.
    passed: Option<State>,
    running: bool,
    /// The newest transition, where the command has not got it yet.
    waiting: Option<StateTransition>,
}

impl TransitionQueue {
    /// Takes in a snapshot. Returns the transition for which the command is to be run now; its end is reported by
    /// [`ended`](Self::ended).
    ///
    /// The state at the beginning is no transition: nothing has happened to the service.
    pub(crate) fn observe(&mut self, snapshot: &ServiceSnapshot) -> Option<StateTransition> {
        let Some(passed) = self.passed else {
            if is_known(snapshot) {
                self.passed = Some(snapshot.state);
            }
            return None;
        };
        if snapshot.state == passed {
            self.waiting = None;
            return None;
        }
        if is_premature(snapshot) {
            return None;
        }
        let waiting = self.waiting.as_ref();
        if waiting.is_none_or(|waiting| waiting.state != snapshot.state) {
            let reason = snapshot.reasons.first().map(String::as_str);
            self.waiting = Some(StateTransition {
                previous: passed,
                state: snapshot.state,
                reason: text::clean(reason.unwrap_or_default(), MAX_REASON),
                at: snapshot.at,
            });
        }
        self.next()
    }

    /// Records that the command has ended. Returns the transition for which it is to be run again.
    pub(crate) fn ended(&mut self) -> Option<StateTransition> {
        self.running = false;
        self.next()
    }

    fn next(&mut self) -> Option<StateTransition> {
        if self.running {
            return None;
        }
        let transition = self.waiting.take()?;
        self.running = true;
        self.passed = Some(transition.state);
        Some(transition)
    }
}

/// Tells whether a state is final: every probe has an answer, and the service has started.
fn is_known(snapshot: &ServiceSnapshot) -> bool {
    match snapshot.state {
        State::Unknown | State::Starting => false,
        // While the startup probe fails the others are not asked.
        State::Unhealthy => true,
        _ => snapshot.probes.iter().all(|probe| probe.latest.is_some()),
    }
}

/// Tells whether a state follows from fewer failures than the threshold of a probe, as after its first answer ever: it is
/// shown, and nothing else follows from it.
fn is_premature(snapshot: &ServiceSnapshot) -> bool {
    let weighed = matches!(
        snapshot.state,
        State::Unhealthy | State::Unready | State::Unknown | State::Degraded
    );
    let fails = |result: Option<ProbeResult>| result.is_some_and(|it| !it.is_success());
    let mut probes = snapshot.probes.iter();
    let turned = probes
        .clone()
        .any(|it| fails(it.counted) && it.has_turned());
    weighed && !turned && probes.any(|it| fails(it.counted) && fails(it.latest) && !it.has_turned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::samples;
    use crate::health::{Fleet, ProbeInfo, ProbeResult, Role};
    use std::time::Duration;

    /// A snapshot of a service with one probe that was not asked yet.
    fn snapshot() -> ServiceSnapshot {
        let mut rules = samples::service("api", "", "").info();
        rules.probes.push(ProbeInfo {
            name: "live".to_owned(),
            role: Role::Live,
            kind: "tcp",
            target: "localhost:1".to_owned(),
            failure_threshold: 1,
            success_threshold: 1,
            required: false,
            interval: Duration::from_secs(1),
            reports_dependencies: false,
        });
        let fleet = Fleet::new(vec![rules], Moment::at_seconds(0.0));
        (*fleet.snapshots()[0]).clone()
    }

    /// Plays a script: a letter is a snapshot in that state, `.` the end of the command. Returns what was passed: `hx` is the
    /// transition from healthy to unhealthy.
    fn passed(script: &str) -> String {
        let mut snapshot = snapshot();
        snapshot.probes[0].latest = Some(ProbeResult::Pass);
        let mut transitions = TransitionQueue::default();
        let mut passed = Vec::new();
        for word in script.chars() {
            let transition = if word == '.' {
                transitions.ended()
            } else {
                snapshot.state = STATES.iter().find(|(letter, _)| *letter == word).unwrap().1;
                transitions.observe(&snapshot)
            };
            let letter = |state| STATES.iter().find(|(_, of)| *of == state).unwrap().0;
            passed.extend(transition.map(|transition| {
                format!(
                    "{}{}",
                    letter(transition.previous),
                    letter(transition.state)
                )
            }));
        }
        passed.join(" ")
    }

    const STATES: [(char, State); 6] = [
        ('?', State::Unknown),
        ('s', State::Starting),
        ('h', State::Healthy),
        ('d', State::Degraded),
        ('x', State::Unhealthy),
        ('o', State::Stopped),
    ];

    #[test]
    fn transitions_are_passed_one_after_another() {
        for (script, expected) in [
            // What it is when watching begins.
            ("?h", ""),
            ("?sh", ""),
            ("?x", ""),
            ("hhh", ""),
            ("hx", "hx"),
            ("hx.h.", "hx xh"),
            ("h?.h", "h? ?h"),
            ("hosh...", "ho oh"),
            // While the command runs, only the newest waits for its end.
            ("hxd", "hx"),
            ("hxdo.", "hx xo"),
            // The state is the one that was passed last again, so nothing is left to pass.
            ("hxhx.", "hx"),
            ("hxdx.d.", "hx xd"),
            ("hxh.", "hx xh"),
        ] {
            assert_eq!(passed(script), expected, "{script}");
        }
    }

    #[test]
    fn a_state_is_unknown_before_each_probe_has_answered() {
        let mut snapshot = snapshot();
        let mut transitions = TransitionQueue::default();
        for (state, latest) in [
            (State::Healthy, None),
            (State::Degraded, Some(ProbeResult::Warn)),
            (State::Degraded, Some(ProbeResult::Warn)),
        ] {
            snapshot.state = state;
            snapshot.probes[0].latest = latest;
            assert_eq!(transitions.observe(&snapshot), None);
        }
        snapshot.state = State::Healthy;
        assert_eq!(
            transitions.observe(&snapshot).unwrap().previous,
            State::Degraded
        );
    }
}
