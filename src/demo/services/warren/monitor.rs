//! The monitor of one task: starts it, checks it, and replaces it when it is unhealthy or has exited. The health of the task
//! is kept in a file, so that it survives the monitor.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::task::{TaskKind, WORKER_FILE};
use crate::demo::fleet::REPLACEMENT;
use crate::demo::simulation::{FaultSwitch, Simulation};
use crate::demo::{config_file, http, program};

/// The time between two checks; the orchestrator's own is 30 s.
const INTERVAL: Duration = Duration::from_millis(400);
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of consecutive failures that make a task unhealthy.
const FAILURE_THRESHOLD: u32 = 3;
/// The time that a task has to report its address.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(8);
/// The time that a task has to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The time between the end of an unhealthy process and the start of the next one.
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// The time that a task has to start; failures before its end do not count.
const START_PERIOD: Duration = Duration::from_secs(5);

/// The words for the state of a task.
pub(super) const STARTING: &str = "starting";
pub(super) const HEALTHY: &str = "healthy";
pub(super) const UNHEALTHY: &str = "unhealthy";
pub(super) const RESTARTING: &str = "restarting";

#[derive(Debug)]
pub(super) struct TaskMonitor {
    kind: TaskKind,
    calm: bool,
    state: Mutex<TaskState>,
    fault: FaultSwitch,
    /// While this fault is on, an unhealthy task is not replaced.
    replacement: FaultSwitch,
}

/// The state of a task, as the routes show it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct TaskState {
    pub(super) name: &'static str,
    pub(super) check: &'static str,
    /// `starting`, `healthy`, `unhealthy`, or `restarting` while it is replaced.
    pub(super) status: &'static str,
    pub(super) error: Option<String>,
    consecutive_failures: u32,
    pub(super) replaced: u32,
    pid: Option<u32>,
}

/// The health of a task, as its file keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredHealth {
    is_healthy: bool,
    replaced: u32,
}

impl StoredHealth {
    fn path(kind: TaskKind) -> PathBuf {
        format!("warren-{}.json", kind.name()).into()
    }

    /// Reads the file; `None` where there is none, or one that cannot be read.
    fn load(kind: TaskKind) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(kind)).ok()?).ok()
    }
}

/// The process of a task. Its standard input carries fault commands; when that closes it exits.
struct TaskProcess {
    child: Child,
    faults: ChildStdin,
    address: Option<SocketAddr>,
}

