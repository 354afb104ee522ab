//! The state of one dependency, as reported by the code that uses it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::WeakService;
use crate::circuit::{Circuit, CircuitState};
use crate::health::{CheckResult, Health, Need};

/// A component that the service depends on. Clones refer to the same dependency.
///
/// ```
/// use healthctl_service::{Health, Need, Service, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let payments = service.dependency("payments");
/// payments.set_need(Need::Optional);
/// payments.set_detail("region", "eu");
///
/// // Each use records its result and its duration:
/// let paid: Result<(), &str> = payments.observe(async { Err("the gateway answered 502") }).await;
/// assert!(paid.is_err());
///
/// let snapshot = service.dependencies().remove(0);
/// assert_eq!(snapshot.health, Some(Health::Unhealthy));
/// assert_eq!(snapshot.failure_count, 1);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dependency {
    name: Arc<str>,
    state: Arc<Mutex<DependencyState>>,
    /// The service whose hooks are told of a change; none for a dependency that is no component.
    service: Option<WeakService>,
}

/// A dependency at one point in time. Ages are as of that time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DependencySnapshot {
    /// The name of the dependency.
    pub name: String,
    /// Says whether the service can do its work without the dependency.
    pub need: Need,
    /// The health after the last attempt; `None` when the dependency is not configured, or its check
    /// is disabled.
    pub health: Option<Health>,
    /// The message of the last attempt, whether it failed or not.
    pub message: Option<String>,
    /// The message of the last attempt, if it failed.
    pub error: Option<String>,
    /// The wall-clock time at which the last attempt ended; `None` before the first one.
    pub checked_at: Option<Timestamp>,
    /// The time since the last success; `None` when there was none.
    pub last_success: Option<Duration>,
    /// The time since the last failure; `None` when there was none.
    pub last_failure: Option<Duration>,
    /// The number of successes since the start.
    pub success_count: u64,
    /// The number of failures since the start.
    pub failure_count: u64,
    /// The time that the last attempt took.
    pub latency: Option<Duration>,
    /// The state of its circuit breaker, if it has one.
    pub circuit: Option<CircuitState>,
    /// True if a check finds out the health; otherwise it is known from the use of the dependency
    /// alone.
    pub is_checked: bool,
    /// The names of the components that the dependency itself depends on.
    pub depends_on: Vec<String>,
    /// Further facts about the dependency, in the order in which they were first set.
    pub details: IndexMap<String, Value>,
}

#[derive(Debug, Default)]
struct DependencyState {
    /// The fields that a snapshot copies; the ages, the error and the circuit are added to the copy.
    facts: DependencySnapshot,
    last_success: Option<Instant>,
    last_failure: Option<Instant>,
    circuit: Option<Arc<Mutex<Circuit>>>,
}

impl Dependency {
    pub(crate) fn new(name: &str) -> Self {
        let mut state = DependencyState::default();
        name.clone_into(&mut state.facts.name);
        state.facts.health = Some(Health::Unknown);
        Self {
            name: name.into(),
            state: Arc::new(Mutex::new(state)),
            service: None,
        }
    }

    /// Makes the dependency a component of a service, whose hooks are told of each change.
    pub(crate) fn of_service(mut self, service: WeakService) -> Self {
        self.service = Some(service);
        self
    }

    fn note_status(&self) {
        if let Some(service) = &self.service {
            service.note_status();
        }
    }

    /// Returns the name of the dependency.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the service can do its work without the dependency.
    pub fn need(&self) -> Need {
        self.state.lock().facts.need
    }

    /// Sets whether the service can do its work without the dependency; at first it is required.
    pub fn set_need(&self, need: Need) {
        self.state.lock().facts.need = need;
        self.note_status();
    }

