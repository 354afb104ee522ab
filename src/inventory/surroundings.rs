//! What the inventory has to know of the world, handed in.

use std::io;
use std::path::{Path, PathBuf};

/// Files, environment and directories, as functions: the real ones are wired where commands are.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The bytes of a file; `-` is what comes in on standard input.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// What stands at a path, symbolic links followed.
    pub look: &'a dyn Fn(&Path) -> Option<Look>,
    /// The names of what is in a directory; nothing where it cannot be read.
    pub list: &'a dyn Fn(&Path) -> Vec<String>,
    /// The current directory, absolute.
    pub directory: &'a Path,
    /// `healthctl` in the user's configuration directory.
    pub config: Option<&'a Path>,
    /// Who we are.
    pub user: u32,
    /// The built-in profiles: name and text.
    pub builtin: &'a [(&'a str, &'a str)],
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// A directory.
    pub directory: bool,
    /// Who owns it.
    pub owner: u32,
    /// The permission bits.
    pub mode: u32,
}

impl Surroundings<'_> {
    /// Whether a file (not a directory) stands there.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        (self.look)(path).is_some_and(|look| !look.directory)
    }

    /// A path as the user would write it from where he stands.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        if let Ok(inside) = path.strip_prefix(self.directory) {
            return inside.to_owned();
        }
        let mut up = PathBuf::new();
        for ancestor in self.directory.ancestors().skip(1).take(8) {
            up.push("..");
            // The root is above everything; from there an absolute path reads better.
            if ancestor.parent().is_none() {
                break;
            }
            if let Ok(inside) = path.strip_prefix(ancestor) {
                return up.join(inside);
            }
        }
        path.to_owned()
    }
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("directory", &self.directory)
            .field("config", &self.config)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
