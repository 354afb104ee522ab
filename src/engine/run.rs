//! The one loop: it owns the schedule, the probes in flight and the trackers, for `watch` and for `check` alike.
//!
//! Three phases: wait for one thing, handle it, start what is due. Nothing but the `select!` is awaited, and publishing
//! never waits, so neither a dead service nor a slow reader can hold up a probe.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::channel::EventSender;
use super::in_flight::{InFlight, ProbeAnswer};
use super::lateness::Lateness;
use super::probes::{ProbeRef, ProbeTable};
use super::schedule::{FirstPass, SLOT, Schedule};
use super::{Ask, Caps};
use crate::event::{Event, Input, Load};
use crate::health::{Flag, Fleet, LifecycleEvent, ServiceSnapshot, State, Update};
use crate::host::Clock;
use crate::inventory::Service;

/// The time between two looks for what follows from time alone: ages, start periods, drains that take too long.
const TICK: Duration = Duration::from_secs(1);
/// The time between two probes of a service that was asked to stop, until it has stopped.
const FAST_POLL: Duration = Duration::from_millis(250);
/// The longest interval of a probe while a condition is waited for.
const CONDITION_INTERVAL: Duration = Duration::from_secs(1);

/// When the engine ends by itself.
pub(crate) enum Until<'a> {
    /// Never: only [`Input::Stop`] or the end of its inputs ends the engine.
    Stopped,
    /// When every probe was answered once and the inputs have ended.
    EachAnswered,
    /// When the condition holds for every service at the same time, each of which has answered all its probes.
    AllHold {
        condition: &'a (dyn Fn(&ServiceSnapshot) -> bool + Sync),
        /// The longest time to wait.
        limit: Option<Duration>,
    },
}

/// The options of an engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// The numbers of probes that may be in flight at once.
    pub(crate) caps: Caps,
    /// Snapshots are published too in which only counters, ages and latencies moved.
    pub(crate) unchanged: bool,
}

/// The progress of the probes, for `check`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Probes that have answered.
    pub(crate) answered: usize,
    /// Probes that will answer, as far as known. Those that a startup probe holds back join when it has passed.
    pub(crate) expected: usize,
    /// Services for which the condition holds; zero without a condition.
    pub(crate) holding: usize,
    pub(crate) services: usize,
}

/// The result of an engine that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The newest snapshot of every service, in their order.
    pub(crate) snapshots: Vec<Arc<ServiceSnapshot>>,
    /// The engine ended before the limit of [`Until::AllHold`].
    pub(crate) in_time: bool,
}

/// An engine that runs as a task. It ends when this and every clone of `inputs` are gone, or on [`Input::Stop`].
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) inputs: UnboundedSender<Input>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Sends an input; one that has ended ignores it.
    pub(crate) fn send(&self, input: Input) {
        let _ = self.inputs.send(input);
    }

    /// Ends the engine and waits until nothing of it runs any more.
    pub(crate) async fn stop(self) {
        self.send(Input::Stop);
        // It fails only where the runtime is ending, too.
        let _ = self.task.await;
    }
}

/// Watches the services and publishes what happens until it is stopped. Inputs that are there already come before the first
/// answer.
pub(crate) fn watch<A: Ask>(
    services: Vec<Arc<Service>>,
    ask: A,
    options: Options,
    clock: Clock,
    events: Vec<EventSender>,
    (inputs, received): (UnboundedSender<Input>, UnboundedReceiver<Input>),
) -> Handle {
    let engine = Engine::new(services, ask, options, Until::Stopped, clock, events);
    let task = tokio::spawn(async move {
        engine.run(received, |_| {}).await;
    });
    Handle { inputs, task }
}

/// Probes the services until `until`, without publishing events; `progress` is called after each answer.
pub(crate) async fn check<A: Ask>(
    services: Vec<Arc<Service>>,
    ask: A,
    until: Until<'_>,
    clock: Clock,
    inputs: UnboundedReceiver<Input>,
    progress: impl FnMut(Progress),
) -> Finished {
    let options = Options {
        caps: Caps::of_this_machine(),
        unchanged: false,
    };
    let engine = Engine::new(services, ask, options, until, clock, Vec::new());
    engine.run(inputs, progress).await
}

/// The state of the loop.
pub(super) struct Engine<'a, A> {
    start: Instant,
    clock: Clock,
    until: Until<'a>,
    inputs_ended: bool,
    fleet: Fleet,
    schedule: Schedule,
    in_flight: InFlight<A>,
    lateness: Lateness,
    skipped: u64,
    services: Vec<ServiceStatus>,
    probes: Vec<ProbeStatus>,
    progress: Progress,
    next_fast_poll: Option<Duration>,
    next_tick: Duration,
    publish_unchanged: bool,
    events: Vec<EventSender>,
}

