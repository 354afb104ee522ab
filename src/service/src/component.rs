//! Components, of which the health of the service is made: its dependencies and readiness gates.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::circuit::CircuitState;
use crate::dependency::DependencySnapshot;
use crate::health::{Health, Need};
use crate::{Service, WeakService};

/// The message of a component whose readiness gate has not opened yet.
const NOT_INITIALIZED: &str = "not initialized";

/// A component at one point in time: a dependency that is in use, or a readiness gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// The name of the dependency or gate.
    pub name: String,
    /// Says whether the service can do its work without the component.
    pub need: Need,
    /// The health for those who look for causes: a component that is affected by another one is
    /// degraded, whatever was found of the component itself.
    pub health: Health,
    /// The health that was last found of the component itself, of which the health of the service is
    /// made.
    pub own_health: Health,
    /// An explanation for people.
    pub message: Option<String>,
    /// The wall-clock time of the last attempt; `None` before the first one.
    pub checked_at: Option<Timestamp>,
    /// Further facts about the component.
    pub details: IndexMap<String, Value>,
    /// The time that the last attempt took.
    pub latency: Option<Duration>,
    /// True if the service waits for a first result: the component has a check or is a readiness
    /// gate. False for a dependency of which nothing but its use tells how it is.
    pub is_checked: bool,
    /// The names of the components that the component depends on.
    pub depends_on: Vec<String>,
    /// The names of the unhealthy components that the component depends on, over others or directly;
    /// of those that are affected themselves only their causes.
    pub affected_by: Vec<String>,
}

impl Component {
    /// Converts a dependency; `None` when the dependency is not used.
    fn of(snapshot: DependencySnapshot) -> Option<Self> {
        let health = match snapshot.health? {
            // It is waiting for a call that decides, and a service that is not ready gets none.
            Health::Unhealthy
                if !snapshot.is_checked && snapshot.circuit == Some(CircuitState::HalfOpen) =>
            {
                Health::Degraded
            }
            health => health,
        };
        Some(Self {
            name: snapshot.name,
            need: snapshot.need,
            health,
            own_health: health,
            message: snapshot.error.or(snapshot.message),
            checked_at: snapshot.checked_at,
            details: snapshot.details,
            latency: snapshot.latency,
            is_checked: snapshot.is_checked,
            depends_on: snapshot.depends_on,
            affected_by: Vec::new(),
        })
    }

    /// Returns whether the component is a dependency that has not been used yet, so that nothing is
    /// known of it and nothing is wrong.
    pub fn is_unused(&self) -> bool {
        self.health == Health::Unknown && self.checked_at.is_none() && !self.is_checked
    }

    /// Writes each component as `payload` does, by its name.
    pub(crate) fn payloads(
        components: Vec<Self>,
        payload: fn(Self) -> Value,
    ) -> Map<String, Value> {
        let named = |component: Self| (component.name.clone(), payload(component));
        components.into_iter().map(named).collect()
    }

    /// Combines the health of components into that of the service.
    pub(crate) fn overall(components: &[Self]) -> Health {
        Health::of(components.iter().map(|part| (part.need, part.own_health)))
    }

    /// Marks the component as affected by these.
    fn set_affected_by(&mut self, causes: Vec<String>) {
        if self.own_health != Health::Unknown {
            self.health = Health::Degraded;
            let causes = causes.join(" and ");
            let own = match self.own_health {
                Health::Healthy => None,
                _ => self.message.take(),
            };
            self.message = Some(match own {
                Some(own) => format!("affected by {causes}: {own}"),
                None => format!("affected by {causes}"),
            });
        }
        let detail = ("affected_by".to_owned(), causes.clone().into());
        self.details.extend([detail]);
        self.affected_by = causes;
    }
}

/// Marks each component that depends on an unhealthy one, over others or directly. Components that
/// depend on each other are no causes of each other.
fn mark_affected(components: &mut IndexMap<String, Component>) {
    if components.values().all(|part| part.depends_on.is_empty()) {
        return;
    }
    let reached: IndexMap<String, IndexSet<String>> = components
        .keys()
        .map(|name| (name.clone(), reachable(components, name)))
        .collect();
    let depends = |from: &str, on: &str| reached.get(from).is_some_and(|all| all.contains(on));
    // The unhealthy components that a component depends on and that do not depend on it.
    let unhealthy = |of: &str| -> Vec<String> {
        let below = components.values().filter(|part| {
            part.own_health == Health::Unhealthy
                && depends(of, &part.name)
                && !depends(&part.name, of)
        });
        below.map(|part| part.name.clone()).collect()
    };
    let causes: Vec<Vec<String>> = components
        .keys()
        .map(|name| {
            let mut causes = unhealthy(name);
            causes.retain(|cause| unhealthy(cause).is_empty());
            causes
        })
        .collect();
    for (component, causes) in components.values_mut().zip(causes) {
        if !causes.is_empty() {
            component.set_affected_by(causes);
        }
    }
}

