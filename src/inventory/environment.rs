//! The environment in which an inventory is read: files, variables and directories, handed in as functions, so that
//! the rest of this folder touches nothing outside.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::yaml::{Problem, SourceFile};

/// Files, variables and directories as functions; `commands` wires the real ones.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    /// Returns the value of an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// Returns the bytes of a file; `-` is standard input.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Returns the status of a path, symbolic links followed.
    pub(crate) status: &'a dyn Fn(&Path) -> Option<FileStatus>,
    /// Returns the names of what is in a directory; none where it cannot be read.
    pub(crate) list: &'a dyn Fn(&Path) -> Vec<String>,
    /// The current directory, absolute.
    pub(crate) directory: &'a Path,
    /// `healthctl` in the user's configuration directory.
    pub(crate) config: Option<&'a Path>,
    /// The id of the user.
    pub(crate) user: u32,
    /// The built-in profiles: name and text.
    pub(crate) builtin: &'a [(&'a str, &'a str)],
}

/// The status of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) directory: bool,
    pub(crate) owner: u32,
    pub(crate) mode: u32,
}

impl Environment<'_> {
    /// Returns whether a file, not a directory, stands at a path.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        (self.status)(path).is_some_and(|status| !status.directory)
    }

    /// Returns a path as the user would write it from the current directory.
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

    /// Returns why a file that was found, and not named, must not be used: what it says is run.
    pub(super) fn distrust(&self, path: &Path, shown: &Path) -> Option<Problem> {
        const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
        let status = (self.status)(path)?;
        let shown = shown.display();
        let (why, hint) = if status.owner != self.user && status.owner != 0 {
            let why = format!("belongs to the user with the id {}", status.owner);
            (why, "read it, then".to_owned())
        } else if status.mode & GROUP_OR_OTHERS_WRITE != 0 {
            let mode = status.mode & 0o7777;
            let why = format!("may be written by others than its owner (mode {mode:04o})");
            (why, format!("`chmod go-w {shown}`, or"))
        } else {
            return None;
        };
        let message = format!("`{shown}` {why}, and what it says would be run by you");
        let hint = format!("{hint} name it yourself: `-f {shown}`");
        Some(Problem::general(message).hint(hint))
    }

    /// Reads a file that an inventory or a profile stands in.
    pub(super) fn read_source(&self, path: &Path) -> Result<Arc<SourceFile>, Box<Problem>> {
        /// Larger than any inventory, and small enough to be read at once: ten thousand services need three of it.
        const LARGEST: usize = 16 << 20;
        let bytes = (self.read)(path).map_err(|error| Box::new(unreadable(path, &error)))?;
        if bytes.len() > LARGEST {
            let (path, most) = (path.display(), LARGEST >> 20);
            let problem = Problem::general(format!("`{path}` is larger than {most} MiB"));
            return Err(Box::new(problem.hint("is it the right file?")));
        }
        let shown = if path == Path::new("-") {
            Path::new("<stdin>")
        } else {
            path
        };
        SourceFile::from_bytes(shown, bytes).map(Arc::new)
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("directory", &self.directory)
            .field("config", &self.config)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let path = path.display();
    let problem = |reason: &str| Problem::general(format!("cannot read `{path}`: {reason}"));
    match error.kind() {
        io::ErrorKind::NotFound => problem("there is no such file")
            .hint("`healthctl init` writes an inventory to start from"),
        io::ErrorKind::PermissionDenied => problem("permission denied"),
        io::ErrorKind::IsADirectory => problem("it is a directory").hint("name the file in it"),
        _ => problem(&error.to_string()),
    }
}
