//! How late probes start: the worst of the last minute.
//!
//! Pure: times are durations since the schedule began.

use std::time::Duration;

/// The worst lateness of each of the last 60 seconds.
#[derive(Debug)]
pub(super) struct Lateness {
    worst: [Duration; 60],
    second: u64,
}

impl Lateness {
    /// Nothing was late yet.
    pub(super) const fn new() -> Self {
        Self {
            worst: [Duration::ZERO; 60],
            second: 0,
        }
    }

    /// A probe that was due at `due` starts at `now`.
    pub(super) fn record(&mut self, due: Duration, now: Duration) {
        self.forget_until(now);
        if let Some(worst) = self.worst.get_mut(place(now.as_secs())) {
            *worst = (*worst).max(now.saturating_sub(due));
        }
    }

    /// The worst of the last minute.
    pub(super) fn worst(&mut self, now: Duration) -> Duration {
        self.forget_until(now);
        self.worst.iter().copied().max().unwrap_or_default()
    }

    fn forget_until(&mut self, now: Duration) {
        let second = now.as_secs();
        for passed in (self.second..second).take(self.worst.len()) {
            if let Some(worst) = self.worst.get_mut(place(passed + 1)) {
                *worst = Duration::ZERO;
            }
        }
        self.second = self.second.max(second);
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second % 60).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_a_minute_is_forgotten_after_it() {
        let seconds = Duration::from_secs;
        let mut lateness = Lateness::new();
        lateness.record(seconds(1), seconds(3));
        lateness.record(seconds(9), seconds(10));
        let cases = [(10, 2), (62, 2), (63, 1), (69, 1), (70, 0), (4000, 0)];
        for (now, worst) in cases {
            assert_eq!(lateness.worst(seconds(now)), seconds(worst), "at {now}");
        }
        // A pause of hours clears it as well.
        lateness.record(seconds(4000), seconds(4005));
        assert_eq!(lateness.worst(seconds(4005)), seconds(5));
        assert_eq!(lateness.worst(seconds(40_000)), Duration::ZERO);
    }
}
