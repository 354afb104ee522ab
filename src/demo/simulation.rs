//! The simulated state of one service: its components, and the faults injected into it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use healthctl_service::{Check, CheckResult, Need, Service};
use tokio::sync::watch;
use tokio::time::Instant;

use super::component::{Component, Intervention};
use super::fault::{FaultAction, FaultCommand};
use super::fleet::{CHECKS, ServiceDefinition};
use super::protocol::{Assignment, Connection};

/// The time between two attempts to use a component.
const INTERVAL: Duration = Duration::from_millis(500);
const CHECK_TIMEOUT: Duration = Duration::from_millis(300);

/// A service of the fleet with everything that can be broken in it.
#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) definition: &'static ServiceDefinition,
    pub(super) service: Service,
    pub(super) calm: bool,
    components: Vec<Arc<SimulatedComponent>>,
    interventions: BTreeMap<&'static str, watch::Sender<Intervention>>,
}

#[derive(Debug)]
struct SimulatedComponent {
    component: Component,
    calm: bool,
    started: Instant,
    intervention: FaultSwitch,
    checks: FaultSwitch,
}

/// The receiving end of the fault commands for one target.
#[derive(Debug, Clone)]
pub(super) struct FaultSwitch(watch::Receiver<Intervention>);

impl FaultSwitch {
    pub(super) fn is_broken(&self) -> bool {
        *self.0.borrow() == Intervention::Broken
    }

    /// Returns a switch that waits for commands from now on.
    pub(super) fn unchanged(&self) -> Self {
        let mut receiver = self.0.clone();
        receiver.mark_unchanged();
        Self(receiver)
    }

    /// Waits for the next command for the target.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The service has no such target.
            std::future::pending::<()>().await;
        }
    }
}

impl Simulation {
    /// Registers the components with the service; the first attempts to use them end before anybody can ask.
    pub(super) async fn new(
        definition: &'static ServiceDefinition,
        service: &Service,
        assignment: &Assignment,
    ) -> Self {
        let components = definition.components.iter().map(|component| component.name);
        let targets = components.chain(definition.faults().map(|fault| fault.name));
        let mut simulation = Self {
            definition,
            service: service.clone(),
            calm: assignment.calm,
            components: Vec::new(),
            interventions: targets
                .map(|name| (name, watch::Sender::default()))
                .collect(),
        };
        for command in &assignment.faults {
            simulation.set(command);
        }
        for component in definition.components {
            let component = Arc::new(SimulatedComponent {
                component: *component,
                calm: assignment.calm,
                started: Instant::now(),
                intervention: simulation.switch(component.name),
                checks: simulation.switch(CHECKS),
            });
            if definition.convention.has_checks() {
                component.register_check(service);
            } else {
                component.record_repeatedly(service);
                simulation.components.push(component);
            }
        }
        service.check_every(INTERVAL);
        simulation.refresh().await;
        simulation
    }

    /// Returns the switch of a fault; of one that the service does not have, it is never broken.
    pub(super) fn switch(&self, target: &str) -> FaultSwitch {
        FaultSwitch(match self.interventions.get(target) {
            Some(sender) => sender.subscribe(),
            None => watch::Sender::default().subscribe(),
        })
    }

    /// Applies and acknowledges the commands that arrive until the connection closes.
    pub(super) async fn apply_faults(&self, mut connection: Connection) {
        while let Ok(Some(command)) = connection.receive().await {
            self.set(&command);
            self.refresh().await;
            if connection.send(&()).await.is_err() {
                return;
            }
        }
    }

    fn set(&self, command: &FaultCommand) {
        if let Some(intervention) = self.interventions.get(command.target.as_str()) {
            intervention.send_replace(match command.action {
                FaultAction::Break => Intervention::Broken,
                FaultAction::Mend => Intervention::Mended,
            });
        }
    }

    /// Makes an attempt to use each component now.
    async fn refresh(&self) {
        for component in &self.components {
            component.record(&self.service);
        }
        let checks = self.service.checks();
        futures_util::future::join_all(checks.iter().map(Check::run)).await;
    }
}

impl SimulatedComponent {
    /// Has the service check the component.
    fn register_check(self: Arc<Self>, service: &Service) {
        let need = if self.component.is_required {
            Need::Required
        } else {
            Need::Optional
        };
        let name = self.component.name;
        service.register_check(name, need, CHECK_TIMEOUT, move || Arc::clone(&self).check());
    }

    async fn check(self: Arc<Self>) -> CheckResult {
        if self.checks.is_broken() {
            return CheckResult::unknown("not checked");
        }
        let Some((latency, result)) = self.attempt() else {
            return std::future::pending().await;
        };
        let latency = latency.as_secs_f64() * 1_000.0;
        let details = self.component.details.iter();
        details.fold(
            result.with_detail("latency_ms", latency),
            |result, (key, value)| result.with_detail(*key, *value),
        )
    }

    /// Has the service record the result of each use of the component.
    fn record_repeatedly(self: &Arc<Self>, service: &Service) {
        let dependency = service.dependency(self.component.name);
        for (key, value) in self.component.details {
            dependency.set_detail(*key, *value);
        }
        let (component, recorded) = (Arc::clone(self), service.clone());
        service.background(async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                component.record(&recorded);
            }
        });
    }

    fn record(&self, service: &Service) {
        let dependency = service.dependency(self.component.name);
        match self.attempt() {
            Some((latency, result)) => {
                dependency.record_latency(latency);
                dependency.record(result);
            }
            None => dependency.set_not_used(),
        }
    }

    fn attempt(&self) -> Option<(Duration, CheckResult)> {
        let intervention = *self.intervention.0.borrow();
        self.component
            .attempt(self.started.elapsed(), intervention, self.calm)
    }
}
