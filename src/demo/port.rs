//! Loopback ports that services and tasks listen on, and keep when they are started again.

use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

/// How long a predecessor that ends may hold the port.
const LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Listens on this port; on a free one, if it is zero.
pub(super) async fn listen(port: u16) -> Result<TcpListener> {
    let end = Instant::now() + LIMIT;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => {
                sleep(PAUSE).await;
            }
            Err(error) => {
                let message = format!("cannot listen on port {port}: {error}");
                return Err(Error::new(error.kind(), message));
            }
            Ok(listener) => return Ok(listener),
        }
    }
}
