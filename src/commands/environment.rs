//! The environment of the inventory on this machine: files, environment variables, directories.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::host::directories;
use crate::inventory::{Environment, FileStatus};
use crate::profile;

/// The most bytes that are read of a file: no inventory is larger, and a device has no end.
const LARGEST: usize = (16 << 20) + 1;

/// Calls a function with the environment of this process.
pub(crate) fn with<T>(ask: impl FnOnce(&Environment<'_>) -> T) -> T {
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let config = directories::config();
    ask(&Environment {
        env: &|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        read: &|path| read_at_most(path, LARGEST),
        status: &look,
        list: &list,
        directory: &directory,
        config: config.as_deref(),
        user: rustix::process::geteuid().as_raw(),
        builtin: profile::builtin(),
    })
}

/// Reads at most this many bytes of a file, or of standard input for `-`.
pub(crate) fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(unix)]
fn look(path: &Path) -> Option<FileStatus> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some(FileStatus {
        directory: metadata.is_dir(),
        owner: metadata.uid(),
        mode: metadata.mode(),
    })
}

fn list(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