/// The memory of the loop of one probe.
#[derive(Debug, Clone, Copy, Default)]
struct ProbeStatus {
    /// The probe was due while startup held it back.
    held: bool,
    /// The last grid point that was skipped because the probe was in flight.
    skipped: Option<Duration>,
    requested: bool,
    answered: bool,
}

/// The memory of the loop of one service.
#[derive(Debug, Clone, Copy, Default)]
struct ServiceStatus {
    paused: bool,
    state: State,
    /// The condition of [`Until::AllHold`] held for the newest snapshot.
    holds: bool,
    /// The service is probed at short intervals until then, or until it has stopped.
    fast_poll_until: Option<Duration>,
}

impl<'a, A: Ask> Engine<'a, A> {
    pub(super) fn new(
        services: Vec<Arc<Service>>,
        ask: A,
        options: Options,
        until: Until<'a>,
        clock: Clock,
        events: Vec<EventSender>,
    ) -> Self {
        let infos = services.iter().map(|service| service.info()).collect();
        let fleet = Fleet::new(infos, clock.now());
        let table = ProbeTable::new(services);
        let (first, longest) = match until {
            Until::Stopped => (FirstPass::Paced, Duration::MAX),
            Until::EachAnswered => (FirstPass::AtOnce, Duration::MAX),
            Until::AllHold { .. } => (FirstPass::AtOnce, CONDITION_INTERVAL),
        };
        let grids = table.grids();
        let grids = grids.map(|(hash, interval)| (hash, interval.min(longest)));
        let schedule = Schedule::new(grids, first);
        Self {
            start: Instant::now(),
            clock,
            until,
            inputs_ended: false,
            fleet,
            schedule,
            services: vec![ServiceStatus::default(); table.services().len()],
            probes: vec![ProbeStatus::default(); table.len()],
            progress: Progress {
                services: table.services().len(),
                ..Progress::default()
            },
            in_flight: InFlight::new(table, ask, options.caps, clock),
            lateness: Lateness::new(),
            skipped: 0,
            next_fast_poll: None,
            next_tick: TICK,
            publish_unchanged: options.unchanged,
            events,
        }
    }

    pub(super) async fn run(
        mut self,
        mut inputs: UnboundedReceiver<Input>,
        mut progress: impl FnMut(Progress),
    ) -> Finished {
        if matches!(self.until, Until::Stopped) {
            // What follows from that is a part of what is published first.
            let _ = self.fleet.begin_watch(self.clock.now());
        }
        // Every service is published before anything is known of it, so that a dashboard has its rows at once.
        let updates = self.fleet.introduce();
        self.publish_updates(updates);
        self.start = Instant::now();
        let end = match self.until {
            Until::AllHold {
                limit: Some(limit), ..
            } => self.start.checked_add(limit),
            _ => None,
        };
        let alarm = sleep_until(self.start);
        tokio::pin!(alarm);
        self.start_due();
        progress(self.progress);
        let mut shown = self.progress;
        let mut in_time = true;
        while !self.is_complete() {
            let next = self.start + self.next_time();
            if alarm.deadline() != next {
                alarm.as_mut().reset(next);
            }
            tokio::select! {
                biased;
                () = reached(end) => {
                    in_time = false;
                    break;
                }
                input = inputs.recv(), if !self.inputs_ended => match input {
                    Some(Input::Stop) => break,
                    Some(input) => self.receive(input),
                    None if matches!(self.until, Until::Stopped) => break,
                    None => self.inputs_ended = true,
                },
                answer = self.in_flight.answer() => self.record(answer),
                () = &mut alarm => {}
            }
            self.start_due();
            if self.progress != shown {
                shown = self.progress;
                progress(shown);
            }
        }
        self.in_flight.stop().await;
        Finished {
            snapshots: self.fleet.snapshots(),
            in_time,
        }
    }

