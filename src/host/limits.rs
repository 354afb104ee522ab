//! Limits on the resources of a command: a second run of healthctl limits itself, and then becomes the command.
//!
//! A process can be limited from outside only once it runs, and then it may have done anything. So the limits are set
//! by what becomes it, with no code of ours between fork and exec.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The name of the stand-in in lists of processes.
const NAME: &str = "limited";
/// The exit status of a stand-in that could not become the command, as of env(1).
pub(crate) const NOT_RUN: i32 = 125;
/// The beginning of the line that it writes then; the number of the error follows.
const REASON: &str = "healthctl cannot run it: error ";
/// The time between the signal that a process may survive and the one that it cannot, in seconds.
const GRACE: u64 = 1;

/// Returns the arguments of a run of our own program that becomes `program`, with this much CPU time in seconds and
/// this much memory in bytes. The arguments of `program` follow them.
pub(crate) fn arguments(cpu: Option<u64>, memory: Option<u64>, program: &OsStr) -> [OsString; 3] {
    let number = |limit: Option<u64>| limit.map_or_else(String::new, |limit| limit.to_string());
    [
        number(cpu).into(),
        number(memory).into(),
        program.to_owned(),
    ]
}

/// Returns a command that runs `own`, our own program, as the stand-in.
pub(crate) fn command(own: &OsStr) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(own);
    command.arg0(NAME);
    command
}

/// Becomes the command that these words name, limited; `None` where they are no words for a stand-in. Returns only where
/// that fails.
pub(crate) fn step(words: &[OsString]) -> Option<ExitCode> {
    let [name, cpu, memory, program, arguments @ ..] = words else {
        return None;
    };
    if name != NAME {
        return None;
    }
    let number = |word: &OsString| word.to_str().and_then(|word| word.parse().ok());
    let error = match limit(number(cpu), number(memory)) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error,
    };
    let number = error.raw_os_error().unwrap_or_default();
    // Whoever waits for it may have ended.
    let _ = writeln!(io::stderr(), "{REASON}{number}");
    Some(ExitCode::from(NOT_RUN.to_le_bytes()[0]))
}

/// Returns why a stand-in could not become the command, from the line that it wrote.
pub(crate) fn reason(line: &str) -> Option<io::Error> {
    let number = line.strip_prefix(REASON)?.parse().ok()?;
    Some(io::Error::from_raw_os_error(number))
}

fn limit(cpu: Option<u64>, memory: Option<u64>) -> io::Result<()> {
    if let Some(cpu) = cpu {
        set(Resource::Cpu, cpu, cpu.saturating_add(GRACE))?;
        // The signal at its end would leave a core file behind.
        set(Resource::Core, 0, 0)?;
    }
    if let Some(memory) = memory {
        // What a process may write to. Address space alone costs nothing, and some runtimes reserve a lot of it.
        set(Resource::Data, memory, memory)?;
    }
    Ok(())
}

/// Sets a limit, within that which holds already.
fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let hard = getrlimit(resource)
        .maximum
        .map_or(hard, |maximum| maximum.min(hard));
    let limit = Rlimit {
        current: Some(soft.min(hard)),
        maximum: Some(hard),
    };
    Ok(setrlimit(resource, limit)?)
}