/// Returns the names of all components that this one depends on.
fn reachable(components: &IndexMap<String, Component>, from: &str) -> IndexSet<String> {
    let mut reached = IndexSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        for next in components
            .get(name)
            .into_iter()
            .flat_map(|part| &part.depends_on)
        {
            if components.contains_key(next) && reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

/// Something that must happen once before the service is ready, such as a migration or the warming
/// of a cache. An open gate never closes again. Clones refer to the same gate.
///
/// ```
/// use healthctl_service::{Service, Settings};
///
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let migrations = service.readiness_gate("migrations");
/// assert!(!service.is_ready());
/// migrations.open();
/// assert!(service.is_ready());
/// ```
#[derive(Debug, Clone)]
pub struct ReadinessGate {
    name: Arc<str>,
    opened_at: Arc<OnceLock<Timestamp>>,
    service: WeakService,
}

impl ReadinessGate {
    /// Returns the name of the gate.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens the gate; a second call changes nothing.
    pub fn open(&self) {
        if self.opened_at.set(Timestamp::now()).is_ok() {
            tracing::info!(gate = &*self.name, "readiness gate is open");
            self.service.note_status();
        }
    }

    /// Returns whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.opened_at.get().is_some()
    }

    /// Adds the gate to the components. Where a component has the same name, a closed gate turns
    /// its health from healthy or degraded to unknown; a fault of the component stays visible.
    fn add_to(&self, components: &mut IndexMap<String, Component>) {
        let opened_at = self.opened_at.get().copied();
        let message = opened_at.is_none().then(|| NOT_INITIALIZED.to_owned());
        if let Some(component) = components.get_mut(&*self.name) {
            component.is_checked |= opened_at.is_none();
            let works = matches!(component.health, Health::Healthy | Health::Degraded);
            if works && opened_at.is_none() {
                component.health = Health::Unknown;
                component.own_health = Health::Unknown;
                component.message = message;
            }
            return;
        }
        let health = opened_at.map_or(Health::Unknown, |_| Health::Healthy);
        let component = Component {
            name: self.name.to_string(),
            need: Need::Required,
            health,
            own_health: health,
            message,
            checked_at: opened_at,
            details: IndexMap::new(),
            latency: None,
            is_checked: true,
            depends_on: Vec::new(),
            affected_by: Vec::new(),
        };
        components.insert(self.name.to_string(), component);
    }
}

impl Service {
    /// Returns the readiness gate of this name; the first call creates it, closed.
    pub fn readiness_gate(&self, name: &str) -> ReadinessGate {
        let gate = self
            .inner
            .gates
            .lock()
            .entry(name.to_owned())
            .or_insert_with(|| ReadinessGate {
                name: name.into(),
                opened_at: Arc::default(),
                service: self.downgrade(),
            })
            .clone();
        self.note_status();
        gate
    }

    /// Returns whether every readiness gate is open.
    pub fn readiness_gates_open(&self) -> bool {
        self.inner.gates.lock().values().all(ReadinessGate::is_open)
    }

    pub(crate) fn readiness_gates(&self) -> Vec<ReadinessGate> {
        self.inner.gates.lock().values().cloned().collect()
    }

    /// Returns all components: dependencies in the order in which they were created, then the gates
    /// that share no name with one of them.
    pub fn components(&self) -> Vec<Component> {
        let dependencies = self.dependencies();
        let names: Vec<String> = dependencies.iter().map(|it| it.name.clone()).collect();
        let mut components: IndexMap<String, Component> = dependencies
            .into_iter()
            .filter_map(Component::of)
            .map(|component| (component.name.clone(), component))
            .collect();
        for gate in self.readiness_gates() {
            // Once it is open it tells nothing of a dependency that is not used any more, such as one whose check is off.
            let is_unused = !components.contains_key(&*gate.name)
                && names.iter().any(|name| **name == *gate.name);
            if !(is_unused && gate.is_open()) {
                gate.add_to(&mut components);
            }
        }
        mark_affected(&mut components);
        components.into_values().collect()
    }

    /// Returns the health of the service, which follows from its components as [`Health::of`] says.
    pub fn health(&self) -> Health {
        Component::overall(&self.components())
    }

    /// Returns whether the service can take work: every gate is open, every required component is
    /// healthy or degraded, and no shutdown was requested. A dependency without a check that has not
    /// been used yet does not count; what must be there before the first request is to have a check or
    /// a [gate](Service::readiness_gate).
    pub fn is_ready(&self) -> bool {
        let blocks = |component: &Component| {
            component.need == Need::Required
                && !component.is_unused()
                && matches!(component.own_health, Health::Unhealthy | Health::Unknown)
        };
        !self.is_shutting_down()
            && self.readiness_gates_open()
            && !self.components().iter().any(blocks)
    }
}
