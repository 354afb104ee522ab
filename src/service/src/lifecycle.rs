//! The phases of a service from serving to finished, and those who wait for them.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::clean_up::CleanUpResult;

/// The phase of a service; it only ever moves forward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The service does its work.
    #[default]
    Serving,
    /// A shutdown was requested: requests in flight may finish, new ones are refused.
    Draining,
    /// The clean-up handlers run.
    CleaningUp,
    /// All is done, and those who wait for the end get their reply.
    Finished,
}

/// The source of the request for a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShutdownCause {
    /// A signal, by its name.
    Signal(&'static str),
    /// A request to the route that replies when the shutdown is done.
    BlockingRequest,
    /// A request to the route that replies at once.
    ScheduledRequest,
    /// The program itself, by [`Service::shut_down`](crate::Service::shut_down).
    Program,
}

/// The outcome of a shutdown.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{Phase, Service, Settings, ShutdownCause};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let service = Service::new("worker", "1.0", Settings::default());
/// let watched = service.clone();
/// service.background(async move {
///     watched.wait_for_phase(Phase::Draining).await;
///     // Take no new work from the queue.
/// });
/// service.on_shutdown("queue", || async { Err::<(), _>("the broker does not answer") });
///
/// service.shut_down(ShutdownCause::Program);
/// let report = service.run().await?;
/// assert_eq!(report.cause, ShutdownCause::Program);
/// assert!(report.drained);
/// // A handler that fails does not stop the others, and is reported:
/// assert!(report.to_string().ends_with("clean-up of queue: the broker does not answer"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownReport {
    /// The source of the request.
    pub cause: ShutdownCause,
    /// True if all requests in flight finished within the timeout.
    pub drained: bool,
    /// The number of requests that were aborted after the timeout.
    pub aborted: usize,
    /// The time that the requests in flight took to finish.
    pub drain_time: Duration,
    /// The time that all clean-up handlers took together.
    pub clean_up_time: Duration,
    /// The results of the clean-up handlers, in the order in which they ran.
    pub clean_ups: Vec<CleanUpResult>,
}

impl fmt::Display for ShutdownCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Signal(name) => name,
            Self::BlockingRequest => "a blocking request",
            Self::ScheduledRequest => "a scheduled request",
            Self::Program => "the program",
        })
    }
}

impl fmt::Display for ShutdownReport {
    /// Writes one line for a log, and one more for each clean-up handler that failed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "shut down by {}: drained in {:.3?}, {} aborted, cleaned up in {:.3?}",
            self.cause, self.drain_time, self.aborted, self.clean_up_time
        )?;
        for clean_up in &self.clean_ups {
            if let Err(error) = &clean_up.outcome {
                write!(formatter, "\nclean-up of {}: {error}", clean_up.name)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    phase: watch::Sender<Phase>,
    pub(crate) cause: OnceLock<ShutdownCause>,
    report: OnceLock<ShutdownReport>,
    /// The connections on which a reply waits for the end, each cancelled when it has closed.
    waiting: Mutex<Vec<CancellationToken>>,
}

impl Service {
    /// Returns the present phase.
    pub fn phase(&self) -> Phase {
        *self.inner.lifecycle.phase.borrow()
    }

    /// Returns whether a shutdown was requested.
    pub fn is_shutting_down(&self) -> bool {
        self.phase() > Phase::Serving
    }

    /// Waits until the service is in this phase or a later one.
    pub async fn wait_for_phase(&self, phase: Phase) {
        let mut now = self.inner.lifecycle.phase.subscribe();
        // The channel stays open while `self` holds the sender.
        let _ = now.wait_for(|now| *now >= phase).await;
    }

    /// Requests the shutdown and returns at once; a second call changes nothing.
    pub fn shut_down(&self, cause: ShutdownCause) {
        if self.inner.lifecycle.cause.set(cause).is_ok() {
            tracing::info!(cause = %cause, "shutdown begins");
        }
        self.advance(Phase::Draining);
    }

    pub(crate) fn advance(&self, to: Phase) {
        self.inner.lifecycle.phase.send_if_modified(|phase| {
            let forward = to > *phase;
            if forward {
                *phase = to;
            }
            forward
        });
    }

    /// Stores the report and releases those who wait for the end.
    pub(crate) fn finish(&self, report: ShutdownReport) -> &ShutdownReport {
        let report = self.inner.lifecycle.report.get_or_init(|| report);
        tracing::info!(
            drain_seconds = report.drain_time.as_secs_f64(),
            cut = report.aborted,
            clean_up_seconds = report.clean_up_time.as_secs_f64(),
            "shutdown done"
        );
        self.advance(Phase::Finished);
        report
    }

    /// Waits for the end on behalf of a request; `connection` is cancelled when its reply is written.
    pub(crate) async fn finished(
        &self,
        connection: Option<CancellationToken>,
    ) -> Option<&ShutdownReport> {
        self.inner.lifecycle.waiting.lock().extend(connection);
        self.wait_for_phase(Phase::Finished).await;
        self.inner.lifecycle.report.get()
    }

    /// Waits until every reply to a request that waited for the end is written.
    pub(crate) async fn replies_written(&self) {
        let waiting = std::mem::take(&mut *self.inner.lifecycle.waiting.lock());
        for connection in waiting {
            connection.cancelled().await;
        }
    }
}