impl TaskMonitor {
    /// Starts the task and its monitor, which runs until the shutdown of the service; returns the task's address.
    pub(super) async fn start(
        simulation: &Simulation,
        kind: TaskKind,
        port: u16,
    ) -> io::Result<(Arc<Self>, Option<SocketAddr>)> {
        let stored = StoredHealth::load(kind);
        // What was unhealthy when the monitor ended is being replaced now.
        let is_replaced = stored.as_ref().is_some_and(|stored| !stored.is_healthy);
        let monitor = Arc::new(Self {
            kind,
            calm: simulation.calm,
            state: Mutex::new(TaskState {
                name: kind.name(),
                check: kind.check(),
                status: if is_replaced { RESTARTING } else { STARTING },
                replaced: stored.map_or(0, |stored| stored.replaced + u32::from(is_replaced)),
                ..TaskState::default()
            }),
            fault: simulation.switch(kind.name()),
            replacement: simulation.switch(REPLACEMENT),
        });
        let process = monitor.start_process(port).await?;
        let address = process.address;
        if simulation.calm {
            // A calm task is never seen starting.
            monitor.wait_until_started(address).await;
        }
        let end = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&monitor).run(process, end.clone()));
        simulation
            .service
            .on_shutdown(kind.name(), move || async move {
                end.cancel();
                running.await
            });
        Ok((monitor, address))
    }

    pub(super) fn state(&self) -> TaskState {
        self.state.lock().clone()
    }

    /// Watches the process and each that replaces it, until the end; then stops the last one.
    async fn run(self: Arc<Self>, process: TaskProcess, end: CancellationToken) {
        let port = process.address.map_or(0, |address| address.port());
        let mut process = Some(process);
        let supervise = async {
            loop {
                if let Some(running) = &mut process {
                    self.watch(running).await;
                }
                self.state.lock().status = RESTARTING;
                if let Some(unhealthy) = process.take() {
                    unhealthy.stop(self.kind).await;
                }
                self.state.lock().replaced += 1;
                self.store();
                sleep(RESTART_DELAY).await;
                match self.start_process(port).await {
                    Ok(new) => process = Some(new),
                    Err(error) => {
                        // A task that cannot be started is unhealthy at once.
                        let failures = self.state.lock().consecutive_failures + 1;
                        self.record(UNHEALTHY, failures, Some(error.to_string()));
                        sleep(INTERVAL).await;
                    }
                }
            }
        };
        let _: Option<()> = end.run_until_cancelled(supervise).await;
        if let Some(last) = process {
            last.stop(self.kind).await;
        }
    }

    /// Starts a process for the task and waits until it reports its address.
    async fn start_process(&self, port: u16) -> io::Result<TaskProcess> {
        let port = port.to_string();
        let mut child = program::command()
            .args(["demo", "task", self.kind.name(), "--port", &port])
            .args(self.calm.then_some("--calm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let silent = || io::Error::other("it does not report its address");
        let faults = child.stdin.take().ok_or_else(silent)?;
        let output = child.stdout.take().ok_or_else(silent)?;
        let line = timeout(ADDRESS_TIMEOUT, BufReader::new(output).lines().next_line()).await;
        let line = line.map_err(|_| silent())??.ok_or_else(silent)?;
        let status = self.state.lock().status;
        self.record(status, 0, None);
        self.state.lock().pid = child.id();
        Ok(TaskProcess {
            child,
            faults,
            address: line.parse().ok(),
        })
    }

    /// Waits until the task has started, at most for its start period.
    async fn wait_until_started(&self, address: Option<SocketAddr>) {
        let started = async {
            while let Err(error) = check(self.kind, address, "/started").await {
                self.state.lock().error = Some(error);
                sleep(INTERVAL / 4).await;
            }
            self.state.lock().error = None;
        };
        let _ = timeout(START_PERIOD, started).await;
        let error = self.state.lock().error.clone();
        self.record(HEALTHY, 0, error);
    }

    /// Checks the process and forwards fault commands to it, until it has to be replaced.
    async fn watch(&self, process: &mut TaskProcess) {
        // A fault of the process before does not carry over.
        let mut fault = self.fault.clone();
        fault.mark_unchanged();
        let checks = self.check_until_unhealthy(process.address);
        tokio::pin!(checks);
        loop {
            tokio::select! {
                () = &mut checks => return,
                _ = process.child.wait() => return,
                true = fault.changed() => {
                    let line = if fault.is_broken() { "break\n" } else { "mend\n" };
                    // A process that has just exited is replaced anyway.
                    let _ = process.faults.write_all(line.as_bytes()).await;
                }
            }
        }
    }

    /// Checks the task again and again, until it is unhealthy and to be replaced.
    async fn check_until_unhealthy(&self, address: Option<SocketAddr>) {
        self.wait_until_started(address).await;
        let mut failures = 0;
        while failures < FAILURE_THRESHOLD || self.replacement.is_broken() {
            sleep(INTERVAL).await;
            let error = check(self.kind, address, "/").await.err();
            failures = error.as_ref().map_or(0, |_| failures + 1);
            let is_healthy = failures < FAILURE_THRESHOLD;
            let status = if is_healthy { HEALTHY } else { UNHEALTHY };
            self.record(status, failures, error);
        }
    }

    fn record(&self, status: &'static str, failures: u32, error: Option<String>) {
        let mut state = self.state.lock();
        let is_new = state.status != status;
        state.status = status;
        state.consecutive_failures = failures;
        state.error = error;
        drop(state);
        if is_new {
            self.store();
        }
    }

    /// Keeps the health of the task for the next monitor.
    fn store(&self) {
        let state = self.state();
        let stored = StoredHealth {
            is_healthy: !matches!(state.status, UNHEALTHY | RESTARTING),
            replaced: state.replaced,
        };
        if let Err(error) = config_file::write(&StoredHealth::path(self.kind), &stored) {
            tracing::warn!(task = state.name, reason = %error, "cannot keep its health");
        }
    }
}

impl TaskProcess {
    /// Closes the standard input of the process and waits until it has exited; kills it if it does not.
    async fn stop(mut self, kind: TaskKind) {
        drop(self.faults);
        if timeout(EXIT_TIMEOUT, self.child.wait()).await.is_err() {
            // An error means that it has exited.
            let _ = self.child.kill().await;
        }
        if kind == TaskKind::Worker {
            // A worker that was killed leaves its file behind.
            let _ = std::fs::remove_file(WORKER_FILE);
        }
    }
}

/// Checks a task once; the path is that of a web task.
async fn check(kind: TaskKind, address: Option<SocketAddr>, path: &str) -> Result<(), String> {
    let checked = async {
        match (kind, address) {
            (TaskKind::Web, Some(address)) => {
                match http::send(address, &format!("GET {path}"), "").await {
                    // The orchestrator takes redirects for healthy.
                    Ok(200..=399) => Ok(()),
                    Ok(code) => Err(format!("answered {code}")),
                    Err(error) => Err(error.to_string()),
                }
            }
            (TaskKind::Cache, Some(address)) => {
                let connected = TcpStream::connect(address).await;
                connected.map(drop).map_err(|error| error.to_string())
            }
            (TaskKind::Worker, _) => check_worker().await,
            (_, None) => Err("it has no address".to_owned()),
        }
    };
    let timed_out = |_| Err(format!("timed out after {CHECK_TIMEOUT:?}"));
    timeout(CHECK_TIMEOUT, checked)
        .await
        .unwrap_or_else(timed_out)
}

async fn check_worker() -> Result<(), String> {
    let mut command = Command::new("cat");
    let output = command.arg(WORKER_FILE).kill_on_drop(true).output().await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("cat {WORKER_FILE}: {}", output.status)),
        Err(error) => Err(error.to_string()),
    }
}
