//! The control protocol: lines of JSON on a Unix socket, one message each.
//!
//! A connection begins with a [`ControlRequest`]. A fault command is answered with a [`FaultReply`], which ends the
//! connection. A service that attaches receives its [`Assignment`] or an error, sends its [`Endpoints`], and then
//! receives fault commands, each acknowledged with `null`. It lives as long as its connection.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::fault::{FaultApplied, FaultCommand};
use super::{Error, directory};

/// The addresses of a service and of the tasks that it runs, by name.
pub(super) type Endpoints = BTreeMap<String, SocketAddr>;

/// The answer to a fault command.
pub(super) type FaultReply = Result<FaultApplied, Error>;

/// The first message of a connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ControlRequest {
    /// Break or mend something.
    Fault(FaultCommand),
    /// The process is the service of this name from now on.
    Attach(String),
}

/// The state that a service needs to start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// If set, nothing fails unless a command breaks it.
    pub(super) calm: bool,
    /// The endpoints of the services that have started; those of the process before have to be used again.
    pub(super) endpoints: Endpoints,
    /// The last fault command for each target.
    pub(super) faults: Vec<FaultCommand>,
}

/// An end of a connection over the control socket.
#[derive(Debug)]
pub(super) struct ControlConnection {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl ControlConnection {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            lines: BufReader::new(reader).lines(),
            writer,
        }
    }

    pub(super) async fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let line = serde_json::to_string(message)? + "\n";
        self.writer.write_all(line.as_bytes()).await
    }

    /// Returns the next message, or `None` when the other end has closed the connection. Safe to cancel.
    pub(super) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let line = self.lines.next_line().await?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// Sends a request and returns the reply to it.
    pub(super) async fn request<T: DeserializeOwned>(
        &mut self,
        request: &ControlRequest,
    ) -> Result<T, Error> {
        let failed = |error| Error::new(format!("the demo does not answer: {error}"));
        self.send(request).await.map_err(failed)?;
        let reply: Option<Result<T, Error>> = self.receive().await.map_err(failed)?;
        reply.unwrap_or_else(|| Err(Error::new("the demo ended before it answered")))
    }

    /// Waits until the other end has closed the connection; discards what it sends before.
    pub(super) async fn closed(&mut self) {
        while let Ok(Some(IgnoredAny)) = self.receive().await {}
    }

    /// Closes the sending half; the other end sees that, and may go on sending.
    pub(super) async fn close_sending(&mut self) {
        // An error means that the other end has closed the connection already.
        let _ = self.writer.shutdown().await;
    }
}

/// Attaches this process as the service of this name to the demo in whose directory it runs.
pub(super) async fn attach(service: &str) -> Result<(ControlConnection, Assignment), Error> {
    let stream = UnixStream::connect(Path::new(directory::SOCKET)).await;
    let stream = stream.map_err(|error| {
        let here = std::env::current_dir().unwrap_or_default();
        let here = here.display();
        let message =
            format!("{service} needs a running demo, and none is running in {here}: {error}");
        Error::hint(message, "start one: `healthctl demo`")
    })?;
    let mut connection = ControlConnection::new(stream);
    let request = ControlRequest::Attach(service.to_owned());
    let assignment = connection.request(&request).await?;
    Ok((connection, assignment))
}
