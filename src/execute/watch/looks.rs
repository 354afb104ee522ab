//! What is seen of a service while it is watched: its addresses and processes, and what it says of itself.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use rustix::process::Signal;

use super::{Leftover, Watch};
use crate::action::{Life, Look, Proof, Seen, Turn};
use crate::event::StepKind;
use crate::execute::choose::name;
use crate::execute::look::{lives, look_at};
use crate::execute::place::Place;
use crate::execute::question::{Heard, Question};
use crate::health::{Identity, Moment};
use crate::host::signals::{self, SignalError};
use crate::host::{Endpoint, Running, alive, is_local};

/// An answer so young says as much of its address as a look.
const YOUNG: Duration = Duration::from_millis(150);
/// A service that accepts connections and takes none off its queue is not to be buried in looks: the longer nothing
/// changes, the rarer they are, by this share of the time that has gone by, and this far apart at the most.
const SHARE: u32 = 8;
const RAREST: Duration = Duration::from_millis(500);
/// Whoever is passed on the signal by a parent that goes closes its port within this.
const FOLLOWING: Duration = Duration::from_secs(1);
/// Lines of evidence that anybody wants to read.
const MOST_EVIDENCE: usize = 12;

/// A look at everything.
pub(super) struct Glance {
    addresses: Vec<Look>,
    processes: Vec<Life>,
    /// The addresses were looked at, and not taken from what was known.
    looked: bool,
}

impl Watch<'_> {
    /// Looks at all processes, and at all addresses unless one has just answered and nothing else is in question.
    pub(super) fn glance(&self) -> Pin<Box<dyn Future<Output = Glance> + Send>> {
        let now = self.executor.clock.now();
        let young = self.answered.is_some_and(|at| now.since(at) < YOUNG);
        let spared = (young || self.is_spared(now)) && may_spare(&self.proof, &self.looks);
        let endpoints = self.found.endpoints.clone();
        let processes = self.processes.clone();
        let known = if matches!(self.found.place, Place::Proxied(_)) {
            // Nobody can look past a proxy: an answer is all that there is.
            let look = if young { Look::Accepted } else { Look::Silent };
            Some(vec![look])
        } else {
            spared.then(|| self.looks.clone())
        };
        Box::pin(async move {
            let looked = known.is_none();
            let addresses = match known {
                Some(known) => known,
                None => look_at(&endpoints).await,
            };
            // Last, so that a process seen alive was alive when its addresses were looked at.
            let processes = lives(&processes);
            Glance {
                addresses,
                processes,
                looked,
            }
        })
    }

    /// Whether its addresses are left alone for now.
    fn is_spared(&self, now: Moment) -> bool {
        let (Some(looked), Some(since)) = (self.looked, self.accepts_since) else {
            return false;
        };
        now.since(looked) < (now.since(since) / SHARE).min(RAREST)
    }

    /// Takes in what a look has found.
    pub(super) fn look_done(&mut self, glance: Glance) -> Turn {
        let at = self.executor.clock.now();
        if glance.looked {
            self.looked = Some(at);
            let accepts =
                glance.addresses.contains(&Look::Accepted) && glance.addresses == self.looks;
            self.accepts_since = accepts.then(|| self.accepts_since.unwrap_or(at));
        }
        self.looks.clone_from(&glance.addresses);
        self.proof.see(
            at,
            Seen::Glance {
                addresses: glance.addresses,
                processes: glance.processes,
            },
        )
    }

    /// Sends SIGTERM, once, to what the service has left behind in the session that we made for it and what goes on
    /// listening, where its own process has gone and it has not followed in some time.
    pub(super) fn end_leftover(&mut self) {
        let record = self.found.record.as_ref().filter(|_| self.found.led);
        let Some(record) = record.filter(|record| alive(record.process) == Some(false)) else {
            return;
        };
        let now = self.executor.clock.now();
        match self.leftover {
            Leftover::None => self.leftover = Leftover::Since(now),
            Leftover::Since(since)
                if now.since(since) >= FOLLOWING && self.looks.contains(&Look::Accepted) =>
            {
                self.leftover = Leftover::Signalled;
                let owning = self.found.owning();
                let listens = |one: &Running| owning.iter().any(|it| it.process == one.process);
                let mut left = record.session(true);
                left.retain(listens);
                if left.is_empty() {
                    return;
                }
                let names: Vec<String> = left.iter().map(name).collect();
                let what = format!(
                    "its process has gone; sending SIGTERM to {}, which it left behind and which listens",
                    names.join(", ")
                );
                self.tell_step(StepKind::Remark, &what);
                for one in &left {
                    match signals::send(one.process, Signal::TERM) {
                        Ok(()) | Err(SignalError::Gone) => self.signalled.push(one.process),
                        Err(error) => self.evidence.push(format!(
                            "SIGTERM could not be sent to {}: {error}",
                            name(one)
                        )),
                    }
                }
            }
            Leftover::Since(_) | Leftover::Signalled | Leftover::Awaited => {}
        }
    }

    /// Asks the service about itself, at the address that was asked before or, where that has closed, at
    /// one that still accepts.
    pub(super) fn question(&self) -> Pin<Box<dyn Future<Output = Heard> + Send>> {
        let pin = self.open_address();
        let endpoint = match (&self.found.place, pin) {
            _ if self.processes.is_empty() => None,
            (Place::Socket(path), _) => Some(Endpoint::Socket(path.clone())),
            (_, Some(address)) if is_local(address.ip()) => Some(Endpoint::Tcp(address)),
            _ => None,
        };
        let question = Question {
            asker: self.executor.asker.clone(),
            service: self.service.clone(),
            tellers: self.found.tellers.clone(),
            known: self.known.clone(),
            pin,
            endpoint,
            search: !self.proof.runs(),
        };
        Box::pin(question.ask())
    }

    /// Where it may still answer.
    fn open_address(&self) -> Option<SocketAddr> {
        let look_of = |wanted: SocketAddr| {
            let endpoints = self.found.endpoints.iter().zip(&self.looks);
            endpoints
                .into_iter()
                .find(|(endpoint, _)| **endpoint == Endpoint::Tcp(wanted))
                .map(|(_, look)| *look)
        };
        let pinned = self.found.pin?;
        if look_of(pinned) != Some(Look::Refused) {
            return Some(pinned);
        }
        let open = self.found.endpoints.iter().zip(&self.looks);
        open.into_iter()
            .find_map(|(endpoint, look)| match (endpoint, look) {
                (Endpoint::Tcp(address), Look::Accepted) => Some(*address),
                _ => None,
            })
            .or(Some(pinned))
    }

    /// Takes in what the service has said.
    pub(super) fn heard(&mut self, heard: Heard) -> Turn {
        let at = self.executor.clock.now();
        let Some(seen) = heard.seen else {
            // No answer: the next look has to go out and see.
            self.answered = None;
            return Turn::default();
        };
        self.answered = Some(at);
        if let Seen::Answer { who, .. } = &seen {
            self.who = Some(*who);
        }
        // An answer that broke off tells that somebody is there, but not who.
        let tells = |identity: &Identity| identity.start.is_some() || identity.instance.is_some();
        if self.after.is_none() || heard.identity.as_ref().is_some_and(tells) {
            self.after = heard.identity.or(self.after.take());
        }
        for line in heard.evidence {
            if self.weighed.len() < MOST_EVIDENCE && !self.weighed.contains(&line) {
                self.weighed.push(line);
            }
        }
        self.proof.see(at, seen)
    }
}

