//! Checks that many services need: of a connection, of an engine that works through a queue, and of the
//! resources of the process.
//!
//! ```
//! use std::time::Duration;
//! use healthctl_service::ready_made::{self, EngineLimits, Limit, ResourceLimits, SyncEngine};
//! use healthctl_service::{Need, Service, Settings, kcp_syncer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let service = Service::new("kcp-syncer", "0.1", Settings::default());
//! let limit = Duration::from_secs(5);
//!
//! // Connected, or else the last error:
//! let connected = || async { Ok::<(), std::io::Error>(()) }; // ask the client here
//! service.register_check("upstream", Need::Required, limit, ready_made::connection(connected));
//!
//! // Queue depth, processing rate and error rate against limits:
//! let engine = SyncEngine::new(&service);
//! let limits = EngineLimits {
//!     queue_depth: Limit::new(100.0, 1000.0),
//!     error_rate: Limit::new(0.05, 0.5),
//!     least_rate: Some(1.0),
//! };
//! service.register_check("sync-engine", Need::Required, limit, engine.check(limits));
//! engine.set_queue_depth(3);
//! let synced: Result<(), String> = engine.observe(async { Ok(()) }).await;
//!
//! // Memory, processor and tasks against limits:
//! let limits = ResourceLimits {
//!     memory_bytes: Limit::new(400e6, 500e6),
//!     ..ResourceLimits::default()
//! };
//! service.register_check("resources", Need::Required, limit, ready_made::resources(&service, limits));
//!
//! let health = kcp_syncer::routes(&service, &engine);
//! # let _: axum::Router = health;
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::task::BoxFuture;
use crate::{CheckResult, Figure, Health, ResourceUsage, Service};

/// The time over which rates are measured, in seconds: the last so many whole ones.
const RATE_SECONDS: u64 = 10;

/// The values of a figure from which on a component is degraded, and from which on it is unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limit {
    /// The value above which the component is degraded; `None` where there is none.
    pub degraded: Option<f64>,
    /// The value above which the component is unhealthy; `None` where there is none.
    pub unhealthy: Option<f64>,
}

impl Limit {
    /// Creates a limit of both kinds.
    pub const fn new(degraded: f64, unhealthy: f64) -> Self {
        Self {
            degraded: Some(degraded),
            unhealthy: Some(unhealthy),
        }
    }

    /// Returns the health that a value means, and the limit that it exceeds.
    fn judge(self, value: f64) -> Option<(Health, f64)> {
        let exceeded = |limit: Option<f64>| limit.filter(|limit| value > *limit);
        exceeded(self.unhealthy)
            .map(|limit| (Health::Unhealthy, limit))
            .or_else(|| exceeded(self.degraded).map(|limit| (Health::Degraded, limit)))
    }
}

/// What a check has found against limits: the worst health, and a sentence for each limit exceeded.
#[derive(Debug, Default)]
struct Findings(Vec<(Health, String)>);

impl Findings {
    fn judge(&mut self, name: &str, value: f64, limit: Limit, write: fn(f64) -> String) {
        if let Some((health, limit)) = limit.judge(value) {
            let (value, limit) = (write(value), write(limit));
            self.0
                .push((health, format!("{name} {value}, limit {limit}")));
        }
    }

    /// Returns the result; `well` is its message where nothing was found.
    fn result(self, well: String) -> CheckResult {
        let health = self.0.iter().map(|(health, _)| *health).max();
        let reasons: Vec<_> = self.0.into_iter().map(|(_, reason)| reason).collect();
        let reasons = reasons.join("; ");
        match health {
            Some(Health::Unhealthy) => CheckResult::unhealthy(reasons),
            Some(_) => CheckResult::degraded(reasons),
            None => CheckResult::healthy().with_message(well),
        }
    }
}

/// Returns a check of a connection: `attempt` finds out whether it stands. The component is healthy
/// with the message `connected`, or unhealthy with the last error. Its details are the number of
/// `disconnections` and the `last_error`, which stay when the connection stands again.
pub fn connection<F, R, E>(
    attempt: F,
) -> impl Fn() -> BoxFuture<CheckResult> + Send + Sync + 'static
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Display,
{
    let link = Arc::new(Mutex::new(LinkState::default()));
    move || {
        let attempt = attempt();
        let mut running = RunningAttempt {
            link: Arc::clone(&link),
            error: Some("no answer in time".to_owned()),
        };
        Box::pin(async move {
            running.error = attempt.await.err().map(|error| error.to_string());
            running.result()
        })
    }
}

#[derive(Debug, Default)]
struct LinkState {
    is_connected: bool,
    disconnections: u64,
    last_error: Option<String>,
}

/// An attempt that counts as failed when it is dropped before it has ended.
struct RunningAttempt {
    link: Arc<Mutex<LinkState>>,
    error: Option<String>,
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        let mut link = self.link.lock();
        link.record(self.error.take());
    }
}

