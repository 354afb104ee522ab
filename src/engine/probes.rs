//! The table of all probes: each has one number, and the numbers of its service and of its host and port.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::schedule::stable_hash;
use crate::health::Role;
use crate::inventory::{Probe, ProbeAddress, Service};

/// The services, and their probes counted through.
#[derive(Debug)]
pub(super) struct ProbeTable {
    services: Vec<Arc<Service>>,
    probes: Vec<ProbeRef>,
    /// The number of the first probe of each service, and the end of the last.
    begins: Vec<usize>,
    hosts: usize,
}

/// A probe by the number of its service and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProbeRef {
    /// The service's place in the fleet.
    pub(super) service: usize,
    /// The probe's place in the service.
    pub(super) probe: usize,
    /// The number of its host and port; `None` for a command.
    pub(super) host: Option<usize>,
}

impl ProbeTable {
    /// Counts the probes through, services in the order given.
    pub(super) fn new(services: Vec<Arc<Service>>) -> Self {
        let mut hosts = HashMap::new();
        let mut probes = Vec::new();
        let mut begins = Vec::with_capacity(services.len() + 1);
        for (service, entry) in services.iter().enumerate() {
            begins.push(probes.len());
            for (probe, entry) in entry.probes.iter().enumerate() {
                let host = host_and_port(entry).map(|key| {
                    let next = hosts.len();
                    *hosts.entry(key).or_insert(next)
                });
                probes.push(ProbeRef {
                    service,
                    probe,
                    host,
                });
            }
        }
        begins.push(probes.len());
        Self {
            services,
            probes,
            begins,
            hosts: hosts.len(),
        }
    }

    pub(super) fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    pub(super) fn len(&self) -> usize {
        self.probes.len()
    }

    pub(super) fn hosts(&self) -> usize {
        self.hosts
    }

    pub(super) fn probe(&self, number: usize) -> Option<ProbeRef> {
        self.probes.get(number).copied()
    }

    /// The time between two of a probe.
    pub(super) fn interval(&self, number: usize) -> Duration {
        self.probe(number)
            .and_then(|probe| self.services.get(probe.service)?.probes.get(probe.probe))
            .map_or(Duration::ZERO, |probe| probe.interval)
    }

    /// The numbers of a service's probes.
    pub(super) fn of_service(&self, service: usize) -> Range<usize> {
        match (self.begins.get(service), self.begins.get(service + 1)) {
            (Some(begin), Some(end)) => *begin..*end,
            _ => 0..0,
        }
    }

    /// The place of the probe that tells most of how a service is: the one to ask where only one is asked.
    pub(super) fn most_telling(&self, service: usize) -> Option<usize> {
        let probes = &self.services.get(service)?.probes;
        let decodes = |probe: &Probe| probe.decode.is_some();
        let lives = |probe: &Probe| probe.role == Role::Live;
        let place = probes.iter().position(decodes);
        place.or_else(|| probes.iter().position(lives)).or(Some(0))
    }

    /// For each probe the hash of its name and its interval.
    pub(super) fn grids(&self) -> impl Iterator<Item = (u64, Duration)> + '_ {
        self.services.iter().flat_map(|service| {
            service
                .probes
                .iter()
                .map(|probe| (stable_hash([&service.name, &probe.name]), probe.interval))
        })
    }
}

fn host_and_port(probe: &Probe) -> Option<String> {
    match probe.kind.address()? {
        ProbeAddress::Http(target) => Some(match &target.socket {
            Some(socket) => format!("unix:{}", socket.display()),
            None => format!(
                "{}:{}",
                target.url.host_str().unwrap_or_default(),
                target.url.port_or_known_default().unwrap_or(0)
            ),
        }),
        ProbeAddress::Tcp(to) => Some(format!("{}:{}", to.host, to.port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::service;
    use crate::inventory::ProbeKind;

    #[test]
    fn probes_are_counted_through_and_hosts_are_shared() {
        let table = ProbeTable::new(vec![
            service("a", 9001, "startup/1s live/2s"),
            service("b", 9002, "live/3s"),
            service("c", 9001, "live/4s ready/5s"),
        ]);
        let probes: Vec<_> = (0..table.len())
            .filter_map(|number| table.probe(number))
            .map(|probe| (probe.service, probe.probe, probe.host))
            .collect();
        assert_eq!(
            probes,
            [
                (0, 0, Some(0)),
                (0, 1, Some(0)),
                (1, 0, Some(1)),
                (2, 0, Some(0)),
                (2, 1, Some(0))
            ]
        );
        assert_eq!(table.hosts(), 2);
        assert_eq!(table.of_service(1), 2..3);
        assert_eq!(table.of_service(2), 3..5);
        assert_eq!(table.of_service(9), 0..0);
        assert_eq!(table.interval(3), Duration::from_secs(4));
        // Without a payload that is decoded, `live` tells most.
        assert_eq!(table.most_telling(0), Some(1));
        assert_eq!(table.most_telling(9), None);
    }

    #[test]
    fn what_shares_a_place_to_listen_shares_a_cap() {
        let key = |text: &str| {
            let mut probe = service("a", 1, "live/1s").probes[0].clone();
            let ProbeKind::Http(request) = &mut probe.kind else {
                panic!("the scripted services ask by HTTP");
            };
            match text.strip_prefix("unix://") {
                Some(path) => request.target.socket = Some(path.into()),
                None => request.target.url = text.parse().unwrap(),
            }
            host_and_port(&probe).unwrap()
        };
        let cases = [
            ("http://a/live", "http://a:80/ready", true),
            ("https://a/", "https://a:443/", true),
            ("http://a/", "https://a/", false),
            ("http://a:1/", "http://b:1/", false),
            ("http://[::1]:1/", "http://[::1]:2/", false),
            ("unix:///run/a", "unix:///run/a", true),
            ("unix:///run/a", "unix:///run/b", false),
        ];
        for (one, other, shared) in cases {
            assert_eq!(key(one) == key(other), shared, "{one} {other}");
        }
    }
}
