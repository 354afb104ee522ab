//! How many files and sockets this process may have open.

use std::fs::File;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    getrlimit(Resource::Nofile).current
}

/// Fails where this process cannot have as many more files open: some libraries panic where a system call would tell.
pub(crate) fn spare_descriptors(wanted: usize) -> io::Result<()> {
    let opened: io::Result<Vec<File>> = (0..wanted).map(|_| File::open("/")).collect();
    opened.map(drop)
}
