//! The client of the control socket: how `demo break` and `demo mend` reach the running demo.
//!
//! The directory of the socket is private to its user, so everybody who can connect may do so.

use std::path::PathBuf;

use tokio::net::UnixStream;

use super::fault::{FaultApplied, FaultCommand};
use super::protocol::{ControlConnection, ControlRequest};
use super::{Error, directory};

/// Sends a fault command to the demo whose inventory is among the files given, or to the only one that is running.
pub(crate) async fn send(command: &FaultCommand, files: &[PathBuf]) -> Result<FaultApplied, Error> {
    // Before a demo is looked for: an unknown name is an error in all of them.
    command.validate()?;
    let request = ControlRequest::Fault(command.clone());
    let stream = find(files).await?;
    ControlConnection::new(stream).request(&request).await
}

async fn find(files: &[PathBuf]) -> Result<UnixStream, Error> {
    for file in files {
        if let Ok(stream) = UnixStream::connect(directory::socket_beside(file)).await {
            return Ok(stream);
        }
    }
    let mut running = Vec::new();
    for file in directory::inventories() {
        if let Ok(stream) = UnixStream::connect(directory::socket_beside(&file)).await {
            running.push((file, stream));
        }
    }
    if running.len() > 1 {
        let names: Vec<_> = running
            .iter()
            .map(|(file, _)| format!("  -f {}", file.display()))
            .collect();
        return Err(Error::hint(
            "several demos are running",
            format!("name one by its inventory:\n{}", names.join("\n")),
        ));
    }
    running.pop().map(|(_, stream)| stream).ok_or_else(|| {
        Error::hint(
            "no demo is running",
            "start one in another terminal: `healthctl demo`",
        )
    })
}
