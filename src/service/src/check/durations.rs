//! How long the attempts of a check took, counted for a histogram.

use std::time::Duration;

/// The upper bounds of the buckets, in milliseconds.
pub(crate) const BOUNDS: [u64; 9] = [1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000];

/// Attempts by how long they took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Durations {
    counts: [u64; BOUNDS.len()],
    /// All of them.
    pub(crate) count: u64,
    /// Their durations together.
    pub(crate) sum: Duration,
}

impl Durations {
    pub(super) fn record(&mut self, took: Duration) {
        for (count, bound) in self.counts.iter_mut().zip(BOUNDS) {
            if took <= Duration::from_millis(bound) {
                *count = count.saturating_add(1);
            }
        }
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(took);
    }

    /// Each upper bound in milliseconds with how many took no longer.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        BOUNDS.into_iter().zip(self.counts)
    }
}
