//! The address at which a service listens, the endpoints behind it, and whether anything listens there now.
//!
//! Connecting sends nothing. Must not ask the service anything.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use url::Url;

use crate::action::ConnectOutcome;
use crate::health::Role;
use crate::host::Endpoint;
use crate::inventory::{HttpRequest, Means, Probe, ProbeAddress, Proxy, Service, Target};
use crate::probe::Prober;

/// An address that neither accepts nor refuses within this time has timed out.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The address at which a service listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum ServiceAddress {
    /// No address is known.
    #[default]
    Nowhere,
    /// A name or IP address, as the inventory has it, and a port.
    Name { host: String, port: u16 },
    /// The file of a unix socket.
    Socket(PathBuf),
    /// A URL behind a proxy, which nobody can look past.
    Proxied(String),
}

impl ServiceAddress {
    /// Returns the service's own URL, else the address that its own probes ask, else the one that its action goes to. An
    /// action may be carried out by another program (a container engine), which goes on listening. A service that only sends
    /// heartbeats to another one (an agent, the holder of a lease) listens nowhere: its probes ask that other one.
    pub(super) fn of(service: &Service, means: Option<&Means>) -> Self {
        let probed = service
            .probes
            .iter()
            .filter(|probe| probe.role != Role::Named);
        let of_others = |probe: &Probe| probe.decode.as_ref().is_some_and(|it| it.is_of_others());
        if probed.clone().next().is_some() && probed.clone().all(of_others) {
            return Self::Nowhere;
        }
        let by_http = || probed.clone().find_map(|probe| probe.kind.request());
        let proxied = by_http()
            .filter(|request| request.proxy != Proxy::None)
            .map(|request| request.target.to_string());
        if let Some(proxied) = proxied {
            return Self::Proxied(proxied);
        }
        if let Some(url) = &service.url {
            return Self::target(url);
        }
        if let Some(request) = by_http() {
            return Self::target(&request.target);
        }
        let by_other = probed
            .clone()
            .find_map(|probe| match probe.kind.address()? {
                ProbeAddress::Tcp(to) => Some(Self::Name {
                    host: to.host.clone(),
                    port: to.port,
                }),
                ProbeAddress::Http(_) => None,
            });
        match (by_other, means) {
            (Some(place), _) => place,
            (None, Some(Means::Http(request))) => Self::target(&request.target),
            (None, _) => Self::Nowhere,
        }
    }

    fn target(target: &Target) -> Self {
        if let Some(socket) = &target.socket {
            return Self::Socket(socket.clone());
        }
        match host_and_port(&target.url) {
            Some((host, port)) => Self::Name { host, port },
            None => Self::Nowhere,
        }
    }

    /// Returns whether a request goes to this very address.
    pub(super) fn holds(&self, request: &HttpRequest) -> bool {
        request.proxy == Proxy::None && Self::target(&request.target) == *self
    }

    /// Returns the IP address that a request has to go to when the identity of the service was read at `pin`: that address,
    /// or, where the request goes to another port of the same name, that port of the same machine.
    pub(super) fn pinned(
        &self,
        request: &HttpRequest,
        pin: Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        let pin = pin?;
        if self.holds(request) {
            return Some(pin);
        }
        match (self, Self::target(&request.target)) {
            // All loopback addresses are one machine, and it may listen at any of them.
            (Self::Name { host, .. }, Self::Name { host: other, port })
                if *host == other && !pin.ip().is_loopback() && request.proxy == Proxy::None =>
            {
                Some(SocketAddr::new(pin.ip(), port))
            }
            _ => None,
        }
    }

    /// Returns every endpoint behind the address.
    ///
    /// # Errors
    /// The name cannot be resolved: why.
    pub(super) async fn endpoints(&self, prober: &Prober) -> Result<Vec<Endpoint>, String> {
        match self {
            Self::Nowhere | Self::Proxied(_) => Ok(Vec::new()),
            Self::Socket(path) => Ok(vec![Endpoint::Socket(path.clone())]),
            Self::Name { host, port } => {
                let addresses = prober
                    .resolve(host, *port)
                    .await
                    .map_err(|failure| failure.message)?;
                Ok(addresses.into_iter().map(Endpoint::Tcp).collect())
            }
        }
    }
}

