//! Heartbeats, by which a service reports to another one that it is alive, with or without a port.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::dependency::Dependency;
use crate::health::CheckResult;
use crate::task::{BoxFuture, boxed, run_isolated};

type SendHeartbeat = dyn Fn(Heartbeat) -> BoxFuture<Result<(), String>> + Send + Sync;

/// The number of heartbeats missed in a row that makes the component unhealthy.
const UNHEALTHY_AFTER: u64 = 3;

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

/// The interval of heartbeats, and the time that sending one may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatSchedule {
    /// The time between two heartbeats.
    pub interval: Duration,
    /// The time that sending one may take; after it, the heartbeat counts as missed.
    pub timeout: Duration,
}

impl HeartbeatSchedule {
    /// Creates a schedule whose timeout is the interval.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            timeout: interval,
        }
    }
}

/// Sends the heartbeats of a service to another one. Clones refer to the same sender.
#[derive(Debug, Clone)]
pub struct HeartbeatSender {
    dependency: Dependency,
    counts: Arc<Mutex<HeartbeatCounts>>,
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
        *self.counts.lock()
    }

    /// Sends one heartbeat and returns whether it arrived.
    async fn beat(
        &self,
        status: HeartbeatStatus,
        timeout: Duration,
        send: &Arc<SendHeartbeat>,
    ) -> bool {
        let counts = self.counts();
        let heartbeat = Heartbeat {
            number: counts.sent.saturating_add(counts.missed).saturating_add(1),
            at: Timestamp::now(),
            status,
        };
        let send = Arc::clone(send);
        let outcome = run_isolated(timeout, move || send(heartbeat)).await;
        let mut counts = self.counts.lock();
        let Err(error) = outcome else {
            counts.sent = counts.sent.saturating_add(1);
            counts.missed_in_a_row = 0;
            drop(counts);
            self.dependency.record_success();
            return true;
        };
        counts.missed = counts.missed.saturating_add(1);
        counts.missed_in_a_row = counts.missed_in_a_row.saturating_add(1);
        let in_a_row = counts.missed_in_a_row;
        drop(counts);
        let reason = error.to_string();
        let to = self.dependency.name();
        tracing::warn!(to, in_a_row, reason, "heartbeat missed");
        let message = format!("missed {in_a_row}: {reason}");
        self.dependency.record(if in_a_row < UNHEALTHY_AFTER {
            CheckResult::degraded(message)
        } else {
            CheckResult::unhealthy(message)
        });
        false
    }
}

impl Service {
    /// Sends a heartbeat now, one per interval, and a final one at the end of the shutdown.
    ///
    /// The final one is sent by a clean-up handler. Clean-up handlers run in reverse order, so
    /// heartbeats that are set up first go on until all other clean-up is done.
    ///
    /// The dependency `to` is degraded after one or two heartbeats missed in a row, and unhealthy
    /// after three.
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
    pub fn send_heartbeats<F, R, E>(
        &self,
        to: &str,
        schedule: HeartbeatSchedule,
        send: F,
    ) -> HeartbeatSender
    where
        F: Fn(Heartbeat) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let sender = HeartbeatSender {
            dependency: self.dependency(to),
            counts: Arc::default(),
        };
        let HeartbeatSchedule { interval, timeout } = schedule;
        let send: Arc<SendHeartbeat> = Arc::new(move |heartbeat| boxed(send(heartbeat)));
        let end = CancellationToken::new();
        // A strong reference would keep the service alive.
        let (about, inner) = (Arc::clone(&self.about), Arc::downgrade(&self.inner));
        let (beating, sending, ended) = (sender.clone(), Arc::clone(&send), end.clone());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let Some(inner) = inner.upgrade() else { return };
                let about = Arc::clone(&about);
                let status = if (Self { about, inner }).is_shutting_down() {
                    HeartbeatStatus::ShuttingDown
                } else {
                    HeartbeatStatus::Running
                };
                beating.beat(status, timeout, &sending).await;
            }
        });
        let last = sender.clone();
        self.on_shutdown(format!("heartbeat to {to}"), move || async move {
            end.cancel();
            task.await.map_err(|error| error.to_string())?;
            if last.beat(HeartbeatStatus::Final, timeout, &send).await {
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
