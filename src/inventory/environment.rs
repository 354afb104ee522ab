//! The environment in which an inventory is read: files, variables and directories, handed in as functions, so that
//! the rest of this folder touches nothing outside.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::yaml::{Problem, SourceFile};

/// Files, environment and directories, as functions: the real ones are wired where commands are.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    /// The value of an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The bytes of a file; `-` is what comes in on standard input.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// What stands at a path, symbolic links followed.
    pub(crate) status: &'a dyn Fn(&Path) -> Option<FileStatus>,
    /// The names of what is in a directory; nothing where it cannot be read.
    pub(crate) list: &'a dyn Fn(&Path) -> Vec<String>,
    /// The current directory, absolute.
    pub(crate) directory: &'a Path,
    /// `healthctl` in the user's configuration directory.
    pub(crate) config: Option<&'a Path>,
    /// Who we are.
    pub(crate) user: u32,
    /// The built-in profiles: name and text.
    pub(crate) builtin: &'a [(&'a str, &'a str)],
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStatus {
    /// A directory.
    pub(crate) directory: bool,
    /// Who owns it.
    pub(crate) owner: u32,
    /// The permission bits.
    pub(crate) mode: u32,
}

impl Environment<'_> {
    /// Whether a file (not a directory) stands there.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        (self.status)(path).is_some_and(|look| !look.directory)
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

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("directory", &self.directory)
            .field("config", &self.config)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Larger than any inventory, and small enough to be read at once: ten thousand services need three of it.
const LARGEST: usize = 16 << 20;

/// Reads a file that an inventory or a profile stands in.
pub(super) fn read_source(
    path: &Path,
    environment: &Environment<'_>,
) -> Result<Arc<SourceFile>, Box<Problem>> {
    let bytes = (environment.read)(path).map_err(|error| Box::new(unreadable(path, &error)))?;
    if bytes.len() > LARGEST {
        return Err(Box::new(
            Problem::general(format!(
                "`{}` is larger than {} MiB",
                path.display(),
                LARGEST >> 20
            ))
            .hint("is it the right file?"),
        ));
    }
    let shown = if path == Path::new("-") {
        Path::new("<stdin>")
    } else {
        path
    };
    SourceFile::from_bytes(shown, bytes).map(Arc::new)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    let problem = Problem::general(format!("cannot read `{}`: {reason}", path.display()));
    match error.kind() {
        io::ErrorKind::NotFound => {
            problem.hint("`healthctl init` writes an inventory to start from")
        }
        io::ErrorKind::IsADirectory => problem.hint("name the file in it"),
        _ => problem,
    }
}
