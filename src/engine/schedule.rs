//! When each probe is due: a fixed grid per probe, spread by a hash of its name, in slots.
//!
//! Pure: times are durations since the schedule began. Knows nothing of services, places or answers.
//! A wake-up costs more than a probe, so grid points lie on slots and what is due in one slot starts together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::Duration;

/// The width of a slot.
pub(super) const SLOT: Duration = Duration::from_millis(25);

/// The rate that a paced first pass may always have, probes a second.
const FIRST_PASS_RATE: f64 = 200.0;

/// The pace of the first pass over all probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstPass {
    /// Everything is due at the start.
    AtOnce,
    /// In the order given, at the larger of 200 a second and twice the steady rate.
    Paced,
}

/// A probe that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) probe: usize,
    /// When it was due.
    pub(super) at: Duration,
}

/// The grids of all probes, the next point of each in a heap.
#[derive(Debug)]
pub(super) struct Schedule {
    grids: Vec<Grid>,
    next: BinaryHeap<Reverse<(Duration, usize)>>,
}

impl Schedule {
    /// A schedule that begins now, for probes given as the hash of their name and their interval.
    pub(super) fn new(probes: impl IntoIterator<Item = (u64, Duration)>, first: FirstPass) -> Self {
        let grids: Vec<Grid> = probes
            .into_iter()
            .map(|(hash, interval)| Grid::new(hash, interval))
            .collect();
        let per_slot = match first {
            FirstPass::AtOnce => grids.len().max(1),
            FirstPass::Paced => paced(&grids),
        };
        let next = (0..grids.len())
            .map(|probe| Reverse((times(SLOT, probe / per_slot), probe)))
            .collect();
        Self { grids, next }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one probe that is due. One whose time is past by more than its interval (this process was
    /// stopped meanwhile) is not given: its grid goes on from `now`, so that no burst follows a pause.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Due> {
        loop {
            let mut top = self.next.peek_mut()?;
            let Reverse((at, probe)) = *top;
            if at > now {
                return None;
            }
            let Some(grid) = self.grids.get(probe) else {
                PeekMut::pop(top);
                continue;
            };
            let overslept = now.saturating_sub(at) > grid.interval;
            let next = if overslept {
                grid.after(now)
            } else {
                // Half an interval is more than a slot rounds and less than the way to the next point;
                // it keeps the second question from following hard on one of the first pass.
                grid.after(at.saturating_add(grid.interval / 2))
            };
            *top = Reverse((next, probe));
            if !overslept {
                return Some(Due { probe, at });
            }
        }
    }
}

/// Returns the number of probes of a first pass that start in one slot.
fn paced(grids: &[Grid]) -> usize {
    let steady: f64 = grids
        .iter()
        .map(|grid| 1.0 / grid.interval.as_secs_f64())
        .sum();
    let rate = FIRST_PASS_RATE.max(2.0 * steady);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and rounded down on purpose; a float that is too large saturates"
    )]
    let per_slot = (rate * SLOT.as_secs_f64()) as usize;
    per_slot.max(1)
}

/// The times of one probe: every `interval` from `phase` on, each moved up to the next slot.
#[derive(Debug, Clone, Copy)]
struct Grid {
    interval: Duration,
    phase: Duration,
    slot: Duration,
}

impl Grid {
    fn new(hash: u64, interval: Duration) -> Self {
        // The inventory has no zero interval; one that came here would spin.
        let interval = interval.max(Duration::from_millis(1));
        let share = (u128::from(hash) * interval.as_nanos()) >> 64;
        Self {
            interval,
            phase: from_nanos(share),
            slot: if interval >= SLOT * 4 {
                SLOT
            } else {
                Duration::from_millis(1)
            },
        }
    }

    /// The first point later than `time`. No sum of rounded steps, so nothing drifts.
    fn after(&self, time: Duration) -> Duration {
        let interval = self.interval.as_nanos();
        let passed = time
            .checked_sub(self.phase)
            .map_or(0, |since| since.as_nanos() / interval);
        let raw = self.phase.as_nanos() + passed * interval;
        let point = self.on_slot(raw);
        if point > time {
            point
        } else {
            self.on_slot(raw + interval)
        }
    }

    fn on_slot(&self, nanos: u128) -> Duration {
        let slot = self.slot.as_nanos();
        from_nanos(nanos.div_ceil(slot) * slot)
    }
}

