//! A listener and connections in memory, and a client that speaks just enough HTTP.

use std::future::pending;
use std::io;

use axum::serve::Listener;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

/// The clients' side of a listener in memory.
#[derive(Debug)]
pub(super) struct Port(mpsc::UnboundedSender<DuplexStream>);

#[derive(Debug)]
pub(super) struct InMemory(mpsc::UnboundedReceiver<DuplexStream>);

pub(super) fn port() -> (Port, InMemory) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Port(sender), InMemory(receiver))
}

impl Port {
    /// Opens a connection; `None` when the listener has closed.
    pub(super) fn connect(&self) -> Option<Client> {
        self.connect_with(64 * 1024)
    }

    /// Opens a connection whose buffers hold this number of bytes each way.
    pub(super) fn connect_with(&self, buffer: usize) -> Option<Client> {
        let (ours, theirs) = duplex(buffer);
        self.0.send(theirs).ok()?;
        Some(Client(ours))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until the listener has closed.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Sends one request on a connection of its own and returns the answer.
    pub(super) async fn request(&self, request: &str) -> Answer {
        let mut client = self.connect().unwrap();
        client.send(request).await;
        client.answer().await.unwrap()
    }

    /// Sends one request with a body of JSON, and returns the answer.
    pub(super) async fn request_with(&self, request: &str, body: &str) -> Answer {
        let mut client = self.connect().unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json");
        let length = body.len();
        let text = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        client.write(&text).await;
        client.answer().await.unwrap()
    }
}

impl Listener for InMemory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The client's end of a connection.
#[derive(Debug)]
pub(super) struct Client<S = DuplexStream>(pub(super) S);

/// An HTTP response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) closes: bool,
    pub(super) correlation: Option<String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends a request without a body, such as `GET /health/live`.
    pub(super) async fn send(&mut self, request: &str) {
        self.write(&format!("{request} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
    }

    pub(super) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Returns the next response; `None` when the connection ended before it.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let byte = self.0.read_u8().await.ok()?;
            head.push(char::from(byte));
        }
        let head = head.to_ascii_lowercase();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let length = field("content-length").map_or(0, |value| value.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Answer {
            status: head.split(' ').nth(1)?.parse().ok()?,
            closes: field("connection") == Some("close"),
            correlation: field("x-correlation-id").map(str::to_owned),
            body: String::from_utf8(body).unwrap(),
        })
    }

    /// Waits for the end of the connection and returns whether nothing was received before it.
    pub(super) async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        // A connection that was closed abruptly may end in an error.
        let _ = self.0.read_to_end(&mut rest).await;
        rest.is_empty()
    }
}
