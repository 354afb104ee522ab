//! How many may be asked at once, within what this process may have open.

/// How many may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caps {
    /// In all.
    pub(crate) total: usize,
    /// To one host and port.
    pub(crate) per_host: usize,
}

impl Caps {
    /// More in flight buys almost nothing and would put our own queue into the latency.
    const MOST: usize = 256;
    /// What one host and port is asked at once.
    const PER_HOST: usize = 4;
    /// Descriptors that are not for probes: terminal, files, the runtime, listeners, actions.
    const RESERVED: u64 = 64;
    /// A probe of a name with both address families may hold two sockets for a moment.
    const PER_PROBE: u64 = 2;

    /// What this machine lets us have; raises the limit of open descriptors where it is low.
    pub(crate) fn of_this_machine() -> Self {
        Self::fitting(crate::host::raise_descriptor_limit().unwrap_or(u64::MAX))
    }

    /// As many as the limit of open descriptors has room for.
    fn fitting(descriptors: u64) -> Self {
        let room = descriptors.saturating_sub(Self::RESERVED) / Self::PER_PROBE;
        Self {
            total: usize::try_from(room)
                .unwrap_or(Self::MOST)
                .clamp(1, Self::MOST),
            per_host: Self::PER_HOST,
        }
    }

    /// The most places that slow ones may take.
    pub(super) fn slow(self) -> usize {
        (self.total / 2).max(1)
    }

    /// The places for which slow ones go first: without them nobody would see that one of them is back
    /// while the others ask for all places.
    pub(super) fn kept_for_slow(self) -> usize {
        (self.total / 8).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_fits_the_descriptors() {
        let cases: &[(u64, usize)] = &[
            (0, 1),
            (64, 1),
            (80, 8),
            (256, 96),
            (1024, 256),
            (u64::MAX, 256),
        ];
        for (descriptors, total) in cases {
            assert_eq!(Caps::fitting(*descriptors).total, *total, "{descriptors}");
        }
    }
}
