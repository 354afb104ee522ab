//! Sending a signal to exactly one process, never to whoever has its pid by now.

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::process::{alive, available};
use crate::health::Process;

/// Why a signal was not delivered. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignalError {
    /// It has exited.
    #[error("the process has exited")]
    Gone,
    /// It belongs to someone else.
    #[error("not permitted: the process belongs to another user")]
    NotPermitted,
    /// Pid 1, this process, or a number that is no pid.
    #[error("{0} is never signalled")]
    Never(&'static str),
    /// This system cannot tell a process from its successor.
    #[error("signals are not available here: needs /proc")]
    NotAvailable,
    /// Anything else that the kernel said.
    #[error("{0}")]
    Failed(String),
}

/// Sends the signal to this process.
pub(crate) fn send(process: Process, signal: Signal) -> Result<(), SignalError> {
    deliver(process, Some(signal))
}

/// Whether a signal could be sent to this process.
pub(crate) fn may_send(process: Process) -> Result<(), SignalError> {
    deliver(process, None)
}

fn deliver(process: Process, signal: Option<Signal>) -> Result<(), SignalError> {
    if process.pid <= 1 {
        return Err(SignalError::Never("the init process"));
    }
    if process.pid == std::process::id() {
        return Err(SignalError::Never("healthctl itself"));
    }
    if !available() {
        return Err(SignalError::NotAvailable);
    }
    let pid = i32::try_from(process.pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(SignalError::Never("this pid"))?;
    deliver_to(pid, process, signal).map_err(|errno| match errno {
        Errno::SRCH => SignalError::Gone,
        Errno::PERM => SignalError::NotPermitted,
        other => SignalError::Failed(other.to_string()),
    })
}

/// The descriptor is opened before the start is compared: from then on it stands for one process, whatever
/// becomes of the pid.
#[cfg(target_os = "linux")]
fn deliver_to(pid: Pid, process: Process, signal: Option<Signal>) -> Result<(), Errno> {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => Some(descriptor),
        // A kernel before 5.3.
        Err(Errno::NOSYS) => None,
        Err(errno) => return Err(errno),
    };
    if alive(process) != Some(true) {
        return Err(Errno::SRCH);
    }
    match (signal, descriptor) {
        (Some(signal), Some(descriptor)) => pidfd_send_signal(descriptor, signal),
        (Some(signal), None) => rustix::process::kill_process(pid, signal),
        (None, _) => rustix::process::test_kill_process(pid),
    }
}

#[cfg(not(target_os = "linux"))]
fn deliver_to(pid: Pid, process: Process, signal: Option<Signal>) -> Result<(), Errno> {
    if alive(process) != Some(true) {
        return Err(Errno::SRCH);
    }
    match signal {
        Some(signal) => rustix::process::kill_process(pid, signal),
        None => rustix::process::test_kill_process(pid),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::host::process::process;

    #[test]
    fn init_and_ourselves_are_never_signalled() {
        let one = Process {
            pid: 1,
            start_ticks: 0,
        };
        assert!(matches!(may_send(one), Err(SignalError::Never(_))));
        let own = process(std::process::id()).unwrap().process;
        assert!(matches!(
            send(own, Signal::TERM),
            Err(SignalError::Never(_))
        ));
    }

    #[test]
    fn a_successor_with_the_same_pid_is_left_alone() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let own = process(child.id()).unwrap().process;
        let predecessor = Process {
            start_ticks: own.start_ticks - 1,
            ..own
        };
        assert_eq!(send(predecessor, Signal::TERM), Err(SignalError::Gone));
        assert_eq!(may_send(own), Ok(()));
        assert_eq!(send(own, Signal::TERM), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(send(own, Signal::TERM), Err(SignalError::Gone));
    }
}
