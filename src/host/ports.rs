//! Finds the processes that own a listening socket of this machine: they have its inode among their open files.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::addresses::is_local;
use super::process::{RunningProcess, pids, process};
use super::sockets;
use crate::health::Process;

/// The time limit of a search through the open files of all processes.
const LIMIT: Duration = Duration::from_millis(800);

/// An address on which a process may listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Socket(PathBuf),
}

impl Endpoint {
    /// Returns whether only a process of this machine can listen there.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => is_local(address.ip()),
            Self::Socket(_) => true,
        }
    }
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
    /// The processes, lowest pid first. Every listening socket has an owner among them.
    All(Vec<RunningProcess>),
    /// Those of the processes that can be seen, lowest pid first. The processes of other users cannot.
    Visible(Vec<RunningProcess>),
    /// A process listens that cannot be identified, for this reason.
    Unknown(String),
}

impl Owners {
    /// Returns the processes that are known.
    pub(crate) fn processes(&self) -> &[RunningProcess] {
        match self {
            Self::All(processes) | Self::Visible(processes) => processes,
            Self::Nobody | Self::Unknown(_) => &[],
        }
    }

    /// Returns all processes, where all of them can be seen.
    pub(crate) fn all(&self) -> Option<Vec<Process>> {
        match self {
            Self::All(processes) => Some(processes.iter().map(|one| one.process).collect()),
            _ => None,
        }
    }

    /// Returns the same knowledge of other processes.
    pub(crate) fn with(&self, processes: Vec<RunningProcess>) -> Self {
        match self {
            Self::All(_) => Self::All(processes),
            _ => Self::Visible(processes),
        }
    }
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
    /// Returns which of the sockets each process has open, by pid.
    pub(crate) fn open_by_pid(&self) -> BTreeMap<u32, BTreeSet<u64>> {
        let all: BTreeSet<u64> = self.inodes.iter().flatten().flatten().copied().collect();
        let mut found: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for (inode, pids) in holders(&all).0 {
            for pid in pids {
                found.entry(pid).or_default().insert(inode);
            }
        }
        found
    }

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

/// Returns whether a server that does not ask for `SO_REUSEADDR` could listen at this address of this machine: closed
/// connections hold it for some time after the server before. True where that cannot be told.
pub(crate) fn can_bind(address: SocketAddr) -> bool {
    use rustix::net::{AddressFamily, SocketType, bind, socket};
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let Ok(socket) = socket(family, SocketType::STREAM, None) else {
        return true;
    };
    bind(&socket, &address) != Err(rustix::io::Errno::ADDRINUSE)
}

/// Returns the TCP addresses at which one of the processes listens, as far as their open files can be read. Blocks.
pub(crate) fn listening_addresses(processes: &[Process]) -> BTreeSet<SocketAddr> {
    let files = processes.iter().flat_map(|one| {
        let files = std::fs::read_dir(format!("/proc/{}/fd", one.pid));
        files.into_iter().flatten().flatten()
    });
    let inodes = files
        .filter_map(|file| socket_inode(&file.path()))
        .collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok());
    let listeners: Vec<_> = texts.flat_map(|text| sockets::listeners(&text)).collect();
    sockets::addresses(&listeners, &inodes)
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
    let all_are_held = inodes.iter().all(|inode| holders.contains_key(inode));
    if in_time && all_are_held && !processes.iter().any(has_hidden_master) {
        Owners::All(processes)
    } else {
        Owners::Visible(processes)
    }
}

/// Returns whether a process is the worker of a master that is another user's: it shares the socket with a process whose files
/// cannot be read.
fn has_hidden_master(one: &RunningProcess) -> bool {
    let files = format!("/proc/{}/fd", one.parent);
    one.parent > 1
        && process(one.parent).is_some_and(|parent| parent.name == one.name)
        && std::fs::read_dir(files).is_err()
}

/// Returns the pids that have each of the inodes open, and whether the search was completed within the limit.
fn holders(inodes: &BTreeSet<u64>) -> (BTreeMap<u64, BTreeSet<u32>>, bool) {
    let mut found: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    if inodes.is_empty() {
        return (found, true);
    }
    let begun = Instant::now();
    for pid in pids() {
        if begun.elapsed() > LIMIT {
            return (found, false);
        }
        // The files of another user's process cannot be read, and any process may exit meanwhile.
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let files = files.into_iter().flatten().flatten();
        for inode in files.filter_map(|file| socket_inode(&file.path())) {
            if inodes.contains(&inode) {
                found.entry(inode).or_default().insert(pid);
            }
        }
    }
    (found, true)
}

/// Returns the inode of the socket that a link to an open file names.
fn socket_inode(link: &Path) -> Option<u64> {
    let file = std::fs::read_link(link).ok()?;
    let number = file.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    number.parse().ok()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pids(owners: &Owners) -> Vec<u32> {
        owners.processes().iter().map(|p| p.process.pid).collect()
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
