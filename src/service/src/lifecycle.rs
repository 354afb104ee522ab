//! The one-way street from serving to finished, and who waits where.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::clean_up::CleanUpResult;

/// Where a service is in its life; it only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It works.
    Serving,
    /// A shutdown was asked for: work in flight may finish, new work is refused.
    Draining,
    /// The clean-up handlers run.
    CleaningUp,
    /// All is done: who waits for the end gets the reply.
    Finished,
}

/// What began the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownCause {
    /// A signal, by its name.
    Signal(&'static str),
    /// The route that answers when all is done.
    BlockingRequest,
    /// The route that answers at once.
    ScheduledRequest,
    /// The program itself.
    Program,
}

/// How a shutdown went.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{ShutdownCause, Phase, Service, Settings};
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
/// let ended = service.run().await?;
/// assert_eq!(ended.cause, ShutdownCause::Program);
/// assert!(ended.drained);
/// // One that fails does not stop the rest, and is told:
/// assert!(ended.to_string().ends_with("clean-up of queue: the broker does not answer"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownReport {
    /// What began it.
    pub cause: ShutdownCause,
    /// Whether all work in flight finished by itself.
    pub drained: bool,
    /// How many requests were cut off at the limit.
    pub cut: usize,
    /// How long the work in flight took to finish.
    pub drain_time: Duration,
    /// How long all clean-up handlers took together.
    pub clean_up_time: Duration,
    /// The clean-up handlers in the order in which they ran.
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
    /// One line for a log, and one more for each clean-up handler that failed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "shut down by {}: drained in {:.3?}, {} cut, cleaned up in {:.3?}",
            self.cause, self.drain_time, self.cut, self.clean_up_time
        )?;
        for clean_up in &self.clean_ups {
            if let Err(error) = &clean_up.outcome {
                write!(formatter, "\nclean-up of {}: {error}", clean_up.name)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Lifecycle {
    phase: watch::Sender<Phase>,
    cause: OnceLock<ShutdownCause>,
    ended: OnceLock<ShutdownReport>,
    /// The connections on which somebody waits for the end.
    replies: Mutex<Vec<CancellationToken>>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            cause: OnceLock::new(),
            ended: OnceLock::new(),
            replies: Mutex::default(),
        }
    }
}

impl Lifecycle {
    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) async fn wait_for_phase(&self, phase: Phase) {
        // The sender is ours, so the channel cannot close while we wait.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Raises the flag; the first cause stands.
    pub(super) fn begin(&self, cause: ShutdownCause) {
        if self.cause.set(cause).is_ok() {
            tracing::info!(cause = %cause, "shutdown begins");
        }
        self.advance(Phase::Draining);
    }

    pub(super) fn cause(&self) -> ShutdownCause {
        self.cause.get().copied().unwrap_or(ShutdownCause::Program)
    }

    pub(super) fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = to > *phase;
            if forward {
                *phase = to;
            }
            forward
        });
    }

    /// Keeps the account of the end and lets everybody who waits for it reply.
    pub(super) fn finish(&self, ended: ShutdownReport) -> &ShutdownReport {
        let ended = self.ended.get_or_init(|| ended);
        tracing::info!(
            drain_seconds = ended.drain_time.as_secs_f64(),
            cut = ended.cut,
            clean_up_seconds = ended.clean_up_time.as_secs_f64(),
            "shutdown done"
        );
        self.advance(Phase::Finished);
        ended
    }

    /// Waits for the end; `connection` ends when the reply on it has been written.
    pub(super) async fn ended(
        &self,
        connection: Option<CancellationToken>,
    ) -> Option<&ShutdownReport> {
        if let Some(connection) = connection {
            self.replies_mut().push(connection);
        }
        self.wait_for_phase(Phase::Finished).await;
        self.ended.get()
    }

    /// Waits until every reply to somebody who waited for the end has been written.
    pub(super) async fn replied(&self) {
        let waiting = std::mem::take(&mut *self.replies_mut());
        for connection in waiting {
            connection.cancelled().await;
        }
    }

    fn replies_mut(&self) -> MutexGuard<'_, Vec<CancellationToken>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
