//! A listener and connections in memory, and a client that speaks just enough HTTP.

use std::future::pending;
use std::io;

use axum::serve::Listener;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;

/// What a port is elsewhere: connections can be made for as long as the listener lives.
#[derive(Debug)]
pub(super) struct Port(mpsc::UnboundedSender<DuplexStream>);

#[derive(Debug)]
pub(super) struct InMemory(mpsc::UnboundedReceiver<DuplexStream>);

pub(super) fn port() -> (Port, InMemory) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Port(sender), InMemory(receiver))
}

impl Port {
    /// A connection, or `None` where the listener has closed.
    pub(super) fn connect(&self) -> Option<Client> {
        self.connect_with(64 * 1024)
    }

    /// A connection whose buffers hold so many bytes each way.
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

    /// One request on a connection of its own.
    pub(super) async fn request(&self, request: &str) -> Answer {
        let mut client = self.connect().unwrap();
        client.send(request).await;
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

/// The client's end of one connection.
#[derive(Debug)]
pub(super) struct Client(DuplexStream);

/// One answer.
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

impl Client {
    /// Sends a request without a body, such as `GET /health/live`.
    pub(super) async fn send(&mut self, request: &str) {
        self.write(&format!("{request} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
    }

    pub(super) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer, or `None` where the connection ended before one came.
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

    /// Waits for the end of the connection; true where nothing came before it.
    pub(super) async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        // A connection that was cut may end in an error.
        let _ = self.0.read_to_end(&mut rest).await;
        rest.is_empty()
    }
}
