//! Where running demos are found: one directory each, in the user's runtime directory.
//!
//! A demo that was killed leaves its directory behind; the next one to start removes it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getuid, test_kill_process};

use super::{Error, inventory};

/// The longest path of a socket that every Unix takes is 103 bytes; this leaves room for the rest.
const LONGEST_BASE: usize = 60;
const PREFIX: &str = "demo-";
const SOCKET: &str = "control";

/// The directory of one demo, private to the user; removed when dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// Makes one for this process, after removing what dead demos left.
    pub(super) fn make() -> Result<Self, Error> {
        let base = base();
        private(&base)?;
        for path in places(&base) {
            if !is_alive(&path) {
                // Another demo that starts now may be doing the same.
                let _ = fs::remove_dir_all(path);
            }
        }
        let path = base.join(format!("{PREFIX}{}", std::process::id()));
        let make = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        make(&path).map_err(|error| Error::file("make the directory", &path, &error))?;
        let place = Self { path };
        for folder in ["run", "logs"] {
            let path = place.path.join(folder);
            make(&path).map_err(|error| Error::file("make the directory", &path, &error))?;
        }
        Ok(place)
    }

    pub(super) fn inventory(&self) -> PathBuf {
        self.path.join(inventory::FILE)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    /// A file of the place, by its path relative to the inventory.
    pub(super) fn file(&self, relative: &str) -> PathBuf {
        self.path.join(relative)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next demo.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The control socket beside an inventory file.
pub(super) fn socket_beside(inventory: &Path) -> PathBuf {
    inventory.with_file_name(SOCKET)
}

/// The inventory files of all demos of this user that are there, running or not.
pub(super) fn inventories() -> Vec<PathBuf> {
    places(&base())
        .into_iter()
        .map(|place| place.join(inventory::FILE))
        .collect()
}

fn base() -> PathBuf {
    let short = |path: &PathBuf| path.is_absolute() && path.as_os_str().len() <= LONGEST_BASE;
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(short)
        .filter(|path| path.is_dir())
    {
        return runtime.join("healthctl");
    }
    Some(std::env::temp_dir())
        .filter(short)
        .unwrap_or_else(|| PathBuf::from("/tmp"))
        .join(format!("healthctl-{}", getuid().as_raw()))
}

/// Makes the directory, or makes sure that it is ours alone: in a temporary directory anybody
/// could have put one there first.
fn private(base: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(base) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::file("make the directory", base, &error)),
    }
    let metadata = fs::symlink_metadata(base)
        .map_err(|error| Error::file("read the directory", base, &error))?;
    let ours = metadata.is_dir()
        && metadata.uid() == getuid().as_raw()
        && metadata.permissions().mode() & 0o022 == 0;
    if ours {
        Ok(())
    } else {
        Err(Error::hint(
            format!("{} is not a directory that is yours alone", base.display()),
            "remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        ))
    }
}

fn places(base: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(base) else {
        return Vec::new();
    };
    let mut places: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| pid(path).is_some())
        .collect();
    places.sort();
    places
}

fn is_alive(place: &Path) -> bool {
    pid(place).is_some_and(|pid| test_kill_process(pid).is_ok())
}

fn pid(place: &Path) -> Option<Pid> {
    let name = place.file_name()?.to_str()?;
    Pid::from_raw(name.strip_prefix(PREFIX)?.parse().ok()?)
}
