//! The keeper: a small process of this binary below which a started service runs, as containers run under conmon.
//!
//! It is a child subreaper, so that every descendant of the service, however it forks or changes its session, stays below it.
//! It writes how the service has ended into the file of that start, and ends when nothing below it runs. Its argument vector
//! holds neither the command nor the word healthctl; it survives the signals that a careless hand sends to many processes;
//! it stands in `/` and holds nothing that its caller has opened. It has no runtime and no threads.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitOptions, setsid, wait, waitid};

use super::process::{children, own_program};
use super::records::{note_exit, note_orphan_exit, start_files};
use super::signals::is_ignored;
use crate::health::Process;

/// The name of the keeper in lists of processes.
const NAME: &str = "keeper";
/// The word of the step that gets rid of what the caller has opened.
const BEGIN: &str = "begin";
/// The word of the step that keeps.
const KEEP: &str = "keep";
/// The word of the step that records itself and becomes the service.
const STAND_IN: &str = "stand-in";
/// The environment variable with the directory for the files of the starts. It is no argument: that would name the service.
const STARTS: &str = "KEEPER_STARTS";

/// The signals that the keeper survives.
const SURVIVED: [Signal; 4] = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];

/// Returns the command that starts a keeper, which is another run of `program`. Its standard input, output and error are
/// those of the run that becomes the service.
pub(super) fn command(program: &Path, starts: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg0(NAME).arg(BEGIN).env(STARTS, starts);
    command
}

/// Carries out the step of a keeper that these words name; `None` where they name none. `stand_in` becomes the service.
pub(crate) fn step(words: &[OsString], stand_in: fn() -> ExitCode) -> Option<ExitCode> {
    let [name, word] = words else {
        return None;
    };
    if name != NAME {
        return None;
    }
    let why = match word.to_str()? {
        BEGIN => begin(),
        KEEP => match keep() {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(error) => error,
        },
        STAND_IN => return Some(stand_in()),
        _ => return None,
    };
    // Whoever waits for it may have ended.
    let _ = writeln!(io::stdout(), "no keeper could be started: {why}");
    Some(ExitCode::FAILURE)
}

/// Returns whether exactly this process is a keeper.
pub(crate) fn is_keeper(process: Process) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", process.pid));
    line.is_ok_and(|line| line == format!("{NAME}\0{KEEP}\0").as_bytes())
        && super::alive(process) == Some(true)
}

/// Leaves the session of the caller and executes the next step, without what the caller has opened. Returns only where that
/// fails.
fn begin() -> io::Error {
    if let Err(errno) = setsid() {
        return errno.into();
    }
    // A handler is reset when the next step is executed, so that children can be waited for whatever the caller has set.
    if let Err(error) = handle(Signal::CHILD) {
        return error;
    }
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    match next(KEEP) {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

/// Starts the service and waits until nothing of it runs.
fn keep() -> io::Result<()> {
    adopt_descendants()?;
    for signal in SURVIVED {
        // What is ignored stays so, in the service too.
        if !is_ignored(signal.as_raw()) {
            handle(signal)?;
        }
    }
    let starts = std::env::var_os(STARTS).map(PathBuf::from);
    let starts = starts.ok_or_else(|| io::Error::other("no directory was named"))?;
    // Where there is no `/proc`, nothing can be started either.
    std::fs::write("/proc/self/comm", NAME)?;
    std::env::set_current_dir("/")?;
    // In a process group of its own: a service may signal its group.
    let service = next(STAND_IN)?
        .env_remove(STARTS)
        .process_group(0)
        .spawn()?
        .id();
    let nothing = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    drop(nothing);
    reap(&starts, service)
}

/// Makes this process the parent of every descendant whose own parent ends.
#[cfg(target_os = "linux")]
fn adopt_descendants() -> io::Result<()> {
    use rustix::process::{getpid, set_child_subreaper};
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Not available here.
#[cfg(not(target_os = "linux"))]
fn adopt_descendants() -> io::Result<()> {
    Err(io::Error::other("not available here: needs a subreaper"))
}

/// Waits for the end of everything below, and writes down that of each process that has the file of a start, and of those
/// that `service` has left behind.
fn reap(starts: &Path, service: u32) -> io::Result<()> {
    let mut orphans: Vec<Process> = Vec::new();
    loop {
        // Until it is waited for, no other process has the pid of the one that has ended.
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(Errno::CHILD) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        let files = start_files(starts);
        if let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
            let pid = pid.as_raw_nonzero().get().unsigned_abs();
            let status = ExitStatus::from_raw(status.as_raw());
            let is_noted = note_exit(&files, pid, status);
            if pid == service {
                orphans = children(std::process::id());
            } else if let Some(place) = orphans.iter().position(|orphan| orphan.pid == pid) {
                let orphan = orphans.swap_remove(place);
                if !is_noted {
                    note_orphan_exit(&files, service, orphan, status);
                }
            }
        }
    }
}

/// Returns the unit of systemd that this process runs in, and whose end would end a keeper that it starts.
pub(crate) fn enclosing_unit() -> Option<String> {
    unit_in(&std::fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// Reads `/proc/PID/cgroup` (cgroups(7)). The manager of a user and a session are no units that somebody stops: what they
/// hold is meant to go on, or ends with a setting of its own.
pub(crate) fn unit_in(cgroup: &str) -> Option<String> {
    let mut lines = cgroup.lines().map(|line| line.splitn(3, ':'));
    let path = lines.find_map(|mut line| {
        let (_, controllers, path) = (line.next()?, line.next()?, line.next()?);
        matches!(controllers, "" | "name=systemd").then_some(path)
    })?;
    let (unit, kind) = path.split('/').rev().find_map(|name| {
        let (_, kind) = name.rsplit_once('.')?;
        matches!(kind, "service" | "scope").then_some((name, kind))
    })?;
    (kind == "service" && !unit.starts_with("user@")).then(|| unit.to_owned())
}

/// Returns the command that runs this program again, as another step.
fn next(word: &str) -> io::Result<Command> {
    let program = own_program().ok_or_else(|| io::Error::other("this program is gone"))?;
    let mut command = Command::new(program);
    command.arg0(NAME).arg(word);
    Ok(command)
}

/// Takes a signal without doing anything.
fn handle(signal: Signal) -> io::Result<()> {
    signal_hook::flag::register(signal.as_raw(), Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::unit_in;

    #[test]
    fn a_unit_that_can_be_stopped_is_told_from_a_session() {
        for (cgroup, expected) in [
            ("0::/\n", None),
            ("", None),
            (
                "0::/system.slice/ci-runner.service\n",
                Some("ci-runner.service"),
            ),
            (
                "3:cpu:/\n1:name=systemd:/system.slice/ci.service\n",
                Some("ci.service"),
            ),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
                None,
            ),
            ("0::/user.slice/user-1000.slice/user@1000.service\n", None),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/dev.service/child\n",
                Some("dev.service"),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope\n",
                None,
            ),
            ("0::/system.slice/docker-0123.scope\n", None),
        ] {
            assert_eq!(unit_in(cgroup).as_deref(), expected, "{cgroup}");
        }
    }
}
