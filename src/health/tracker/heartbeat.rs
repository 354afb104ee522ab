//! Signs of life that are given again and again, and what follows where they do not come.
//!
//! Two clocks are at work, ours and that of whoever beats, and they need not agree. So a beat is dated once, when it is
//! first seen, and ages from there on our monotonic clock: not before the question was asked whose answer still showed
//! the one before it, and not after the answer that first showed it. In between the reported time counts. A clock that
//! jumps, here or there, moves nothing that was dated.
//!
//! A beat is missing only where a probe looked and it was not there: time alone would blame it for the pause between
//! two probes, and whoever is listed by a service that cannot be asked for what that service has lost.

use std::time::Duration;

use crate::health::{Beat, Heartbeat, HeartbeatSnapshot, Moment};

/// The number of heartbeats missed in a row that is a failure.
const TOO_MANY: u64 = 3;

/// The memory of one heartbeat.
#[derive(Debug)]
pub(super) struct HeartbeatState {
    reported: Heartbeat,
    /// When the last beat was; where there was none yet, when that was first seen.
    beat_at: Moment,
    /// When the question was asked by whose answer all this is known.
    probed_at: Moment,
    /// The last holder, also after it gave the heartbeat up.
    last_holder: Option<String>,
    /// The holder before, and the end of its time.
    relieved: Option<(String, Moment)>,
}

impl HeartbeatState {
    /// Takes in what an answer says of a heartbeat, which may be the first.
    pub(super) fn record(
        known: &mut Option<Self>,
        reported: &Heartbeat,
        asked: Moment,
        at: Moment,
    ) {
        match known {
            Some(heartbeat) => heartbeat.update(reported, asked, at),
            none => *none = Some(Self::new(reported, asked, at)),
        }
    }

    /// Creates the memory of a heartbeat that is reported for the first time.
    fn new(reported: &Heartbeat, asked: Moment, at: Moment) -> Self {
        Self {
            beat_at: dated(reported.beat, at, None),
            probed_at: asked,
            last_holder: reported.holder.clone(),
            relieved: None,
            reported: reported.clone(),
        }
    }

    /// Takes in what a later answer says of it.
    fn update(&mut self, reported: &Heartbeat, asked: Moment, at: Moment) {
        if asked.mono < self.probed_at.mono {
            return;
        }
        let since = match reported.beat {
            // No clock but ours has a part in an age.
            Beat::Ago(_) => None,
            Beat::At(_) | Beat::Never => Some(self.probed_at),
        };
        if since.is_none() || reported.beat != self.reported.beat {
            self.beat_at = dated(reported.beat, at, since);
        }
        if let Some(holder) = &reported.holder {
            let before = self.last_holder.replace(holder.clone());
            if let Some(before) = before.filter(|before| before != holder) {
                self.relieved = Some((before, at));
            }
        }
        self.probed_at = asked;
        self.reported = reported.clone();
    }

    /// Returns the number of heartbeats missed in a row at the latest probe; zero after a final one.
    fn missed(&self) -> u64 {
        let Some(fresh_for) = self.reported.fresh_for.filter(|_| !self.reported.is_final) else {
            return 0;
        };
        let overdue = self.probed_at.since(self.beat_at).checked_sub(fresh_for);
        let every = self.reported.every.unwrap_or(fresh_for).as_nanos().max(1);
        overdue.map_or(0, |overdue| {
            u64::try_from(overdue.as_nanos().div_ceil(every)).unwrap_or(u64::MAX)
        })
    }

    /// Returns the failure, once too many heartbeats are missed.
    pub(super) fn failure(&self) -> Option<String> {
        (self.missed() >= TOO_MANY).then(|| self.say_missed(TOO_MANY))
    }

    /// Returns how far an announced end has come.
    pub(super) fn end(&self) -> Option<HeartbeatEnd> {
        self.reported.is_final.then(|| {
            let age = self.probed_at.since(self.beat_at);
            match self.reported.fresh_for {
                Some(fresh_for) if age <= fresh_for => {
                    HeartbeatEnd::Announced(announcement(self.reported.message.as_deref()))
                }
                _ => HeartbeatEnd::Silent,
            }
        })
    }

    /// When the last beat was, if there was any.
    pub(super) fn beat_at(&self) -> Option<Moment> {
        (self.reported.beat != Beat::Never).then_some(self.beat_at)
    }

    /// Returns remarks that are no failure.
    pub(super) fn notes(&self, subject: &str) -> Vec<String> {
        let missed = self.missed();
        let state = match self.end() {
            Some(HeartbeatEnd::Announced(announcement)) => Some(announcement),
            Some(HeartbeatEnd::Silent) => {
                Some("stopped on purpose, the last beat said so".to_owned())
            }
            None => (1..TOO_MANY)
                .contains(&missed)
                .then(|| self.say_missed(missed)),
        };
        let relieved = self.relieved.as_ref().map(|(before, at)| {
            let now = self.last_holder.as_deref().unwrap_or("another");
            format!("taken over by {now} from {before} at {}", clock(*at))
        });
        let notes = state.into_iter().chain(relieved);
        notes.map(|note| format!("{subject}: {note}")).collect()
    }

    fn say_missed(&self, missed: u64) -> String {
        match self.beat_at() {
            Some(at) => format!("missed {missed}, no beat since {}", clock(at)),
            None => format!("missed {missed}, no beat yet"),
        }
    }

    /// Returns the heartbeat as it is shown.
    pub(super) fn snapshot(&self) -> HeartbeatSnapshot {
        HeartbeatSnapshot {
            beat_at: self.beat_at(),
            fresh_for: self.reported.fresh_for,
            missed: self.missed(),
            holder: self.reported.holder.clone(),
            is_final: self.reported.is_final,
        }
    }
}

/// The state after a final heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeartbeatEnd {
    /// The process may still be shutting down; says so, and what it is doing where it told that.
    Announced(String),
    /// The heartbeat is older than `fresh_for`.
    Silent,
}

fn announcement(message: Option<&str>) -> String {
    let announced = "the last beat says that it is shutting down";
    match message {
        Some(message) => format!("{announced}: {message}"),
        None => announced.to_owned(),
    }
}

/// When a beat was that an answer showed at `at` for the first time, `probed_at` being when another was still the last.
fn dated(beat: Beat, at: Moment, probed_at: Option<Moment>) -> Moment {
    let age = match beat {
        Beat::Never => Duration::ZERO,
        Beat::Ago(ago) => ago,
        // What lies ahead of us was just now.
        Beat::At(time) => {
            Duration::try_from(at.wall.duration_since(time)).unwrap_or(Duration::ZERO)
        }
    };
    let longest = probed_at.map_or(Duration::MAX, |probed_at| at.since(probed_at));
    at.minus(age.min(longest))
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
            message: None,
        }
    }

    #[test]
    fn our_own_clock_may_jump() {
        for skew in [-9, 9] {
            let mut heartbeat = HeartbeatState::new(&beat(0), at(1, 0), at(1, 0));
            heartbeat.update(&beat(0), at(6, skew), at(6, skew));
            assert_eq!(heartbeat.missed(), 0, "the same beat, {skew} h");
            heartbeat.update(&beat(9), at(11, skew), at(11, skew));
            assert_eq!(heartbeat.missed(), 0, "another beat, {skew} h");
            heartbeat.update(&beat(9), at(60, 0), at(60, 0));
            // It came between the two looks at 6 s and at 11 s.
            let missed = heartbeat.missed();
            assert!((4..=5).contains(&missed), "{missed}, {skew} h");
        }
    }
}
