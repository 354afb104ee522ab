//! Heartbeats, by which a service reports to another one that it is alive, with or without a port.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::dependency::Dependency;
use crate::health::CheckResult;
use crate::task::{BoxFuture, boxed, run_isolated};

/// Sends a heartbeat, and returns what the answer says of the receiver, or why it did not arrive.
pub(crate) type SendHeartbeat =
    dyn Fn(Heartbeat) -> BoxFuture<Result<CheckResult, String>> + Send + Sync;

/// The number of heartbeats missed in a row that makes the receiver unhealthy, unless the schedule
/// says another one.
pub(crate) const FAILURE_THRESHOLD: u64 = 3;

/// A heartbeat, as handed to the function that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The sequence number; the first heartbeat is 1.
    pub number: u64,
    /// The wall-clock time at which the heartbeat is sent.
    pub at: Timestamp,
    /// The status of the sending service.
    pub status: HeartbeatStatus,
}

/// The status of a service that sends heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeartbeatStatus {
    /// The service does its work.
    Running,
    /// The service shuts down and has not finished.
    ShuttingDown,
    /// The service has finished, and no further heartbeat follows.
    Final,
}

/// The interval of heartbeats, the time that sending one may take, and how many may be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatSchedule {
    /// The time between two heartbeats.
    pub interval: Duration,
    /// The time that sending one may take; after it, the heartbeat counts as missed.
    pub timeout: Duration,
    /// The number of heartbeats missed in a row from which the receiver counts as unhealthy; below
    /// it, the receiver is degraded.
    pub failure_threshold: u64,
}

impl HeartbeatSchedule {
    /// Creates a schedule whose timeout is the interval, and whose failure threshold is 3.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            timeout: interval,
            failure_threshold: FAILURE_THRESHOLD,
        }
    }
}

/// Sends the heartbeats of a service to another one. Clones refer to the same sender.
#[derive(Debug, Clone)]
pub struct HeartbeatSender {
    dependency: Dependency,
    schedule: HeartbeatSchedule,
    log: watch::Sender<HeartbeatLog>,
}

/// The heartbeats of one sender so far.
#[derive(Debug, Clone, Copy, Default)]
struct HeartbeatLog {
    counts: HeartbeatCounts,
    last_sent_at: Option<Timestamp>,
}

/// The numbers of heartbeats that were sent and missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartbeatCounts {
    /// The number that arrived.
    pub sent: u64,
    /// The number that failed or timed out.
    pub missed: u64,
    /// The number missed since one last arrived.
    pub missed_in_a_row: u64,
}

impl HeartbeatSender {
    /// Returns the dependency that represents the receiver.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// Returns the numbers of heartbeats sent and missed so far.
    pub fn counts(&self) -> HeartbeatCounts {
        self.log.borrow().counts
    }

    /// Returns the wall-clock time at which the last heartbeat that arrived was sent; `None` before
    /// the first one.
    pub fn last_sent_at(&self) -> Option<Timestamp> {
        self.log.borrow().last_sent_at
    }

    /// Waits until the counts are as `condition` says, such as until the first heartbeat has been
    /// sent or missed.
    pub async fn wait_for(&self, condition: impl Fn(HeartbeatCounts) -> bool) {
        let mut log = self.log.subscribe();
        // The channel stays open while `self` holds the sender.
        let _ = log.wait_for(|log| condition(log.counts)).await;
    }

    /// Sends one heartbeat and returns whether it arrived.
    async fn beat(&self, status: HeartbeatStatus, send: &Arc<SendHeartbeat>) -> bool {
        let counts = self.counts();
        let heartbeat = Heartbeat {
            number: counts.sent.saturating_add(counts.missed).saturating_add(1),
            at: Timestamp::now(),
            status,
        };
        let send = Arc::clone(send);
        let outcome = run_isolated(self.schedule.timeout, move || send(heartbeat)).await;
        let arrived = outcome.is_ok();
        let in_a_row = if arrived {
            0
        } else {
            counts.missed_in_a_row.saturating_add(1)
        };
        self.dependency.record(outcome.unwrap_or_else(|error| {
            let to = self.dependency.name();
            tracing::warn!(to, in_a_row, reason = %error, "heartbeat missed");
            let message = format!("missed {in_a_row}: {error}");
            if in_a_row < self.schedule.failure_threshold {
                CheckResult::degraded(message)
            } else {
                CheckResult::unhealthy(message)
            }
        }));
        // Whoever waits for the counts finds the dependency as they say.
        self.log.send_modify(|log| {
            log.counts.missed_in_a_row = in_a_row;
            if arrived {
                log.counts.sent = log.counts.sent.saturating_add(1);
                log.last_sent_at = Some(heartbeat.at);
            } else {
                log.counts.missed = log.counts.missed.saturating_add(1);
            }
        });
        arrived
    }
}

