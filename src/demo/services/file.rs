//! The configuration file of a service, in the demo's directory, in which every service runs.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes the file.
pub(super) fn write(path: &Path, config: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(config)?;
    text.push('\n');
    std::fs::write(path, text)
}

/// Writes the file, unless one that is good stands there: what was changed in it is for the next start too.
pub(super) fn keep_or_write<C: Serialize + DeserializeOwned>(
    path: &Path,
    config: &C,
    is_good: impl FnOnce(&C) -> bool,
) -> io::Result<()> {
    let text = std::fs::read_to_string(path);
    let there = text.ok().and_then(|text| serde_json::from_str(&text).ok());
    if there.as_ref().is_some_and(is_good) {
        return Ok(());
    }
    write(path, config)
}
