//! The phases of a service from serving to finished, those who wait for them, the events that tell of
//! them, the share of new work that a drain refuses, and the clean-up handlers, of which the one
//! registered last runs first, each isolated and bounded in time.

use std::fmt::{self, Display};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::settings::WhileDraining;
use crate::task::{BoxFuture, TaskError, boxed, run_isolated};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
pub enum ShutdownCause {
    /// A signal, by its name.
    #[strum(to_string = "{0}")]
    Signal(&'static str),
    /// A request to the route that replies when the shutdown is done.
    #[strum(to_string = "a blocking request")]
    BlockingRequest,
    /// A request to the route that replies at once.
    #[strum(to_string = "a scheduled request")]
    ScheduledRequest,
    /// The program itself, by [`Service::shut_down`](crate::Service::shut_down).
    #[strum(to_string = "the program")]
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

/// A step of the shutdown, as told to those who [subscribe](Service::termination_events).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminationEvent {
    /// The shutdown was requested; later requests join it and are not told.
    Requested(ShutdownCause),
    /// The drain has begun.
    Draining {
        /// The number of requests in flight.
        in_flight: usize,
        /// The time that they may take to finish.
        timeout: Duration,
    },
    /// All requests in flight have finished, after this time.
    Drained(Duration),
    /// The drain has taken its whole time, and this number of requests is aborted.
    DrainTimedOut(usize),
    /// A clean-up handler has ended, with or without success.
    CleanedUp(CleanUpResult),
    /// The shutdown is done; no event follows.
    Finished(ShutdownReport),
}

/// The events of the shutdown of a service, from the first one on, whenever the subscription began.
#[derive(Debug)]
pub struct TerminationEvents {
    events: watch::Receiver<Vec<TerminationEvent>>,
    received: usize,
}

impl TerminationEvents {
    /// Waits for the next event; `None` after [`TerminationEvent::Finished`], and once the service
    /// exists no longer.
    pub async fn next(&mut self) -> Option<TerminationEvent> {
        loop {
            let next = {
                let events = self.events.borrow_and_update();
                let is_finished = matches!(events.last(), Some(TerminationEvent::Finished(_)));
                if is_finished && self.received == events.len() {
                    return None;
                }
                events.get(self.received).cloned()
            };
            if next.is_some() {
                self.received = self.received.saturating_add(1);
                return next;
            }
            self.events.changed().await.ok()?;
        }
    }
}

/// The drain timeout of a convention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrainBounds {
    /// The timeout where the settings name none.
    pub(crate) default: Duration,
    /// The longest timeout that the settings can ask for.
    pub(crate) longest: Duration,
}

/// The drain timeout where neither the settings nor a convention name one.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The progress of a drain.
#[derive(Debug, Default)]
struct Drain {
    since: Option<Instant>,
    /// The sum of the shares of the requests so far, less the number of those that were refused: the
    /// next request is refused once it reaches 1.
    due: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    phase: watch::Sender<Phase>,
    pub(crate) cause: OnceLock<ShutdownCause>,
    report: OnceLock<ShutdownReport>,
    events: watch::Sender<Vec<TerminationEvent>>,
    drain: Mutex<Drain>,
    drain_bounds: OnceLock<DrainBounds>,
    /// The connections on which a reply waits for the end, each cancelled when it has closed.
    waiting: Mutex<Vec<CancellationToken>>,
}

/// The result of one clean-up handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanUpResult {
    /// The name under which the handler was registered.
    pub name: String,
    /// Success, or the reason why the handler did not finish its work.
    pub outcome: Result<(), TaskError>,
    /// The time that the handler took.
    pub took: Duration,
}

type Handler = Box<dyn FnOnce() -> BoxFuture<Result<(), String>> + Send>;

/// The registered handlers, in the order of their registration.
#[derive(Default)]
pub(crate) struct CleanUps(Mutex<Vec<(String, Handler)>>);

