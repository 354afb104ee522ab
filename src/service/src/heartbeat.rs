//! Heartbeats: the status of life that a service without a port, or beside it, sends to another.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Service;
use super::dependency::Dependency;
use super::report::CheckResult;

/// How many have to be missed in a row before the component counts as unhealthy.
const FATAL: u64 = 3;

/// One status of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its number, from 1.
    pub number: u64,
    /// When it is sent.
    pub at: Timestamp,
    /// What it says.
    pub status: HeartbeatStatus,
}

/// What a heartbeat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatStatus {
    /// The service works.
    Running,
    /// It shuts down and has not finished.
    ShuttingDown,
    /// It has finished: no other one follows, and the silence is meant.
    Final,
}

/// How often heartbeats are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatSchedule {
    /// The time from one to the next.
    pub interval: Duration,
    /// How long sending one may take; longer is missed.
    pub timeout: Duration,
}

/// The sender of heartbeats. Copies share everything.
#[derive(Debug, Clone)]
pub struct HeartbeatSender {
    dependency: Dependency,
    counts: Arc<Mutex<HeartbeatCounts>>,
}

/// How many heartbeats were sent and missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartbeatCounts {
    /// Those that arrived.
    pub sent: u64,
    /// Those that failed or took too long.
    pub missed: u64,
    /// The same since one last arrived.
    pub missed_in_a_row: u64,
}

impl HeartbeatSchedule {
    /// One each interval, and each may take as long.
    pub fn every(interval: Duration) -> Self {
        Self {
            interval,
            timeout: interval,
        }
    }
}

impl HeartbeatSender {
    /// The component that stands for whom they are sent to.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// How many were sent and missed so far.
    pub fn counts(&self) -> HeartbeatCounts {
        *self.lock()
    }

    fn arrived(&self) {
        let mut counts = self.lock();
        counts.sent = counts.sent.saturating_add(1);
        counts.missed_in_a_row = 0;
        drop(counts);
        self.dependency.record_success();
    }

    fn missed(&self, reason: &str) {
        let mut counts = self.lock();
        counts.missed = counts.missed.saturating_add(1);
        counts.missed_in_a_row = counts.missed_in_a_row.saturating_add(1);
        let in_a_row = counts.missed_in_a_row;
        drop(counts);
        tracing::warn!(
            to = self.dependency.name(),
            in_a_row,
            reason,
            "heartbeat missed"
        );
        let message = format!("missed {in_a_row}: {reason}");
        self.dependency.record(if in_a_row < FATAL {
            CheckResult::degraded(message)
        } else {
            CheckResult::unhealthy(message)
        });
    }

    fn lock(&self) -> MutexGuard<'_, HeartbeatCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Sends a heartbeat now and every interval, and a final one at the shutdown, as a clean-up
    /// handler: registered first, it goes out last, and the others go on until then.
    ///
    /// One or two missed in a row make the component `to` degraded, three unhealthy.
    ///
    /// ```
    /// use std::time::Duration;
    /// use healthctl_service::{Heartbeat, ShutdownCause, HeartbeatSchedule, Service, Settings, HeartbeatStatus};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let agent = Service::new("edge-1", "1.4.2", Settings::default());
    /// let pace = HeartbeatSchedule::every(Duration::from_secs(10));
    /// let heartbeat = agent.heartbeat("control-plane", pace, |beat: Heartbeat| async move {
    ///     let status = match beat.status {
    ///         HeartbeatStatus::Running => "running",
    ///         HeartbeatStatus::ShuttingDown | HeartbeatStatus::Final => "shutting_down",
    ///     };
    ///     // Send it here.
    ///     Ok::<(), std::io::Error>(drop(status))
    /// });
    /// # agent.shut_down(ShutdownCause::Program);
    /// agent.run().await?;
    /// assert!(heartbeat.counts().sent >= 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn heartbeat<F, R, E>(&self, to: &str, pace: HeartbeatSchedule, send: F) -> HeartbeatSender
    where
        F: Fn(Heartbeat) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let heartbeat = HeartbeatSender {
            dependency: self.dependency(to),
            counts: Arc::default(),
        };
        let mut sender = Sender {
            send: Arc::new(send),
            timeout: pace.timeout,
            heartbeat: heartbeat.clone(),
            number: 0,
        };
        let end = CancellationToken::new();
        let ended = end.clone();
        // It would keep the service that it belongs to alive for ever.
        let inner = Arc::downgrade(&self.inner);
        let beating = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pace.interval.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    biased;
                    () = ended.cancelled() => return sender,
                    _ = ticks.tick() => {}
                }
                let Some(inner) = inner.upgrade() else {
                    return sender;
                };
                let status = if (Self { inner }).is_shutting_down() {
                    HeartbeatStatus::ShuttingDown
                } else {
                    HeartbeatStatus::Running
                };
                sender.beat(status).await;
            }
        });
        self.on_shutdown(format!("heartbeat to {to}"), move || async move {
            end.cancel();
            let mut sender = beating.await.map_err(|error| error.to_string())?;
            if sender.beat(HeartbeatStatus::Final).await {
                Ok(())
            } else {
                Err("the final heartbeat did not arrive".to_owned())
            }
        });
        self.inner
            .heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(heartbeat.clone());
        heartbeat
    }

    /// All senders of heartbeats.
    pub fn heartbeats(&self) -> Vec<HeartbeatSender> {
        self.inner
            .heartbeats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Who sends, one at a time.
struct Sender<F> {
    send: Arc<F>,
    timeout: Duration,
    heartbeat: HeartbeatSender,
    number: u64,
}

impl<F, R, E> Sender<F>
where
    F: Fn(Heartbeat) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    /// Sends one and tells whether it arrived.
    async fn beat(&mut self, status: HeartbeatStatus) -> bool {
        self.number = self.number.saturating_add(1);
        let beat = Heartbeat {
            number: self.number,
            at: Timestamp::now(),
            status,
        };
        // In a task of its own, so that a panic is a missed one and no more.
        let send = Arc::clone(&self.send);
        let mut task = tokio::spawn(async move { send(beat).await });
        let reason = match tokio::time::timeout(self.timeout, &mut task).await {
            Ok(Ok(Ok(()))) => {
                self.heartbeat.arrived();
                return true;
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "panicked".to_owned(),
            Err(_) => {
                task.abort();
                format!("not sent within {:?}", self.timeout)
            }
        };
        self.heartbeat.missed(&reason);
        false
    }
}
