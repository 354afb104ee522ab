//! Continuous probing: the one loop that owns schedule, questions and trackers.
//!
//! Three phases: wait for one thing, handle it, start what is due. Nothing but the `select!` is awaited,
//! and telling never waits, so neither a dead service nor a slow reader can hold up a probe.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::asking::{Answer, Asking};
use super::channel::EventSender;
use super::lateness::Lateness;
use super::roster::Roster;
use super::schedule::{FirstPass, SLOT, Schedule};
use super::{Ask, Caps};
use crate::event::{ActionResult, ActionStep, Event, Input, Load};
use crate::health::{Flag, Fleet, LifecycleEvent, State, Update};
use crate::host::Clock;
use crate::inventory::Service;

/// Time-driven turns (ages, start periods, drains that take too long) are looked for this often.
const TICK: Duration = Duration::from_secs(1);
/// A service that was asked to stop is asked how it is this often, until it has stopped.
const RUSH: Duration = Duration::from_millis(250);

/// How to watch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How many may be asked at once.
    pub(crate) caps: Caps,
    /// Whether snapshots are told in which nothing but figures moved. A stream of changes has no use for them.
    pub(crate) figures: bool,
}

/// A running engine. It ends when this and every clone of `inputs` are gone, or on [`Input::Stop`].
#[derive(Debug)]
pub(crate) struct Handle {
    /// What may be said to it.
    pub(crate) inputs: UnboundedSender<Input>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Says something to it; after its end nobody hears.
    pub(crate) fn say(&self, input: Input) {
        let _ = self.inputs.send(input);
    }

    /// Ends it and waits until nothing of it runs any more.
    pub(crate) async fn stop(self) {
        self.say(Input::Stop);
        // It fails only where the runtime is ending, too.
        let _ = self.task.await;
    }
}

/// Watches the services, telling what it sees until it is stopped.
pub(crate) fn watch<A: Ask>(
    services: Vec<Arc<Service>>,
    ask: A,
    options: Options,
    clock: Clock,
    events: Vec<EventSender>,
) -> Handle {
    let (inputs, heard) = unbounded_channel();
    let watch = Watch::new(services, ask, options, clock, events);
    let task = tokio::spawn(watch.run(heard));
    Handle { inputs, task }
}

struct Watch<A> {
    start: Instant,
    clock: Clock,
    fleet: Fleet,
    schedule: Schedule,
    asking: Asking<A>,
    lateness: Lateness,
    skipped: u64,
    services: Vec<Watched>,
    probes: Vec<Passed>,
    rushes: Vec<Rush>,
    next_rush: Option<Duration>,
    next_tick: Duration,
    figures: bool,
    events: Vec<EventSender>,
}

/// What the loop remembers of a probe: grid points that went by.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    /// One came while startup held the probe back.
    held: bool,
    /// The last one that came while the probe was under way.
    skipped: Option<Duration>,
}

/// What the loop remembers of a service.
#[derive(Debug, Clone, Copy)]
struct Watched {
    paused: bool,
    state: State,
}

/// A service that is asked at short intervals.
#[derive(Debug, Clone, Copy)]
struct Rush {
    service: usize,
    until: Duration,
}

/// What the loop was woken by.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
enum Wake {
    Heard(Input),
    Answered(Answer),
    Time,
}

impl<A: Ask> Watch<A> {
    fn new(
        services: Vec<Arc<Service>>,
        ask: A,
        options: Options,
        clock: Clock,
        events: Vec<EventSender>,
    ) -> Self {
        let rules = services.iter().map(|service| service.info()).collect();
        let fleet = Fleet::new(rules, clock.now());
        let watched = Watched {
            paused: false,
            state: State::Unknown,
        };
        let roster = Roster::new(services);
        Self {
            start: Instant::now(),
            clock,
            fleet,
            schedule: Schedule::new(roster.grids(), FirstPass::Paced),
            services: vec![watched; roster.services().len()],
            probes: vec![Passed::default(); roster.len()],
            asking: Asking::new(roster, ask, options.caps, clock),
            lateness: Lateness::new(),
            skipped: 0,
            rushes: Vec::new(),
            next_rush: None,
            next_tick: TICK,
            figures: options.figures,
            events,
        }
    }