    /// Names the components of the service that this dependency itself depends on, in place of those
    /// named before. While one of them, or one behind it, is unhealthy, this one is reported as
    /// affected by it and not as a second cause.
    ///
    /// ```
    /// use healthctl_service::{Health, Service, Settings};
    ///
    /// let service = Service::new("ingestor", "1.0", Settings::default());
    /// let (database, api) = (service.dependency("database"), service.dependency("api"));
    /// api.set_depends_on(["database"]);
    /// database.record_failure("connection refused");
    /// api.record_failure("no orders");
    ///
    /// let api = &service.components()[1];
    /// assert_eq!((api.health, api.own_health), (Health::Degraded, Health::Unhealthy));
    /// assert_eq!(api.affected_by, ["database"]);
    /// assert_eq!(api.message.as_deref(), Some("affected by database: no orders"));
    /// ```
    pub fn set_depends_on<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) {
        let names = names.into_iter().map(Into::into).collect();
        self.state.lock().facts.depends_on = names;
    }

    /// Says that a check finds out the health of the dependency.
    pub(crate) fn set_checked(&self) {
        self.state.lock().facts.is_checked = true;
    }

    /// Records an attempt that has just succeeded.
    pub fn record_success(&self) {
        self.record(CheckResult::healthy());
    }

    /// Records an attempt that has just failed.
    pub fn record_failure(&self, error: impl Display) {
        self.record(CheckResult::unhealthy(error));
    }

    /// Records the result of an attempt that has just ended, and logs it if the status changes.
    pub fn record(&self, result: CheckResult) {
        let mut state = self.state.lock();
        let before = state.facts.health;
        let now = Instant::now();
        state.facts.health = Some(result.health);
        match result.health {
            Health::Healthy | Health::Degraded => {
                state.last_success = Some(now);
                state.facts.success_count = state.facts.success_count.saturating_add(1);
            }
            Health::Unhealthy => {
                state.last_failure = Some(now);
                state.facts.failure_count = state.facts.failure_count.saturating_add(1);
            }
            Health::Unknown => {}
        }
        state.facts.checked_at = Some(Timestamp::now());
        state.facts.message.clone_from(&result.message);
        state.facts.details.extend(result.details);
        let changed = state.facts.health != before;
        // A subscriber may ask for the state of this very dependency.
        drop(state);
        if changed {
            self.note_status();
            let (component, reason) = (&*self.name, result.message.unwrap_or_default());
            match result.health {
                Health::Unhealthy => tracing::error!(component, reason, "component is unhealthy"),
                Health::Degraded => tracing::warn!(component, reason, "component is degraded"),
                Health::Healthy => tracing::info!(component, "component is healthy"),
                Health::Unknown => {}
            }
        }
    }

    /// Records how long the last attempt took.
    pub fn record_latency(&self, latency: Duration) {
        self.state.lock().facts.latency = Some(latency);
    }

    /// Makes an attempt and records its result and its duration.
    ///
    /// # Errors
    ///
    /// The error of the attempt itself.
    pub async fn observe<T, E: Display>(
        &self,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begin = Instant::now();
        let result = attempt.await;
        self.record_latency(begin.elapsed());
        match &result {
            Ok(_) => self.record_success(),
            Err(error) => self.record_failure(error),
        }
        result
    }

    /// Marks the dependency as not configured, until the next attempt is recorded.
    pub fn set_not_used(&self) {
        self.state.lock().facts.health = None;
        self.note_status();
    }

    /// Forgets the last result: the dependency is used, but nothing is known of it.
    pub(crate) fn reset(&self) {
        let mut state = self.state.lock();
        state.facts.health = Some(Health::Unknown);
        state.facts.message = None;
        drop(state);
        self.note_status();
    }

    /// Sets a fact about the dependency, such as the size of a pool.
    pub fn set_detail(&self, key: impl Into<String>, value: impl Into<Value>) {
        self.state
            .lock()
            .facts
            .details
            .insert(key.into(), value.into());
    }

    /// Returns the circuit of its breaker; the first call creates it.
    pub(crate) fn circuit(&self) -> Arc<Mutex<Circuit>> {
        let mut state = self.state.lock();
        Arc::clone(state.circuit.get_or_insert_default())
    }

    pub(crate) fn snapshot(&self, now: Instant) -> DependencySnapshot {
        let state = self.state.lock();
        let age = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let circuit = state.circuit.as_ref();
        let mut snapshot = state.facts.clone();
        snapshot.last_success = age(state.last_success);
        snapshot.last_failure = age(state.last_failure);
        snapshot.circuit = circuit.map(|circuit| circuit.lock().state(now));
        let is_failing = snapshot.health == Some(Health::Unhealthy);
        if let Some(circuit) = snapshot.circuit {
            let name = circuit.as_str();
            let detail = ("circuit_breaker".to_owned(), name.into());
            snapshot.details.extend([detail]);
            if circuit != CircuitState::Closed {
                snapshot.message = Some(match snapshot.message {
                    Some(message) => format!("{message} (circuit {name})"),
                    None if is_failing => format!("failed (circuit {name})"),
                    // Something else, such as a check, has found the dependency well.
                    None => format!("circuit {name}"),
                });
            }
        }
        let message = snapshot.message.as_deref().unwrap_or("failed");
        snapshot.error = is_failing.then(|| message.to_owned());
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ages_and_counts_follow_the_attempts() {
        let dependency = Dependency::new("database");
        let unknown = dependency.snapshot(Instant::now());
        assert_eq!(unknown.health, Some(Health::Unknown));
        assert_eq!((unknown.last_success, unknown.last_failure), (None, None));

        dependency.record_failure("timeout after 2s");
        tokio::time::advance(Duration::from_secs(3)).await;
        let failing = dependency.snapshot(Instant::now());
        assert_eq!(failing.health, Some(Health::Unhealthy));
        assert_eq!(failing.error.as_deref(), Some("timeout after 2s"));
        assert_eq!(failing.last_failure, Some(Duration::from_secs(3)));

        dependency.record_success();
        let working = dependency.snapshot(Instant::now());
        assert_eq!(working.health, Some(Health::Healthy));
        assert_eq!(working.error, None);
        assert_eq!((working.success_count, working.failure_count), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_observed_attempt_is_timed_and_recorded() {
        let dependency = Dependency::new("qdrant");
        let result = dependency
            .observe(async {
                tokio::time::advance(Duration::from_millis(250)).await;
                Err::<(), _>("connection refused")
            })
            .await;
        assert_eq!(result, Err("connection refused"));
        let snapshot = dependency.snapshot(Instant::now());
        assert_eq!(snapshot.latency, Some(Duration::from_millis(250)));
        assert_eq!(snapshot.error.as_deref(), Some("connection refused"));
    }
}
