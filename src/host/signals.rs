//! Signals: what a process does with one, and the only call that sends one, to exactly one process and never to another that
//! was given its pid since.

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::process::{alive, available, may_signal};
use crate::health::Process;

/// Why a signal was not delivered. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignalError {
    /// The process has exited.
    #[error("the process has exited")]
    Gone,
    /// The process is hidden from this user, so that it cannot be told from another one with its pid.
    #[error("the process is hidden")]
    Hidden,
    /// The process belongs to another user.
    #[error("not permitted: the process belongs to another user")]
    NotPermitted,
    /// The target is pid 1, this process, or a number that is no pid.
    #[error("{0} is never signalled")]
    Never(&'static str),
    /// This system cannot tell a process from its successor.
    #[error("signals are not available here: needs /proc and descriptors for processes")]
    NotAvailable,
    /// The kernel gave another reason.
    #[error("{0}")]
    Failed(String),
}

impl From<Errno> for SignalError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::SRCH => Self::Gone,
            Errno::PERM => Self::NotPermitted,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Exactly one process, held open so that nothing else can ever be reached by it.
#[derive(Debug)]
pub(crate) struct ProcessHandle {
    #[cfg(target_os = "linux")]
    descriptor: std::os::fd::OwnedFd,
}

impl ProcessHandle {
    /// Opens this process.
    ///
    /// # Errors
    /// The process has exited, is never signalled, or this system cannot hold it open.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(process: Process) -> Result<Self, SignalError> {
        use rustix::process::{PidfdFlags, pidfd_open};
        let pid = target(process)?;
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::NOSYS | Errno::INVAL) => return Err(SignalError::NotAvailable),
            opened => opened?,
        };
        // From here on the descriptor stands for one process, whatever becomes of the pid.
        match alive(process) {
            Some(true) => Ok(Self { descriptor }),
            Some(false) => Err(SignalError::Gone),
            None => Err(SignalError::Hidden),
        }
    }

    /// Opens this process.
    ///
    /// # Errors
    /// Always: this system cannot hold a process open.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open(_process: Process) -> Result<Self, SignalError> {
        Err(SignalError::NotAvailable)
    }

    /// Sends the signal.
    ///
    /// # Errors
    /// Why it was not delivered.
    #[cfg(target_os = "linux")]
    pub(crate) fn send(&self, signal: Signal) -> Result<(), SignalError> {
        Ok(rustix::process::pidfd_send_signal(
            &self.descriptor,
            signal,
        )?)
    }

    /// Sends the signal.
    ///
    /// # Errors
    /// Always: there is no handle without a descriptor.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn send(&self, _signal: Signal) -> Result<(), SignalError> {
        Err(SignalError::NotAvailable)
    }
}

/// Checks whether a signal could be sent to this process.
///
/// # Errors
/// Why it could not be.
pub(crate) fn may_send(process: Process) -> Result<(), SignalError> {
    let pid = target(process)?;
    // A process that only `/proc` hides is not gone, and cannot be told from its successor.
    match alive(process) {
        Some(true) => Ok(may_signal(pid)?),
        Some(false) => Err(SignalError::Gone),
        None => Err(SignalError::Hidden),
    }
}

fn target(process: Process) -> Result<Pid, SignalError> {
    if process.pid <= 1 {
        return Err(SignalError::Never("the init process"));
    }
    if process.pid == std::process::id() {
        return Err(SignalError::Never("healthctl itself"));
    }
    if !available() {
        return Err(SignalError::NotAvailable);
    }
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    pid.ok_or(SignalError::Never("this pid"))
}

/// Sends the signal to the process that has this pid, where `is_meant` says that it is the one.
///
/// The descriptor is opened before that is asked: from then on it stands for one process, whatever becomes of the pid.
pub(super) fn send_if(
    pid: Pid,
    signal: Signal,
    is_meant: impl FnOnce() -> bool,
) -> Result<(), Errno> {
    let recipient = Recipient::open(pid)?;
    if !is_meant() {
        return Err(Errno::SRCH);
    }
    recipient.deliver(signal)
}

/// Kills a process of healthctl's own that holds a connection to it, so that its pid cannot be another one's.
pub(crate) fn kill_own(pid: Pid) -> std::io::Result<()> {
    Ok(send_if(pid, Signal::KILL, || true)?)
}

