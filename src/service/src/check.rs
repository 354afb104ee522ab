//! Checks of components: they run side by side, each bounded in time, and their results are cached.
//!
//! A check that hangs delays nothing else: an answer waits for due results at most as long as
//! [`Settings::check_wait`](crate::Settings::check_wait) and then reports the last known ones. A
//! check that panics makes its own component unhealthy. While an attempt has not ended, no second
//! one of the same check is started.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior};

use crate::Service;
use crate::component::ReadinessGate;
use crate::dependency::Dependency;
use crate::health::{CheckResult, Health, Need};
use crate::lifecycle::Phase;
use crate::task::BoxFuture;

/// The upper bounds of the buckets for the duration of attempts, in seconds.
const DURATION_BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// A registered check, whose settings can be changed while the service runs. Clones refer to the
/// same check.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{CheckResult, Health, Need, Service, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let timeout = Duration::from_secs(5);
///
/// // An asynchronous check of what the service cannot work without:
/// service.register_check("database", Need::Required, timeout, || async {
///     Ok::<(), std::io::Error>(()) // ask the pool here
/// });
/// // A check that blocks its thread:
/// let disk = service.register_blocking_check("disk", Need::Optional, timeout, || {
///     CheckResult::degraded("91 % full").with_detail("free_mb", 812)
/// });
///
/// service.run_due_checks().await;
/// assert_eq!(service.health(), Health::Degraded);
///
/// disk.set_enabled(false);
/// assert_eq!(service.health(), Health::Healthy);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Check {
    inner: Arc<CheckInner>,
}

struct CheckInner {
    dependency: Dependency,
    run: Box<dyn Fn() -> BoxFuture<CheckResult> + Send + Sync>,
    /// Says that an attempt cannot be cancelled, since it blocks a thread.
    is_blocking: bool,
    state: Mutex<CheckState>,
    attempt: watch::Sender<AttemptState>,
    durations: Histogram,
}

#[derive(Debug)]
struct CheckState {
    enabled: bool,
    timeout: Duration,
    result_ttl: Duration,
    result_at: Option<Instant>,
    /// The gate that the first success opens.
    gate: Option<ReadinessGate>,
}

/// The state of the present attempt of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttemptState {
    None,
    Running,
    /// The attempt that began at this time has exceeded its timeout and was recorded as a failure,
    /// but has not ended.
    Stuck(Instant),
}

/// Selects the checks to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Only those whose last result has expired.
    Due,
    All,
}

impl Check {
    /// Returns the name of the component.
    pub fn name(&self) -> &str {
        self.inner.dependency.name()
    }

    /// Returns the dependency with which the check records its results.
    pub fn dependency(&self) -> &Dependency {
        &self.inner.dependency
    }

    /// Returns whether the check is enabled.
    pub fn is_enabled(&self) -> bool {
        self.inner.state.lock().enabled
    }

    /// Enables or disables the check. While it is disabled, its component counts as not used.
    pub fn set_enabled(&self, enabled: bool) {
        let mut state = self.inner.state.lock();
        if state.enabled == enabled {
            return;
        }
        state.enabled = enabled;
        state.result_at = None;
        if enabled {
            self.inner.dependency.reset();
        } else {
            self.inner.dependency.set_not_used();
        }
    }

    /// Returns the time that one attempt may take.
    pub fn timeout(&self) -> Duration {
        self.inner.state.lock().timeout
    }

    /// Sets the time that one attempt may take, from the next attempt on.
    pub fn set_timeout(&self, timeout: Duration) {
        self.inner.state.lock().timeout = timeout;
    }

    /// Sets how long a result is valid; at first
    /// [`Settings::check_result_ttl`](crate::Settings::check_result_ttl).
    pub fn set_result_ttl(&self, ttl: Duration) {
        self.inner.state.lock().result_ttl = ttl;
    }

    /// Closes the [readiness gate](Service::readiness_gate) of the same name until the check has
    /// succeeded once.
    pub fn gate_readiness(&self, service: &Service) {
        self.inner.state.lock().gate = Some(service.readiness_gate(self.name()));
    }

