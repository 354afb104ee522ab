//! The environment of the inventory on this machine: files, environment variables, directories.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::host::directories;
use crate::inventory::{Environment, FileStatus};
use crate::profile;

/// The most bytes that are read of a file: no inventory is larger, and a device has no end.
const LARGEST: u64 = (16 << 20) + 1;

/// Calls a function with the environment of this process.
pub(crate) fn with<T>(ask: impl FnOnce(&Environment<'_>) -> T) -> T {
    let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let config = directories::config();
    ask(&Environment {
        env: &|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        read: &read,
        status: &look,
        list: &list,
        directory: &directory,
        config: config.as_deref(),
        user: rustix::process::geteuid().as_raw(),
        builtin: profile::builtin(),
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LARGEST).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
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