/// Ends a process group of healthctl's own, as far as it has not ended by itself. Its leader must not have been waited for,
/// so that its number cannot be another one's.
pub(crate) fn end_group(group: Pid) {
    let _ = Recipient::Group(group).deliver(Signal::KILL);
}

/// The recipient of a signal.
enum Recipient {
    #[cfg(target_os = "linux")]
    Descriptor(std::os::fd::OwnedFd),
    /// A process of a kernel that has no descriptors for processes (Linux before 5.3).
    Process(Pid),
    Group(Pid),
}

impl Recipient {
    #[cfg(target_os = "linux")]
    fn open(pid: Pid) -> Result<Self, Errno> {
        use rustix::process::{PidfdFlags, pidfd_open};
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Self::Descriptor(descriptor)),
            Err(Errno::NOSYS) => Ok(Self::Process(pid)),
            Err(errno) => Err(errno),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open(pid: Pid) -> Result<Self, Errno> {
        Ok(Self::Process(pid))
    }

    fn deliver(&self, signal: Signal) -> Result<(), Errno> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Descriptor(descriptor) => rustix::process::pidfd_send_signal(descriptor, signal),
            Self::Process(pid) => rustix::process::kill_process(*pid, signal),
            Self::Group(pid) => rustix::process::kill_process_group(*pid, signal),
        }
    }
}

/// The disposition of a signal, as proc(5) tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// The process has a handler for it, or waits for it in another way.
    Handled,
    /// The process ignores it.
    Ignored,
    /// The default action of the kernel, which ends the process.
    Default,
}

/// Returns what this process does with the signal, or `None` when it cannot be read.
pub(crate) fn disposition(process: Process, signal: Signal) -> Option<Disposition> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    let found = disposition_in(&status, u32::try_from(signal.as_raw()).ok()?)?;
    // The pid could have been given to another meanwhile.
    (alive(process) == Some(true)).then_some(found)
}

/// Returns whether this process was started with the signal ignored, or ignores it since.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let signal = u32::try_from(signal).unwrap_or(0);
    disposition_in(&status, signal) == Some(Disposition::Ignored)
}

/// Reads the masks of proc(5): hexadecimal, the lowest bit is signal 1.
fn disposition_in(status: &str, signal: u32) -> Option<Disposition> {
    let bit = 1_u64.checked_shl(signal.checked_sub(1)?)?;
    let within = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(u64::from_str_radix(mask.trim(), 16).ok()? & bit != 0)
    };
    let (caught, ignored, blocked) = (within("SigCgt:")?, within("SigIgn:")?, within("SigBlk:")?);
    Some(match (caught, ignored, blocked) {
        // What is blocked is waited for by a thread, or read from a descriptor.
        (true, _, _) | (false, false, true) => Disposition::Handled,
        (false, true, _) => Disposition::Ignored,
        (false, false, false) => Disposition::Default,
    })
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
            ProcessHandle::open(own),
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
        let opened = ProcessHandle::open(predecessor);
        assert_eq!(opened.err(), Some(SignalError::Gone));
        assert_eq!(may_send(own), Ok(()));
        let handle = ProcessHandle::open(own).unwrap();
        assert_eq!(handle.send(Signal::TERM), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(handle.send(Signal::TERM), Err(SignalError::Gone));
    }

    #[test]
    fn masks_tell_what_becomes_of_a_signal() {
        let status = "Name:\tapi\nSigBlk:\t0000000000000200\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000014a01\n";
        for (signal, expected) in [
            (1, Some(Disposition::Handled)),
            (10, Some(Disposition::Handled)),
            (13, Some(Disposition::Ignored)),
            (12, Some(Disposition::Handled)),
            (2, Some(Disposition::Default)),
            (0, None),
            (65, None),
        ] {
            assert_eq!(disposition_in(status, signal), expected, "{signal}");
        }
        assert_eq!(disposition_in("Name:\tapi\n", 1), None);
    }

    #[test]
    fn a_program_that_knows_nothing_of_signals_is_ended_by_them() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = process(child.id()).unwrap().process;
        assert_eq!(
            disposition(process, Signal::USR1),
            Some(Disposition::Default)
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(disposition(process, Signal::USR1), None);
    }
}
