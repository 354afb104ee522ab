//! How many files and sockets this process may have open.

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit that we were given, where we have raised it.
static GIVEN: OnceLock<u64> = OnceLock::new();

/// The soft limit that we were given, where we have raised it since: what we start gets it back, because some programs
/// count up to it.
pub(crate) fn given_descriptor_limit() -> Option<u64> {
    GIVEN.get().copied()
}

/// Raises the soft limit of open descriptors to the hard one, as far as the system lets it, and gives the limit that holds
/// now. `None` is no limit at all.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        return limit.current;
    }
    if let Some(given) = limit.current {
        // Raised a second time, it was given the first time.
        let _ = GIVEN.set(given);
    }
    getrlimit(Resource::Nofile).current
}

/// Fails where this process cannot have as many more files open: some libraries panic where a system call would tell.
pub(crate) fn spare_descriptors(wanted: usize) -> io::Result<()> {
    let opened: io::Result<Vec<File>> = (0..wanted).map(|_| File::open("/")).collect();
    opened.map(drop)
}
