//! A minimal HTTP client and the listeners of the demo: one request on a connection of its own, loopback ports.

use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// The time for a reply: a server that hangs must not delay the shutdown of its client.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// The time for which a process that exits may still hold its port.
const BIND_TIMEOUT: Duration = Duration::from_secs(2);
const BIND_INTERVAL: Duration = Duration::from_millis(10);

/// Sends a request, such as `GET /work/10`, and returns the status code of the reply.
pub(super) async fn send(address: SocketAddr, request: &str, body: &str) -> Result<u16> {
    send_within(REPLY_TIMEOUT, address, request, body).await
}

/// Sends a request as [`send`] does, with a time-out of its own.
pub(super) async fn send_within(
    limit: Duration,
    address: SocketAddr,
    request: &str,
    body: &str,
) -> Result<u16> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await?;
        String::from_utf8_lossy(&reply)
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| Error::other("not an HTTP reply"))
    };
    timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(Error::other(format!("timed out after {limit:?}"))))
}

/// Sends a request; a status code outside of 200 to 299 is an error.
pub(super) async fn submit(address: SocketAddr, request: &str, body: &str) -> Result<()> {
    match send(address, request, body).await? {
        200..=299 => Ok(()),
        code => Err(Error::other(format!("answered {code}"))),
    }
}

/// Listens on a loopback port; on a free one when it is zero.
pub(super) async fn listen(port: u16) -> Result<TcpListener> {
    let end = Instant::now() + BIND_TIMEOUT;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => {
                sleep(BIND_INTERVAL).await;
            }
            Err(error) => {
                let message = format!("cannot listen on port {port}: {error}");
                return Err(Error::new(error.kind(), message));
            }
            Ok(listener) => return Ok(listener),
        }
    }
}
