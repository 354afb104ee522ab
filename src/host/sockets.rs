//! Reads the kernel's tables of sockets, `/proc/net/{tcp,tcp6,unix}`, and finds the inodes that listen on an address.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A listening TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listener {
    /// The address that the socket is bound to, in the family of its table.
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Returns the listening sockets of one table; lines that cannot be parsed are ignored.
pub(super) fn listeners(table: &str) -> Vec<Listener> {
    table.lines().filter_map(listener).collect()
}

/// Parses a line such as `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 12345 1 …`
fn listener(line: &str) -> Option<Listener> {
    /// The state `TCP_LISTEN` of the kernel.
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    Some(Listener {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: fields.nth(5)?.parse().ok()?,
    })
}

/// Parses an address, of which the kernel prints each four bytes as a number in its own byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = hex.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(index)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// Returns the addresses of those of the listening sockets that have one of these inodes.
pub(super) fn addresses(listeners: &[Listener], inodes: &BTreeSet<u64>) -> BTreeSet<SocketAddr> {
    let held = listeners.iter().filter(|one| inodes.contains(&one.inode));
    held.map(|one| SocketAddr::new(one.address.to_canonical(), one.port))
        .collect()
}

/// Returns the inodes of the sockets that accept a connection to `address`. The kernel prefers a socket bound to the exact
/// address, then the wildcard of its family, then (for IPv4) the wildcard of a dual-stack socket.
pub(super) fn inodes(listeners: &[Listener], address: SocketAddr) -> BTreeSet<u64> {
    let ip = address.ip().to_canonical();
    let bound_to = |(wanted, canonical): (IpAddr, bool)| -> BTreeSet<u64> {
        let is_bound = |listener: &&Listener| {
            let (bound, port) = (listener.address, listener.port);
            let is_same = bound == wanted || (canonical && bound.to_canonical() == wanted);
            port == address.port() && is_same
        };
        let bound = listeners.iter().filter(is_bound);
        bound.map(|listener| listener.inode).collect()
    };
    let any4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let choices = match ip {
        IpAddr::V4(_) => vec![(ip, true), (any4, true), (any6, false)],
        IpAddr::V6(_) => vec![(ip, false), (any6, false)],
    };
    choices
        .into_iter()
        .map(bound_to)
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Returns the inodes of the unix sockets that listen at `path`, from lines such as
/// `0000000000000000: 00000002 00000000 00010000 0001 01 23456 /run/x.sock`
pub(super) fn unix_inodes(table: &str, path: &Path) -> BTreeSet<u64> {
    /// The flag `__SO_ACCEPTCON` of the kernel.
    const LISTENS: u32 = 0x1_0000;
    table
        .lines()
        .filter_map(|line| {
            let mut rest = line;
            let mut field = || {
                let trimmed = rest.trim_start();
                let end = trimmed.find(' ').unwrap_or(trimmed.len());
                let (word, tail) = trimmed.split_at(end);
                rest = tail;
                word
            };
            let flags = [(); 4].map(|()| field())[3];
            let inode = [(); 3].map(|()| field())[2];
            let listens = u32::from_str_radix(flags, 16).ok()? & LISTENS != 0;
            let has_path = Path::new(rest.strip_prefix(' ')?) == path;
            (listens && has_path).then(|| inode.parse().ok())?
        })
        .collect()
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const ROW: &str = "   0: LOCAL 00000000:0000 STATE 00000000:00000000 00:00000000 00000000  1000        0 INODE 1 0000000000000000 100 0 0 10 0\n";

    fn table(rows: &[(&str, &str, u64)]) -> String {
        let rows: String = rows
            .iter()
            .map(|(local, state, inode)| {
                ROW.replace("LOCAL", local)
                    .replace("STATE", state)
                    .replace("INODE", &inode.to_string())
            })
            .collect();
        format!("{HEAD}{rows}")
    }

    fn check(rows: &[(&str, &str, u64)], address: &str, expected: &[u64]) {
        let found = inodes(&listeners(&table(rows)), address.parse().unwrap());
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            expected,
            "{rows:?} at {address}"
        );
    }

    const LOOPBACK: &str = "0100007F:1F90";
    const ANY4: &str = "00000000:1F90";
    const ANY6: &str = "00000000000000000000000000000000:1F90";
    const LOOPBACK6: &str = "00000000000000000000000001000000:1F90";
    const MAPPED: &str = "0000000000000000FFFF00000100007F:1F90";

    #[test]
    fn the_exact_address_is_preferred_to_the_wildcards() {
        check(&[(LOOPBACK, "0A", 1)], "127.0.0.1:8080", &[1]);
        check(
            &[(ANY4, "0A", 2), (LOOPBACK, "0A", 1)],
            "127.0.0.1:8080",
            &[1],
        );
        check(&[(ANY6, "0A", 3), (ANY4, "0A", 2)], "127.0.0.1:8080", &[2]);
        check(&[(ANY6, "0A", 3)], "127.0.0.1:8080", &[3]);
        check(&[(MAPPED, "0A", 4)], "127.0.0.1:8080", &[4]);
        check(&[(ANY6, "0A", 3), (LOOPBACK6, "0A", 5)], "[::1]:8080", &[5]);
        check(&[(ANY6, "0A", 3)], "[::1]:8080", &[3]);
    }

    #[test]
    fn other_families_ports_and_states_do_not_count() {
        check(&[(ANY4, "0A", 2)], "[::1]:8080", &[]);
        check(&[(LOOPBACK6, "0A", 5)], "127.0.0.1:8080", &[]);
        check(&[(LOOPBACK, "0A", 1)], "127.0.0.1:8081", &[]);
        check(&[(LOOPBACK, "0A", 1)], "127.0.0.2:8080", &[]);
        check(
            &[(LOOPBACK, "01", 1), (LOOPBACK, "06", 0)],
            "127.0.0.1:8080",
            &[],
        );
    }

    #[test]
    fn two_sockets_share_an_address_with_reuseport() {
        check(
            &[(LOOPBACK, "0A", 1), (LOOPBACK, "0A", 9)],
            "127.0.0.1:8080",
            &[1, 9],
        );
    }

    #[test]
    fn malformed_tables_contain_no_sockets() {
        for text in ["", "x", "0: zz:zz 0 0A", "0: 0100007F 0 0A", "a b c d e f"] {
            assert_eq!(listeners(text), [], "{text}");
            assert!(unix_inodes(text, Path::new("/x")).is_empty());
        }
    }

    #[test]
    fn unix_sockets_are_found_by_path() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 23456 /run/a b.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 23457 /run/a b.sock\n\
            0000000000000000: 00000002 00000000 00010000 0001 01   99 /run/c.sock\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 23459\n";
        let found = |path: &str| {
            unix_inodes(table, Path::new(path))
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(found("/run/a b.sock"), [23456]);
        assert_eq!(found("/run/c.sock"), [99]);
        assert!(found("/run").is_empty());
    }
}
