//! The supervisor's own looks at its tasks.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::task::{Kind, WORKER_FILE};
use crate::demo::exchange;

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Whether the task has finished starting.
pub(super) async fn started(kind: Kind, address: Option<SocketAddr>) -> Result<(), String> {
    match (kind, address) {
        (Kind::Web, Some(address)) => limited(get(address, "/started")).await,
        _ => live(kind, address).await,
    }
}

/// Whether the task works.
pub(super) async fn live(kind: Kind, address: Option<SocketAddr>) -> Result<(), String> {
    match (kind, address) {
        (Kind::Web, Some(address)) => limited(get(address, "/")).await,
        (Kind::Cache, Some(address)) => limited(connect(address)).await,
        (Kind::Worker, _) => limited(command()).await,
        (Kind::Web | Kind::Cache, None) => Err("it listens nowhere".to_owned()),
    }
}

async fn limited(look: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    timeout(LIMIT, look)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")))
}

async fn get(address: SocketAddr, path: &str) -> Result<(), String> {
    match exchange::send(address, &format!("GET {path}"), "").await {
        // What the orchestrator takes for good.
        Ok(200..=399) => Ok(()),
        Ok(code) => Err(format!("answered {code}")),
        Err(error) => Err(error.to_string()),
    }
}

async fn connect(address: SocketAddr) -> Result<(), String> {
    let connected = TcpStream::connect(address).await;
    connected.map(drop).map_err(|error| error.to_string())
}

async fn command() -> Result<(), String> {
    let status = Command::new("cat")
        .arg(WORKER_FILE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| error.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cat {WORKER_FILE}: {status}"))
    }
}
