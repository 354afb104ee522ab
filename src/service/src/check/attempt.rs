//! One attempt of a check, from its start to its result, and what is left when it does not come back.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Due, Inner};
use crate::component::Health;
use crate::report::CheckResult;

type Pending = Pin<Box<dyn Future<Output = CheckResult> + Send>>;

/// How a check is run.
pub(super) enum Kind {
    /// As a task.
    Asynchronous(Arc<dyn Fn() -> Pending + Send + Sync>),
    /// In a thread of its own.
    Blocking(Arc<dyn Fn() -> CheckResult + Send + Sync>),
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is none.
    Idle,
    /// Its result is awaited.
    Running,
    /// Its time was up, its result is recorded as a failure, but it has not come back.
    Stuck(Instant),
}

/// An attempt on its way.
enum Attempt {
    Task(JoinHandle<CheckResult>),
    Thread(oneshot::Receiver<Result<CheckResult, String>>),
}

impl Inner {
    /// Starts an attempt where one is due and none is on its way.
    pub(super) fn start(self: &Arc<Self>, due: Due) {
        let state = self.state();
        let fresh = state.result_at.is_some_and(|at| at.elapsed() < state.keep);
        if !state.enabled || (due == Due::WhenStale && fresh) {
            return;
        }
        let timeout = state.timeout;
        drop(state);
        let mut stuck = None;
        let begun = self.progress.send_if_modified(|progress| {
            if let Progress::Stuck(since) = *progress {
                stuck = Some(since);
            }
            let idle = *progress == Progress::Idle;
            if idle {
                *progress = Progress::Running;
            }
            idle
        });
        if let Some(since) = stuck {
            self.settle(CheckResult::unhealthy(format_args!(
                "has not come back for {:.0?}",
                since.elapsed()
            )));
        }
        if begun {
            tokio::spawn(Arc::clone(self).attempt(timeout));
        }
    }

    async fn attempt(self: Arc<Self>, timeout: Duration) {
        let begin = Instant::now();
        let mut attempt = self.begin();
        let in_time = tokio::time::timeout(timeout, attempt.report()).await;
        let took = begin.elapsed();
        self.durations().record(took);
        self.dependency.record_latency(took);
        if let Ok(report) = in_time {
            self.settle(report);
        } else {
            self.settle(CheckResult::unhealthy(format_args!(
                "no result within {timeout:?}"
            )));
            self.progress.send_replace(Progress::Stuck(begin));
            attempt.end().await;
        }
        self.progress.send_replace(Progress::Idle);
    }

    fn begin(&self) -> Attempt {
        match &self.kind {
            Kind::Asynchronous(check) => {
                let check = Arc::clone(check);
                // Called inside the task: it may panic before it has made its future.
                Attempt::Task(tokio::spawn(async move { check().await }))
            }
            Kind::Blocking(check) => {
                let check = Arc::clone(check);
                let (sender, receiver) = oneshot::channel();
                let run = move || {
                    // A check that panics shows by its result; what it worked on is its own.
                    let report = catch_unwind(AssertUnwindSafe(|| check()));
                    // Nobody waits any more where the time was up.
                    let _ = sender.send(report.map_err(|panic| told(&*panic)));
                };
                // Not the runtime's pool: the end of the runtime would wait for a thread that hangs.
                match std::thread::Builder::new().spawn(run) {
                    Ok(_) => Attempt::Thread(receiver),
                    Err(error) => {
                        let report = CheckResult::unhealthy(format_args!("cannot start: {error}"));
                        Attempt::Task(tokio::spawn(async { report }))
                    }
                }
            }
        }
    }

    /// Records a result, unless the check was switched off meanwhile.
    fn settle(&self, report: CheckResult) {
        let mut state = self.state();
        if !state.enabled {
            return;
        }
        state.result_at = Some(Instant::now());
        let succeeded = matches!(report.health, Health::Healthy | Health::Degraded);
        // Under the lock, so that switching off comes before or after it, never between.
        self.dependency.record(report);
        if succeeded && let Some(gate) = &state.gate {
            gate.open();
        }
    }
}

impl Attempt {
    async fn report(&mut self) -> CheckResult {
        match self {
            Self::Task(task) => task
                .await
                .unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => panicked(&told(&*panic)),
                    Err(_) => CheckResult::unhealthy("was cancelled"),
                }),
            Self::Thread(receiver) => match receiver.await {
                Ok(Ok(report)) => report,
                Ok(Err(panic)) => panicked(&panic),
                Err(_) => CheckResult::unhealthy("was cancelled"),
            },
        }
    }

    /// Ends it where that can be done, and waits until it has ended.
    async fn end(mut self) {
        if let Self::Task(task) = &self {
            task.abort();
        }
        self.report().await;
    }
}

fn panicked(message: &str) -> CheckResult {
    CheckResult::unhealthy(format_args!("panicked: {message}"))
}

/// What a panic said.
fn told(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "without a message".to_owned()
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Asynchronous(_) => "Asynchronous",
            Self::Blocking(_) => "Blocking",
        })
    }
}