fn from_nanos(nanos: u128) -> Duration {
    // 584 years are enough.
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn times(slot: Duration, count: usize) -> Duration {
    slot.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A hash of a probe's full name that is the same in every run and on every machine: FNV-1a, then mixed,
/// since the grid takes its high bits.
pub(super) fn stable_hash(parts: [&str; 2]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Half of all hashes are below it.
    const HALF: u64 = 1 << 63;

    /// Every due time of one probe when the loop wakes at each of `wakes`, in milliseconds.
    fn run(hash: u64, interval: u64, first: FirstPass, wakes: &[u64]) -> Vec<(u64, u64)> {
        let mut schedule = Schedule::new([(hash, ms(interval))], first);
        let mut seen = Vec::new();
        for wake in wakes {
            while let Some(due) = schedule.take_due(ms(*wake)) {
                seen.push((*wake, u64::try_from(due.at.as_millis()).unwrap()));
            }
        }
        seen
    }

    /// Due times when the loop wakes exactly when it asked to, up to `until`.
    fn kept(hash: u64, interval: u64, until: u64) -> Vec<u64> {
        let mut schedule = Schedule::new([(hash, ms(interval))], FirstPass::AtOnce);
        let mut seen = Vec::new();
        while let Some(next) = schedule.next().filter(|next| *next <= ms(until)) {
            while schedule.take_due(next).is_some() {
                seen.push(u64::try_from(next.as_millis()).unwrap());
            }
        }
        seen
    }

    #[test]
    fn the_grid_of_a_probe_is_fixed() {
        let cases: &[(u64, u64, u64, &[u64])] = &[
            // hash, interval, until, due times
            (0, 1000, 3500, &[0, 1000, 2000, 3000]),
            (HALF, 1000, 3500, &[0, 1500, 2500, 3500]),
            // a second question never follows hard on the first
            (HALF / 2, 1000, 2500, &[0, 1250, 2250]),
            (HALF + HALF / 2, 1000, 2900, &[0, 750, 1750, 2750]),
            // an interval that is no multiple of a slot alternates and does not drift
            (
                0,
                130,
                1320,
                &[0, 150, 275, 400, 525, 650, 800, 925, 1050, 1175, 1300],
            ),
            // short ones are not put on slots
            (0, 10, 50, &[0, 10, 20, 30, 40, 50]),
            // the last phase rounds to the slot of the next interval
            (u64::MAX, 1000, 2500, &[0, 1000, 2000]),
        ];
        for (hash, interval, until, expected) in cases {
            assert_eq!(
                kept(*hash, *interval, *until),
                *expected,
                "{hash} {interval}"
            );
        }
    }

    #[test]
    fn a_late_wake_up_gives_what_was_due_and_a_pause_does_not() {
        type Case<'a> = (&'a [u64], &'a [(u64, u64)]);
        // wakes, (when given, when due)
        let cases: &[Case<'_>] = &[
            (&[0, 1000, 2000], &[(0, 0), (1000, 1000), (2000, 2000)]),
            (&[0, 1400, 2000], &[(0, 0), (1400, 1000), (2000, 2000)]),
            (
                &[0, 2000, 3000],
                &[(0, 0), (2000, 1000), (2000, 2000), (3000, 3000)],
            ),
            // more than an interval late: nothing now, on from the next point
            (&[0, 2001, 2999, 3000], &[(0, 0), (3000, 3000)]),
            (
                &[0, 3_600_400, 3_601_000],
                &[(0, 0), (3_601_000, 3_601_000)],
            ),
        ];
        for (wakes, expected) in cases {
            assert_eq!(
                run(0, 1000, FirstPass::AtOnce, wakes),
                *expected,
                "{wakes:?}"
            );
        }
    }

    /// How many probes start in each slot of the first pass.
    fn first_pass(count: usize, interval: u64) -> Vec<usize> {
        let probes = vec![(HALF, ms(interval)); count];
        let mut schedule = Schedule::new(probes, FirstPass::Paced);
        let mut slots = Vec::new();
        let mut left = count;
        while left > 0 {
            let at = schedule.next().unwrap();
            assert_eq!(at, SLOT * u32::try_from(slots.len()).unwrap());
            let mut started = 0;
            while schedule.take_due(at).is_some() {
                started += 1;
            }
            slots.push(started);
            left -= started;
        }
        slots
    }

    #[test]
    fn the_first_pass_keeps_its_pace() {
        let cases: &[(usize, u64, &[usize])] = &[
            // 200 a second are 5 in a slot
            (12, 10_000, &[5, 5, 2]),
            (4, 10_000, &[4]),
            // twice a steady rate of 400 a second: 20 in a slot
            (40, 100_000, &[5; 8]),
            (400, 1_000, &[20; 20]),
        ];
        for (count, interval, expected) in cases {
            assert_eq!(
                first_pass(*count, *interval),
                *expected,
                "{count} {interval}"
            );
        }
    }

    #[test]
    fn names_spread_evenly() {
        let probes = (0..1000)
            .map(|i| (stable_hash([&format!("api-{i}"), "live"]), ms(10_000)))
            .collect::<Vec<_>>();
        let mut schedule = Schedule::new(probes, FirstPass::AtOnce);
        let mut per_second = [0_usize; 10];
        // After the first pass each has one point in every 10 s; look at the second ten.
        while let Some(next) = schedule.next().filter(|next| *next < ms(30_000)) {
            while let Some(due) = schedule.take_due(next) {
                let second = usize::try_from(due.at.as_secs()).unwrap();
                if (20..30).contains(&second) {
                    per_second[second - 20] += 1;
                }
            }
        }
        assert_eq!(per_second.iter().sum::<usize>(), 1000);
        for count in per_second {
            assert!((70..=130).contains(&count), "{per_second:?}");
        }
    }

    #[test]
    fn the_hash_of_a_name_never_changes() {
        assert_eq!(stable_hash(["api", "live"]), stable_hash(["api", "live"]));
        assert_ne!(stable_hash(["api", "live"]), stable_hash(["apil", "ive"]));
        // Pinned: another value would move every probe of every user.
        assert_eq!(stable_hash(["api", "live"]), 10_508_843_405_327_705_252);
    }

    #[test]
    fn odd_input_does_not_spin_or_overflow() {
        let mut schedule =
            Schedule::new([(1, Duration::ZERO), (2, Duration::MAX)], FirstPass::Paced);
        assert!(schedule.take_due(Duration::ZERO).is_some());
        assert!(schedule.take_due(Duration::ZERO).is_some());
        assert!(schedule.take_due(Duration::ZERO).is_none());
        assert!(Schedule::new([], FirstPass::Paced).next().is_none());
    }
}
