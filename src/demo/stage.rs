//! What of a service can be broken and mended, and the orders that do it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::attachment::Assignment;
use super::fleet::{CHECKS, Component, Convention, Member};
use super::life::{Attempt, Hand, Life};
use super::line::Line;
use super::order::Reached;
use super::{Order, Verb};
use healthctl_service::{Check, CheckResult, Dependency, Need, Service};

/// How often each dependency is tried.
const BEAT: Duration = Duration::from_millis(500);
/// How long a check may take.
const CHECK_LIMIT: Duration = Duration::from_millis(300);

/// One service of the fleet with everything that a hand can reach.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) member: &'static Member,
    pub(super) service: Service,
    pub(super) calm: bool,
    actors: Vec<Arc<Actor>>,
    switches: BTreeMap<&'static str, watch::Sender<bool>>,
}

/// A dependency that plays its part.
#[derive(Debug)]
struct Actor {
    component: &'static Component,
    calm: bool,
    hand: Mutex<Hand>,
    service: Service,
    way: Way,
    blind: watch::Receiver<bool>,
}

/// How the service knows of it.
#[derive(Debug)]
enum Way {
    /// It is told how each attempt went.
    Told(Dependency),
    /// It checks; the check is registered once there is somebody to ask.
    Checked(OnceLock<Check>),
}

impl Stage {
    /// Sets it up; the first attempts are made before anybody can ask.
    pub(super) async fn new(
        member: &'static Member,
        service: &Service,
        assignment: &Assignment,
    ) -> Self {
        let calm = assignment.calm;
        let switches: BTreeMap<_, _> = member
            .switches()
            .map(|switch| (switch.name, watch::Sender::new(false)))
            .collect();
        let never = watch::Sender::new(false);
        let blind = switches.get(CHECKS).unwrap_or(&never);
        let mut actors = Vec::new();
        for component in member.dependencies {
            let actor = Actor::new(member, component, service, calm, blind.subscribe());
            let actor = Arc::new(actor);
            actor.take_the_stage(member);
            actors.push(actor);
        }
        service.check_every(BEAT);
        let stage = Self {
            member,
            service: service.clone(),
            calm,
            actors,
            switches,
        };
        for order in &assignment.orders {
            stage.set(order);
        }
        for actor in &stage.actors {
            actor.attempt().await;
        }
        stage
    }

    /// Tells whether this is broken, now and later.
    pub(super) fn switch(&self, name: &'static str) -> watch::Receiver<bool> {
        self.switches.get(name).map_or_else(
            || watch::Sender::new(false).subscribe(),
            watch::Sender::subscribe,
        )
    }

    /// Carries out what comes in until nothing can come any more.
    pub(super) async fn take_orders(&self, mut line: Line) {
        while let Ok(Some(order)) = line.hear::<Order>().await {
            self.carry_out(&order).await;
            if line.say(&Reached::Now).await.is_err() {
                return;
            }
        }
    }

    async fn carry_out(&self, order: &Order) {
        self.set(order);
        for actor in &self.actors {
            if [actor.component.name, CHECKS].contains(&order.dependency.as_str()) {
                actor.attempt().await;
            }
        }
    }

    fn set(&self, order: &Order) {
        if let Some(switch) = self.switches.get(order.dependency.as_str()) {
            switch.send_replace(order.verb == Verb::Break);
        }
        for actor in &self.actors {
            if actor.component.name == order.dependency {
                let hand = match order.verb {
                    Verb::Break => Hand::Broken,
                    Verb::Mend => Hand::Mended,
                };
                *actor.hand.lock().unwrap_or_else(PoisonError::into_inner) = hand;
            }
        }
    }
}

impl Actor {
    fn new(
        member: &'static Member,
        component: &'static Component,
        service: &Service,
        calm: bool,
        blind: watch::Receiver<bool>,
    ) -> Self {
        let way = match member.convention {
            Convention::ScryIngestor | Convention::KcpSyncer => Way::Checked(OnceLock::new()),
            _ => Way::Told(service.dependency(component.name)),
        };
        Self {
            component,
            calm,
            hand: Mutex::default(),
            service: service.clone(),
            way,
            blind,
        }
    }

    /// Has it played from now on.
    fn take_the_stage(self: &Arc<Self>, member: &Member) {
        match &self.way {
            Way::Told(dependency) => {
                for (key, value) in self.component.details {
                    dependency.set_detail(*key, *value);
                }
                self.service.background(Arc::clone(self).live());
            }
            Way::Checked(check) => {
                let need = if member.needs(self.component.name) {
                    Need::Required
                } else {
                    Need::Optional
                };
                let actor = Arc::clone(self);
                let play = move || Arc::clone(&actor).play();
                check.get_or_init(|| {
                    self.service
                        .register_check(self.component.name, need, CHECK_LIMIT, play)
                });
            }
        }
    }

    async fn live(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BEAT).await;
            self.attempt().await;
        }
    }

    async fn attempt(&self) {
        let dependency = match &self.way {
            Way::Told(dependency) => dependency,
            Way::Checked(check) => {
                if let Some(check) = check.get() {
                    check.run().await;
                }
                return;
            }
        };
        match self.next() {
            Attempt::Success(latency) => {
                dependency.record_latency(latency);
                dependency.record_success();
            }
            Attempt::Impairment(latency, message) => {
                dependency.record_latency(latency);
                dependency.record(CheckResult::degraded(message));
            }
            Attempt::Failure(latency, error) => {
                dependency.record_latency(latency);
                dependency.record_failure(error);
            }
            Attempt::Endless => {}
            Attempt::NotUsed => dependency.set_not_used(),
        }
    }

    /// What a check finds.
    async fn play(self: Arc<Self>) -> CheckResult {
        if *self.blind.borrow() {
            return CheckResult::unknown("nobody has looked");
        }
        let (latency, report) = match self.next() {
            Attempt::Success(latency) => (latency, CheckResult::healthy()),
            Attempt::Impairment(latency, message) => (latency, CheckResult::degraded(message)),
            Attempt::Failure(latency, error) => (latency, CheckResult::unhealthy(error)),
            Attempt::Endless => std::future::pending().await,
            Attempt::NotUsed => (Duration::ZERO, CheckResult::unknown("not configured")),
        };
        let latency = latency.as_secs_f64() * 1_000.0;
        let details = self.component.details;
        details.iter().fold(
            report.with_detail("latency_ms", latency),
            |report, (key, value)| report.with_detail(*key, *value),
        )
    }

    fn next(&self) -> Attempt {
        let hand = *self.hand.lock().unwrap_or_else(PoisonError::into_inner);
        let life: Life = self.component.life;
        life.attempt(self.service.uptime(), hand, self.calm)
    }
}