/// Whether an answer of a moment ago may stand for a look at the addresses: only while it agrees with the last one,
/// and while no end is in sight.
fn may_spare(proof: &Proof, looks: &[Look]) -> bool {
    looks.contains(&Look::Accepted) && !proof.exited() && !proof.almost()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Subject;

    /// After one look that found this, may an answer stand for the next one?
    fn check(address: Look, process: Option<Life>, expected: bool) {
        let subject = Subject {
            addresses: vec!["10.0.0.5:80".to_owned()],
            processes: process.map(|_| "pid 7".to_owned()).into_iter().collect(),
            replicas: false,
        };
        let at = Moment::at_seconds(1.0);
        let mut proof = Proof::new(subject, at);
        let looks = vec![address];
        proof.see(
            at,
            Seen::Glance {
                addresses: looks.clone(),
                processes: process.into_iter().collect(),
            },
        );
        let spared = may_spare(&proof, &looks);
        assert_eq!(spared, expected, "{address:?}, {process:?}");
    }

    #[test]
    fn an_answer_never_stands_for_the_look_that_would_prove_an_end() {
        check(Look::Accepted, Some(Life::Running), true);
        check(Look::Accepted, None, true);
        check(Look::Accepted, Some(Life::Exited), false);
        check(Look::Refused, Some(Life::Running), false);
        check(Look::Refused, Some(Life::Exited), false);
        check(Look::Refused, None, false);
        check(Look::Silent, None, false);
    }
}