    /// Returns whether what the engine runs for has come.
    fn is_complete(&self) -> bool {
        match self.until {
            Until::Stopped => false,
            Until::EachAnswered => self.in_flight.is_idle() && self.inputs_ended,
            Until::AllHold { .. } => self.progress.holding == self.progress.services,
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns when something has to be done although nothing happens.
    fn next_time(&self) -> Duration {
        // The first pass of [`Until::EachAnswered`] is the only one.
        let repeats = !matches!(self.until, Until::EachAnswered);
        let due = self.schedule.next().filter(|_| repeats);
        let times = due.into_iter().chain(self.next_fast_poll);
        times.fold(self.next_tick, Duration::min)
    }

    /// Does all for which the time has come, then starts every probe that has a permit.
    fn start_due(&mut self) {
        let now = self.now();
        if now >= self.next_tick {
            self.tick(now);
        }
        if self.next_fast_poll.is_some_and(|at| now >= at) {
            self.fast_poll(now);
        }
        let first_pass_only = matches!(self.until, Until::EachAnswered);
        while let Some(due) = self.schedule.take_due(now) {
            if !(first_pass_only && due.at > Duration::ZERO) {
                self.probe_due(due.probe, due.at);
            }
        }
        self.in_flight.start(now, &mut self.lateness);
    }

    fn probe_due(&mut self, number: usize, at: Duration) {
        let Some(probe) = self.in_flight.table().probe(number) else {
            return;
        };
        if self.services.get(probe.service).is_some_and(|it| it.paused) {
            return;
        }
        let wanted = self.fleet.wants(probe.service, probe.probe);
        let taken = wanted && self.request(number, at);
        if let Some(status) = self.probes.get_mut(number) {
            if !wanted {
                status.held = true;
            } else if !taken {
                status.skipped = Some(at);
                self.skipped += 1;
            }
        }
    }

    /// Has a probe started as soon as it gets a permit. Returns false when it is waiting or in flight already.
    fn request(&mut self, number: usize, due: Duration) -> bool {
        let taken = self.in_flight.request(number, due);
        if taken
            && let Some(status) = self.probes.get_mut(number)
            && !std::mem::replace(&mut status.requested, true)
        {
            self.progress.expected += 1;
        }
        taken
    }

    fn record(&mut self, answer: ProbeAnswer) {
        if let Some(status) = self.probes.get_mut(answer.number)
            && !std::mem::replace(&mut status.answered, true)
        {
            self.progress.answered += 1;
        }
        let ProbeRef { service, probe, .. } = answer.probe;
        let was_stopped = self.is_stopped(service);
        let updates = self.fleet.record(service, probe, answer.outcome);
        self.publish_updates(updates);
        self.release(service);
        let repeats = !matches!(self.until, Until::EachAnswered);
        if repeats && was_stopped && !self.is_stopped(service) {
            // A stopped service answers again: what is known of its other probes is of a process that is gone.
            let unanswered = self.fleet.unanswered(service);
            self.request_where(service, |_, probe, _| unanswered.contains(&probe));
        }
        self.catch_up(answer.number);
    }

    /// A time-out that is a multiple of the interval ends a moment after a grid point. That point is
    /// kept a little late; otherwise such a service would be probed half as often as it should be.
    fn catch_up(&mut self, number: usize) {
        let skipped = self.probes.get_mut(number).and_then(|it| it.skipped.take());
        let Some(at) = skipped else { return };
        let grace = SLOT.min(self.in_flight.table().interval(number) / 4);
        if self.now().saturating_sub(at) <= grace && self.request(number, at) {
            self.skipped -= 1;
        }
    }

    /// Probes at once what startup held back and holds back no longer.
    fn release(&mut self, service: usize) {
        self.request_where(service, |engine, _, number| {
            let status = engine.probes.get_mut(number);
            status.is_some_and(|status| std::mem::take(&mut status.held))
        });
    }

    /// Requests those probes of a service that are to be asked now and that `chosen` picks by their place in the service
    /// and their number.
    fn request_where(&mut self, service: usize, chosen: impl Fn(&mut Self, usize, usize) -> bool) {
        let now = self.now();
        for (probe, number) in self.in_flight.table().of_service(service).enumerate() {
            if self.fleet.wants(service, probe) && chosen(self, probe, number) {
                self.request(number, now);
            }
        }
    }

    fn probe_now(&mut self, service: usize) {
        self.request_where(service, |_, _, _| true);
    }

    fn is_stopped(&self, service: usize) -> bool {
        let status = self.services.get(service);
        status.is_some_and(|status| status.state == State::Stopped)
    }

    fn publish_updates(&mut self, updates: Vec<Update>) {
        for Update { snapshot, changed } in updates {
            if let Some(service) = self.fleet.index(&snapshot.info.name) {
                let holds = self.holds(service, &snapshot);
                if let Some(status) = self.services.get_mut(service) {
                    status.state = snapshot.state;
                    self.progress.holding += usize::from(holds);
                    self.progress.holding -= usize::from(status.holds);
                    status.holds = holds;
                }
            }
            if self.publish_unchanged || !changed.is_empty() {
                self.publish(&Event::Snapshot { snapshot, changed });
            }
        }
    }

    /// Returns whether the condition holds for a service, all of whose probes have answered.
    fn holds(&self, service: usize, snapshot: &ServiceSnapshot) -> bool {
        let Until::AllHold { condition, .. } = self.until else {
            return false;
        };
        let mut probes = self.in_flight.table().of_service(service).enumerate();
        let answered = |number: usize| self.probes.get(number).is_some_and(|it| it.answered);
        probes.all(|(probe, number)| answered(number) || !self.fleet.wants(service, probe))
            && condition(snapshot)
    }

    fn publish(&self, event: &Event) {
        for sender in &self.events {
            sender.send(event.clone());
        }
    }

    fn tick(&mut self, now: Duration) {
        // After a pause of this process there is one tick, not one for each second.
        self.next_tick = Duration::from_secs(now.as_secs()) + TICK;
        let updates = self.fleet.tick(self.clock.now());
        self.publish_updates(updates);
        let load = Load {
            asked: self.in_flight.started(),
            skipped: self.skipped,
            in_flight: self.in_flight.len(),
            worst_lateness: self.lateness.worst(now),
        };
        self.publish(&Event::Load(load));
    }

    fn receive(&mut self, input: Input) {
        match input {
            Input::Stop => {}
            Input::ProbeNow { service: None } => {
                for service in 0..self.services.len() {
                    self.probe_now(service);
                }
            }
            Input::ProbeNow {
                service: Some(name),
            } => self.with_service(&name, Self::probe_now),
            Input::ActionStep(step) => {
                self.with_service(&step.service, |engine, service| {
                    engine.lifecycle(service, step.lifecycle());
                });
                self.publish(&Event::ActionStep(step));
            }
            Input::ActionResult(result) => {
                self.with_service(&result.service, |engine, service| {
                    engine.lifecycle(service, result.lifecycle());
                    if result.calls_for_probe() {
                        engine.probe_now(service);
                    }
                });
                self.publish(&Event::ActionResult(result));
            }
            Input::Notice { text } => {
                let at = self.clock.now();
                self.publish(&Event::Notice { at, text });
            }
            Input::Pause { service, on } => {
                self.with_service(&service, |engine, service| engine.pause(service, on));
            }
            Input::HostFinding { service, finding } => {
                self.with_service(&service, |engine, service| {
                    let now = engine.clock.now();
                    let updates = engine.fleet.update_host(service, *finding, now);
                    engine.publish_updates(updates);
                });
            }
        }
    }

    /// Does something with the service of this name; nothing where it is not watched.
    fn with_service(&mut self, name: &str, act: impl FnOnce(&mut Self, usize)) {
        if let Some(service) = self.fleet.index(name) {
            act(self, service);
        }
    }

    fn lifecycle(&mut self, service: usize, events: impl IntoIterator<Item = LifecycleEvent>) {
        for event in events {
            let updates = self.fleet.lifecycle(service, event, self.clock.now());
            self.publish_updates(updates);
            match event {
                LifecycleEvent::ShutdownAccepted => self.begin_fast_poll(service),
                LifecycleEvent::Started => {
                    self.set_fast_poll(service, None);
                    self.probe_now(service);
                }
                LifecycleEvent::NotListening { .. } | LifecycleEvent::Start(_) => {}
            }
        }
    }

    fn pause(&mut self, service: usize, on: bool) {
        let note = on.then(String::new);
        let updates = self.fleet.set_flag(service, Flag::Paused, note);
        self.publish_updates(updates);
        let status = self.services.get_mut(service);
        let was_paused = status.map(|it| std::mem::replace(&mut it.paused, on));
        if was_paused == Some(true) && !on {
            self.probe_now(service);
        }
    }

    fn begin_fast_poll(&mut self, service: usize) {
        let now = self.now();
        let limit = self.in_flight.table().services().get(service);
        let limit = limit.map_or(TICK, |service| service.shutdown_timeout());
        self.set_fast_poll(service, Some(now.saturating_add(limit)));
        self.probe_now(service);
        self.next_fast_poll = Some(now + FAST_POLL);
    }

    fn set_fast_poll(&mut self, service: usize, until: Option<Duration>) {
        if let Some(status) = self.services.get_mut(service) {
            status.fast_poll_until = until;
        }
    }

    /// Probes the services that are to stop. Only the probe that tells most is asked: the thresholds of the
    /// others are meant for their interval.
    fn fast_poll(&mut self, now: Duration) {
        self.next_fast_poll = None;
        for service in 0..self.services.len() {
            let status = self.services.get(service);
            let until = status.and_then(|status| status.fast_poll_until);
            if until.is_none_or(|until| now >= until) || self.is_stopped(service) {
                self.set_fast_poll(service, None);
                continue;
            }
            self.next_fast_poll = Some(now + FAST_POLL);
            let table = self.in_flight.table();
            if let Some(probe) = table.most_telling(service)
                && self.fleet.wants(service, probe)
                && let Some(number) = table.of_service(service).nth(probe)
            {
                self.request(number, now);
            }
        }
    }
}

/// Waits for a point in time, for ever where there is none.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
