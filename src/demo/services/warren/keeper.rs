//! Keeps one task: starts it, looks after it, replaces it when it is unhealthy or has ended.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::check;
use super::task::{Kind, WORKER_FILE};
use crate::demo::announcement::Announcement;
use crate::demo::fleet::REPLACEMENT;
use crate::demo::program;
use crate::demo::stage::Stage;

/// The time from one look to the next; the orchestrator has thirty seconds, a demo is less patient.
const INTERVAL: Duration = Duration::from_millis(400);
/// So many failures in a row make a task unhealthy.
const RETRIES: u32 = 3;
/// How long a task may take to say where it is, and to end.
const LIMIT: Duration = Duration::from_secs(2);
/// How long it may take to start; until then a failure is none.
const START_PERIOD: Duration = Duration::from_secs(5);

/// Who keeps one task.
pub(super) struct Keeper {
    kind: Kind,
    address: Option<SocketAddr>,
    view: Arc<Mutex<View>>,
}

/// What is known of a task.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) check: &'static str,
    pub(super) status: Status,
    error: Option<String>,
    consecutive_failures: u32,
    replaced: u32,
    pid: Option<u32>,
}

/// How a task is; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Healthy,
    Starting,
    Unhealthy,
}

/// What everything that happens to one task needs.
struct Watch {
    kind: Kind,
    calm: bool,
    address: Option<SocketAddr>,
    view: Arc<Mutex<View>>,
    broken: watch::Receiver<bool>,
    /// Whether it is left alone when it is unhealthy.
    neglected: watch::Receiver<bool>,
    end: CancellationToken,
}

/// One process that does the task.
struct Process {
    child: Child,
    orders: ChildStdin,
}

impl Status {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl View {
    /// What there is to say of it in a line.
    pub(super) fn told(&self) -> String {
        let error = self.error.as_deref().map(|error| format!(", {error}"));
        format!(
            "{} check, replaced {} times{}",
            self.check,
            self.replaced,
            error.unwrap_or_default()
        )
    }
}

impl Keeper {
    /// Starts the task; it is looked after from then on, and stopped with the service.
    pub(super) async fn open(
        stage: &Stage,
        kind: Kind,
        address: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let view = Arc::new(Mutex::new(View {
            name: kind.name(),
            check: kind.way(),
            status: Status::Starting,
            error: None,
            consecutive_failures: 0,
            replaced: 0,
            pid: None,
        }));
        let end = CancellationToken::new();
        let mut watch = Watch {
            kind,
            calm: stage.calm,
            address,
            view: Arc::clone(&view),
            broken: stage.switch(kind.name()),
            neglected: stage.switch(REPLACEMENT),
            end: end.clone(),
        };
        let process = watch.start().await?;
        if stage.calm {
            // Nothing starts slowly there, so nobody need see that it starts.
            watch.start_up().await;
        }
        let address = watch.address;
        let kept = tokio::spawn(watch.keep(process));
        stage.service.on_shutdown(kind.name(), move || async move {
            end.cancel();
            kept.await
        });
        Ok(Self {
            kind,
            address,
            view,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(super) fn view(&self) -> View {
        lock(&self.view).clone()
    }
}

impl Watch {
    async fn keep(mut self, mut process: Process) {
        loop {
            self.attend(&mut process).await;
            process.end().await;
            if self.kind == Kind::Worker {
                // What ended without a word has left it behind.
                let _ = std::fs::remove_file(WORKER_FILE);
            }
            process = loop {
                if self.end.is_cancelled() {
                    return;
                }
                lock(&self.view).replaced += 1;
                match self.start().await {
                    Ok(process) => break process,
                    Err(error) => self.failed(&error.to_string(), Status::Unhealthy),
                }
                tokio::select! {
                    () = self.end.cancelled() => return,
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            };
        }
    }

    /// Starts a process for the task and waits until it says where it is.
    async fn start(&mut self) -> io::Result<Process> {
        let port = self.address.map_or(0, |address| address.port());
        let mut child = program::command()
            .args([
                "demo",
                "task",
                self.kind.name(),
                "--port",
                &port.to_string(),
            ])
            .args(self.calm.then_some("--calm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lost = || io::Error::other("it does not say where it is");
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(lost());
        };
        let line = timeout(LIMIT, BufReader::new(answers).lines().next_line()).await;
        let line = line.map_err(|_| lost())??.ok_or_else(lost)?;
        let announcement: Announcement = serde_json::from_str(&line)?;
        self.address = announcement.address;
        let mut view = lock(&self.view);
        view.status = Status::Starting;
        view.consecutive_failures = 0;
        view.error = None;
        view.pid = child.id();
        drop(view);
        Ok(Process { child, orders })
    }

    /// Waits until it has started, however long that takes within its period.
    async fn start_up(&self) {
        let started = async {
            while let Err(error) = check::started(self.kind, self.address).await {
                lock(&self.view).error = Some(error);
                tokio::time::sleep(INTERVAL / 4).await;
            }
            self.passed();
        };
        // From then on its failures count.
        let _ = timeout(START_PERIOD, started).await;
    }

    /// Looks after it until it has to be replaced, or all ends.
    async fn attend(&self, process: &mut Process) {
        let (mut broken, end) = (self.broken.clone(), self.end.clone());
        // What was broken before was broken in the process before.
        broken.mark_unchanged();
        let watched = self.watched();
        tokio::pin!(watched);
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = &mut watched => return,
                _ = process.child.wait() => return,
                Ok(()) = broken.changed() => {
                    let order = if *broken.borrow_and_update() { "break\n" } else { "mend\n" };
                    // One that has just ended is replaced anyhow.
                    let _ = process.orders.write_all(order.as_bytes()).await;
                }
            }
        }
    }

    /// Looks at it again and again, until it has been unhealthy and is not neglected.
    async fn watched(&self) {
        self.start_up().await;
        loop {
            tokio::time::sleep(INTERVAL).await;
            match check::live(self.kind, self.address).await {
                Ok(()) => self.passed(),
                Err(error) => {
                    let failures = lock(&self.view).consecutive_failures.saturating_add(1);
                    let status = if failures < RETRIES {
                        Status::Healthy
                    } else {
                        Status::Unhealthy
                    };
                    self.failed(&error, status);
                    if status == Status::Unhealthy && !*self.neglected.borrow() {
                        return;
                    }
                }
            }
        }
    }

    fn passed(&self) {
        let mut view = lock(&self.view);
        view.status = Status::Healthy;
        view.consecutive_failures = 0;
        view.error = None;
    }

    fn failed(&self, error: &str, status: Status) {
        let mut view = lock(&self.view);
        view.status = status;
        view.consecutive_failures = view.consecutive_failures.saturating_add(1);
        view.error = Some(error.to_owned());
    }
}

impl Process {
    /// Lets go of it, and waits until it has gone.
    async fn end(mut self) {
        drop(self.orders);
        if timeout(LIMIT, self.child.wait()).await.is_err() {
            // It cannot be killed only when it has gone already.
            let _ = self.child.kill().await;
        }
    }
}

fn lock(view: &Mutex<View>) -> std::sync::MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}
