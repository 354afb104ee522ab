//! One task, in a process of its own. Lines of its standard input, `break` and `mend`, are fault commands; when the
//! input closes the task exits. The first line of its standard output is its address, empty if it has none.

use std::io::{self, Write};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::demo::{Error, http};

/// The file that exists while the worker is healthy, in the directory of the demo, in which it runs.
pub(in crate::demo) const WORKER_FILE: &str = "run/warren-worker.healthy";
/// The time that the web task takes to start, unless all is calm.
const WARM_UP: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskKind {
    Web,
    Cache,
    Worker,
}

impl TaskKind {
    pub(super) const ALL: [Self; 3] = [Self::Web, Self::Cache, Self::Worker];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Cache => "cache",
            Self::Worker => "worker",
        }
    }

    /// Returns the kind of its check.
    pub(super) const fn check(self) -> &'static str {
        match self {
            Self::Web => "http",
            Self::Cache => "tcp",
            Self::Worker => "exec",
        }
    }
}

/// Runs a task until its standard input closes, on this port; on a free one if it is zero.
pub(crate) async fn run(name: &str, calm: bool, port: u16) -> Result<(), Error> {
    let kind = TaskKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| Error::new(format!("warren has no task `{name}`")))?;
    let (sender, broken) = watch::channel(false);
    let work = async {
        if kind == TaskKind::Worker {
            return worker(broken).await;
        }
        let listener = http::listen(port).await?;
        report(&listener.local_addr()?.to_string())?;
        match kind {
            TaskKind::Web => web(listener, calm, broken).await,
            _ => cache(listener, broken).await,
        }
    };
    let faults = async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_replace(line == "break");
        }
    };
    tokio::select! {
        result = work => result.map_err(|error| Error::new(format!("{name}: {error}"))),
        () = faults => Ok(()),
    }
}

/// Reports the address of the task to the supervisor.
fn report(address: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{address}")?;
    output.flush()
}

/// Serves a page, which fails while the task is broken.
async fn web(listener: TcpListener, calm: bool, broken: watch::Receiver<bool>) -> io::Result<()> {
    let started = Instant::now() + if calm { Duration::ZERO } else { WARM_UP };
    let is_started = async move || {
        if Instant::now() < started {
            (StatusCode::SERVICE_UNAVAILABLE, "warming up\n")
        } else {
            (StatusCode::OK, "started\n")
        }
    };
    let routes = Router::new()
        .route("/", get(page))
        .route("/started", get(is_started))
        .with_state(broken);
    axum::serve(listener, routes).await
}

async fn page(State(broken): State<watch::Receiver<bool>>) -> (StatusCode, &'static str) {
    if *broken.borrow() {
        (StatusCode::INTERNAL_SERVER_ERROR, "no template\n")
    } else {
        (StatusCode::OK, "welcome\n")
    }
}

/// Accepts connections; while the task is broken there is no listener.
async fn cache(mut listener: TcpListener, mut broken: watch::Receiver<bool>) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    loop {
        tokio::select! {
            // A connection is enough: it is closed at once.
            _ = listener.accept() => continue,
            _ = broken.wait_for(|broken| *broken) => drop(listener),
        }
        // The sender lives as long as this future.
        let _ = broken.wait_for(|broken| !broken).await;
        listener = http::listen(port).await?;
    }
}

/// Keeps a file that exists while the task is healthy.
async fn worker(mut broken: watch::Receiver<bool>) -> io::Result<()> {
    std::fs::write(WORKER_FILE, "healthy\n")?;
    report("")?;
    while broken.changed().await.is_ok() {
        if *broken.borrow_and_update() {
            // Somebody may have removed it by hand.
            let _ = std::fs::remove_file(WORKER_FILE);
        } else {
            std::fs::write(WORKER_FILE, "healthy\n")?;
        }
    }
    Ok(())
}
