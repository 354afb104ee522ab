//! Readiness gates: what has to happen once before the service takes work.

use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};

use indexmap::IndexMap;
use jiff::Timestamp;

use super::Service;
use super::component::{Component, Health, Need};

/// Something that must have happened once: migrations done, a certificate loaded, a cache warmed.
/// Until then the service is not ready; afterwards it never closes again. Copies share everything.
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
}

impl ReadinessGate {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            opened_at: Arc::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It has happened; a second call changes nothing.
    pub fn open(&self) {
        if self.opened_at.set(Timestamp::now()).is_ok() {
            tracing::info!(gate = &*self.name, "readiness gate is open");
        }
    }

    /// Whether it has happened.
    pub fn is_open(&self) -> bool {
        self.opened_at.get().is_some()
    }

    /// Puts itself among the components: while it is closed it hides that its namesake is well,
    /// but not what is wrong with it.
    pub(super) fn lay_over(&self, components: &mut IndexMap<String, Component>) {
        let opened_at = self.opened_at.get().copied();
        if let Some(component) = components.get_mut(&*self.name) {
            let well = matches!(component.health, Health::Healthy | Health::Degraded);
            if well && opened_at.is_none() {
                component.health = Health::Unknown;
                component.message = Some(CLOSED.to_owned());
            }
            return;
        }
        let component = Component {
            name: self.name.to_string(),
            need: Need::Required,
            health: opened_at.map_or(Health::Unknown, |_| Health::Healthy),
            message: opened_at.is_none().then(|| CLOSED.to_owned()),
            checked_at: opened_at,
            details: IndexMap::new(),
            latency: None,
        };
        components.insert(self.name.to_string(), component);
    }
}

/// What is said of a gate that has not opened yet.
const CLOSED: &str = "not initialized";

impl Service {
    /// The readiness gate of this name, made closed at the first call.
    pub fn readiness_gate(&self, name: &str) -> ReadinessGate {
        self.gates_mut()
            .entry(name.to_owned())
            .or_insert_with(|| ReadinessGate::new(name))
            .clone()
    }

    /// Whether every gate has opened.
    pub fn readiness_gates_open(&self) -> bool {
        self.gates_mut().values().all(ReadinessGate::is_open)
    }

    pub(super) fn gates(&self) -> Vec<ReadinessGate> {
        self.gates_mut().values().cloned().collect()
    }

    fn gates_mut(&self) -> MutexGuard<'_, IndexMap<String, ReadinessGate>> {
        // A thread that panicked while it held the lock left a whole map behind.
        self.inner
            .gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
