//! How many probes may be in flight: one cap in all, one per host and port, and a smaller one for those that last timed
//! out.
//!
//! Pure, and without a scan: each probe waits in exactly one queue. A probe that hangs keeps its permit until its
//! time-out, so without a cap of their own a few hundred dead services would hold up all that live.

use std::collections::VecDeque;

/// The numbers of probes that may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caps {
    pub(crate) total: usize,
    pub(crate) per_host: usize,
}

impl Caps {
    /// More in flight buys almost nothing and would put our own queue into the latency.
    const MOST: usize = 256;
    const PER_HOST: usize = 4;
    /// Descriptors that are not for probes: terminal, files, the runtime, listeners, actions.
    const RESERVED: u64 = 64;
    /// A probe of a name with both address families may hold two sockets for a moment.
    const PER_PROBE: u64 = 2;

    /// Returns the caps for this machine; raises the limit of open descriptors where it is low.
    pub(crate) fn of_this_machine() -> Self {
        Self::fitting(crate::host::raise_descriptor_limit().unwrap_or(u64::MAX))
    }

    /// Returns caps that the limit of open descriptors has room for.
    fn fitting(descriptors: u64) -> Self {
        let room = descriptors.saturating_sub(Self::RESERVED) / Self::PER_PROBE;
        Self {
            total: usize::try_from(room)
                .unwrap_or(Self::MOST)
                .clamp(1, Self::MOST),
            per_host: Self::PER_HOST,
        }
    }

    /// Returns how many permits slow probes may have.
    fn slow(self) -> usize {
        (self.total / 2).max(1)
    }

    /// Returns the number of permits for which slow probes go first: without them nobody would see that a slow service
    /// is back while the others take all permits.
    fn kept_for_slow(self) -> usize {
        (self.total / 8).max(1)
    }
}

/// The permit of one probe, or its place in a queue for one; the numbers are the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit {
    /// The number of the probe.
    pub(super) probe: usize,
    /// The number of its host and port; `None` for a command.
    pub(super) host: Option<usize>,
    pub(super) slow: bool,
}

/// The permits that are given and the queues for them.
#[derive(Debug)]
pub(super) struct Limiter {
    caps: Caps,
    taken: usize,
    taken_by_slow: usize,
    hosts: Vec<Host>,
    quick: VecDeque<Permit>,
    slow: VecDeque<Permit>,
}

#[derive(Debug, Clone, Default)]
struct Host {
    admitted: usize,
    waiting: VecDeque<Permit>,
}

impl Limiter {
    /// Creates a limiter without a permit given, for hosts numbered below `hosts`.
    pub(super) fn new(caps: Caps, hosts: usize) -> Self {
        Self {
            caps,
            taken: 0,
            taken_by_slow: 0,
            hosts: vec![Host::default(); hosts],
            quick: VecDeque::new(),
            slow: VecDeque::new(),
        }
    }

    pub(super) fn queue(&mut self, permit: Permit) {
        if let Some(host) = permit.host.and_then(|host| self.hosts.get_mut(host)) {
            if host.admitted >= self.caps.per_host {
                host.waiting.push_back(permit);
                return;
            }
            host.admitted += 1;
        }
        self.admit(permit);
    }

    /// Returns the next permit within the caps; of each queue the probe that has waited longest.
    pub(super) fn take(&mut self) -> Option<Permit> {
        if self.taken >= self.caps.total {
            return None;
        }
        let slow_first = self.taken_by_slow < self.caps.kept_for_slow();
        let slow_allowed = self.taken_by_slow < self.caps.slow();
        let mut slow = |allowed: bool| allowed.then(|| self.slow.pop_front()).flatten();
        let permit = slow(slow_first)
            .or_else(|| self.quick.pop_front())
            .or_else(|| slow(slow_allowed))?;
        self.taken_by_slow += usize::from(permit.slow);
        self.taken += 1;
        Some(permit)
    }

    /// Gives a permit back.
    pub(super) fn give_back(&mut self, permit: Permit) {
        self.taken = self.taken.saturating_sub(1);
        if permit.slow {
            self.taken_by_slow = self.taken_by_slow.saturating_sub(1);
        }
        let Some(host) = permit.host.and_then(|host| self.hosts.get_mut(host)) else {
            return;
        };
        match host.waiting.pop_front() {
            // The next one takes over the share of the host.
            Some(next) => self.admit(next),
            None => host.admitted = host.admitted.saturating_sub(1),
        }
    }

    /// Returns how many permits are given.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    fn admit(&mut self, permit: Permit) {
        if permit.slow {
            self.slow.push_back(permit);
        } else {
            self.quick.push_back(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps {
        total: 4,
        per_host: 2,
    };

    /// Probes are written `p@host`, `!` behind it for a slow one; `-` gives a place back instead.
    fn permit(text: &str) -> Permit {
        let slow = text.ends_with('!');
        let (probe, host) = text.trim_end_matches('!').split_once('@').unwrap();
        Permit {
            probe: probe.parse().unwrap(),
            host: host.parse().ok(),
            slow,
        }
    }

    /// Queues or gives back word by word, taking all permits that can be had after each word.
    fn check(script: &str, expected: &[&[usize]]) {
        let mut limiter = Limiter::new(CAPS, 8);
        let mut started = Vec::new();
        for word in script.split_whitespace() {
            match word.strip_prefix('-') {
                Some(done) => limiter.give_back(permit(done)),
                None => limiter.queue(permit(word)),
            }
            let mut now = Vec::new();
            while let Some(permit) = limiter.take() {
                now.push(permit.probe);
            }
            started.push(now);
            assert!(limiter.taken() <= CAPS.total);
        }
        assert_eq!(started, expected, "{script}");
    }

    #[test]
    fn the_caps_are_kept_and_permits_handed_on() {
        // one host: the third waits for a place of its host, though others are free
        check("1@0 2@0 3@0 4@1 -1@0", &[&[1], &[2], &[], &[4], &[3]]);
        // the cap in all
        check(
            "1@0 2@1 3@2 4@3 5@4 6@5 -2@1 -1@0",
            &[&[1], &[2], &[3], &[4], &[], &[], &[5], &[6]],
        );
        // what has no host is only under the cap in all
        check(
            "1@x 2@x 3@x 4@x 5@x -1@x",
            &[&[1], &[2], &[3], &[4], &[], &[5]],
        );
        // slow ones get half of the places at most
        check(
            "1@0! 2@1! 3@2! 4@3 5@4 6@5 -4@3 -1@0!",
            &[&[1], &[2], &[], &[4], &[5], &[], &[6], &[3]],
        );
        // they are not starved by quick ones that wait too, and do not go before them beyond that
        check(
            "1@0 2@1 3@2 4@3 5@4 6@5! 7@6! -1@0 -2@1 -3@2",
            &[&[1], &[2], &[3], &[4], &[], &[], &[], &[6], &[5], &[7]],
        );
        // a place of a host that nobody waits for is free again
        check(
            "1@0 2@0 -1@0 -2@0 3@0 4@0 5@0",
            &[&[1], &[2], &[], &[], &[3], &[4], &[]],
        );
    }

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
