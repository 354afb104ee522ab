//! The probes in flight: one task for each, never two of one probe, all within the caps.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::lateness::Lateness;
use super::limits::{Caps, Limiter, Permit};
use super::probes::{ProbeRef, ProbeTable};
use crate::health::{FailureKind, Outcome};
use crate::host::Clock;
use crate::inventory::{Probe, Service};
use crate::probe::Prober;

/// The way to ask one probe: over the network, or in tests by a script.
pub(crate) trait Ask: Clone + Send + Sync + 'static {
    /// Asks the probe. It ends by itself within the time-out of the probe.
    fn ask(&self, service: &Service, probe: &Probe) -> impl Future<Output = Outcome> + Send;
}

impl Ask for Prober {
    async fn ask(&self, _service: &Service, probe: &Probe) -> Outcome {
        self.probe(probe, None).await
    }
}

/// The probes that wait for a permit or are in flight.
#[derive(Debug)]
pub(super) struct InFlight<A> {
    ask: A,
    clock: Clock,
    table: ProbeTable,
    limiter: Limiter,
    requests: Vec<RequestedProbe>,
    tasks: JoinSet<(Permit, Outcome)>,
    waiting: usize,
    started: u64,
}

/// The memory of one probe between its answers.
#[derive(Debug, Clone, Copy, Default)]
struct RequestedProbe {
    /// When it was due; `None` while it neither waits nor is in flight.
    due: Option<Duration>,
    /// The probe timed out the last time.
    slow: bool,
}

/// The answer of one probe.
#[derive(Debug)]
pub(super) struct ProbeAnswer {
    pub(super) number: usize,
    pub(super) probe: ProbeRef,
    pub(super) outcome: Outcome,
}

impl<A: Ask> InFlight<A> {
    pub(super) fn new(table: ProbeTable, ask: A, caps: Caps, clock: Clock) -> Self {
        Self {
            ask,
            clock,
            limiter: Limiter::new(caps, table.hosts()),
            requests: vec![RequestedProbe::default(); table.len()],
            table,
            tasks: JoinSet::new(),
            waiting: 0,
            started: 0,
        }
    }

    pub(super) const fn table(&self) -> &ProbeTable {
        &self.table
    }

    /// Has a probe asked as soon as it gets a permit. Returns false when it waits or is in flight already.
    pub(super) fn request(&mut self, number: usize, due: Duration) -> bool {
        let request = self.requests.get_mut(number);
        let (Some(request), Some(probe)) = (request, self.table.probe(number)) else {
            return false;
        };
        if request.due.is_some() {
            return false;
        }
        request.due = Some(due);
        self.waiting += 1;
        self.limiter.queue(Permit {
            probe: number,
            host: probe.host,
            slow: request.slow,
        });
        true
    }

    /// Starts every probe that gets a permit.
    pub(super) fn start(&mut self, now: Duration, lateness: &mut Lateness) {
        while self.waiting > 0
            && let Some(permit) = self.limiter.take()
        {
            self.waiting -= 1;
            let due = self.requests.get(permit.probe).and_then(|it| it.due);
            lateness.record(due.unwrap_or(now), now);
            self.spawn(permit);
        }
    }

    fn spawn(&mut self, permit: Permit) {
        let probe = self.table.probe(permit.probe);
        let service = probe.and_then(|it| self.table.services().get(it.service));
        let (Some(probe), Some(service)) = (probe, service.map(Arc::clone)) else {
            return;
        };
        self.started += 1;
        let ask = self.ask.clone();
        let clock = self.clock;
        self.tasks.spawn(async move {
            let asked = async {
                let probe = service.probes.get(probe.probe)?;
                Some(ask.ask(&service, probe).await)
            };
            // A fault of ours must not look like one of the service.
            let asked = AssertUnwindSafe(asked).catch_unwind().await;
            let outcome = asked.ok().flatten().unwrap_or_else(|| {
                let message = "a fault in healthctl ended the probe; please report it";
                Outcome::failed(FailureKind::Local, message, clock.now())
            });
            (permit, outcome)
        });
    }

    /// Waits for the next answer, for ever while nothing is in flight. Loses nothing when it is cancelled.
    pub(super) async fn answer(&mut self) -> ProbeAnswer {
        loop {
            match self.tasks.join_next().await {
                // Nothing of a task can fail but what is caught in it, and none is aborted before the end.
                Some(answer) => {
                    if let Some(answer) = answer.ok().and_then(|it| self.done(it)) {
                        return answer;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    fn done(&mut self, (permit, outcome): (Permit, Outcome)) -> Option<ProbeAnswer> {
        self.limiter.give_back(permit);
        let request = self.requests.get_mut(permit.probe)?;
        request.due = None;
        request.slow = outcome.failure_kind() == Some(FailureKind::Timeout);
        Some(ProbeAnswer {
            number: permit.probe,
            probe: self.table.probe(permit.probe)?,
            outcome,
        })
    }

    /// Drops the probes that wait or are in flight.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0 && self.tasks.is_empty()
    }

    /// Returns how many probes are in flight.
    pub(super) const fn len(&self) -> usize {
        self.limiter.taken()
    }

    /// Returns how many probes were started since the beginning.
    pub(super) const fn started(&self) -> u64 {
        self.started
    }
}
