//! Checks of components: run side by side, bounded in time, their results kept for a while.
//!
//! A check that hangs delays nobody: an answer waits for the results that are due no longer than
//! [`Settings::check_wait`](super::Settings::check_wait) and then says what was known before. One
//! that panics makes its own component unhealthy, and nothing else. A check that does not come back
//! is never started a second time beside itself.

mod attempt;
mod durations;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::Service;
use super::component::Need;
use super::dependency::Dependency;
use super::gate::ReadinessGate;
use super::lifecycle::Phase;
use super::report::CheckResult;
use attempt::{Kind, Progress};

pub(super) use durations::Durations;

/// A registered check. Copies share everything; all of it can be changed while the service runs.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{Health, Need, CheckResult, Service, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let limit = Duration::from_secs(5);
///
/// // An asynchronous one, without which the service cannot do its work:
/// service.register_check("database", Need::Required, limit, || async {
///     Ok::<(), std::io::Error>(()) // ask the pool here
/// });
/// // One that blocks its thread:
/// let disk = service.register_blocking_check("disk", Need::Optional, limit, || {
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
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dependency: Dependency,
    kind: Kind,
    state: Mutex<State>,
    /// How far the present attempt is.
    progress: watch::Sender<Progress>,
    durations: Mutex<Durations>,
}

#[derive(Debug)]
struct State {
    enabled: bool,
    timeout: Duration,
    keep: Duration,
    /// When the last result came.
    result_at: Option<Instant>,
    /// Opened by the first success.
    gate: Option<ReadinessGate>,
}

/// Whether a result that is still fresh is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    WhenStale,
    Now,
}

impl Check {
    fn new(dependency: Dependency, kind: Kind, timeout: Duration, keep: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                dependency,
                kind,
                state: Mutex::new(State {
                    enabled: true,
                    timeout,
                    keep,
                    result_at: None,
                    gate: None,
                }),
                progress: watch::Sender::new(Progress::Idle),
                durations: Mutex::default(),
            }),
        }
    }

    /// The name of its component.
    pub fn name(&self) -> &str {
        self.inner.dependency.name()
    }

    /// What it has found out so far.
    pub fn dependency(&self) -> &Dependency {
        &self.inner.dependency
    }

    /// Whether it is switched on.
    pub fn is_enabled(&self) -> bool {
        self.inner.state().enabled
    }

    /// Switches it on or off; while it is off, its component counts as not used.
    pub fn set_enabled(&self, enabled: bool) {
        let mut state = self.inner.state();
        if state.enabled == enabled {
            return;
        }
        state.enabled = enabled;
        state.result_at = None;
        if enabled {
            self.inner.dependency.untried();
        } else {
            self.inner.dependency.set_not_used();
        }
    }

    /// How long it may take.
    pub fn timeout(&self) -> Duration {
        self.inner.state().timeout
    }

    /// Sets how long it may take, from the next attempt on.
    pub fn set_timeout(&self, timeout: Duration) {
        self.inner.state().timeout = timeout;
    }

    /// Sets for how long a result is good; at first what
    /// [`Settings::check_result_ttl`](super::Settings::check_result_ttl) says.
    pub fn set_result_ttl(&self, keep: Duration) {
        self.inner.state().keep = keep;
    }

    /// Closes the [gate](Service::readiness_gate) of its name until it has succeeded once.
    pub fn gate_readiness(&self, service: &Service) {
        self.inner.state().gate = Some(service.readiness_gate(self.name()));
    }

    /// Runs it now, however fresh its last result is, and waits until there is another one.
    pub async fn run(&self) {
        self.inner.start(Due::Now);
        self.settled().await;
    }

    /// Waits until nothing is expected of it any more.
    async fn settled(&self) {
        let mut progress = self.inner.progress.subscribe();
        // The sender is ours, so the channel cannot close while we wait.
        let _ = progress
            .wait_for(|progress| *progress != Progress::Running)
            .await;
    }

    pub(super) fn durations(&self) -> Durations {
        *self.inner.durations()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole at every point, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn durations(&self) -> MutexGuard<'_, Durations> {
        self.durations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Registers an asynchronous check of a component. It runs when an answer needs its result and
    /// the last one is older than [`Settings::check_result_ttl`](super::Settings::check_result_ttl), and as
    /// often as [`Service::check_every`] says. A second one of the same name replaces the first.
    ///
    /// What it finds stands in [`Service::components`] and in the [`Service::dependency`] of its name.
    pub fn register_check<F, R>(&self, name: &str, need: Need, timeout: Duration, check: F) -> Check
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Into<CheckResult>> + Send + 'static,
    {
        let kind = Kind::Asynchronous(Arc::new(move || {
            let pending = check();
            Box::pin(async move { pending.await.into() })
        }));
        self.add_check(name, need, timeout, kind)
    }

    /// Registers a check that blocks its thread; it runs in one of its own, so that one which never
    /// comes back holds up neither the others nor the end of the program.
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
        let kind = Kind::Blocking(Arc::new(move || check().into()));
        self.add_check(name, need, timeout, kind)
    }

    fn add_check(&self, name: &str, need: Need, timeout: Duration, kind: Kind) -> Check {
        let dependency = self.dependency(name);
        dependency.set_need(need);
        let keep = self.inner.settings.check_result_ttl;
        let check = Check::new(dependency, kind, timeout, keep);
        let replaced = self.checks_mut().insert(name.to_owned(), check.clone());
        if let Some(replaced) = replaced {
            let mut replaced = replaced.inner.state();
            // It may be on its way, and its result would be taken for the new one's.
            replaced.enabled = false;
            // What waits for its first success waits for the new one's.
            check.inner.state().gate = replaced.gate.take();
        }
        check
    }

    /// The registered check of this name.
    pub fn check(&self, name: &str) -> Option<Check> {
        self.checks_mut().get(name).cloned()
    }

    /// All registered checks, in the order in which they were registered.
    pub fn checks(&self) -> Vec<Check> {
        self.checks_mut().values().cloned().collect()
    }

    /// Starts every check whose result is due, and does not wait.
    pub fn start_due_checks(&self) {
        self.start(Due::WhenStale);
    }

    /// Starts every check whose result is due and waits for them, at most as long as
    /// [`Settings::check_wait`](super::Settings::check_wait) says.
    pub async fn run_due_checks(&self) {
        let checks = self.start(Due::WhenStale);
        let settled = async {
            for check in &checks {
                check.settled().await;
            }
        };
        // What is not known by then is told from the result before.
        let _ = tokio::time::timeout(self.inner.settings.check_wait, settled).await;
    }

    /// Runs all checks now and then every so often, until the shutdown.
    pub fn check_every(&self, interval: Duration) {
        // It would keep the service that it belongs to alive for ever.
        let inner = Arc::downgrade(&self.inner);
        self.background(async move {
            let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                Self { inner }.start(Due::Now);
            }
        });
    }

    fn start(&self, due: Due) -> Vec<Check> {
        let checks = self.checks();
        // What clean-up has closed must not be reported as broken.
        if self.phase() < Phase::CleaningUp {
            for check in &checks {
                check.inner.start(due);
            }
        }
        checks
    }

    fn checks_mut(&self) -> MutexGuard<'_, indexmap::IndexMap<String, Check>> {
        // A thread that panicked while it held the lock left a whole map behind.
        self.inner
            .checks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
