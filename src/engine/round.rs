//! Probing for `check`: every probe once, or on and on until a condition holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::asking::{Answer, Asking};
use super::lateness::Lateness;
use super::roster::Roster;
use super::schedule::{FirstPass, Schedule};
use super::{Ask, Caps};
use crate::health::{Fleet, ServiceSnapshot, Sight, Update};
use crate::host::Clock;
use crate::inventory::Service;

/// While something is waited for, no probe is asked more rarely than this.
const WAITING_INTERVAL: Duration = Duration::from_secs(1);
/// Time-driven turns are looked for this often while something is waited for.
const TICK: Duration = Duration::from_secs(1);

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Probes that have answered.
    pub(crate) answered: usize,
    /// Probes that will, as far as known: what startup holds back joins when it has passed.
    pub(crate) expected: usize,
    /// Services for which the condition holds; zero where none is waited for.
    pub(crate) holding: usize,
    /// All services.
    pub(crate) services: usize,
}

/// The services of one `check` and what is known of them; each round goes on with the same trackers.
#[derive(Debug)]
pub(crate) struct Rounds<A> {
    start: Instant,
    clock: Clock,
    fleet: Fleet,
    asking: Asking<A>,
    lateness: Lateness,
    probes: Vec<InRound>,
    /// Per service: whether the condition held for its newest snapshot.
    holding: Vec<bool>,
    progress: Progress,
}

/// What has become of a probe in the round or the wait under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InRound {
    Untouched,
    Wanted,
    Answered,
}

/// What a wait was woken by.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
enum Wake {
    Answered(Answer),
    Seen(String, Sight),
    Time,
    Deadline,
}

impl<A: Ask> Rounds<A> {
    /// Nothing was asked yet.
    pub(crate) fn new(services: Vec<Arc<Service>>, ask: A, caps: Caps, clock: Clock) -> Self {
        let rules = services.iter().map(|service| service.info()).collect();
        let roster = Roster::new(services);
        Self {
            start: Instant::now(),
            clock,
            fleet: Fleet::new(rules, clock.now()),
            probes: vec![InRound::Untouched; roster.len()],
            holding: vec![false; roster.services().len()],
            asking: Asking::new(roster, ask, caps, clock),
            lateness: Lateness::new(),
            progress: Progress::default(),
        }
    }

    /// What is known of the services, in their order.
    pub(crate) fn snapshots(&self) -> Vec<Arc<ServiceSnapshot>> {
        self.fleet.snapshots()
    }

    /// Asks every probe once, all at once under the caps: `startup` first, the others when it has passed.
    /// Returns when all have answered.
    pub(crate) async fn ask_all(&mut self, mut tell: impl FnMut(Progress)) {
        self.begin();
        for service in 0..self.holding.len() {
            self.want_untouched(service);
        }
        tell(self.progress);
        loop {
            let now = self.start.elapsed();
            self.asking.start(now, &mut self.lateness);
            if self.asking.is_idle() {
                return;
            }
            let answer = self.asking.answer().await;
            self.record(answer);
            tell(self.progress);
        }
    }

    /// Takes in what was seen of a service on this machine.
    pub(crate) fn see(&mut self, name: &str, sight: Sight) -> Vec<Update> {
        let at = self.clock.now();
        let service = self.fleet.index(name);
        service.map_or_else(Vec::new, |service| self.fleet.see(service, sight, at))
    }

