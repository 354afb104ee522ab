//! Who holds a listening socket of this machine: its inode, looked for among the open files of all processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::process::{RunningProcess, process};
use super::sockets;

/// How long a search through the open files of all processes may take.
const LIMIT: Duration = Duration::from_millis(800);

/// A place where something may listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    /// An address of the network.
    Tcp(SocketAddr),
    /// The file of a unix socket.
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

/// Who listens at an endpoint of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owners {
    /// No socket of this machine listens there.
    Nobody,
    /// These processes, lowest pid first. Not `complete` where a listening socket has an owner that we may not see.
    Known {
        /// The processes.
        processes: Vec<RunningProcess>,
        /// Every listening socket has an owner among them.
        complete: bool,
    },
    /// Something listens, but who cannot be told: why.
    Unknown(String),
}

/// The listening sockets of some endpoints, by their inodes. As long as these are the same nobody else has begun to
/// listen, and looking for them is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    /// For each endpoint; `None` where this system does not tell.
    inodes: Option<Vec<BTreeSet<u64>>>,
    endpoints: usize,
}

/// Who listens at each of the endpoints, all of which have to be this machine's: one search for all of them.
/// Blocks for as long as that takes, at the most about a second.
pub(crate) fn owners(endpoints: &[Endpoint]) -> Vec<Owners> {
    Listening::at(endpoints).owners()
}

impl Listening {
    /// At these endpoints, all of which have to be this machine's.
    pub(crate) fn at(endpoints: &[Endpoint]) -> Self {
        Self {
            inodes: inodes(endpoints),
            endpoints: endpoints.len(),
        }
    }

    /// Whose they are: searches through the open files of all processes.
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

/// The listening sockets at each of the endpoints; `None` where that cannot be known.
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
    // One that exited since it was seen is left out; if it was the only one, nobody can be named.
    let processes: Vec<RunningProcess> = pids.into_iter().filter_map(process).collect();
    if processes.is_empty() {
        return Owners::Unknown(if in_time {
            "the process that listens belongs to another user or container".to_owned()
        } else {
            format!("not found among all open files within {LIMIT:?}")
        });
    }
    Owners::Known {
        complete: in_time && inodes.iter().all(|inode| holders.contains_key(inode)),
        processes,
    }
}

/// The pids that hold each of the inodes open, and whether all could be looked through in time.
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
        // Another user's process cannot be looked into, and any may end while we look.
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
    fn our_own_listeners_are_ours() {
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
    fn a_free_port_has_nobody() {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
        // Bound, so that nobody else gets it, and not listening.
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
