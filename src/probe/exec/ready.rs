//! A command put together: its words, its directory, its environment with all secrets read.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::inventory::{Exec, Secret};
use crate::probe::explain::{self, Cause};
use crate::probe::secret;

use crate::probe::Masks;

/// A command that can be run: without a shell, with nothing to read, in a process group of its own, so that what is typed
/// at our terminal does not reach it.
#[derive(Debug)]
pub(crate) struct Ready {
    command: Command,
    program: Name,
    cwd: PathBuf,
    masks: Masks,
}

impl Ready {
    /// Puts it together.
    pub(super) async fn of(exec: &Exec) -> Result<Self, Cause> {
        let Some((program, arguments)) = exec.command.split_first() else {
            return Err(Cause::local("the command is empty"));
        };
        let name = Name {
            shown: exec.shown.first().unwrap_or(program).clone(),
            is_path: program.contains('/'),
        };
        // It is run in a directory of its own, and a path means where we stand.
        let path = if name.is_path {
            std::path::absolute(program).map_err(|error| name.cannot_run(&error))?
        } else {
            PathBuf::from(program)
        };
        let mut command = Command::new(path);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0);
        let mut read = Vec::new();
        for (name, from) in &exec.env {
            let value = secret::read(from).await?;
            command.env(name, value.as_ref());
            if !matches!(from, Secret::Plain(_)) {
                read.push((name.clone(), value.into_owned()));
            }
        }
        if exec.cwd != Path::new("") {
            command.current_dir(&exec.cwd);
        }
        Ok(Self {
            command,
            program: name,
            cwd: exec.cwd.clone(),
            masks: Masks::new(exec, read),
        })
    }

    /// Puts it together for whoever runs it in another way than a probe is run.
    ///
    /// # Errors
    /// What it needs cannot be had: why.
    pub(crate) async fn to_run(exec: &Exec) -> Result<Self, String> {
        Self::of(exec).await.map_err(|cause| cause.words)
    }

    /// For what more is to be said of it.
    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it; this may hang where its file system does.
    pub(super) fn spawn(mut self) -> Result<(Child, Masks), Cause> {
        match self.command.spawn() {
            Ok(child) => Ok((child, self.masks)),
            Err(error) => Err(self.program.not_spawned(&self.cwd, &error)),
        }
    }

    /// As [`Self::spawn`], for whoever has put it together by [`Self::to_run`].
    ///
    /// # Errors
    /// It cannot be run: why.
    pub(crate) fn start(self) -> Result<(Child, Masks), String> {
        self.spawn().map_err(|cause| cause.words)
    }
}

/// The program of a command.
#[derive(Debug)]
struct Name {
    /// As it may be shown.
    shown: String,
    /// It is not looked for in `PATH`.
    is_path: bool,
}

impl Name {
    /// Why nothing was run. A directory that is missing is told like a program that is.
    fn not_spawned(&self, cwd: &Path, error: &io::Error) -> Cause {
        if cwd != Path::new("") && !cwd.is_dir() {
            return Cause::local(format!(
                "cannot run `{}`: there is no directory {}",
                self.shown,
                cwd.display()
            ));
        }
        self.cannot_run(error)
    }

    fn cannot_run(&self, error: &io::Error) -> Cause {
        let why = match error.kind() {
            io::ErrorKind::NotFound if self.is_path => "there is no such file".to_owned(),
            io::ErrorKind::NotFound => "there is no such command in PATH".to_owned(),
            io::ErrorKind::PermissionDenied => "it may not be executed".to_owned(),
            _ => explain::words(error),
        };
        Cause::local(format!("cannot run `{}`: {why}", self.shown))
    }
}
