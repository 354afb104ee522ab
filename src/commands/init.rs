//! `healthctl init`: writes a commented inventory to start from.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Context, Error};
use crate::exit::Exit;

/// The flags of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print it instead of writing a file.
    #[arg(long)]
    pub(crate) stdout: bool,
}

const TEXT: &str = include_str!("init.yaml");

#[expect(clippy::unused_async, reason = "every command is run in the same way")]
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    if args.stdout {
        context.print(TEXT)?;
        return Ok(Exit::Done);
    }
    let path = match context.global.file.as_slice() {
        [] => PathBuf::from("healthctl.yaml"),
        [path] => path.clone(),
        _ => return Err(Error::usage("`init` writes one file: give `-f` once")),
    };
    if context.global.file.is_empty() && Path::new("healthctl.yml").exists() {
        return Err(exists(Path::new("healthctl.yml")));
    }
    write(&path)?;
    context.message(&format!("wrote {}", path.display()));
    context
        .message("hint: put your own services into it, then `healthctl validate` and `healthctl`");
    Ok(Exit::Done)
}

fn exists(path: &Path) -> Error {
    Error::usage_hint(
        format!(
            "`{}` exists already, and nothing is overwritten",
            path.display()
        ),
        "`healthctl init --stdout` prints the example",
    )
}

fn write(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // A file that the group may write would be refused when it is found.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Error::usage(format!("cannot write `{}`: {error}", path.display())),
    });
    file?.write_all(TEXT.as_bytes())?;
    Ok(())
}
