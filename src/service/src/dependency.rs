//! What a service reports about one component that it depends on.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::breaker::{CircuitState, Machine};
use super::component::{Health, Need};
use super::report::CheckResult;

/// A component that the service depends on, reported on by the code that uses it. Copies share everything.
///
/// ```
/// use healthctl_service::{Need, Service, Settings, DependencyStatus};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let payments = service.dependency("payments");
/// payments.set_need(Need::Optional);
/// payments.set_detail("region", "eu");
///
/// // Each use tells how it went and how long it took:
/// let paid: Result<(), &str> = payments.observe(async { Err("the gateway answered 502") }).await;
/// assert!(paid.is_err());
///
/// let snapshot = service.dependencies().remove(0);
/// assert_eq!(snapshot.status, DependencyStatus::Failing);
/// assert_eq!(snapshot.failure_count, 1);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dependency {
    name: Arc<str>,
    record: Arc<Mutex<Record>>,
}

/// How a dependency stands, by its last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DependencyStatus {
    /// It is used, but nothing is known of it.
    Unknown,
    /// The last attempt succeeded.
    Working,
    /// The last attempt succeeded, but not as well as it should.
    Degraded,
    /// The last attempt failed.
    Failing,
    /// It is not configured, or its check is switched off.
    NotUsed,
}

/// A dependency at one point in time; ages are as of that time, `None` is never.
#[derive(Debug, Clone, PartialEq)]
pub struct DependencySnapshot {
    /// Its name.
    pub name: String,
    /// Whether the service can do its work without it.
    pub need: Need,
    /// How it stands.
    pub status: DependencyStatus,
    /// What the last attempt had to say, whatever came of it.
    pub message: Option<String>,
    /// What went wrong at the last attempt.
    pub error: Option<String>,
    /// When the last attempt ended, wall-clock time.
    pub checked_at: Option<Timestamp>,
    /// Time since the last success.
    pub last_success: Option<Duration>,
    /// Time since the last failure.
    pub last_failure: Option<Duration>,
    /// Successes since the start.
    pub success_count: u64,
    /// Failures since the start.
    pub failure_count: u64,
    /// How long the last attempt took.
    pub latency: Option<Duration>,
    /// How its circuit is, where a breaker guards it.
    pub circuit: Option<CircuitState>,
    /// What else there is to say, in the order in which it was first said.
    pub details: IndexMap<String, Value>,
}

#[derive(Debug)]
struct Record {
    need: Need,
    status: DependencyStatus,
    message: Option<String>,
    checked_at: Option<Timestamp>,
    last_success: Option<Instant>,
    last_failure: Option<Instant>,
    success_count: u64,
    failure_count: u64,
    latency: Option<Duration>,
    machine: Option<Machine>,
    details: IndexMap<String, Value>,
}

impl Dependency {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            record: Arc::new(Mutex::new(Record {
                need: Need::Required,
                status: DependencyStatus::Unknown,
                message: None,
                checked_at: None,
                last_success: None,
                last_failure: None,
                success_count: 0,
                failure_count: 0,
                latency: None,
                machine: None,
                details: IndexMap::new(),
            })),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says whether the service can do its work without it; at first it is required.
    pub fn set_need(&self, need: Need) {
        self.state().need = need;
    }

    /// An attempt succeeded just now.
    pub fn record_success(&self) {
        self.record(CheckResult::healthy());
    }

    /// An attempt failed just now.
    pub fn record_failure(&self, error: impl Display) {
        self.record(CheckResult::unhealthy(error));
    }

    /// An attempt ended just now with this report.
    pub fn record(&self, report: CheckResult) {
        let mut record = self.state();
        let before = record.status;
        let now = Instant::now();
        record.status = match report.health {
            Health::Unknown => DependencyStatus::Unknown,
            Health::Healthy => DependencyStatus::Working,
            Health::Degraded => DependencyStatus::Degraded,
            Health::Unhealthy => DependencyStatus::Failing,
        };
        match record.status {
            DependencyStatus::Working | DependencyStatus::Degraded => {
                record.last_success = Some(now);
                record.success_count = record.success_count.saturating_add(1);
            }
            DependencyStatus::Failing => {
                record.last_failure = Some(now);
                record.failure_count = record.failure_count.saturating_add(1);
            }
            DependencyStatus::Unknown | DependencyStatus::NotUsed => {}
        }
        record.checked_at = Some(Timestamp::now());
        record.message = report.message;
        record.details.extend(report.details);
        if record.status != before {
            let message = record.message.clone().unwrap_or_default();
            let status = record.status;
            // Whoever listens may ask for the state of this very component.
            drop(record);
            tell(&self.name, status, &message);
        }
    }

