//! Checks of components: they run side by side, each bounded in time, and their results are cached.
//!
//! A check that hangs delays nothing else: an answer waits for due results at most as long as
//! [`Settings::check_wait`](crate::Settings::check_wait) and then reports the last known ones. A
//! check that panics makes its own component unhealthy. While an attempt has not ended, no second
//! one of the same check is started.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};

use crate::component::ReadinessGate;
use crate::dependency::Dependency;
use crate::health::{CheckResult, Health, Need};
use crate::lifecycle::Phase;
use crate::task::BoxFuture;
use crate::{Service, WeakService};

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
    /// The service, which owns the check.
    service: WeakService,
    dependency: Dependency,
    run: Box<dyn Fn() -> BoxFuture<CheckResult> + Send + Sync>,
    /// Says that an attempt cannot be cancelled, since it blocks a thread.
    is_blocking: bool,
    state: Mutex<CheckState>,
    attempt: watch::Sender<AttemptState>,
    durations: Histogram,
    /// The timeout with which the check was registered.
    registered_timeout: Duration,
}

#[derive(Debug)]
struct CheckState {
    enabled: bool,
    timeout: Duration,
    /// The time between two attempts; `None` for that of all checks, if there is one.
    interval: Option<Duration>,
    /// The time at which the schedule last started an attempt.
    scheduled_at: Option<Instant>,
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

/// The task that starts checks when their intervals have passed.
#[derive(Debug, Default)]
pub(crate) struct CheckSchedule {
    /// The interval of the checks that have none of their own.
    interval: Mutex<Option<Duration>>,
    is_running: AtomicBool,
    /// Wakes the task when an interval or a check has changed.
    changed: watch::Sender<()>,
}

/// The shortest interval of a schedule.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

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
        state.scheduled_at = None;
        if enabled {
            self.inner.dependency.reset();
        } else {
            self.inner.dependency.set_not_used();
        }
        drop(state);
        if let Some(service) = self.inner.service.upgrade() {
            service.inner.schedule.changed.send_replace(());
        }
    }

    /// Returns the interval of the check's own schedule, if it has one.
    pub fn interval(&self) -> Option<Duration> {
        self.inner.state.lock().interval
    }

    /// Puts the check on a schedule of its own, from now until the shutdown, or with `None` back on
    /// that of all checks ([`Service::check_every`]). A check with a schedule of its own does not run
    /// for the sake of an answer.
    ///
    /// An interval is to be set within a runtime of Tokio.
    pub fn set_interval(&self, interval: Option<Duration>) {
        let mut state = self.inner.state.lock();
        let interval = interval.map(|interval| interval.max(MIN_INTERVAL));
        if state.interval == interval {
            return;
        }
        state.interval = interval;
        drop(state);
        if let Some(service) = self.inner.service.upgrade() {
            service.reschedule(interval.is_some());
        }
    }

    /// Returns the timeout with which the check was registered.
    pub(crate) fn registered_timeout(&self) -> Duration {
        self.inner.registered_timeout
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
            .is_some_and(|at| state.interval.is_some() || at.elapsed() < state.result_ttl);
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

    /// Starts an attempt if the interval has passed, and returns when the next one is due.
    fn start_scheduled(self: &Arc<Self>, now: Instant, every: Option<Duration>) -> Option<Instant> {
        let mut state = self.state.lock();
        let interval = state.interval.or(every).filter(|_| state.enabled)?;
        if let Some(at) = state.scheduled_at {
            // An interval that is too long never passes.
            let due = at.checked_add(interval)?;
            if due > now {
                return Some(due);
            }
        }
        state.scheduled_at = Some(now);
        drop(state);
        self.start(Start::All);
        now.checked_add(interval)
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

/// Starts checks when they are due, until the service is dropped.
async fn run_schedule(service: WeakService, mut changed: watch::Receiver<()>) {
    loop {
        changed.mark_unchanged();
        // A strong reference would keep the service alive.
        let next = match service.upgrade() {
            Some(service) => service.start_scheduled_checks(),
            None => return,
        };
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            changed = changed.changed() => if changed.is_err() {
                return;
            },
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
                service: self.downgrade(),
                dependency,
                run: Box::new(run),
                is_blocking,
                state: Mutex::new(CheckState {
                    enabled: true,
                    timeout,
                    interval: None,
                    scheduled_at: None,
                    result_ttl: self.about.settings.check_result_ttl,
                    result_at: None,
                    gate: None,
                }),
                attempt: watch::Sender::new(AttemptState::None),
                durations: Histogram::new(DURATION_BUCKETS),
                registered_timeout: timeout,
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
            let mut state = check.inner.state.lock();
            state.gate = replaced.gate.take();
            state.interval = replaced.interval;
        }
        self.inner.schedule.changed.send_replace(());
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

    /// Runs all checks now and then once per interval, until the shutdown, but for those that have a
    /// [schedule of their own](Check::set_interval). A second call sets another interval.
    pub fn check_every(&self, interval: Duration) {
        *self.inner.schedule.interval.lock() = Some(interval.max(MIN_INTERVAL));
        self.reschedule(true);
    }

    /// Wakes the task of the schedule; one that does not run is started if it is wanted.
    fn reschedule(&self, wanted: bool) {
        let schedule = &self.inner.schedule;
        if wanted && !schedule.is_running.swap(true, Ordering::SeqCst) {
            let changed = schedule.changed.subscribe();
            self.background(run_schedule(self.downgrade(), changed));
        } else {
            schedule.changed.send_replace(());
        }
    }

    /// Starts the checks whose intervals have passed, and returns when the next one is due.
    fn start_scheduled_checks(&self) -> Option<Instant> {
        let (now, every) = (Instant::now(), *self.inner.schedule.interval.lock());
        let checks = self.checks();
        let due = checks
            .iter()
            .filter_map(|check| check.inner.start_scheduled(now, every));
        due.min()
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
