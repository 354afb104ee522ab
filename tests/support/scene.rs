//! A folder with an inventory, and the binary run in it as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::process::output;

/// A folder of its own with home, configuration and state directories of its own.
pub struct Scene {
    folder: TempDir,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Ran {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
}

impl Scene {
    /// An empty folder.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let scene = Self { folder };
        // A repository root, so that no inventory above is found.
        scene.write(".git/HEAD", "");
        scene
    }

    /// A folder with this `healthctl.yaml`.
    pub fn with_inventory(yaml: &str) -> Self {
        let scene = Self::new();
        scene.write("healthctl.yaml", yaml);
        scene
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, its folders included.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder can be made");
        }
        std::fs::write(&path, text).expect("a file can be written");
        // What the group may write is not used when it is found, whatever the umask of the caller.
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&path, mode).expect("permissions can be set");
        }
        path
    }

    /// The binary in this folder, with nothing of the caller's environment that could change what it does.
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_of(&program(), words)
    }

    /// The same of this copy of the binary.
    pub fn command_of(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(self.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("HEALTHCTL_")
                || name.starts_with("XDG_")
                || name == "NO_COLOR"
                || name.ends_with("_proxy")
                || name.ends_with("_PROXY")
            {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", self.path().join("home"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("XDG_RUNTIME_DIR", self.path().join("runtime"));
        command
    }

    /// Runs the binary to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.command(words))
    }
}

/// The program under test: the one that was built with the tests, or the one that `HEALTHCTL_TEST_PROGRAM` names, so that
/// the same tests can be run against an older program.
pub fn program() -> PathBuf {
    std::env::var_os("HEALTHCTL_TEST_PROGRAM").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_healthctl")),
        PathBuf::from,
    )
}

impl Ran {
    /// Runs the command to its end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        Self::from(output(command))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
            code: output.status.code().unwrap_or(-1),
        }
    }
}
