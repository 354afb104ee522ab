//! The directories of running demos: one each, in the user's runtime directory.
//!
//! A demo that was killed leaves its directory behind; the next one to start removes it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::getuid;

use super::Error;

/// The path of a socket may have 103 bytes on every Unix; this leaves room for the rest.
const LONGEST_BASE: usize = 60;
const PREFIX: &str = "demo-";
const LOCK: &str = "lock";
const INVENTORY: &str = "healthctl.yaml";
/// The control socket, in the directory of the demo, which is the working directory of its services.
pub(super) const SOCKET: &str = "control";

/// Returns the path of a service's pid file, relative to the directory.
pub(super) fn pid_file(service: &str) -> String {
    format!("run/{service}.pid")
}

/// Returns the path of a service's log, relative to the directory.
pub(super) fn log_file(service: &str) -> String {
    format!("logs/{service}.log")
}

/// The directory of one demo, private to the user; removed when dropped.
#[derive(Debug)]
pub(super) struct DemoDirectory {
    pub(super) path: PathBuf,
    /// Locked while the demo runs: the kernel releases the lock however the demo ends.
    _lock: File,
}

impl DemoDirectory {
    /// Creates the directory of this process, after removing those of dead demos.
    pub(super) fn create() -> Result<Self, Error> {
        let base = base();
        create_private(&base)?;
        // No demo takes a directory for that of a dead one before its owner has locked it.
        let _base_lock = lock(&base)?;
        for path in demo_directories(&base) {
            let is_dead = File::create(path.join(LOCK)).is_ok_and(|file| file.try_lock().is_ok());
            if is_dead {
                // Removal is best effort: a leftover directory does no harm.
                let _ = fs::remove_dir_all(path);
            }
        }
        let path = (1..=u16::MAX)
            .map(|number| base.join(format!("{PREFIX}{number}")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| base.join(PREFIX));
        let folders = ["run", "logs", "code"].map(|name| path.join(name));
        for folder in [path.clone()].into_iter().chain(folders) {
            DirBuilder::new()
                .mode(0o700)
                .create(&folder)
                .map_err(|error| Error::file("make the directory", folder, &error))?;
        }
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn inventory(&self) -> PathBuf {
        self.path.join(INVENTORY)
    }
}

impl Drop for DemoDirectory {
    fn drop(&mut self) {
        // The next demo removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Writes a file so that no reader ever sees half of it. Only its user may read or write it: an inventory that
/// others may write is not used when it is discovered.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| Error::file("write", path, &error))
}

/// Returns the path of the control socket beside an inventory.
pub(super) fn socket_beside(inventory: &Path) -> PathBuf {
    inventory.with_file_name(SOCKET)
}

/// Returns the inventories of all demos of this user, running or not.
pub(super) fn inventories() -> Vec<PathBuf> {
    let base = base();
    if !is_private(&base) {
        return Vec::new();
    }
    let directories = demo_directories(&base).into_iter();
    directories.map(|path| path.join(INVENTORY)).collect()
}

fn base() -> PathBuf {
    let is_short = |path: &PathBuf| path.is_absolute() && path.as_os_str().len() <= LONGEST_BASE;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(is_short);
    if let Some(runtime) = runtime {
        // Not every machine creates it for every user; if it cannot be created, the other is used.
        let _ = fs::create_dir_all(&runtime);
        if runtime.is_dir() {
            return runtime.join("healthctl");
        }
    }
    Some(std::env::temp_dir())
        .filter(is_short)
        .unwrap_or_else(|| PathBuf::from("/tmp"))
        .join(format!("healthctl-{}", getuid().as_raw()))
}

/// Creates the directory, or checks that it is private: in a temporary directory, anybody could have created one
/// of this name first.
fn create_private(base: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(base) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::file("make the directory", base, &error))
        }
        Err(_) if !is_private(base) => Err(Error::hint(
            format!("{} is not a directory that is yours alone", base.display()),
            "remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        )),
        _ => Ok(()),
    }
}

fn is_private(base: &Path) -> bool {
    fs::symlink_metadata(base).is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == getuid().as_raw()
            && metadata.permissions().mode() & 0o022 == 0
    })
}

fn demo_directories(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK);
    File::create(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| Error::file("lock", path, &error))
}
