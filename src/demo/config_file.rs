//! Configuration files of services, in the directory of the demo, in which every service runs.

use std::fmt::Display;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// Writes a configuration file.
pub(super) fn write(path: &Path, config: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(config)?;
    text.push('\n');
    std::fs::write(path, text)
}

/// Writes a configuration file unless a valid one exists: changes to it hold for the next start too.
pub(super) fn write_unless_valid<C: Serialize + DeserializeOwned>(
    path: &Path,
    config: &C,
    is_valid: impl FnOnce(&C) -> bool,
) -> io::Result<()> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if serde_json::from_str(&text).is_ok_and(|existing| is_valid(&existing)) {
        return Ok(());
    }
    write(path, config)
}

/// Returns the error of a service that cannot be configured.
pub(super) fn error(error: impl Display) -> Error {
    Error::new(format!("cannot configure: {error}"))
}
