//! Where a service listens: the endpoints whose silence belongs to the proof of its end.

use std::net::SocketAddr;

use url::{Host, Url};

use crate::health::Role;
use crate::host::Endpoint;
use crate::inventory::{HttpRequest, Means, Probe, ProbeAddress, Proxy, Service, Target};
use crate::probe::Asker;

/// Where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It has no address that is known.
    Nowhere,
    /// At a name or address, as people wrote it.
    Name {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a unix socket.
    Socket(std::path::PathBuf),
    /// Behind a proxy, which we cannot look past.
    Proxied(String),
}

impl Place {
    /// The service's own URL, else what its own probes ask, else where its action goes. An action may be carried
    /// out by someone else (a container engine), who goes on listening. Whoever only beats to another (an agent, the
    /// holder of a lease) listens nowhere: what is asked is that other.
    pub(super) fn of(service: &Service, means: Option<&Means>) -> Self {
        let probed = service
            .probes
            .iter()
            .filter(|probe| probe.role != Role::Named);
        let of_others = |probe: &Probe| probe.decode.as_ref().is_some_and(|it| it.is_of_others());
        if probed.clone().next().is_some() && probed.clone().all(of_others) {
            return Self::Nowhere;
        }
        let by_http = || probed.clone().find_map(http);
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

    /// Whether a request goes to this very place, so that it may be sent to the address whose identity was read.
    pub(super) fn holds(&self, request: &HttpRequest) -> bool {
        request.proxy == Proxy::None && Self::target(&request.target) == *self
    }

    /// The very address that a request goes to when its identity was read at `pin`: that address, or, where the
    /// request goes to another port of the same name, that port of the same machine.
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

    /// Every endpoint behind it.
    pub(super) async fn endpoints(&self, asker: &Asker) -> Result<Vec<Endpoint>, String> {
        match self {
            Self::Nowhere | Self::Proxied(_) => Ok(Vec::new()),
            Self::Socket(path) => Ok(vec![Endpoint::Socket(path.clone())]),
            Self::Name { host, port } => {
                let addresses = asker
                    .resolve(host, *port)
                    .await
                    .map_err(|failure| failure.message)?;
                Ok(addresses.into_iter().map(Endpoint::Tcp).collect())
            }
        }
    }
}

/// The request of an HTTP probe.
pub(super) fn http(probe: &Probe) -> Option<&HttpRequest> {
    probe.kind.request()
}

/// An IPv6 address without its brackets.
fn host_and_port(url: &Url) -> Option<(String, u16)> {
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    Some((host, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

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
