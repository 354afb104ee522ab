//! Prepares a command: its arguments, its directory, its environment with all secrets read.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::host::{limits, own_program};
use crate::inventory::{Exec, Secret};
use crate::probe::error::{ProbeError, system_message};
use crate::probe::redact::Redactions;
use crate::probe::secret;

/// A command that can be run: without a shell or input, and in a process group of its own, so that signals of our terminal
/// do not reach it.
#[derive(Debug)]
pub(crate) struct PreparedCommand {
    command: Command,
    program: ProgramName,
    cwd: PathBuf,
    redactions: Redactions,
}

impl PreparedCommand {
    /// Reads the secrets and prepares the command.
    pub(super) async fn of(exec: &Exec) -> Result<Self, ProbeError> {
        let Some((program, arguments)) = exec.command.split_first() else {
            return Err(ProbeError::local("the command is empty"));
        };
        let name = ProgramName::of(exec, program);
        // A relative path is relative to our directory, not to that of the command.
        let path = if name.is_path {
            std::path::absolute(program).map_err(|error| name.cannot_run(&error))?
        } else {
            PathBuf::from(program)
        };
        let mut command = if exec.limits.any() {
            let own = own_program()
                .ok_or_else(|| ProbeError::local("no limit can be set: our own program is gone"))?;
            let mut command = limits::command(own.as_os_str());
            let cpu = exec.limits.cpu.map(|cpu| cpu.as_secs());
            command.args(limits::arguments(cpu, exec.limits.memory, path.as_os_str()));
            command
        } else {
            Command::new(path)
        };
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
            redactions: Redactions::new(exec, read),
        })
    }

    /// Prepares a command that is not a probe.
    ///
    /// # Errors
    ///
    /// Returns the reason why something that it needs cannot be read.
    pub(crate) async fn to_run(exec: &Exec) -> Result<Self, String> {
        Self::of(exec).await.map_err(|error| error.message)
    }

    /// Returns the command for more settings.
    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts the command. This blocks when its file system does.
    pub(super) fn spawn(mut self) -> Result<(Child, Redactions), ProbeError> {
        match self.command.spawn() {
            Ok(child) => Ok((child, self.redactions)),
            Err(error) => Err(self.program.not_spawned(&self.cwd, &error)),
        }
    }

    /// Starts a command that was prepared by [`Self::to_run`].
    ///
    /// # Errors
    ///
    /// Returns the reason why it cannot be run.
    pub(crate) fn start(self) -> Result<(Child, Redactions), String> {
        self.spawn().map_err(|error| error.message)
    }
}

/// The program of a command.
#[derive(Debug)]
struct ProgramName {
    /// The name as it may be shown.
    shown: String,
    /// True for a path, which is not looked for in `PATH`.
    is_path: bool,
}

/// Returns the error of a command that a stand-in could not become.
pub(super) fn not_become(exec: &Exec, error: &io::Error) -> ProbeError {
    let program = exec.command.first().map_or("", String::as_str);
    ProgramName::of(exec, program).not_spawned(&exec.cwd, error)
}

impl ProgramName {
    fn of(exec: &Exec, program: &str) -> Self {
        Self {
            shown: exec
                .shown
                .first()
                .map_or(program, String::as_str)
                .to_owned(),
            is_path: program.contains('/'),
        }
    }

    /// Returns the error of a command that did not start. The system reports a missing directory like a missing program.
    fn not_spawned(&self, cwd: &Path, error: &io::Error) -> ProbeError {
        if cwd != Path::new("") && !cwd.is_dir() {
            return ProbeError::local(format!(
                "cannot run `{}`: there is no directory {}",
                self.shown,
                cwd.display()
            ));
        }
        self.cannot_run(error)
    }

    fn cannot_run(&self, error: &io::Error) -> ProbeError {
        let why = match error.kind() {
            io::ErrorKind::NotFound if self.is_path => "there is no such file".to_owned(),
            io::ErrorKind::NotFound => "there is no such command in PATH".to_owned(),
            io::ErrorKind::PermissionDenied => "it may not be executed".to_owned(),
            _ => system_message(error),
        };
        ProbeError::local(format!("cannot run `{}`: {why}", self.shown))
    }
}
