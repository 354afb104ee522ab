//! The plainest HTTP client: one request on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take: who does not answer must not hold up the end of who asks.
const LIMIT: Duration = Duration::from_secs(1);

/// Sends a request, such as `GET /work/10`, and gives the status code of the answer.
pub(super) async fn send(address: SocketAddr, request: &str, body: &str) -> std::io::Result<u16> {
    let answer = timeout(LIMIT, exchange(address, request, body)).await;
    answer.unwrap_or_else(|_| Err(std::io::Error::other(format!("no answer within {LIMIT:?}"))))
}

async fn exchange(address: SocketAddr, request: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    String::from_utf8_lossy(&answer)
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| std::io::Error::other("not an answer"))
}

/// [`send`]; anything but a success is an error.
pub(super) async fn tell(address: SocketAddr, request: &str, body: &str) -> std::io::Result<()> {
    match send(address, request, body).await? {
        200..=299 => Ok(()),
        code => Err(std::io::Error::other(format!("answered {code}"))),
    }
}
