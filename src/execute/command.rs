//! The command of an action, as text and as it is run.
//!
//! It is run as the command of a probe is, but nothing ends it: half a stop may be worse than a late one, so it goes on when
//! its time is up, and when healthctl ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use crate::action::shown_command;
use crate::host::offspring;
use crate::inventory::{Exec, Service};
use crate::probe::{Masks, Ready};
use crate::text;

/// The number of characters of a command, and of the last line that it wrote, that are shown.
const KEPT: usize = 160;
/// The number of bytes at the end of what a command wrote in which its last line is looked for.
const TAIL: u64 = 4096;

/// Returns a command in backticks, with the directory in which it is run unless that is the current one.
pub(super) fn shown(exec: &Exec) -> String {
    let command = shown_command(exec.shown.iter().map(String::as_str));
    if exec.cwd == Path::new("") {
        format!("`{command}`")
    } else {
        format!("`{command}` in {}", exec.cwd.display())
    }
}

/// Returns the start command of the service: `uvicorn app:app` in services/api.
pub(super) fn start_command(service: &Service) -> Option<String> {
    let start = service.start.as_ref()?;
    Some(text::clean(&shown(&start.exec), 300))
}

/// The end of a command, as far as it was waited for.
#[derive(Debug)]
pub(super) enum CommandEnd {
    /// Its status was 0; the command.
    Succeeded(String),
    /// Its status was another one.
    Failed { command: String, how: String },
    /// It was not started: why.
    NotStarted(String),
    /// It may have been started, and its end is not known: why.
    Unknown(String),
}

/// Runs a command to its end. A command that takes longer than `limit` goes on.
pub(super) async fn run(exec: &Exec, limit: Duration) -> CommandEnd {
    let shown = shown_command(exec.shown.iter().map(String::as_str));
    let shown = text::clean(&shown, KEPT);
    let began = Instant::now();
    let ready = match timeout(limit, Ready::to_run(exec)).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(why)) => return CommandEnd::NotStarted(why),
        Err(_) => {
            return CommandEnd::NotStarted(format!(
                "what `{shown}` needs could not be read in time"
            ));
        }
    };
    let left = || limit.saturating_sub(began.elapsed());
    // A file system that hangs would hold up everybody else.
    let starting = tokio::task::spawn_blocking(move || RunningCommand::start(ready));
    let mut running = match timeout(left(), starting).await {
        Ok(Ok(Ok(running))) => running,
        Ok(Ok(Err(why))) => return CommandEnd::NotStarted(why),
        Ok(Err(_)) => return CommandEnd::Unknown(format!("`{shown}` could not be started")),
        Err(_) => {
            return CommandEnd::Unknown(format!("`{shown}` has not started in time, and may yet"));
        }
    };
    let status = match timeout(left(), running.child.wait()).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return CommandEnd::Unknown(format!("`{shown}`: {error}")),
        Err(_) => {
            return CommandEnd::Unknown(format!("`{shown}` has not ended in time and goes on"));
        }
    };
    if status.success() {
        return CommandEnd::Succeeded(format!("`{shown}` ended with status 0"));
    }
    let line = tokio::task::spawn_blocking(move || running.last_line()).await;
    let line = line.unwrap_or_default();
    let how = if line.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {line}")
    };
    CommandEnd::Failed {
        command: shown,
        how,
    }
}

/// A command under method, with the file that holds its standard error; `None` where there is no room for one.
struct RunningCommand {
    child: Child,
    masks: Masks,
    stderr: Option<File>,
}

impl RunningCommand {
    fn start(mut ready: Ready) -> Result<Self, String> {
        let written = unnamed_file().ok();
        let stderr = written.as_ref().and_then(|file| file.try_clone().ok());
        ready
            .command()
            // What it says goes to nobody, and what it starts may go on saying it for ever.
            .stdout(Stdio::null())
            .stderr(stderr.map_or_else(Stdio::null, Stdio::from))
            // What a probe or a hook leaves behind is ended by this; what an action leaves behind is meant to stay.
            .env_remove(offspring::VARIABLE);
        let (child, masks) = ready.start()?;
        Ok(Self {
            child,
            masks,
            stderr: written,
        })
    }