impl Service {
    /// Sends a heartbeat now, one per interval, and a final one at the end of the shutdown.
    ///
    /// The final one is sent by a clean-up handler. Clean-up handlers run in reverse order, so
    /// heartbeats that are set up first go on until all other clean-up is done.
    ///
    /// The dependency `to` is degraded after a missed heartbeat, and unhealthy after as many in a row
    /// as [`HeartbeatSchedule::failure_threshold`] says. `send` may return `()`, or a [`CheckResult`]
    /// that says more about the receiver.
    ///
    /// ```
    /// use std::time::Duration;
    /// use healthctl_service::{
    ///     Heartbeat, HeartbeatSchedule, HeartbeatStatus, Service, Settings, ShutdownCause,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let agent = Service::new("edge-1", "1.4.2", Settings::default());
    /// let schedule = HeartbeatSchedule::every(Duration::from_secs(10));
    /// let sender = agent.send_heartbeats("control-plane", schedule, |heartbeat: Heartbeat| async move {
    ///     let status = match heartbeat.status {
    ///         HeartbeatStatus::Running => "running",
    ///         HeartbeatStatus::ShuttingDown | HeartbeatStatus::Final => "shutting_down",
    ///     };
    ///     // Send it here.
    ///     Ok::<(), std::io::Error>(())
    /// });
    ///
    /// agent.shut_down(ShutdownCause::Program);
    /// agent.run().await?;
    /// assert!(sender.counts().sent >= 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_heartbeats<F, R, T, E>(
        &self,
        to: &str,
        schedule: HeartbeatSchedule,
        send: F,
    ) -> HeartbeatSender
    where
        F: Fn(Heartbeat) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<CheckResult>,
        E: Display + Send + 'static,
    {
        let send = move |heartbeat| {
            let sending = send(heartbeat);
            boxed(async move { sending.await.map(Into::into) })
        };
        self.beat_for(self.dependency(to), schedule, Arc::new(send))
    }

    /// Sends heartbeats as [`Service::send_heartbeats`] does, for a dependency that need not be one
    /// of the service's own.
    pub(crate) fn beat_for(
        &self,
        dependency: Dependency,
        schedule: HeartbeatSchedule,
        send: Arc<SendHeartbeat>,
    ) -> HeartbeatSender {
        let to = dependency.name().to_owned();
        let sender = HeartbeatSender {
            dependency,
            schedule,
            log: watch::Sender::default(),
        };
        let end = CancellationToken::new();
        // A strong reference would keep the service alive.
        let service = self.downgrade();
        let (beating, sending, ended) = (sender.clone(), Arc::clone(&send), end.clone());
        let task = tokio::spawn(async move {
            let interval = schedule.interval.max(Duration::from_millis(1));
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let Some(service) = service.upgrade() else {
                    return;
                };
                let status = if service.is_shutting_down() {
                    HeartbeatStatus::ShuttingDown
                } else {
                    HeartbeatStatus::Running
                };
                drop(service);
                beating.beat(status, &sending).await;
            }
        });
        let last = sender.clone();
        self.on_shutdown(format!("heartbeat to {to}"), move || async move {
            end.cancel();
            task.await.map_err(|error| error.to_string())?;
            if last.beat(HeartbeatStatus::Final, &send).await {
                Ok(())
            } else {
                Err("the final heartbeat did not arrive".to_owned())
            }
        });
        self.inner.heartbeats.lock().push(sender.clone());
        sender
    }

    /// Returns all senders of heartbeats, in the order in which they were set up.
    pub fn heartbeat_senders(&self) -> Vec<HeartbeatSender> {
        self.inner.heartbeats.lock().clone()
    }
}
