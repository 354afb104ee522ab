//! What is under way: one task per question, never two of one probe, all within the caps.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::lateness::Lateness;
use super::places::{Places, Ticket};
use super::roster::{Roster, Seat};
use super::{Ask, Caps};
use crate::health::{FailureKind, Outcome};
use crate::host::Clock;

/// The questions that wait or are asked.
#[derive(Debug)]
pub(super) struct Asking<A> {
    ask: A,
    clock: Clock,
    roster: Roster,
    places: Places,
    questions: Vec<Question>,
    tasks: JoinSet<(Ticket, Outcome)>,
    waiting: usize,
    asked: u64,
}

/// What is remembered of one probe.
#[derive(Debug, Clone, Copy, Default)]
struct Question {
    /// When it was due; `None` while it is neither waiting nor asked.
    due: Option<Duration>,
    /// It timed out the last time.
    slow: bool,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The number of the probe.
    pub(super) number: usize,
    /// Which probe that is.
    pub(super) seat: Seat,
    /// What was found.
    pub(super) outcome: Outcome,
}

impl<A: Ask> Asking<A> {
    /// Nothing under way.
    pub(super) fn new(roster: Roster, ask: A, caps: Caps, clock: Clock) -> Self {
        Self {
            ask,
            clock,
            places: Places::new(caps, roster.hosts()),
            questions: vec![Question::default(); roster.len()],
            roster,
            tasks: JoinSet::new(),
            waiting: 0,
            asked: 0,
        }
    }

    /// The probes.
    pub(super) const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Has a probe asked as soon as it gets a place. False where it is still waiting or asked.
    pub(super) fn want(&mut self, number: usize, due: Duration) -> bool {
        let (Some(question), Some(seat)) =
            (self.questions.get_mut(number), self.roster.seat(number))
        else {
            return false;
        };
        if question.due.is_some() {
            return false;
        }
        question.due = Some(due);
        self.waiting += 1;
        self.places.queue(Ticket {
            probe: number,
            host: seat.host,
            slow: question.slow,
        });
        true
    }

    /// Starts whatever has a place.
    pub(super) fn start(&mut self, now: Duration, lateness: &mut Lateness) {
        while self.waiting > 0
            && let Some(ticket) = self.places.take()
        {
            self.waiting -= 1;
            let due = self.questions.get(ticket.probe).and_then(|it| it.due);
            lateness.record(due.unwrap_or(now), now);
            self.spawn(ticket);
        }
    }

    fn spawn(&mut self, ticket: Ticket) {
        let Some(seat) = self.roster.seat(ticket.probe) else {
            return;
        };
        let Some(service) = self.roster.services().get(seat.service).map(Arc::clone) else {
            return;
        };
        self.asked += 1;
        let ask = self.ask.clone();
        let clock = self.clock;
        self.tasks.spawn(async move {
            let asked = async {
                let probe = service.probes.get(seat.probe)?;
                Some(ask.ask(&service, probe).await)
            };
            // A fault of ours must not look like one of the service.
            let asked = AssertUnwindSafe(asked).catch_unwind().await;
            let outcome = asked.ok().flatten().unwrap_or_else(|| {
                let message = "a fault in healthctl ended the probe; please report it";
                Outcome::failed(FailureKind::Local, message, clock.now())
            });
            (ticket, outcome)
        });
    }

    /// The next answer. Pending for ever while nothing is under way; loses nothing when it is cancelled.
    pub(super) async fn answer(&mut self) -> Answer {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((ticket, outcome))) => {
                    if let Some(answer) = self.done(ticket, outcome) {
                        return answer;
                    }
                }
                // Nothing of a task can fail but what is caught in it, and none is aborted before the end.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn done(&mut self, ticket: Ticket, outcome: Outcome) -> Option<Answer> {
        self.places.give_back(ticket);
        let question = self.questions.get_mut(ticket.probe)?;
        question.due = None;
        question.slow = outcome
            .failure
            .as_ref()
            .is_some_and(|failure| failure.kind == FailureKind::Timeout);
        Some(Answer {
            number: ticket.probe,
            seat: self.roster.seat(ticket.probe)?,
            outcome,
        })
    }

    /// Drops what waits and what is under way; everything may be asked anew after it.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
        self.places.clear();
        self.waiting = 0;
        for question in &mut self.questions {
            question.due = None;
        }
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.tasks.is_empty()
    }

    /// How many are under way.
    pub(super) const fn in_flight(&self) -> usize {
        self.places.taken()
    }

    /// How many were asked since the start.
    pub(super) const fn asked(&self) -> u64 {
        self.asked
    }
}
