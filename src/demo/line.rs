//! Lines of JSON on the control socket, one message each. Both sides use it.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// More than any message needs.
const LONGEST: u64 = 65_536;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: BufReader<UnixStream>,
    /// What has come of the next message.
    begun: Vec<u8>,
}

impl Line {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream: BufReader::new(stream),
            begun: Vec::new(),
        }
    }

    pub(super) async fn connect(socket: &Path) -> io::Result<Self> {
        Ok(Self::new(UnixStream::connect(socket).await?))
    }

    pub(super) async fn say<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut text = serde_json::to_string(message)?;
        text.push('\n');
        self.stream.write_all(text.as_bytes()).await
    }

    /// The next message; `None` when the other side has gone. May be broken off and called again.
    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        (&mut self.stream)
            .take(LONGEST)
            .read_until(b'\n', &mut self.begun)
            .await?;
        let message = std::mem::take(&mut self.begun);
        if message.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&message)?))
    }

    /// Waits until the other side has gone, whatever it says before.
    pub(super) async fn closed(&mut self) {
        loop {
            match self.hear::<serde::de::IgnoredAny>().await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Says no more; the other side sees that, and may go on speaking.
    pub(super) async fn fall_silent(&mut self) {
        // Who has gone need not be told.
        let _ = self.stream.shutdown().await;
    }
}