impl RunningAttempt {
    fn result(&self) -> CheckResult {
        let mut link = self.link.lock();
        link.record(self.error.clone());
        let result = match &self.error {
            None => CheckResult::healthy().with_message("connected"),
            Some(error) => CheckResult::unhealthy(error),
        };
        let result = result.with_detail("disconnections", link.disconnections);
        match &link.last_error {
            Some(error) => result.with_detail("last_error", error.as_str()),
            None => result,
        }
    }
}

impl LinkState {
    /// Records how an attempt has ended; to record it twice changes nothing.
    fn record(&mut self, error: Option<String>) {
        let was_connected = std::mem::replace(&mut self.is_connected, error.is_none());
        if let Some(error) = error {
            self.disconnections = self.disconnections.saturating_add(was_connected.into());
            self.last_error = Some(error);
        }
    }
}

/// The figures of an engine over the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SyncStats {
    /// The number of objects synced per second, whether it succeeded or not.
    pub sync_rate: f64,
    /// The share of syncs that failed, from 0 to 1.
    pub error_rate: f64,
    /// The number of objects that wait now.
    pub queue_depth: u64,
    /// The mean time that a sync took.
    pub latency: Duration,
}

/// The limits of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EngineLimits {
    /// The limit of the objects that wait.
    pub queue_depth: Limit,
    /// The limit of the share of syncs that fail, from 0 to 1.
    pub error_rate: Limit,
    /// The number of objects per second below which the engine is degraded while objects wait.
    pub least_rate: Option<f64>,
}

/// An engine that works through a queue, such as one that syncs objects. Clones refer to the same one.
#[derive(Debug, Clone)]
pub struct SyncEngine {
    state: Arc<Mutex<EngineState>>,
}

#[derive(Debug)]
struct EngineState {
    started: Instant,
    queue_depth: u64,
    /// The syncs of the last seconds in which there were any, the oldest first.
    seconds: VecDeque<SyncCounts>,
}

/// The syncs that ended within one second.
#[derive(Debug, Clone, Copy, Default)]
struct SyncCounts {
    /// The number of the second since the start of the engine.
    second: u64,
    all: u64,
    failed: u64,
    latency: Duration,
}

impl EngineState {
    /// Returns the present second since the start, after removing what has become too old.
    fn tick(&mut self) -> u64 {
        let second = self.started.elapsed().as_secs();
        let oldest = second.saturating_sub(RATE_SECONDS);
        self.seconds.retain(|counts| counts.second >= oldest);
        second
    }
}

impl SyncEngine {
    /// Creates the engine of a service, whose figures [`Service::collect_figures`] collects as
    /// `sync_rate`, `error_rate`, `queue_depth` and `latency_seconds`.
    pub fn new(service: &Service) -> Self {
        let engine = Self {
            state: Arc::new(Mutex::new(EngineState {
                started: Instant::now(),
                queue_depth: 0,
                seconds: VecDeque::new(),
            })),
        };
        let collected = engine.clone();
        service.add_figures(move || {
            let stats = collected.stats();
            vec![
                Figure::new("sync_rate", stats.sync_rate, 1.0),
                Figure::new("error_rate", stats.error_rate, 0.1),
                Figure::new("queue_depth", stats.queue_depth as f64, 10.0),
                Figure::new("latency_seconds", stats.latency.as_secs_f64(), 0.01),
            ]
        });
        engine
    }

    /// Sets the number of objects that wait.
    pub fn set_queue_depth(&self, depth: u64) {
        self.state.lock().queue_depth = depth;
    }

    /// Records a sync that has just ended after this time.
    pub fn record(&self, latency: Duration, succeeded: bool) {
        let mut state = self.state.lock();
        let second = state.tick();
        if state.seconds.back().is_none_or(|last| last.second < second) {
            state.seconds.push_back(SyncCounts {
                second,
                ..SyncCounts::default()
            });
        }
        if let Some(counts) = state.seconds.back_mut() {
            counts.all = counts.all.saturating_add(1);
            counts.failed = counts.failed.saturating_add((!succeeded).into());
            counts.latency = counts.latency.saturating_add(latency);
        }
    }

    /// Makes a sync and records its result and its duration.
    ///
    /// # Errors
    ///
    /// The error of the sync itself.
    pub async fn observe<T, E>(&self, sync: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let begin = Instant::now();
        let result = sync.await;
        self.record(begin.elapsed(), result.is_ok());
        result
    }

    /// Returns the figures as they are now: rates over the last ten whole seconds, or over the seconds
    /// since the start where those are fewer.
    pub fn stats(&self) -> SyncStats {
        let mut state = self.state.lock();
        let second = state.tick();
        let whole = state.seconds.iter().filter(|counts| counts.second < second);
        // In the first second nothing is whole.
        let (mut all, mut failed, mut latency) = (0_u64, 0_u64, Duration::ZERO);
        for counts in whole {
            all = all.saturating_add(counts.all);
            failed = failed.saturating_add(counts.failed);
            latency = latency.saturating_add(counts.latency);
        }
        let count = all.max(1) as f64;
        SyncStats {
            sync_rate: all as f64 / second.clamp(1, RATE_SECONDS) as f64,
            error_rate: failed as f64 / count,
            queue_depth: state.queue_depth,
            latency: latency.div_f64(count),
        }
    }

