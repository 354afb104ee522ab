//! Where running demos are found: one directory each, in the user's runtime directory.
//!
//! A demo that was killed leaves its directory behind; the next one to start removes it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::getuid;

use super::{Error, inventory};

/// The path of a socket may have 103 bytes on every Unix; this leaves room for the rest.
const LONGEST_BASE: usize = 60;
const PREFIX: &str = "demo-";
/// The control socket, in the directory of the demo, which is that of its services too.
pub(super) const SOCKET: &str = "control";
const LOCK: &str = "lock";

/// The directory of one demo, private to the user; removed when dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Locked for as long as the demo runs: the kernel lets go of it however the demo ends.
    _lock: File,
}

impl Place {
    /// Makes one for this process, after removing what dead demos left.
    pub(super) fn make() -> Result<Self, Error> {
        let base = base();
        private(&base)?;
        // Nobody takes a directory for a dead one's before its maker has locked it.
        let _turn = lock(&base)?;
        for path in places(&base) {
            if is_dead(&path) {
                // What cannot be removed is somebody else's to clean.
                let _ = fs::remove_dir_all(path);
            }
        }
        let path = (1..=u16::MAX)
            .map(|number| base.join(format!("{PREFIX}{number}")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| base.join(PREFIX));
        for folder in [
            path.clone(),
            path.join(inventory::PID_FILES),
            path.join(inventory::LOGS),
        ] {
            DirBuilder::new()
                .mode(0o700)
                .create(&folder)
                .map_err(|error| Error::file("make the directory", folder, &error))?;
        }
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn inventory(&self) -> PathBuf {
        self.path.join(inventory::FILE)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
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

/// Writes a file of which nobody ever reads a half. It is its user's alone: an inventory that others
/// may write is not used when it is found.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&fresh)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| Error::file("write", path, &error))
}

/// The control socket beside an inventory file.
pub(super) fn socket_beside(inventory: &Path) -> PathBuf {
    inventory.with_file_name(SOCKET)
}

/// The inventory files of all demos of this user that are there, running or not.
pub(super) fn inventories() -> Vec<PathBuf> {
    let base = base();
    if !is_ours(&base) {
        return Vec::new();
    }
    places(&base)
        .into_iter()
        .map(|place| place.join(inventory::FILE))
        .collect()
}

fn base() -> PathBuf {
    let short = |path: &PathBuf| path.is_absolute() && path.as_os_str().len() <= LONGEST_BASE;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(short);
    if let Some(runtime) = runtime {
        // Not every machine makes it for every user; where it cannot be made there is the other.
        let _ = fs::create_dir_all(&runtime);
        if runtime.is_dir() {
            return runtime.join("healthctl");
        }
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
    if is_ours(base) {
        Ok(())
    } else {
        Err(Error::hint(
            format!("{} is not a directory that is yours alone", base.display()),
            "remove it, or set XDG_RUNTIME_DIR to a directory of your own",
        ))
    }
}

fn is_ours(base: &Path) -> bool {
    fs::symlink_metadata(base).is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == getuid().as_raw()
            && metadata.permissions().mode() & 0o022 == 0
    })
}

fn places(base: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(base) else {
        return Vec::new();
    };
    let mut places: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .map(|entry| entry.path())
        .collect();
    places.sort();
    places
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK);
    File::create(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| Error::file("lock", path, &error))
}

/// Whether nobody holds its lock any more.
fn is_dead(place: &Path) -> bool {
    File::create(place.join(LOCK)).is_ok_and(|file| file.try_lock().is_ok())
}
