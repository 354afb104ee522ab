//! This program, to be run once more, and small files that stand for the code of services.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::Error;
use super::directory::DemoDirectory;

/// The files that stand for code, each with its service; `sources` of the inventory names them.
const SOURCES: [(&str, &str); 2] = [("orders", "code/orders.py"), ("search", "code/search.py")];

/// Returns a command that runs this program in a process group of its own and kills it when its handle is dropped.
///
/// Ctrl-C in the terminal reaches the demo only, which then ends the others.
pub(super) fn command() -> Command {
    let mut command = Command::new(path());
    command
        .arg0("healthctl")
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Returns the path of this program if that is still the file that runs: it gives the processes their name. If the
/// file was replaced or deleted, returns the kernel's link, which exists as long as this process.
pub(super) fn path() -> PathBuf {
    let link = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    match std::env::current_exe() {
        Ok(path) if !link.exists() || identity(&path) == identity(&link) => path,
        _ => link,
    }
}

/// Writes the files that stand for code, as old as this program, in which the code really is. A `touch` makes one
/// newer than the process that runs.
pub(super) fn write_sources(directory: &DemoDirectory) -> Result<(), Error> {
    let program = path();
    let built = fs::metadata(&program)
        .and_then(|metadata| metadata.modified())
        .map_err(|error| Error::file("read the age of", program, &error))?;
    for (service, source) in SOURCES {
        let path = directory.path.join(source);
        let text = format!(
            "# Stands for the code of {service}: when it is newer than the process, the process is stale.\n"
        );
        fs::write(&path, text)
            .and_then(|()| File::open(&path)?.set_modified(built))
            .map_err(|error| Error::file("write", &path, &error))?;
    }
    Ok(())
}