    /// Runs the check now, even if its last result is still valid, and waits for the new result.
    /// Callers share an attempt that is already running.
    pub async fn run(&self) {
        self.inner.start(Start::All);
        self.settled().await;
    }

    /// Waits until the present attempt, if any, has recorded a result.
    async fn settled(&self) {
        let mut attempt = self.inner.attempt.subscribe();
        // The channel stays open while `self` holds the sender.
        let _ = attempt
            .wait_for(|attempt| *attempt != AttemptState::Running)
            .await;
    }

    pub(crate) fn durations(&self) -> &Histogram {
        &self.inner.durations
    }
}

impl CheckInner {
    /// Starts an attempt, unless the check is disabled, its result is still valid, or an attempt runs.
    fn start(self: &Arc<Self>, start: Start) {
        let state = self.state.lock();
        let is_valid = state
            .result_at
            .is_some_and(|at| at.elapsed() < state.result_ttl);
        if !state.enabled || (start == Start::Due && is_valid) {
            return;
        }
        let timeout = state.timeout;
        drop(state);
        let mut before = AttemptState::None;
        self.attempt.send_if_modified(|attempt| {
            before = *attempt;
            let idle = before == AttemptState::None;
            if idle {
                *attempt = AttemptState::Running;
            }
            idle
        });
        match before {
            AttemptState::None => drop(tokio::spawn(Arc::clone(self).attempt(timeout))),
            AttemptState::Running => {}
            AttemptState::Stuck(since) => {
                let elapsed = since.elapsed();
                let message = format!("still running after {elapsed:.0?}");
                self.record(CheckResult::unhealthy(message));
            }
        }
    }

    async fn attempt(self: Arc<Self>, timeout: Duration) {
        let begin = Instant::now();
        let check = Arc::clone(&self);
        // The check is called inside the task, since it may panic before it returns its future.
        let mut task = tokio::spawn(async move { (check.run)().await });
        let in_time = tokio::time::timeout(timeout, &mut task).await;
        let took = begin.elapsed();
        self.durations.observe(took.as_secs_f64());
        self.dependency.record_latency(took);
        if let Ok(result) = in_time {
            self.record(result.unwrap_or_else(failed_task));
        } else {
            let message = format!("timed out after {timeout:?}");
            self.record(CheckResult::unhealthy(message));
            self.attempt.send_replace(AttemptState::Stuck(begin));
            if !self.is_blocking {
                task.abort();
            }
            // Its result comes too late.
            let _ = task.await;
        }
        self.attempt.send_replace(AttemptState::None);
    }

    /// Records a result, unless the check was disabled meanwhile.
    fn record(&self, result: CheckResult) {
        // The lock is held throughout, so that disabling happens before or after, never in between.
        let mut state = self.state.lock();
        if !state.enabled {
            return;
        }
        state.result_at = Some(Instant::now());
        tracing::debug!(
            component = self.dependency.name(),
            health = result.health.as_str(),
            "check done"
        );
        let succeeded = matches!(result.health, Health::Healthy | Health::Degraded);
        self.dependency.record(result);
        if succeeded && let Some(gate) = &state.gate {
            gate.open();
        }
    }
}

/// Returns the result of an attempt whose task panicked.
fn failed_task(error: JoinError) -> CheckResult {
    let Ok(panic) = error.try_into_panic() else {
        return CheckResult::unhealthy("was cancelled");
    };
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    CheckResult::unhealthy(format_args!("panicked: {message}"))
}

/// Runs a blocking check in a thread of its own. The blocking pool of the runtime would not do: the
/// end of the runtime waits for its threads, and a check may hang.
async fn run_in_thread(
    check: Arc<impl Fn() -> CheckResult + Send + Sync + 'static>,
) -> CheckResult {
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(|| check()));
        // Nothing waits for the result once the timeout has passed.
        drop(sender.send(result));
    };
    if let Err(error) = std::thread::Builder::new().spawn(run) {
        return CheckResult::unhealthy(format_args!("cannot start: {error}"));
    }
    match receiver.await {
        Ok(result) => result.unwrap_or_else(|panic| resume_unwind(panic)),
        Err(_) => CheckResult::unhealthy("was cancelled"),
    }
}