    /// How long the last attempt took.
    pub fn record_latency(&self, latency: Duration) {
        self.state().latency = Some(latency);
    }

    /// Makes an attempt and records how it went and how long it took.
    ///
    /// # Errors
    ///
    /// The attempt's own.
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

    /// It is not configured: nothing of it is reported until the next record.
    pub fn set_not_used(&self) {
        self.state().status = DependencyStatus::NotUsed;
    }

    /// It is used, but nothing is known of it yet.
    pub(super) fn untried(&self) {
        let mut record = self.state();
        record.status = DependencyStatus::Unknown;
        record.message = None;
    }

    /// Says something else about it: a pool's size, a number of collections, …
    pub fn set_detail(&self, key: impl Into<String>, value: impl Into<Value>) {
        self.state().details.insert(key.into(), value.into());
    }

    pub(super) fn snapshot(&self, now: Instant) -> DependencySnapshot {
        let record = self.state();
        let age = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let circuit = record.machine.as_ref().map(|machine| machine.circuit(now));
        let mut message = record.message.clone();
        let mut details = record.details.clone();
        if let Some(circuit) = circuit {
            details.insert("circuit_breaker".to_owned(), circuit.word().into());
            if circuit != CircuitState::Closed {
                let word = circuit.word();
                message = Some(match (message, record.status) {
                    (Some(said), _) => format!("{said} (circuit {word})"),
                    (None, DependencyStatus::Failing) => format!("failed (circuit {word})"),
                    // Somebody else, such as its check, found it well.
                    (None, _) => format!("circuit {word}"),
                });
            }
        }
        DependencySnapshot {
            name: self.name.to_string(),
            need: record.need,
            status: record.status,
            error: (record.status == DependencyStatus::Failing)
                .then(|| message.clone().unwrap_or_else(|| "failed".to_owned())),
            message,
            checked_at: record.checked_at,
            last_success: age(record.last_success),
            last_failure: age(record.last_failure),
            success_count: record.success_count,
            failure_count: record.failure_count,
            latency: record.latency,
            circuit,
            details,
        }
    }

    pub(super) fn set_machine(&self, machine: Machine) {
        let mut record = self.state();
        record.machine = Some(match &record.machine {
            Some(before) => machine.after(before),
            None => machine,
        });
    }

    pub(super) fn with_machine<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> Option<T> {
        self.state().machine.as_mut().map(act)
    }

    fn state(&self) -> MutexGuard<'_, Record> {
        // A record is whole at every point, so a panic elsewhere does not spoil it.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a component stands otherwise than before.
fn tell(component: &str, status: DependencyStatus, message: &str) {
    match status {
        DependencyStatus::Failing => {
            tracing::error!(component, reason = message, "component is unhealthy");
        }
        DependencyStatus::Degraded => {
            tracing::warn!(component, reason = message, "component is degraded");
        }
        DependencyStatus::Working => tracing::info!(component, "component is healthy"),
        DependencyStatus::Unknown | DependencyStatus::NotUsed => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ages_and_counts_follow_the_attempts() {
        let dependency = Dependency::new("database");
        let untried = dependency.snapshot(Instant::now());
        assert_eq!(untried.status, DependencyStatus::Unknown);
        assert_eq!((untried.last_success, untried.last_failure), (None, None));

        dependency.record_failure("timeout after 2s");
        tokio::time::advance(Duration::from_secs(3)).await;
        let failing = dependency.snapshot(Instant::now());
        assert_eq!(failing.status, DependencyStatus::Failing);
        assert_eq!(failing.error.as_deref(), Some("timeout after 2s"));
        assert_eq!(failing.last_failure, Some(Duration::from_secs(3)));

        dependency.record_success();
        let working = dependency.snapshot(Instant::now());
        assert_eq!(working.status, DependencyStatus::Working);
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