    /// Asks again and again until `holds` is true of every service at the same time, each of which has
    /// answered all that it is asked at least once in this wait. False where `limit` passes before. What is seen
    /// meanwhile comes by `sights`.
    pub(crate) async fn wait(
        &mut self,
        limit: Option<Duration>,
        holds: impl Fn(&ServiceSnapshot) -> bool,
        sights: &mut UnboundedReceiver<(String, Sight)>,
        mut tell: impl FnMut(Progress),
    ) -> bool {
        self.begin();
        self.start = Instant::now();
        let grids = self.asking.roster().grids();
        let mut schedule = Schedule::new(
            grids.map(|(hash, interval)| (hash, interval.min(WAITING_INTERVAL))),
            FirstPass::AtOnce,
        );
        let mut next_tick = TICK;
        let end = limit.and_then(|limit| self.start.checked_add(limit));
        let alarm = sleep_until(self.start);
        tokio::pin!(alarm);
        tell(self.progress);
        let held = loop {
            let now = self.start.elapsed();
            while let Some(due) = schedule.take_due(now) {
                self.want(due.probe, due.at);
            }
            self.asking.start(now, &mut self.lateness);
            let next = schedule
                .next()
                .map_or(next_tick, |next| next.min(next_tick));
            let next = self.start + next;
            if alarm.deadline() != next {
                alarm.as_mut().reset(next);
            }
            let wake = tokio::select! {
                biased;
                () = until(end) => Wake::Deadline,
                Some((name, sight)) = sights.recv() => Wake::Seen(name, sight),
                answer = self.asking.answer() => Wake::Answered(answer),
                () = &mut alarm => Wake::Time,
            };
            let updates = match wake {
                Wake::Deadline => break false,
                Wake::Answered(answer) => self.record(answer),
                Wake::Seen(name, sight) => self.see(&name, sight),
                Wake::Time if self.start.elapsed() >= next_tick => {
                    next_tick = Duration::from_secs(self.start.elapsed().as_secs()) + TICK;
                    self.fleet.tick(self.clock.now())
                }
                Wake::Time => continue,
            };
            self.weigh(updates, &holds);
            tell(self.progress);
            if self.progress.holding == self.progress.services {
                break true;
            }
        };
        self.asking.stop().await;
        held
    }

    fn begin(&mut self) {
        self.probes.fill(InRound::Untouched);
        self.holding.fill(false);
        self.progress = Progress {
            services: self.holding.len(),
            ..Progress::default()
        };
    }

    /// Asks what is not held back and was not asked in this round.
    fn want_untouched(&mut self, service: usize) {
        let now = self.start.elapsed();
        for number in self.asking.roster().of_service(service) {
            if self.probes.get(number) == Some(&InRound::Untouched) {
                self.want(number, now);
            }
        }
    }

    fn want(&mut self, number: usize, due: Duration) {
        let Some(seat) = self.asking.roster().seat(number) else {
            return;
        };
        if !self.fleet.wants(seat.service, seat.probe) {
            return;
        }
        if self.asking.want(number, due)
            && let Some(probe) = self.probes.get_mut(number)
            && *probe == InRound::Untouched
        {
            *probe = InRound::Wanted;
            self.progress.expected += 1;
        }
    }

    fn record(&mut self, answer: Answer) -> Vec<Update> {
        let Answer {
            number,
            seat,
            outcome,
        } = answer;
        if let Some(probe) = self.probes.get_mut(number)
            && *probe != InRound::Answered
        {
            *probe = InRound::Answered;
            self.progress.answered += 1;
        }
        let updates = self.fleet.record(seat.service, seat.probe, outcome);
        self.want_untouched(seat.service);
        updates
    }

    /// Looks anew at whether the condition holds for those of which there is a newer snapshot.
    fn weigh(&mut self, updates: Vec<Update>, holds: &impl Fn(&ServiceSnapshot) -> bool) {
        for Update { snapshot, .. } in updates {
            let Some(service) = self.fleet.index(&snapshot.info.name) else {
                continue;
            };
            let now_holds = self.is_complete(service) && holds(&snapshot);
            if let Some(held) = self.holding.get_mut(service)
                && *held != now_holds
            {
                *held = now_holds;
                if now_holds {
                    self.progress.holding += 1;
                } else {
                    self.progress.holding -= 1;
                }
            }
        }
    }

    /// Whether all that a service is to be asked has answered.
    fn is_complete(&self, service: usize) -> bool {
        self.asking
            .roster()
            .of_service(service)
            .enumerate()
            .all(|(probe, number)| {
                self.probes.get(number) == Some(&InRound::Answered)
                    || !self.fleet.wants(service, probe)
            })
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
