//! One look at an endpoint: does anything listen there? Connects and says nothing.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::action::{Life, Look};
use crate::health::Process;
use crate::host::{Endpoint, alive};

/// A machine that says nothing for so long is silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks at all endpoints at once.
pub(super) async fn look_at(endpoints: &[Endpoint]) -> Vec<Look> {
    join_all(endpoints.iter().map(look)).await
}

/// Looks at all processes.
pub(super) fn lives(processes: &[Process]) -> Vec<Life> {
    processes
        .iter()
        .map(|process| match alive(*process) {
            Some(true) => Life::Running,
            Some(false) => Life::Exited,
            None => Life::Unknown,
        })
        .collect()
}

async fn look(endpoint: &Endpoint) -> Look {
    let connected = timeout(PATIENCE, async {
        match endpoint {
            Endpoint::Tcp(address) => TcpStream::connect(address).await.map(drop),
            Endpoint::Socket(path) => UnixStream::connect(path).await.map(drop),
        }
    });
    match connected.await {
        Err(_) => Look::Silent,
        Ok(Ok(())) => Look::Accepted,
        Ok(Err(error)) => judge(&error, matches!(endpoint, Endpoint::Socket(_))),
    }
}

/// Only the far end's own word is a refusal; what is wrong on our side proves nothing.
fn judge(error: &io::Error, socket_file: bool) -> Look {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => Look::Refused,
        Some(Errno::NOENT) if socket_file => Look::Refused,
        // A listener whose queue is full, or one that hung up at once: something is there.
        Some(Errno::AGAIN) if socket_file => Look::Accepted,
        Some(Errno::CONNRESET | Errno::CONNABORTED) => Look::Accepted,
        Some(Errno::TIMEDOUT) => Look::Silent,
        _ => Look::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_accepts_and_a_closed_port_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        assert_eq!(look(&endpoint).await, Look::Accepted);
        drop(listener);
        assert_eq!(look(&endpoint).await, Look::Refused);
    }

    #[tokio::test]
    async fn a_socket_file_that_is_gone_or_stale_refuses() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        let endpoint = Endpoint::Socket(path.clone());
        assert_eq!(look(&endpoint).await, Look::Refused);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(look(&endpoint).await, Look::Accepted);
        drop(listener);
        assert_eq!(
            look(&endpoint).await,
            Look::Refused,
            "the file is still there"
        );
    }

    #[test]
    fn faults_of_ours_are_no_refusal() {
        for (errno, expected) in [
            (Errno::CONNREFUSED, Look::Refused),
            (Errno::CONNRESET, Look::Accepted),
            (Errno::TIMEDOUT, Look::Silent),
            (Errno::NETUNREACH, Look::Unreachable),
            (Errno::HOSTUNREACH, Look::Unreachable),
            (Errno::ADDRNOTAVAIL, Look::Unreachable),
            (Errno::MFILE, Look::Unreachable),
            (Errno::ACCESS, Look::Unreachable),
            (Errno::NOENT, Look::Unreachable),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(judge(&error, false), expected, "{errno:?}");
        }
    }
}
