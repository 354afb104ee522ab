//! Finds the processes that own a listening socket of this machine: they have its inode among their open files.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::process::{RunningProcess, process};
use super::sockets;

/// The time limit of a search through the open files of all processes.
const LIMIT: Duration = Duration::from_millis(800);

/// An address on which a process may listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Socket(PathBuf),
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The processes that listen on an endpoint of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owners {
    /// No socket listens on the endpoint.
    Nobody,
    /// The processes, lowest pid first.
    Known {
        processes: Vec<RunningProcess>,
        /// If set, every listening socket has an owner among them. The processes of other users cannot be seen.
        complete: bool,
    },
    /// A process listens that cannot be identified, for this reason.
    Unknown(String),
}

/// The inodes of the listening sockets of some endpoints. As long as they are the same, no other process has begun to
/// listen; reading them is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    /// The inodes of each endpoint; `None` where this system does not provide them.
    inodes: Option<Vec<BTreeSet<u64>>>,
    endpoints: usize,
}

/// Returns the owners of each endpoint, all of which have to be on this machine, by one search for all of them.
/// Blocks for up to about a second.
pub(crate) fn owners(endpoints: &[Endpoint]) -> Vec<Owners> {
    Listening::at(endpoints).owners()
}

impl Listening {
    /// Returns the sockets that listen on these endpoints, all of which have to be on this machine.
    pub(crate) fn at(endpoints: &[Endpoint]) -> Self {
        Self {
            inodes: inodes(endpoints),
            endpoints: endpoints.len(),
        }
    }

    /// Returns the owners of each endpoint, by a search through the open files of all processes.
    pub(crate) fn owners(&self) -> Vec<Owners> {
        let Some(wanted) = &self.inodes else {
            let reason = "not available here: needs /proc/net/tcp";
            return vec![Owners::Unknown(reason.to_owned()); self.endpoints];
        };
        let all: BTreeSet<u64> = wanted.iter().flatten().copied().collect();
        let (holders, in_time) = holders(&all);
        wanted
            .iter()
            .map(|inodes| owners_of(inodes, &holders, in_time))
            .collect()
    }
}

/// Returns the inodes that listen on each endpoint, or `None` where the system does not provide them.
fn inodes(endpoints: &[Endpoint]) -> Option<Vec<BTreeSet<u64>>> {
    let mut tcp = Vec::new();
    let mut readable = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(text) = std::fs::read_to_string(table) {
            readable = true;
            tcp.extend(sockets::listeners(&text));
        }
    }
    if !readable {
        return None;
    }
    let unix = if endpoints.iter().any(|e| matches!(e, Endpoint::Socket(_))) {
        std::fs::read("/proc/net/unix").unwrap_or_default()
    } else {
        Vec::new()
    };
    let unix = String::from_utf8_lossy(&unix);
    let of = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp(address) => sockets::inodes(&tcp, *address),
        Endpoint::Socket(path) => sockets::unix_inodes(&unix, path),
    };
    Some(endpoints.iter().map(of).collect())
}

fn owners_of(
    inodes: &BTreeSet<u64>,
    holders: &BTreeMap<u64, BTreeSet<u32>>,
    in_time: bool,
) -> Owners {
    if inodes.is_empty() {
        return Owners::Nobody;
    }
    let pids: BTreeSet<u32> = inodes
        .iter()
        .filter_map(|inode| holders.get(inode))
        .flatten()
        .copied()
        .collect();
    // A process that has exited since is left out; if it was the only one, the owner is unknown.
    let processes: Vec<RunningProcess> = pids.into_iter().filter_map(process).collect();
    if processes.is_empty() {
        return Owners::Unknown(if in_time {
            "the listening process belongs to another user or container".to_owned()
        } else {
            format!("not found among all open files within {LIMIT:?}")
        });
    }
    Owners::Known {
        complete: in_time && inodes.iter().all(|inode| holders.contains_key(inode)),
        processes,
    }
}

/// Returns the pids that have each of the inodes open, and whether the search was completed within the limit.
fn holders(inodes: &BTreeSet<u64>) -> (BTreeMap<u64, BTreeSet<u32>>, bool) {
    let mut found: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    if inodes.is_empty() {
        return (found, true);
    }
    let Ok(directory) = std::fs::read_dir("/proc") else {
        return (found, false);
    };
    let begun = Instant::now();
    for entry in directory.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if begun.elapsed() > LIMIT {
            return (found, false);
        }
        // The files of another user's process cannot be read, and any process may exit meanwhile.
        let Ok(files) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        for file in files.flatten() {
            let Ok(link) = std::fs::read_link(file.path()) else {
                continue;
            };
            let inode = link.to_str().and_then(|text| {
                let number = text.strip_prefix("socket:[")?.strip_suffix(']')?;
                number.parse::<u64>().ok()
            });
            if let Some(inode) = inode.filter(|inode| inodes.contains(inode)) {
                found.entry(inode).or_default().insert(pid);
            }
        }
    }
    (found, true)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pids(owners: &Owners) -> Vec<u32> {
        match owners {
            Owners::Known { processes, .. } => processes.iter().map(|p| p.process.pid).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn our_listeners_are_owned_by_us() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let mut address = listener.local_addr().unwrap();
            address.set_ip("127.0.0.1".parse().unwrap());
            let found = owners(&[Endpoint::Tcp(address)]);
            // Other tests start children, which hold our sockets too until they run their program.
            assert!(
                pids(&found[0]).contains(&std::process::id()),
                "{bind}: {found:?}"
            );
        }
    }

    #[test]
    fn a_free_port_has_no_owner() {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
        // The port is bound, so that no other process gets it, and nothing listens.
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let free = getsockname(&socket).unwrap().try_into().unwrap();
        assert_eq!(owners(&[Endpoint::Tcp(free)]), [Owners::Nobody]);
    }

    #[test]
    fn a_unix_socket_has_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let found = owners(&[
            Endpoint::Socket(path),
            Endpoint::Socket("/nowhere.sock".into()),
        ]);
        assert!(pids(&found[0]).contains(&std::process::id()), "{found:?}");
        assert_eq!(found[1], Owners::Nobody);
    }
}