impl CleanUps {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl fmt::Debug for CleanUps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CleanUps").finish_non_exhaustive()
    }
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
            self.inner.lifecycle.drain.lock().since = Some(Instant::now());
            self.emit(TerminationEvent::Requested(cause));
        }
        self.advance(Phase::Draining);
    }

    /// Returns the events of the shutdown, which may come long after this call. None of them is lost
    /// to a subscriber that is slow or late.
    ///
    /// ```
    /// use healthctl_service::{Service, Settings, ShutdownCause, TerminationEvent};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let service = Service::new("worker", "1.0", Settings::default());
    /// let mut events = service.termination_events();
    /// let told = tokio::spawn(async move {
    ///     let mut drained = false;
    ///     while let Some(event) = events.next().await {
    ///         drained |= matches!(event, TerminationEvent::Drained(_));
    ///     }
    ///     drained
    /// });
    ///
    /// service.shut_down(ShutdownCause::Program);
    /// service.run().await?;
    /// // The end of the runtime would end the task: wait for it.
    /// assert!(told.await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn termination_events(&self) -> TerminationEvents {
        TerminationEvents {
            events: self.inner.lifecycle.events.subscribe(),
            received: 0,
        }
    }

    /// Logs an event and hands it to those who subscribe.
    pub(crate) fn emit(&self, event: TerminationEvent) {
        match &event {
            TerminationEvent::Requested(cause) => tracing::info!(cause = %cause, "shutdown begins"),
            TerminationEvent::Draining { in_flight, timeout } => {
                let timeout_seconds = timeout.as_secs_f64();
                tracing::info!(in_flight, timeout_seconds, "drain begins");
            }
            TerminationEvent::Drained(took) => {
                tracing::info!(seconds = took.as_secs_f64(), "drained");
            }
            TerminationEvent::DrainTimedOut(aborted) => {
                tracing::warn!(aborted, "drain timed out");
            }
            TerminationEvent::CleanedUp(result) => {
                let (handler, seconds) = (&result.name, result.took.as_secs_f64());
                match &result.outcome {
                    Ok(()) => tracing::info!(handler, seconds, "clean-up done"),
                    Err(error) => tracing::error!(handler, reason = %error, "clean-up failed"),
                }
            }
            TerminationEvent::Finished(report) => tracing::info!(
                drain_seconds = report.drain_time.as_secs_f64(),
                cut = report.aborted,
                clean_up_seconds = report.clean_up_time.as_secs_f64(),
                "shutdown done"
            ),
        }
        self.inner
            .lifecycle
            .events
            .send_modify(|events| events.push(event));
    }

    /// Returns the time that requests in flight may take to finish during a shutdown: that of
    /// [`Settings::drain_timeout`](crate::Settings::drain_timeout), else that of the convention whose
    /// routes the service serves (2 seconds for [`scry_ingestor`](crate::scry_ingestor), whose longest
    /// is 30 seconds), else 30 seconds.
    pub fn drain_timeout(&self) -> Duration {
        let wanted = self.about.settings.drain_timeout;
        match self.inner.lifecycle.drain_bounds.get() {
            Some(bounds) => wanted.unwrap_or(bounds.default).min(bounds.longest),
            None => wanted.unwrap_or(DRAIN_TIMEOUT),
        }
    }

    /// Sets the drain timeout of the convention that the service follows; the first one counts.
    pub(crate) fn bound_drain(&self, bounds: DrainBounds) {
        let wanted = self.about.settings.drain_timeout;
        if wanted.is_some_and(|wanted| wanted > bounds.longest) {
            let longest_seconds = bounds.longest.as_secs();
            tracing::warn!(
                longest_seconds,
                "the drain timeout is cut to the longest allowed"
            );
        }
        let _ = self.inner.lifecycle.drain_bounds.set(bounds);
    }

    /// Returns the time from the begin of the drain until all new work is refused.
    pub(crate) fn rejection_rise(&self) -> Duration {
        let settings = &self.about.settings;
        if settings.initial_rejection < 1.0 && settings.while_draining == WhileDraining::Answer {
            self.drain_timeout() / 2
        } else {
            Duration::ZERO
        }
    }

    /// Decides on a request that has just come: returns whether it is refused since the service shuts
    /// down.
    pub(crate) fn refuses_work(&self) -> bool {
        match self.phase() {
            Phase::Serving => return false,
            Phase::Draining => {}
            Phase::CleaningUp | Phase::Finished => return true,
        }
        let rise = self.rejection_rise();
        let mut drain = self.inner.lifecycle.drain.lock();
        let elapsed = drain.since.map_or(rise, |since| since.elapsed());
        let share = if elapsed < rise {
            let at_first = self.about.settings.initial_rejection.max(0.0);
            at_first + (1.0 - at_first) * elapsed.div_duration_f64(rise)
        } else {
            1.0
        };
        drain.due += share;
        let is_refused = drain.due >= 1.0;
        if is_refused {
            drain.due -= 1.0;
        }
        is_refused
    }

    pub(crate) fn advance(&self, to: Phase) {
        self.inner.lifecycle.phase.send_if_modified(|phase| {
            let before = *phase;
            *phase = before.max(to);
            before < to
        });
    }

    /// Stores the report and releases those who wait for the end.
    pub(crate) fn finish(&self, report: ShutdownReport) -> &ShutdownReport {
        let report = self.inner.lifecycle.report.get_or_init(|| report);
        self.emit(TerminationEvent::Finished(report.clone()));
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

    /// Registers a clean-up handler for the shutdown; the handler registered last runs first.
    pub fn on_shutdown<F, R, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let handler: Handler = Box::new(move || boxed(handler()));
        self.inner.clean_ups.0.lock().push((name.into(), handler));
    }

    /// Runs each handler, the last registered first. A handler that is registered meanwhile runs next.
    pub(crate) async fn clean_up(&self, timeout: Duration) -> Vec<CleanUpResult> {
        let mut results = Vec::new();
        loop {
            let Some((name, handler)) = self.inner.clean_ups.0.lock().pop() else {
                return results;
            };
            let begin = Instant::now();
            let outcome = run_isolated(timeout, handler).await;
            let result = CleanUpResult {
                name,
                outcome,
                took: begin.elapsed(),
            };
            self.emit(TerminationEvent::CleanedUp(result.clone()));
            results.push(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[tokio::test(start_paused = true)]
    async fn the_last_registered_runs_first_and_none_stops_the_rest() {
        let limit = Duration::from_secs(10);
        let service = Service::new("orders", "1.0", Settings::default());
        service.on_shutdown("first", || async { Ok::<(), String>(()) });
        service.on_shutdown("hangs", std::future::pending::<Result<(), String>>);
        service.on_shutdown("panics", || -> BoxFuture<Result<(), String>> {
            Box::pin(async { panic!("in the future") })
        });
        service.on_shutdown("panics early", || -> BoxFuture<Result<(), String>> {
            panic!("before there is a future")
        });
        service.on_shutdown("fails", || async { Err("disk full") });
        let results: Vec<_> = service
            .clean_up(limit)
            .await
            .into_iter()
            .map(|clean_up| (clean_up.name, clean_up.outcome, clean_up.took))
            .collect();
        let at_once = Duration::ZERO;
        let expected = [
            ("fails", Err(TaskError::Failed("disk full".into())), at_once),
            ("panics early", Err(TaskError::Panicked), at_once),
            ("panics", Err(TaskError::Panicked), at_once),
            ("hangs", Err(TaskError::TimedOut(limit)), limit),
            ("first", Ok(()), at_once),
        ]
        .map(|(name, outcome, took)| (name.to_owned(), outcome, took));
        assert_eq!(results, expected);
    }
}