/// Returns host and port of a URL, an IPv6 address without its brackets.
fn host_and_port(url: &Url) -> Option<(String, u16)> {
    let host = url.host_str()?.trim_matches(['[', ']']);
    Some((host.to_owned(), url.port_or_known_default()?))
}

/// Tries to connect to all endpoints at once, and sends nothing.
pub(super) async fn connect_all(endpoints: &[Endpoint]) -> Vec<ConnectOutcome> {
    join_all(endpoints.iter().map(connect)).await
}

async fn connect(endpoint: &Endpoint) -> ConnectOutcome {
    let connected = timeout(CONNECT_TIMEOUT, async {
        match endpoint {
            Endpoint::Tcp(address) => TcpStream::connect(address).await.map(drop),
            Endpoint::Socket(path) => UnixStream::connect(path).await.map(drop),
        }
    });
    match connected.await {
        Err(_) => ConnectOutcome::TimedOut,
        Ok(Ok(())) => ConnectOutcome::Accepted,
        Ok(Err(error)) => outcome_of(&error, matches!(endpoint, Endpoint::Socket(_))),
    }
}

/// Only a refusal by the far end counts as one; a fault of this machine proves nothing.
fn outcome_of(error: &io::Error, socket_file: bool) -> ConnectOutcome {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => ConnectOutcome::Refused,
        Some(Errno::NOENT) if socket_file => ConnectOutcome::Refused,
        // A listener whose queue is full, or one that hung up at once: something is there.
        Some(Errno::AGAIN) if socket_file => ConnectOutcome::Accepted,
        Some(Errno::CONNRESET | Errno::CONNABORTED) => ConnectOutcome::Accepted,
        Some(Errno::TIMEDOUT) => ConnectOutcome::TimedOut,
        _ => ConnectOutcome::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_accepts_and_a_closed_port_refuses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        assert_eq!(connect(&endpoint).await, ConnectOutcome::Accepted);
        drop(listener);
        assert_eq!(connect(&endpoint).await, ConnectOutcome::Refused);
    }

    #[tokio::test]
    async fn a_socket_file_that_is_gone_or_stale_refuses() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        let endpoint = Endpoint::Socket(path.clone());
        assert_eq!(connect(&endpoint).await, ConnectOutcome::Refused);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(connect(&endpoint).await, ConnectOutcome::Accepted);
        drop(listener);
        assert_eq!(
            connect(&endpoint).await,
            ConnectOutcome::Refused,
            "the file is still there"
        );
    }

    #[test]
    fn faults_of_ours_are_no_refusal() {
        for (errno, expected) in [
            (Errno::CONNREFUSED, ConnectOutcome::Refused),
            (Errno::CONNRESET, ConnectOutcome::Accepted),
            (Errno::TIMEDOUT, ConnectOutcome::TimedOut),
            (Errno::NETUNREACH, ConnectOutcome::Unreachable),
            (Errno::HOSTUNREACH, ConnectOutcome::Unreachable),
            (Errno::ADDRNOTAVAIL, ConnectOutcome::Unreachable),
            (Errno::MFILE, ConnectOutcome::Unreachable),
            (Errno::ACCESS, ConnectOutcome::Unreachable),
            (Errno::NOENT, ConnectOutcome::Unreachable),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(outcome_of(&error, false), expected, "{errno:?}");
        }
    }

    #[test]
    fn urls_give_host_and_port() {
        for (url, expected) in [
            ("http://localhost:8000/x", Some(("localhost", 8000))),
            ("https://api.internal/", Some(("api.internal", 443))),
            ("http://[::1]:8000", Some(("::1", 8000))),
            ("http://127.0.0.1", Some(("127.0.0.1", 80))),
            ("data:text/plain,x", None),
        ] {
            let found = host_and_port(&url.parse().unwrap());
            assert_eq!(
                found,
                expected.map(|(host, port): (&str, u16)| (host.to_owned(), port)),
                "{url}"
            );
        }
    }
}
