//! Which turns of a service's state its `on_change` command is told, and when: one after another, the newest first.

use crate::health::{Moment, Picture, State};
use crate::text;

/// A reason is told no longer than this.
const LONGEST: usize = 500;

/// A turn that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateTurn {
    /// What was told last, or what the service was when watching began.
    pub previous: State,
    /// What it has turned to.
    pub state: State,
    /// The first reason, in one line; empty where there is none.
    pub reason: String,
    /// When the first picture in this state was made.
    pub at: Moment,
}

/// What the command of one service was told, and what waits for its end.
#[derive(Debug, Default)]
pub struct Turns {
    told: Option<State>,
    /// What it was told is under way.
    running: bool,
    /// The newest state, where it is not the one that was told last.
    waiting: Option<StateTurn>,
}

impl Turns {
    /// Takes a picture in; gives the turn that is to be told now. Its end has to be told by [`ended`](Self::ended).
    ///
    /// What the service is when watching begins is no turn: nothing has happened to it.
    pub fn see(&mut self, picture: &Picture) -> Option<StateTurn> {
        let Some(told) = self.told else {
            if is_known(picture) {
                self.told = Some(picture.state);
            }
            return None;
        };
        if picture.state == told {
            self.waiting = None;
            return None;
        }
        let is_new = |turn: &StateTurn| turn.state != picture.state;
        if self.waiting.as_ref().is_none_or(is_new) {
            let reason = picture.reasons.first();
            self.waiting = Some(StateTurn {
                previous: told,
                state: picture.state,
                reason: reason.map_or_else(String::new, |reason| text::clean(reason, LONGEST)),
                at: picture.at,
            });
        }
        self.next()
    }

    /// The command has ended; gives the turn that is to be told now.
    pub fn ended(&mut self) -> Option<StateTurn> {
        self.running = false;
        self.next()
    }

    fn next(&mut self) -> Option<StateTurn> {
        if self.running {
            return None;
        }
        let turn = self.waiting.take()?;
        self.running = true;
        self.told = Some(turn.state);
        Some(turn)
    }
}

/// Whether the state is more than what is known before each probe was asked once, and before the service has come up.
fn is_known(picture: &Picture) -> bool {
    match picture.state {
        State::Unknown | State::Starting => false,
        // While the startup probe fails the others are not asked.
        State::Unhealthy => true,
        _ => picture.probes.iter().all(|probe| probe.latest.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::samples;
    use crate::health::{Fleet, ProbeResult, ProbeRule, Role};
    use std::time::Duration;

    /// A picture of a service with one probe that was not asked yet.
    fn picture() -> Picture {
        let mut rules = samples::service("api", "", "").rules();
        rules.probes.push(ProbeRule {
            name: "live".to_owned(),
            role: Role::Live,
            kind: "tcp",
            target: "localhost:1".to_owned(),
            failure_threshold: 1,
            success_threshold: 1,
            required: false,
            interval: Duration::from_secs(1),
        });
        let fleet = Fleet::new(vec![rules], Moment::at_seconds(0.0));
        (*fleet.pictures()[0]).clone()
    }

    /// Plays words: a letter is a picture in that state, `.` the end of the command. Gives what was told: `hx` is the
    /// turn from healthy to unhealthy.
    fn told(script: &str) -> String {
        let mut picture = picture();
        picture.probes[0].latest = Some(ProbeResult::Pass);
        let mut turns = Turns::default();
        let mut told = Vec::new();
        for word in script.chars() {
            let turn = if word == '.' {
                turns.ended()
            } else {
                picture.state = STATES.iter().find(|(letter, _)| *letter == word).unwrap().1;
                turns.see(&picture)
            };
            let letter = |state| STATES.iter().find(|(_, of)| *of == state).unwrap().0;
            told.extend(
                turn.map(|turn| format!("{}{}", letter(turn.previous), letter(turn.state))),
            );
        }
        told.join(" ")
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
    fn turns_are_told_one_after_another_and_none_for_nothing() {
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
            // It came back to what was told: nothing is to be told any more.
            ("hxhx.", "hx"),
            ("hxdx.d.", "hx xd"),
            ("hxh.", "hx xh"),
        ] {
            assert_eq!(told(script), expected, "{script}");
        }
    }

    #[test]
    fn nothing_is_known_before_each_probe_was_asked() {
        let mut picture = picture();
        let mut turns = Turns::default();
        for (state, latest) in [
            (State::Healthy, None),
            (State::Degraded, Some(ProbeResult::Warn)),
            (State::Degraded, Some(ProbeResult::Warn)),
        ] {
            picture.state = state;
            picture.probes[0].latest = latest;
            assert_eq!(turns.see(&picture), None);
        }
        picture.state = State::Healthy;
        assert_eq!(turns.see(&picture).unwrap().previous, State::Degraded);
    }
}
