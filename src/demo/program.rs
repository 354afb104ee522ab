//! This program, to start once more.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// A command that runs it with a process group of its own, killed when its handle goes.
///
/// Ctrl-C in the terminal is for the demo, which then ends the others.
pub(super) fn command() -> Command {
    let mut command = Command::new(path());
    command
        .arg0("healthctl")
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// By its path where that is still the file that runs, which gives the processes its name; by the
/// kernel's link, which is there as long as this process, where the file has been replaced or deleted.
pub(super) fn path() -> PathBuf {
    let link = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    match std::env::current_exe() {
        Ok(path) if !link.exists() || is_same_file(&path, &link) => path,
        _ => link,
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
        _ => false,
    }
}