    async fn run(mut self, mut heard: UnboundedReceiver<Input>) {
        self.introduce();
        let alarm = sleep_until(self.start);
        tokio::pin!(alarm);
        loop {
            self.start_due();
            let next = self.start + self.next_time();
            if alarm.deadline() != next {
                alarm.as_mut().reset(next);
            }
            let wake = tokio::select! {
                biased;
                input = heard.recv() => Wake::Heard(input.unwrap_or(Input::Stop)),
                answer = self.asking.answer() => Wake::Answered(answer),
                () = &mut alarm => Wake::Time,
            };
            if self.handle(wake).is_break() {
                break;
            }
        }
        self.asking.stop().await;
    }

    /// Tells of every service before anything is known of it, so that a face has its rows at once.
    fn introduce(&mut self) {
        let updates = self.fleet.introduce();
        self.tell(updates);
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// When something has to be done although nothing happens.
    fn next_time(&self) -> Duration {
        [self.schedule.next(), self.next_rush]
            .into_iter()
            .flatten()
            .fold(self.next_tick, Duration::min)
    }

    fn handle(&mut self, wake: Wake) -> ControlFlow<()> {
        match wake {
            Wake::Heard(input) => return self.hear(input),
            Wake::Answered(answer) => self.record(answer),
            Wake::Time => {}
        }
        ControlFlow::Continue(())
    }

    /// Does all for which the time has come, then starts what has a place.
    fn start_due(&mut self) {
        let now = self.now();
        if now >= self.next_tick {
            self.tick(now);
        }
        if self.next_rush.is_some_and(|at| now >= at) {
            self.rush(now);
        }
        while let Some(due) = self.schedule.take_due(now) {
            self.come_due(due.probe, due.at);
        }
        self.asking.start(now, &mut self.lateness);
    }

    fn come_due(&mut self, number: usize, at: Duration) {
        let Some(seat) = self.asking.roster().seat(number) else {
            return;
        };
        if self.services.get(seat.service).is_some_and(|it| it.paused) {
            return;
        }
        let Some(passed) = self.probes.get_mut(number) else {
            return;
        };
        if !self.fleet.wants(seat.service, seat.probe) {
            passed.held = true;
        } else if !self.asking.want(number, at) {
            passed.skipped = Some(at);
            self.skipped += 1;
        }
    }

    fn record(&mut self, answer: Answer) {
        let Answer {
            number,
            seat,
            outcome,
        } = answer;
        let was_stopped = self.is_stopped(seat.service);
        let updates = self.fleet.record(seat.service, seat.probe, outcome);
        self.tell(updates);
        self.release(seat.service);
        if was_stopped && !self.is_stopped(seat.service) {
            self.ask_unanswered(seat.service);
        }
        self.catch_up(number);
    }

    /// A time-out that is a multiple of the interval ends a moment after a grid point. That point is
    /// kept a little late; otherwise such a service would be asked half as often as it should be.
    fn catch_up(&mut self, number: usize) {
        let skipped = self.probes.get_mut(number).and_then(|it| it.skipped.take());
        let now = self.now();
        let grace = SLOT.min(self.asking.roster().interval(number) / 4);
        if let Some(at) = skipped
            && now.saturating_sub(at) <= grace
            && self.asking.want(number, at)
        {
            self.skipped -= 1;
        }
    }

    /// Asks at once what startup held back and holds back no longer.
    fn release(&mut self, service: usize) {
        let now = self.now();
        for (probe, number) in self.asking.roster().of_service(service).enumerate() {
            if let Some(passed) = self.probes.get_mut(number)
                && passed.held
                && self.fleet.wants(service, probe)
            {
                passed.held = false;
                self.asking.want(number, now);
            }
        }
    }

    fn is_stopped(&self, service: usize) -> bool {
        let known = self.services.get(service);
        known.is_some_and(|known| known.state == State::Stopped)
    }

    /// A stopped service answers again: what is known of its other probes is of a process that is gone.
    fn ask_unanswered(&mut self, service: usize) {
        let now = self.now();
        let unanswered = self.fleet.unanswered(service);
        for (probe, number) in self.asking.roster().of_service(service).enumerate() {
            if unanswered.contains(&probe) {
                self.asking.want(number, now);
            }
        }
    }

    fn tell(&mut self, updates: Vec<Update>) {
        for Update { snapshot, changed } in updates {
            if let Some(service) = self.fleet.index(&snapshot.info.name)
                && let Some(known) = self.services.get_mut(service)
            {
                known.state = snapshot.state;
            }
            if self.figures || !changed.is_empty() {
                self.publish(&Event::Snapshot { snapshot, changed });
            }
        }
    }

    fn tick(&mut self, now: Duration) {
        // After a pause of this process there is one tick, not one for each second.
        self.next_tick = Duration::from_secs(now.as_secs()) + TICK;
        let updates = self.fleet.tick(self.clock.now());
        self.tell(updates);
        let load = Load {
            asked: self.asking.asked(),
            skipped: self.skipped,
            in_flight: self.asking.in_flight(),
            worst_lateness: self.lateness.worst(now),
        };
        self.publish(&Event::Load(load));
    }

    fn hear(&mut self, input: Input) -> ControlFlow<()> {
        match input {
            Input::Stop => return ControlFlow::Break(()),
            Input::ProbeNow { service: None } => {
                for service in 0..self.services.len() {
                    self.ask_now(service);
                }
            }
            Input::ProbeNow {
                service: Some(name),
            } => self.at(&name, Self::ask_now),
            Input::ActionStep(step) => self.action_step(step),
            Input::ActionResult(result) => self.action_result(result),
            Input::Notice { text } => {
                let at = self.clock.now();
                self.publish(&Event::Notice { at, text });
            }
            Input::Pause { service, on } => self.at(&service, |watch, service| {
                let updates = watch
                    .fleet
                    .set_flag(service, Flag::Paused, on.then(String::new));
                watch.tell(updates);
                let was = watch
                    .services
                    .get_mut(service)
                    .map(|it| std::mem::replace(&mut it.paused, on));
                if was == Some(true) && !on {
                    watch.ask_now(service);
                }
            }),
            Input::Seen { service, sight } => self.at(&service, |watch, service| {
                let at = watch.clock.now();
                let updates = watch.fleet.see(service, *sight, at);
                watch.tell(updates);
            }),
        }
        ControlFlow::Continue(())
    }

    fn action_step(&mut self, step: ActionStep) {
        if let Some(service) = self.fleet.index(&step.service) {
            for event in step.lifecycle() {
                self.lifecycle(service, event);
            }
        }
        self.publish(&Event::ActionStep(step));
    }

    fn action_result(&mut self, result: Box<ActionResult>) {
        if let Some(service) = self.fleet.index(&result.service) {
            for event in result.lifecycle() {
                self.lifecycle(service, event);
            }
            if result.calls_for_probe() {
                self.ask_now(service);
            }
        }
        self.publish(&Event::ActionResult(result));
    }

    fn lifecycle(&mut self, service: usize, event: LifecycleEvent) {
        let updates = self.fleet.lifecycle(service, event, self.clock.now());
        self.tell(updates);
        match event {
            LifecycleEvent::ShutdownAccepted => self.begin_rush(service, self.now()),
            LifecycleEvent::Started => {
                self.rushes.retain(|rush| rush.service != service);
                self.ask_now(service);
            }
            LifecycleEvent::NotListening { .. } | LifecycleEvent::Start(_) => {}
        }
    }

    fn publish(&self, event: &Event) {
        for sender in &self.events {
            sender.send(event.clone());
        }
    }

    fn at(&mut self, name: &str, then: impl FnOnce(&mut Self, usize)) {
        if let Some(service) = self.fleet.index(name) {
            then(self, service);
        }
    }

    fn ask_now(&mut self, service: usize) {
        let now = self.now();
        for (probe, number) in self.asking.roster().of_service(service).enumerate() {
            if self.fleet.wants(service, probe) {
                self.asking.want(number, now);
            }
        }
    }

    fn begin_rush(&mut self, service: usize, now: Duration) {
        let limit = self.asking.roster().services().get(service);
        let limit = limit.map_or(TICK, |service| service.shutdown_timeout());
        self.rushes.retain(|rush| rush.service != service);
        self.rushes.push(Rush {
            service,
            until: now.saturating_add(limit),
        });
        self.ask_now(service);
        self.next_rush = Some(now + RUSH);
    }

    /// Asks those that are to stop how they are. Only the probe that tells: the thresholds of the
    /// others are meant for their interval.
    fn rush(&mut self, now: Duration) {
        let services = &self.services;
        self.rushes.retain(|rush| {
            let stopped = services
                .get(rush.service)
                .is_none_or(|it| it.state == State::Stopped);
            !stopped && now < rush.until
        });
        for Rush { service, .. } in &self.rushes {
            if let Some(probe) = self.asking.roster().telling(*service)
                && self.fleet.wants(*service, probe)
                && let Some(number) = self.asking.roster().of_service(*service).nth(probe)
            {
                self.asking.want(number, now);
            }
        }
        self.next_rush = (!self.rushes.is_empty()).then(|| now + RUSH);
    }
}
