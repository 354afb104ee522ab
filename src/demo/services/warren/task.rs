//! One task, in a process of its own. Its life line is its standard input: `break` and `mend` come in
//! on it, and when it closes the task ends.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::demo::Error;
use crate::demo::announcement::Announcement;
use crate::demo::port::listen;

/// There as long as the worker is well; relative to the demo's directory, in which it runs.
pub(in crate::demo) const WORKER_FILE: &str = "run/warren-worker.healthy";
/// How long the web task takes to start, where all is not calm.
const WARM_UP: Duration = Duration::from_millis(1_500);

/// A task of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Kind {
    Web,
    Cache,
    Worker,
}

/// All of them.
pub(super) const TASKS: [Kind; 3] = [Kind::Web, Kind::Cache, Kind::Worker];

impl Kind {
    pub(in crate::demo) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Cache => "cache",
            Self::Worker => "worker",
        }
    }

    /// How it is checked.
    pub(super) const fn way(self) -> &'static str {
        match self {
            Self::Web => "http",
            Self::Cache => "tcp",
            Self::Worker => "exec",
        }
    }
}

/// Runs a task until its standard input closes; at this port, where it has had one before.
pub(crate) async fn run(name: &str, calm: bool, port: u16) -> Result<(), Error> {
    let kind = TASKS
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| Error::new(format!("there is no task `{name}`")))?;
    let (broken, health) = watch::channel(false);
    let work = async {
        match kind {
            Kind::Web => web(port, calm, health).await,
            Kind::Cache => cache(port, health).await,
            Kind::Worker => worker(health).await,
        }
    };
    tokio::select! {
        result = work => result.map_err(|error| Error::new(format!("{name}: {error}"))),
        () = take_orders(broken) => Ok(()),
    }
}

async fn take_orders(broken: watch::Sender<bool>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        broken.send_replace(line == "break");
    }
}

fn announce(address: Option<SocketAddr>) -> std::io::Result<()> {
    let announcement = Announcement {
        address,
        ..Announcement::default()
    };
    announcement.make()
}

#[derive(Clone)]
struct Web {
    started_at: Instant,
    broken: watch::Receiver<bool>,
}

/// Serves pages, once it has started.
async fn web(port: u16, calm: bool, broken: watch::Receiver<bool>) -> std::io::Result<()> {
    let listener = listen(port).await?;
    announce(Some(listener.local_addr()?))?;
    let warm_up = if calm { Duration::ZERO } else { WARM_UP };
    let web = Web {
        started_at: Instant::now() + warm_up,
        broken,
    };
    let routes = Router::new()
        .route("/", get(page))
        .route("/started", get(started))
        .with_state(web);
    axum::serve(listener, routes).await
}

async fn page(State(web): State<Web>) -> (StatusCode, &'static str) {
    if *web.broken.borrow() {
        (StatusCode::INTERNAL_SERVER_ERROR, "no template\n")
    } else {
        (StatusCode::OK, "welcome\n")
    }
}

async fn started(State(web): State<Web>) -> (StatusCode, &'static str) {
    if Instant::now() < web.started_at {
        (StatusCode::SERVICE_UNAVAILABLE, "warming up\n")
    } else {
        (StatusCode::OK, "started\n")
    }
}

/// Takes connections; broken, it has no listener.
async fn cache(port: u16, mut broken: watch::Receiver<bool>) -> std::io::Result<()> {
    let mut listener = Some(listen(port).await?);
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    announce(address)?;
    let port = address.map_or(port, |address| address.port());
    loop {
        let accept = async {
            match &listener {
                // A connection is enough: it is closed at once.
                Some(listener) => drop(listener.accept().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = accept => continue,
            changed = broken.changed() => if changed.is_err() {
                return Ok(());
            }
        }
        let is_broken = *broken.borrow_and_update();
        if is_broken {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen(port).await?);
        }
    }
}

/// Keeps a file for as long as it is well.
async fn worker(mut broken: watch::Receiver<bool>) -> std::io::Result<()> {
    std::fs::write(WORKER_FILE, "healthy\n")?;
    announce(None)?;
    while broken.changed().await.is_ok() {
        if *broken.borrow_and_update() {
            // It may have been taken away by hand.
            let _ = std::fs::remove_file(WORKER_FILE);
        } else {
            std::fs::write(WORKER_FILE, "healthy\n")?;
        }
    }
    Ok(())
}
