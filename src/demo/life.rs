//! What becomes of a dependency over time, by itself or by hand. Pure: the time is handed in.

use std::time::Duration;

/// How a dependency fares when nobody touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It is well; the error is what it says when broken by hand.
    Steady {
        latency: Duration,
        error: &'static str,
    },
    /// It is well for a time, fails for a time, and so on.
    Cycle {
        well: Duration,
        failing: Duration,
        latency: Duration,
        error: &'static str,
    },
    /// It works, but takes its time, between two bounds; `usual` where all is calm.
    Slow {
        least: Duration,
        most: Duration,
        usual: Duration,
    },
    /// It is well; broken by hand it goes on with less.
    Impaired {
        latency: Duration,
        message: &'static str,
    },
    /// It is well; broken by hand it never answers again.
    Hanging { latency: Duration },
    /// It is not configured.
    NotUsed { error: &'static str },
}

/// What a hand has done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hand {
    /// Nothing yet: it lives by itself.
    #[default]
    Off,
    /// Broken until it is mended.
    Broken,
    /// Mended, and well from then on.
    Mended,
}

/// One attempt at a dependency: how long it took, or that, and what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Success(Duration),
    Impairment(Duration, &'static str),
    Failure(Duration, &'static str),
    Endless,
    NotUsed,
}

impl Life {
    /// The attempt made `elapsed` after the start.
    pub(super) fn attempt(self, elapsed: Duration, hand: Hand, calm: bool) -> Attempt {
        let well = calm || hand == Hand::Mended;
        match self {
            Self::Steady { latency, error } if hand == Hand::Broken => {
                Attempt::Failure(latency, error)
            }
            Self::Steady { latency, .. } => Attempt::Success(latency),
            Self::Cycle { latency, error, .. } if hand == Hand::Broken => {
                Attempt::Failure(latency, error)
            }
            Self::Cycle {
                well: time_well,
                failing,
                latency,
                error,
            } => {
                if well || within(elapsed, time_well, failing) {
                    Attempt::Success(latency)
                } else {
                    Attempt::Failure(latency, error)
                }
            }
            Self::Slow { most, .. } if hand == Hand::Broken => {
                Attempt::Failure(most, "connection reset by peer")
            }
            Self::Slow { usual, .. } if well => Attempt::Success(usual),
            Self::Slow { least, most, .. } => Attempt::Success(wave(elapsed, least, most)),
            Self::Impaired { latency, message } if hand == Hand::Broken => {
                Attempt::Impairment(latency, message)
            }
            Self::Hanging { .. } if hand == Hand::Broken => Attempt::Endless,
            Self::Impaired { latency, .. } | Self::Hanging { latency } => Attempt::Success(latency),
            Self::NotUsed { error } if hand == Hand::Broken => {
                Attempt::Failure(Duration::ZERO, error)
            }
            Self::NotUsed { .. } => Attempt::NotUsed,
        }
    }
}

/// Whether a cycle is in its first part.
fn within(elapsed: Duration, first: Duration, second: Duration) -> bool {
    let period = (first + second).as_millis().max(1);
    elapsed.as_millis() % period < first.as_millis()
}

/// Up and down between two bounds, once in twenty seconds.
fn wave(elapsed: Duration, least: Duration, most: Duration) -> Duration {
    const PERIOD: f64 = 20.0;
    let angle = elapsed.as_secs_f64() / PERIOD * std::f64::consts::TAU;
    let height = f64::midpoint(1.0, -angle.cos());
    least + most.saturating_sub(least).mul_f64(height.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(12);
    const CYCLE: Life = Life::Cycle {
        well: Duration::from_secs(14),
        failing: Duration::from_secs(9),
        latency: LATENCY,
        error: "timeout after 2s",
    };
    const SLOW: Life = Life::Slow {
        least: Duration::from_millis(350),
        most: Duration::from_millis(1_400),
        usual: Duration::from_millis(2),
    };
    const IMPAIRED: Life = Life::Impaired {
        latency: LATENCY,
        message: "1 of 4 workers",
    };
    const HANGING: Life = Life::Hanging { latency: LATENCY };
    const UNUSED: Life = Life::NotUsed {
        error: "invalid API key",
    };

    #[test]
    fn lives() {
        let working = Attempt::Success(LATENCY);
        let failing = Attempt::Failure(LATENCY, "timeout after 2s");
        let slow = |millis| Attempt::Success(Duration::from_millis(millis));
        let table = [
            ("well at first", CYCLE, 0, Hand::Off, false, working),
            ("well to the last", CYCLE, 13, Hand::Off, false, working),
            ("then it fails", CYCLE, 14, Hand::Off, false, failing),
            ("and recovers", CYCLE, 23, Hand::Off, false, working),
            ("never when calm", CYCLE, 14, Hand::Off, true, working),
            ("unless broken", CYCLE, 0, Hand::Broken, true, failing),
            ("mended stays well", CYCLE, 14, Hand::Mended, false, working),
            ("least", SLOW, 0, Hand::Off, false, slow(350)),
            ("most", SLOW, 10, Hand::Off, false, slow(1_400)),
            ("calm is quick", SLOW, 10, Hand::Off, true, slow(2)),
            ("all workers", IMPAIRED, 0, Hand::Off, false, working),
            (
                "one worker left",
                IMPAIRED,
                0,
                Hand::Broken,
                false,
                Attempt::Impairment(LATENCY, "1 of 4 workers"),
            ),
            ("answers", HANGING, 0, Hand::Mended, false, working),
            (
                "answers no more",
                HANGING,
                0,
                Hand::Broken,
                false,
                Attempt::Endless,
            ),
            ("unused", UNUSED, 0, Hand::Off, false, Attempt::NotUsed),
            (
                "broken though unused",
                UNUSED,
                0,
                Hand::Broken,
                false,
                Attempt::Failure(Duration::ZERO, "invalid API key"),
            ),
            (
                "unused again",
                UNUSED,
                0,
                Hand::Mended,
                false,
                Attempt::NotUsed,
            ),
        ];
        for (name, life, second, hand, calm, expected) in table {
            let attempt = life.attempt(Duration::from_secs(second), hand, calm);
            assert_eq!(attempt, expected, "{name}");
        }
    }
}
