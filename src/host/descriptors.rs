//! The limit of open files and sockets of this process.

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit before we raised it.
static ORIGINAL: OnceLock<u64> = OnceLock::new();

/// Returns the soft limit before we raised it, or `None` if we did not. Processes that we start get it back, because some
/// programs iterate up to the limit.
pub(crate) fn original_descriptor_limit() -> Option<u64> {
    ORIGINAL.get().copied()
}

/// Raises the soft limit of open descriptors to the hard one, as far as the system permits, and returns the current limit;
/// `None` means unlimited.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        return limit.current;
    }
    if let Some(original) = limit.current {
        // A second call keeps the value of the first.
        let _ = ORIGINAL.set(original);
    }
    getrlimit(Resource::Nofile).current
}

/// Checks that this process can open so many more files: some libraries panic where a system call fails.
///
/// # Errors
///
/// The error of opening a file too many.
pub(crate) fn check_spare_descriptors(wanted: usize) -> io::Result<()> {
    let opened: io::Result<Vec<File>> = (0..wanted).map(|_| File::open("/")).collect();
    opened.map(drop)
}