    /// Returns a check of the figures against limits. They are the details of the component.
    pub fn check(
        &self,
        limits: EngineLimits,
    ) -> impl Fn() -> Ready<CheckResult> + Send + Sync + 'static {
        let engine = self.clone();
        move || ready(engine.judge(limits))
    }

    fn judge(&self, limits: EngineLimits) -> CheckResult {
        let stats = self.stats();
        let (rate, waiting) = (stats.sync_rate, stats.queue_depth);
        let mut findings = Findings::default();
        let depth = waiting as f64;
        findings.judge("queue depth", depth, limits.queue_depth, |it| {
            it.to_string()
        });
        findings.judge("error rate", stats.error_rate, limits.error_rate, percent);
        let is_new = self.state.lock().started.elapsed().as_secs() < RATE_SECONDS;
        if let Some(least) = limits.least_rate.filter(|least| rate < *least)
            && waiting > 0
            && !is_new
        {
            let reason = format!("{rate:.1} objects/s, at least {least:.1} while any wait");
            findings.0.push((Health::Degraded, reason));
        }
        findings
            .result(format!("{rate:.1} objects/s, {waiting} waiting"))
            .with_detail("queue_depth", waiting)
            .with_detail("sync_rate", rate)
            .with_detail("error_rate", stats.error_rate)
            .with_detail("latency_ms", stats.latency.as_secs_f64() * 1_000.0)
    }
}

/// The limits of the resources of the process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ResourceLimits {
    /// The limit of the resident memory, in bytes.
    pub memory_bytes: Limit,
    /// The limit of the share of one processor, where 1 is one processor in full use.
    pub cpu: Limit,
    /// The limit of the tasks of the runtime.
    pub tasks: Limit,
}

/// Returns a check of the memory, the processor and the tasks of the process, as
/// [`Service::resource_usage`] measures them, against limits. They are the details of the component,
/// which is unknown where a limit of memory is set and the memory cannot be measured.
pub fn resources(
    service: &Service,
    limits: ResourceLimits,
) -> impl Fn() -> Ready<CheckResult> + Send + Sync + 'static {
    // The service keeps its checks, so a check must not keep the service.
    let service = service.downgrade();
    move || {
        let usage = service.upgrade().map(|service| service.resource_usage());
        ready(usage.map_or_else(
            || CheckResult::unknown("the service has ended"),
            |usage| judge_resources(usage, limits),
        ))
    }
}

fn judge_resources(usage: ResourceUsage, limits: ResourceLimits) -> CheckResult {
    let mut findings = Findings::default();
    let tasks = usage.tasks as f64;
    findings.judge("cpu", usage.cpu, limits.cpu, percent);
    findings.judge("tasks", tasks, limits.tasks, |it| it.to_string());
    let result = match usage.memory_bytes {
        Some(bytes) => {
            findings.judge("memory", bytes as f64, limits.memory_bytes, mebibytes);
            let (memory, cpu) = (mebibytes(bytes as f64), percent(usage.cpu));
            findings.result(format!("memory {memory}, cpu {cpu}, {tasks} tasks"))
        }
        None if limits.memory_bytes != Limit::default() && findings.0.is_empty() => {
            CheckResult::unknown("the memory cannot be measured here")
        }
        None => findings.result(format!("cpu {}, {tasks} tasks", percent(usage.cpu))),
    };
    let result = result
        .with_detail("cpu", usage.cpu)
        .with_detail("tasks", usage.tasks);
    match usage.memory_bytes {
        Some(bytes) => result.with_detail("memory_bytes", bytes),
        None => result,
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_judged_by_their_limits() {
        let usage = ResourceUsage {
            memory_bytes: Some(300 << 20),
            cpu: 0.5,
            cpu_time: Duration::ZERO,
            tasks: 64,
        };
        let check = |usage, limits, health, message: &str| {
            let found = judge_resources(usage, limits);
            assert_eq!(
                (found.health, found.message.as_deref()),
                (health, Some(message))
            );
        };
        let none = ResourceLimits::default();
        let well = "memory 300.0 MiB, cpu 50.0 %, 64 tasks";
        check(usage, none, Health::Healthy, well);
        let limits = ResourceLimits {
            memory_bytes: Limit::new(200e6, 400e6),
            cpu: Limit::new(0.9, 2.0),
            tasks: Limit::new(32.0, 64.0),
        };
        let high = "tasks 64, limit 32; memory 300.0 MiB, limit 190.7 MiB";
        check(usage, limits, Health::Degraded, high);
        let higher = ResourceUsage { cpu: 2.5, ..usage };
        let high = format!("cpu 250.0 %, limit 200.0 %; {high}");
        check(higher, limits, Health::Unhealthy, &high);
        let hidden = ResourceUsage {
            memory_bytes: None,
            tasks: 1,
            ..usage
        };
        check(hidden, none, Health::Healthy, "cpu 50.0 %, 1 tasks");
        check(
            hidden,
            limits,
            Health::Unknown,
            "the memory cannot be measured here",
        );
    }
}