impl Service {
    /// Registers an asynchronous check of a component, which may take as long as `timeout`.
    ///
    /// It runs when an answer needs its result and the last one is older than
    /// [`Settings::check_result_ttl`](crate::Settings::check_result_ttl), and as often as
    /// [`Service::check_every`] says. A second check of the same name replaces the first. Results
    /// appear in [`Service::components`] and in the [`Service::dependency`] of the same name.
    pub fn register_check<F, R>(&self, name: &str, need: Need, timeout: Duration, check: F) -> Check
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Into<CheckResult>> + Send + 'static,
    {
        let run = move || -> BoxFuture<CheckResult> {
            let attempt = check();
            Box::pin(async move { attempt.await.into() })
        };
        self.add_check(name, need, timeout, run, false)
    }

    /// Registers a check that blocks its thread.
    ///
    /// Each attempt runs in a thread of its own, so that one that hangs delays neither other checks
    /// nor the end of the program. In all else it is like [`Service::register_check`].
    pub fn register_blocking_check<F, R>(
        &self,
        name: &str,
        need: Need,
        timeout: Duration,
        check: F,
    ) -> Check
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Into<CheckResult>,
    {
        let check = Arc::new(move || check().into());
        let run = move || -> BoxFuture<CheckResult> { Box::pin(run_in_thread(Arc::clone(&check))) };
        self.add_check(name, need, timeout, run, true)
    }

    fn add_check(
        &self,
        name: &str,
        need: Need,
        timeout: Duration,
        run: impl Fn() -> BoxFuture<CheckResult> + Send + Sync + 'static,
        is_blocking: bool,
    ) -> Check {
        let dependency = self.dependency(name);
        dependency.set_need(need);
        dependency.set_checked();
        let check = Check {
            inner: Arc::new(CheckInner {
                dependency,
                run: Box::new(run),
                is_blocking,
                state: Mutex::new(CheckState {
                    enabled: true,
                    timeout,
                    result_ttl: self.about.settings.check_result_ttl,
                    result_at: None,
                    gate: None,
                }),
                attempt: watch::Sender::new(AttemptState::None),
                durations: Histogram::new(DURATION_BUCKETS),
            }),
        };
        let replaced = self
            .inner
            .checks
            .lock()
            .insert(name.to_owned(), check.clone());
        if let Some(replaced) = replaced {
            let mut replaced = replaced.inner.state.lock();
            // An attempt may be running, and its result must not count for the new check.
            replaced.enabled = false;
            check.inner.state.lock().gate = replaced.gate.take();
        }
        check
    }

    /// Returns the registered check of this name.
    pub fn check(&self, name: &str) -> Option<Check> {
        self.inner.checks.lock().get(name).cloned()
    }

    /// Returns all registered checks, in the order of their registration.
    pub fn checks(&self) -> Vec<Check> {
        self.inner.checks.lock().values().cloned().collect()
    }

    /// Starts every check whose result has expired, without waiting.
    pub fn start_due_checks(&self) {
        self.start_checks(Start::Due);
    }

    /// Starts every check whose result has expired and waits for them, at most as long as
    /// [`Settings::check_wait`](crate::Settings::check_wait).
    pub async fn run_due_checks(&self) {
        let checks = self.start_checks(Start::Due);
        let settled = async {
            for check in &checks {
                check.settled().await;
            }
        };
        // What is not known by then keeps its last result.
        let _ = tokio::time::timeout(self.about.settings.check_wait, settled).await;
    }

    /// Runs all checks now and then once per interval, until the shutdown.
    pub fn check_every(&self, interval: Duration) {
        // A strong reference would keep the service alive.
        let (about, inner) = (Arc::clone(&self.about), Arc::downgrade(&self.inner));
        self.background(async move {
            let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                let about = Arc::clone(&about);
                Self { about, inner }.start_checks(Start::All);
            }
        });
    }

    fn start_checks(&self, start: Start) -> Vec<Check> {
        let checks = self.checks();
        // What clean-up has closed must not be reported as broken.
        if self.phase() < Phase::CleaningUp {
            for check in &checks {
                check.inner.start(start);
            }
        }
        checks
    }
}

impl fmt::Debug for CheckInner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Check")
            .field("dependency", &self.dependency)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