    /// Returns the last line that it wrote, cleaned, and without the secrets that it was given.
    fn last_line(&self) -> String {
        let read = || {
            let file = self.stderr.as_ref()?;
            let length = file.metadata().ok()?.len();
            let start = length.saturating_sub(TAIL);
            let mut bytes = vec![0; usize::try_from(length - start).ok()?];
            let count = file.read_at(&mut bytes, start).ok()?;
            bytes.truncate(count);
            Some((bytes, start > 0))
        };
        let Some((bytes, is_cut)) = read() else {
            return String::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = if is_cut {
            self.masks.apply_to_end(&text)
        } else {
            self.masks.apply(&text)
        };
        let mut lines = text.lines().rev().map(str::trim);
        text::clean(
            lines.find(|line| !line.is_empty()).unwrap_or_default(),
            KEPT,
        )
    }
}

/// Opens a file without a name for what a command writes. A pipe would break when healthctl ends, and end the command that
/// writes into it.
fn unnamed_file() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    // Whoever opens it anew by `/dev/stderr` must not write over what is there.
    fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::APPEND)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Exec {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Exec {
            shown: words.clone(),
            command: words,
            ..Exec::default()
        }
    }

    #[tokio::test]
    async fn commands_tell_by_their_status() {
        let run = async |words: &[&str]| run(&command(words), Duration::from_secs(20)).await;
        assert!(matches!(run(&["true"]).await, CommandEnd::Succeeded(_)));
        assert!(matches!(
            run(&["/nowhere/x"]).await,
            CommandEnd::NotStarted(_)
        ));
        assert!(matches!(run(&[]).await, CommandEnd::NotStarted(_)));
        for (script, expected) in [
            (
                "echo no such unit >&2; exit 5",
                "exit status: 5: no such unit",
            ),
            (
                "echo one >&2; echo two >&2; echo >&2; exit 1",
                "exit status: 1: two",
            ),
            ("echo out; exit 1", "exit status: 1"),
            (
                "echo one >&2; echo two > /dev/stderr; exit 1",
                "exit status: 1: two",
            ),
            (
                "head -c 9000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; exit 1",
                "exit status: 1: end",
            ),
            ("kill -KILL $$", "signal: 9 (SIGKILL)"),
        ] {
            let CommandEnd::Failed { how, .. } = run(&["sh", "-c", script]).await else {
                panic!("a command that fails has not taken it: {script}");
            };
            assert_eq!(how, expected);
        }
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_left_to_its_work() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 60", pid_file.display());
        let exec = command(&["sh", "-c", &script]);
        let end = run(&exec, Duration::from_millis(500)).await;
        assert!(matches!(end, CommandEnd::Unknown(_)), "{end:?}");
        let text = std::fs::read_to_string(pid_file).unwrap();
        let pid = rustix::process::Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        // It is there to be ended.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn the_last_line_tells_no_secret() {
        let given = |script: &str| Exec {
            hidden: vec![("hunter22".to_owned(), "${TOKEN}".to_owned())],
            ..command(&["sh", "-c", script])
        };
        // Cut in the middle of it, by what is looked at and by what is shown.
        let long = format!("hunter22{}; exit 1", "y".repeat(4092));
        let late = format!("{}hunter22; exit 1", "y".repeat(157));
        for (script, expected) in [
            ("no user hunter22; exit 1", "no user ${TOKEN}".to_owned()),
            (&long, "y".repeat(KEPT)),
            (&late, format!("{}${{T", "y".repeat(157))),
        ] {
            let exec = given(&format!(
                "echo {} >&2; exit 1",
                script.trim_end_matches("; exit 1")
            ));
            let CommandEnd::Failed { how, .. } = run(&exec, Duration::from_secs(20)).await else {
                panic!("it fails")
            };
            assert_eq!(
                how.trim_end_matches('…'),
                format!("exit status: 1: {expected}")
            );
        }
    }
}
