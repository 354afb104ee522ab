//! The directories of this user's files.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// Returns `healthctl` in the user's state directory (`$XDG_STATE_HOME`, else `~/.local/state`); `None` without a home.
pub(crate) fn state() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Some(base.join("healthctl"))
}

/// Returns `healthctl` in the user's configuration directory (`$XDG_CONFIG_HOME`, else `~/.config`); `None` without a home.
pub(crate) fn config() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("healthctl"))
}

/// Returns the same path for the same file, whatever it is named from: absolute and, where it is there, without symbolic
/// links. An empty path is the current directory.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let plain = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    std::fs::canonicalize(path).unwrap_or_else(|_| plain())
}

/// Returns the path of a file below the directory of an inventory, the same whatever that is named from. Links that the
/// inventory names below it, or elsewhere, stay as they are: it is about what is written.
pub(crate) fn below_inventory(inventory: &Path, path: &Path) -> PathBuf {
    let directory = inventory.parent().unwrap_or(Path::new(""));
    match path.strip_prefix(directory) {
        Ok(rest) => absolute(directory).join(rest),
        Err(_) => path.to_path_buf(),
    }
}
