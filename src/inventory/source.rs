//! Reading a file that an inventory or a profile stands in.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::yaml::{Problem, SourceFile};

use super::Surroundings;

/// Larger than any inventory, and small enough to be read at once: ten thousand services need three of it.
const LARGEST: usize = 16 << 20;

/// Reads a file and tells why not.
pub(super) fn read(
    path: &Path,
    around: &Surroundings<'_>,
) -> Result<Arc<SourceFile>, Box<Problem>> {
    let bytes = (around.read)(path).map_err(|error| Box::new(unreadable(path, &error)))?;
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
