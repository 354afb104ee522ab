//! Who may be asked at once: one cap in all, one per host and port, and a smaller one for those that last timed out.
//!
//! Pure, and without a scan: each question waits in exactly one queue. What hangs keeps its place until its
//! time-out, so without a cap of their own a few hundred dead services would hold up all that live.

use std::collections::VecDeque;

use super::Caps;

/// A question in the queues; the numbers are the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Which probe.
    pub(super) probe: usize,
    /// Its host and port; `None` where it asks none (a command).
    pub(super) host: Option<usize>,
    /// Whether it timed out the last time.
    pub(super) slow: bool,
}

/// The queues and what is under way.
#[derive(Debug)]
pub(super) struct Places {
    caps: Caps,
    taken: usize,
    taken_by_slow: usize,
    hosts: Vec<Host>,
    quick: VecDeque<Ticket>,
    slow: VecDeque<Ticket>,
}

/// One host and port.
#[derive(Debug, Clone, Default)]
struct Host {
    admitted: usize,
    waiting: VecDeque<Ticket>,
}

impl Places {
    /// Nothing under way, for hosts numbered below `hosts`.
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

    /// Queues a question.
    pub(super) fn queue(&mut self, ticket: Ticket) {
        if let Some(host) = ticket.host.and_then(|host| self.hosts.get_mut(host)) {
            if host.admitted >= self.caps.per_host {
                host.waiting.push_back(ticket);
                return;
            }
            host.admitted += 1;
        }
        self.admit(ticket);
    }

    /// Takes a place for a question that may have one; in each queue the one that has waited longest.
    pub(super) fn take(&mut self) -> Option<Ticket> {
        if self.taken >= self.caps.total {
            return None;
        }
        let slow_first = self.taken_by_slow < self.caps.kept_for_slow();
        let slow_allowed = self.taken_by_slow < self.caps.slow();
        let ticket = if slow_first && let Some(ticket) = self.slow.pop_front() {
            ticket
        } else if let Some(ticket) = self.quick.pop_front() {
            ticket
        } else if slow_allowed {
            self.slow.pop_front()?
        } else {
            return None;
        };
        self.taken_by_slow += usize::from(ticket.slow);
        self.taken += 1;
        Some(ticket)
    }

    /// Gives the place of a question back.
    pub(super) fn give_back(&mut self, ticket: Ticket) {
        self.taken = self.taken.saturating_sub(1);
        if ticket.slow {
            self.taken_by_slow = self.taken_by_slow.saturating_sub(1);
        }
        let Some(host) = ticket.host.and_then(|host| self.hosts.get_mut(host)) else {
            return;
        };
        match host.waiting.pop_front() {
            // It takes over the host's place.
            Some(next) => self.admit(next),
            None => host.admitted = host.admitted.saturating_sub(1),
        }
    }

    /// Nobody waits and nothing is under way any more.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.caps, self.hosts.len());
    }

    /// How many are under way.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    fn admit(&mut self, ticket: Ticket) {
        if ticket.slow {
            self.slow.push_back(ticket);
        } else {
            self.quick.push_back(ticket);
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
    fn ticket(text: &str) -> Ticket {
        let slow = text.ends_with('!');
        let (probe, host) = text.trim_end_matches('!').split_once('@').unwrap();
        Ticket {
            probe: probe.parse().unwrap(),
            host: host.parse().ok(),
            slow,
        }
    }

    /// Queues or gives back word by word, taking all places that can be had after each word.
    fn check(script: &str, expected: &[&[usize]]) {
        let mut places = Places::new(CAPS, 8);
        let mut started = Vec::new();
        for word in script.split_whitespace() {
            match word.strip_prefix('-') {
                Some(done) => places.give_back(ticket(done)),
                None => places.queue(ticket(word)),
            }
            let mut now = Vec::new();
            while let Some(ticket) = places.take() {
                now.push(ticket.probe);
            }
            started.push(now);
            assert!(places.taken() <= CAPS.total);
        }
        assert_eq!(started, expected, "{script}");
    }

    #[test]
    fn caps_are_kept_and_places_handed_on() {
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
}
