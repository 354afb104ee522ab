//! The simulated state of one service: its components, and the faults injected into it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use healthctl_service::log::LevelHandle;
use healthctl_service::{Check, CheckResult, Dependency, Service};
use tokio::sync::watch;

use super::component::{Component, FaultAction};
use super::fault::FaultCommand;
use super::fleet::{CHECKS, ServiceDefinition};
use super::protocol::{Assignment, ControlConnection};

/// The time between two attempts to use a component.
const INTERVAL: Duration = Duration::from_millis(500);
const CHECK_TIMEOUT: Duration = Duration::from_millis(300);

/// A service of the fleet with everything that can be broken in it.
#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) definition: &'static ServiceDefinition,
    pub(super) service: Service,
    pub(super) calm: bool,
    pub(super) log_level: LevelHandle,
    /// The last command for each target.
    faults: BTreeMap<&'static str, watch::Sender<Option<FaultAction>>>,
    /// The components that the service does not check, but records the use of.
    recorded: Arc<Vec<(Dependency, SimulatedComponent)>>,
}

#[derive(Debug)]
struct SimulatedComponent {
    component: Component,
    calm: bool,
    service: Service,
    fault: FaultSwitch,
    checks: FaultSwitch,
}

/// The receiving end of the fault commands for one target.
#[derive(Debug, Clone)]
pub(super) struct FaultSwitch(watch::Receiver<Option<FaultAction>>);

impl FaultSwitch {
    pub(super) fn is_broken(&self) -> bool {
        *self.0.borrow() == Some(FaultAction::Break)
    }

    /// Waits for the next command for the target. Returns `false` if the service has no such target.
    pub(super) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Ignores the commands that have arrived so far.
    pub(super) fn mark_unchanged(&mut self) {
        self.0.mark_unchanged();
    }
}

impl Simulation {
    /// Registers the components with the service; the first attempts to use them end before anybody can ask.
    pub(super) async fn new(
        definition: &'static ServiceDefinition,
        service: &Service,
        assignment: &Assignment,
        log_level: LevelHandle,
    ) -> Self {
        let targets = definition.targets();
        let mut simulation = Self {
            definition,
            service: service.clone(),
            calm: assignment.calm,
            log_level,
            faults: targets
                .map(|name| (name, watch::Sender::default()))
                .collect(),
            recorded: Arc::default(),
        };
        for command in &assignment.faults {
            simulation.set(command);
        }
        let mut recorded = Vec::new();
        for component in definition.components {
            let simulated = SimulatedComponent {
                component: *component,
                calm: assignment.calm,
                service: service.clone(),
                fault: simulation.switch(component.name),
                checks: simulation.switch(CHECKS),
            };
            if definition.convention.has_checks() {
                let simulated = Arc::new(simulated);
                let check = move || Arc::clone(&simulated).check();
                service.register_check(component.name, component.need, CHECK_TIMEOUT, check);
            } else {
                recorded.push((service.dependency(component.name), simulated));
            }
        }
        simulation.recorded = Arc::new(recorded);
        service.check_every(INTERVAL);
        let recorded = Arc::clone(&simulation.recorded);
        service.background(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                record(&recorded);
            }
        });
        simulation.refresh().await;
        simulation
    }

    /// Returns the switch of a fault; one that the service does not have is never broken.
    pub(super) fn switch(&self, target: &str) -> FaultSwitch {
        FaultSwitch(match self.faults.get(target) {
            Some(sender) => sender.subscribe(),
            None => watch::Sender::default().subscribe(),
        })
    }

    /// Applies and acknowledges the commands that arrive until the connection closes.
    pub(super) async fn apply_faults(&self, mut connection: ControlConnection) {
        while let Ok(Some(command)) = connection.receive().await {
            self.set(&command);
            record(&self.recorded);
            let checks = self.service.checks();
            let refreshed = join_all(checks.iter().map(|check| self.run_anew(check)));
            // A check that was given more time goes on by itself: the end of the demo must not wait for it.
            let _ = tokio::time::timeout(CHECK_TIMEOUT * 3, refreshed).await;
            if connection.send(&()).await.is_err() {
                return;
            }
        }
    }

    fn set(&self, command: &FaultCommand) {
        if let Some(sender) = self.faults.get(command.target.as_str()) {
            sender.send_replace(Some(command.action));
        }
    }

    /// Makes an attempt to use each component now.
    async fn refresh(&self) {
        record(&self.recorded);
        join_all(self.service.checks().iter().map(Check::run)).await;
    }

    /// Runs a check until an attempt has ended that took the last command for it into account.
    async fn run_anew(&self, check: &Check) {
        // This shares an attempt that has begun before, whose result may be out of date.
        check.run().await;
        let components = self.service.components();
        let component = components.iter().find(|it| it.name == check.name());
        let message = component.and_then(|it| it.message.as_deref());
        // A command has an attempt that hangs look again, so that one which has timed out since hangs by this command.
        // Another run at once might find it still running.
        if !message.is_some_and(|message| message.starts_with("timed out ")) {
            check.run().await;
        }
    }
}

/// Has the service record an attempt to use each of these components.
fn record(components: &[(Dependency, SimulatedComponent)]) {
    for (dependency, component) in components {
        match component.attempt() {
            Some((latency, result)) => {
                dependency.record_latency(latency);
                dependency.record(result);
            }
            None => dependency.set_not_used(),
        }
    }
}

impl SimulatedComponent {
    async fn check(self: Arc<Self>) -> CheckResult {
        let mut fault = self.fault.clone();
        loop {
            if self.checks.is_broken() {
                return CheckResult::unknown("not checked");
            }
            fault.mark_unchanged();
            if let Some((latency, result)) = self.attempt() {
                return result.with_detail("latency_ms", latency.as_secs_f64() * 1_000.0);
            }
            // It hangs until the next command for the component.
            if !fault.changed().await {
                return std::future::pending().await;
            }
        }
    }

    fn attempt(&self) -> Option<(Duration, CheckResult)> {
        let fault = *self.fault.0.borrow();
        self.component
            .attempt(self.service.uptime(), fault, self.calm)
    }
}
