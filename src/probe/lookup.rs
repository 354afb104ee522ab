//! From a name to addresses.
//!
//! The system's lookup cannot be cancelled once it runs, so it runs apart from who asks: at most [`AT_ONCE`] of them, and one
//! per name, however many wait for it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::explain::{self, Cause};

/// Lookups under way at once.
const AT_ONCE: usize = 64;

/// Addresses of one name that are tried; the rest is as good or as bad as these.
const TRIED: usize = 16;

type Found = Result<Arc<[SocketAddr]>, Cause>;
type Flight = watch::Receiver<Option<Found>>;

/// The lookups under way.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    places: Arc<Semaphore>,
    flights: Arc<Mutex<HashMap<String, Flight>>>,
}

impl Lookup {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            flights: Arc::default(),
        }
    }

    /// The addresses of a name, families taking turns, the system's first choice first.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Cause> {
        let mut flight = self.flight(host);
        let found = flight
            .wait_for(Option::is_some)
            .await
            .map_or_else(
                |_| Some(Err(Cause::local("the name lookup was broken off"))),
                |found| found.clone(),
            )
            .unwrap_or_else(|| Err(Cause::local("the name lookup gave nothing")))?;
        Ok(in_turns(&found, port))
    }

    /// The lookup of this name that is under way, or a new one.
    fn flight(&self, host: &str) -> Flight {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(host) {
            return flight.clone();
        }
        let (tell, flight) = watch::channel(None);
        flights.insert(host.to_owned(), flight.clone());
        drop(flights);
        let this = self.clone();
        let host = host.to_owned();
        tokio::spawn(async move {
            // The semaphore is never closed.
            let place = Arc::clone(&this.places).acquire_owned().await.ok();
            let name = host.clone();
            let found = tokio::task::spawn_blocking(move || {
                let _place = place;
                (name.as_str(), 0)
                    .to_socket_addrs()
                    .map(Iterator::collect::<Arc<[SocketAddr]>>)
            })
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the lookup was broken off")))
            .map_err(|error| explain::lookup(&host, &error));
            this.flights
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&host);
            // Nobody may wait any more.
            let _ = tell.send(Some(found));
        });
        flight
    }
}

/// An address written as text, in brackets or without.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// What needs no lookup: addresses as text, and `localhost`, which means both families whatever `/etc/hosts` says.
pub(super) fn known(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Some(address) = literal(host) {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let name = host.trim_end_matches('.');
    let local = name.eq_ignore_ascii_case("localhost")
        || name
            .len()
            .checked_sub(".localhost".len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(".localhost"));
    local.then(|| {
        [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]
        .map(|address| SocketAddr::new(address, port))
        .to_vec()
    })
}

/// Without doubles, the families in turns, so that one that is dead cannot use up the time of the other.
fn in_turns(found: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let mut first = Vec::new();
    let mut second = Vec::new();
    let Some(preferred) = found.first().map(SocketAddr::is_ipv4) else {
        return first;
    };
    for address in found {
        let mut address = *address;
        address.set_port(port);
        let family = if address.is_ipv4() == preferred {
            &mut first
        } else {
            &mut second
        };
        if !family.contains(&address) {
            family.push(address);
        }
    }
    let mut all = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for address in first {
        all.push(address);
        all.extend(second.next());
    }
    all.extend(second);
    all.truncate(TRIED);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_lookup() {
        let check = |host: &str, expected: Option<&[&str]>| {
            let given = known(host, 80).map(|found| {
                let text = |address: &SocketAddr| address.ip().to_string();
                found.iter().map(text).collect::<Vec<_>>()
            });
            let expected =
                expected.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(given, expected, "{host}");
        };
        check("127.0.0.1", Some(&["127.0.0.1"]));
        check("::1", Some(&["::1"]));
        check("[::1]", Some(&["::1"]));
        check("localhost", Some(&["127.0.0.1", "::1"]));
        check("LocalHost.", Some(&["127.0.0.1", "::1"]));
        check("api.localhost", Some(&["127.0.0.1", "::1"]));
        check("notlocalhost", None);
        check("localhost.example", None);
        check("", None);
        check("ä.localhost", Some(&["127.0.0.1", "::1"]));
    }

    #[test]
    fn families_take_turns() {
        let check = |found: &[&str], expected: &[&str]| {
            let parse = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            let found: Vec<_> = found.iter().map(parse).collect();
            let given: Vec<_> = in_turns(&found, 80)
                .iter()
                .map(|address| address.ip().to_string())
                .collect();
            assert_eq!(given, expected);
        };
        check(&[], &[]);
        check(&["10.0.0.1"], &["10.0.0.1"]);
        check(
            &["fd00::1", "fd00::2", "fd00::2", "10.0.0.1"],
            &["fd00::1", "10.0.0.1", "fd00::2"],
        );
        check(
            &["10.0.0.1", "fd00::1", "fd00::2"],
            &["10.0.0.1", "fd00::1", "fd00::2"],
        );
    }
}
