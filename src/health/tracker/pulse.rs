//! Signs of life that are given again and again, and what follows where they do not come.
//!
//! Two clocks are at work, ours and that of whoever beats, and they need not agree. So a beat is dated once, when it is
//! first seen, and ages from there on our monotonic clock: not before the question was asked whose answer still showed
//! the one before it, and not after the answer that first showed it. In between the reported time counts. A clock that
//! jumps, here or there, moves nothing that was dated.
//!
//! A beat is missing only where somebody looked and it was not there: time alone would blame it for the pause between
//! two looks, and whoever is listed by a service that cannot be asked for what that service has lost.

use std::time::Duration;

use crate::health::{Beat, Heartbeat, HeartbeatSnapshot, Moment};

/// So many missing in a row are a failure.
const TOO_MANY: u64 = 3;

/// One sign of life and what is remembered of it.
#[derive(Debug)]
pub(super) struct Pulse {
    told: Heartbeat,
    /// When the last beat was; where there was none yet, when that was first seen.
    beat_at: Moment,
    /// When the question was asked by whose answer all this is known.
    looked: Moment,
    /// Who held it last, also after it was let go.
    last_holder: Option<String>,
    /// Who held it before, and when that was over.
    relieved: Option<(String, Moment)>,
}

impl Pulse {
    /// One that was not heard before.
    pub(super) fn new(told: &Heartbeat, asked: Moment, at: Moment) -> Self {
        Self {
            beat_at: dated(told.beat, at, None),
            looked: asked,
            last_holder: told.holder.clone(),
            relieved: None,
            told: told.clone(),
        }
    }

    /// Takes in what a later answer says of it.
    pub(super) fn hear(&mut self, told: &Heartbeat, asked: Moment, at: Moment) {
        if asked.mono < self.looked.mono {
            return;
        }
        match told.beat {
            // No clock but ours has a part in an age.
            Beat::Ago(_) => self.beat_at = dated(told.beat, at, None),
            Beat::At(_) | Beat::Never if told.beat != self.told.beat => {
                self.beat_at = dated(told.beat, at, Some(self.looked));
            }
            Beat::At(_) | Beat::Never => {}
        }
        if let Some(holder) = &told.holder {
            let before = self.last_holder.replace(holder.clone());
            if let Some(before) = before.filter(|before| before != holder) {
                self.relieved = Some((before, at));
            }
        }
        self.looked = asked;
        self.told = told.clone();
    }

    /// How many were missing in a row at the latest look. After a last one none is missed.
    fn missed(&self) -> u64 {
        let Some(fresh_for) = self.told.fresh_for.filter(|_| !self.told.is_final) else {
            return 0;
        };
        let overdue = self.looked.since(self.beat_at).checked_sub(fresh_for);
        let every = self.told.every.unwrap_or(fresh_for).as_nanos().max(1);
        overdue.map_or(0, |overdue| {
            u64::try_from(overdue.as_nanos().div_ceil(every)).unwrap_or(u64::MAX)
        })
    }

    /// What is wrong, once too many are missing.
    pub(super) fn failure(&self) -> Option<String> {
        (self.missed() >= TOO_MANY).then(|| self.say_missed(TOO_MANY))
    }

    /// How far it has come to an end that was announced.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.told.is_final.then(|| {
            let age = self.looked.since(self.beat_at);
            if self.told.fresh_for.is_none_or(|fresh_for| age > fresh_for) {
                Ending::Silent
            } else {
                Ending::Announced
            }
        })
    }

    /// When the last beat was, if there was any.
    pub(super) fn beat_at(&self) -> Option<Moment> {
        (self.told.beat != Beat::Never).then_some(self.beat_at)
    }

    /// What there is to say of it that is no failure.
    pub(super) fn notes(&self, subject: &str) -> Vec<String> {
        let missed = self.missed();
        let state = match self.ending() {
            Some(Ending::Announced) => Some(format!(
                "{subject}: the last beat says that it is shutting down"
            )),
            Some(Ending::Silent) => Some(format!(
                "{subject}: stopped on purpose, the last beat said so"
            )),
            None if (1..TOO_MANY).contains(&missed) => {
                Some(format!("{subject}: {}", self.say_missed(missed)))
            }
            None => None,
        };
        let relieved = self.relieved.as_ref().map(|(before, at)| {
            let now = self.last_holder.as_deref().unwrap_or("another");
            format!(
                "{subject}: taken over by {now} from {before} at {}",
                clock(*at)
            )
        });
        state.into_iter().chain(relieved).collect()
    }

    fn say_missed(&self, missed: u64) -> String {
        match self.beat_at() {
            Some(at) => format!("missed {missed}, no beat since {}", clock(at)),
            None => format!("missed {missed}, no beat yet"),
        }
    }

    /// All of it, for faces.
    pub(super) fn snapshot(&self) -> HeartbeatSnapshot {
        HeartbeatSnapshot {
            beat_at: self.beat_at(),
            fresh_for: self.told.fresh_for,
            missed: self.missed(),
            holder: self.told.holder.clone(),
            is_final: self.told.is_final,
        }
    }
}

/// What follows a beat that said it was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It may still be at work on its end.
    Announced,
    /// It has been silent for longer than a beat is fresh.
    Silent,
}

/// When a beat was that an answer showed at `at` for the first time, `looked` being when another was still the last.
fn dated(beat: Beat, at: Moment, looked: Option<Moment>) -> Moment {
    let reported = match beat {
        Beat::Never => Duration::ZERO,
        Beat::Ago(ago) => ago,
        // What lies ahead of us was just now.
        Beat::At(time) => {
            Duration::try_from(at.wall.duration_since(time)).unwrap_or(Duration::ZERO)
        }
    };
    let longest = looked.map_or(Duration::MAX, |looked| at.since(looked));
    at.minus(reported.min(longest))
}

/// A time, as people compare it: to the second.
fn clock(at: Moment) -> String {
    at.wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many seconds later on the monotonic clock, the wall clock being ahead by `skew` hours.
    fn at(seconds: u64, skew: i64) -> Moment {
        let plain = Moment::at_seconds(0.0).plus(Duration::from_secs(seconds));
        let wall = plain.wall + jiff::SignedDuration::from_hours(skew);
        Moment { wall, ..plain }
    }

    fn beat(seconds: u64) -> Heartbeat {
        Heartbeat {
            beat: Beat::At(at(seconds, 0).wall),
            fresh_for: Some(Duration::from_secs(10)),
            every: None,
            holder: None,
            is_final: false,
        }
    }

    #[test]
    fn our_own_clock_may_jump() {
        for skew in [-9, 9] {
            let mut pulse = Pulse::new(&beat(0), at(1, 0), at(1, 0));
            pulse.hear(&beat(0), at(6, skew), at(6, skew));
            assert_eq!(pulse.missed(), 0, "the same beat, {skew} h");
            pulse.hear(&beat(9), at(11, skew), at(11, skew));
            assert_eq!(pulse.missed(), 0, "another beat, {skew} h");
            pulse.hear(&beat(9), at(60, 0), at(60, 0));
            // It came between the two looks at 6 s and at 11 s.
            let missed = pulse.missed();
            assert!((4..=5).contains(&missed), "{missed}, {skew} h");
        }
    }
}
