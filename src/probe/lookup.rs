//! Looks up the addresses of names.
//!
//! The system's lookup cannot be cancelled once it runs, so it runs in a thread of its own: at most [`AT_ONCE`] lookups, and
//! one for each name, however many probes wait for it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use tokio::sync::Semaphore;

use super::classify;
use super::error::ProbeError;

/// The number of lookups at once.
const AT_ONCE: usize = 64;

/// The number of addresses of one name that are tried.
const MOST_TRIED: usize = 16;

type PendingLookup = Shared<BoxFuture<'static, Result<Arc<[SocketAddr]>, ProbeError>>>;

/// The lookups in progress.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    permits: Arc<Semaphore>,
    pending: Arc<Mutex<HashMap<String, PendingLookup>>>,
}

impl Lookup {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            pending: Arc::default(),
        }
    }

    /// Looks up a name. The address families alternate, beginning with the system's first choice.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ProbeError> {
        let found = self.pending(host).await?;
        Ok(alternated(&found, port))
    }

    /// Returns the lookup of a name that is in progress, or starts one.
    fn pending(&self, host: &str) -> PendingLookup {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = pending.get(host) {
            return lookup.clone();
        }
        let this = self.clone();
        let name = host.to_owned();
        // The lookup ends, and is removed, even when no probe waits for it any more.
        let lookup = tokio::spawn(async move {
            // The semaphore is never closed.
            let permit = Arc::clone(&this.permits).acquire_owned().await.ok();
            let host = name.clone();
            let found = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                (host.as_str(), 0)
                    .to_socket_addrs()
                    .map(Iterator::collect::<Arc<[SocketAddr]>>)
            })
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the lookup was broken off")))
            .map_err(|error| classify::lookup_error(&name, &error));
            this.pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&name);
            found
        });
        let broken_off = |_| Err(ProbeError::local("the name lookup was broken off"));
        let lookup = lookup.map(move |found| found.unwrap_or_else(broken_off));
        let lookup = lookup.boxed().shared();
        pending.insert(host.to_owned(), lookup.clone());
        lookup
    }
}

/// Returns the address that is written as text, with or without brackets.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// Returns the addresses that need no lookup: those written as text, and `localhost`, which means both families whatever
/// `/etc/hosts` says.
pub(crate) fn known(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
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

/// Removes duplicates and alternates the families, so that a dead family cannot use up the time of the other.
fn alternated(found: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
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
    all.truncate(MOST_TRIED);
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
            let given: Vec<_> = alternated(&found, 80)
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
