//! Waits for the end of a process that need not be a child.

use rustix::process::Pid;

use super::process::alive;
use crate::health::Process;

/// Waits until exactly this process has ended. Returns false, at once, where that cannot be waited for.
pub(crate) async fn ended(process: Process) -> bool {
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    // The descriptor stands for one process from here on, so that one is asked for which it is.
    let Some(end) = pid.and_then(ProcessEnd::of) else {
        return alive(process) == Some(false);
    };
    alive(process) != Some(true) || end.wait().await
}

/// A descriptor of a process, which can be waited for; where the process is a child, it is not reaped by that.
pub(crate) struct ProcessEnd(
    #[cfg(target_os = "linux")] tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    #[cfg(not(target_os = "linux"))] std::convert::Infallible,
);

#[cfg(target_os = "linux")]
impl ProcessEnd {
    /// Opens the process that has this pid; `None` where the kernel is older than 5.3, or there is no descriptor left.
    #[expect(
        deprecated,
        reason = "sound for a descriptor that is owned; its successor is unsafe for all others' sake"
    )]
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        use rustix::process::{PidfdFlags, pidfd_open};
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE);
        descriptor.ok().map(Self)
    }

    /// Waits until it has ended, and returns whether that could be waited for.
    pub(crate) async fn wait(&self) -> bool {
        self.0.readable().await.is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
impl ProcessEnd {
    pub(crate) fn of(_pid: Pid) -> Option<Self> {
        None
    }

    #[expect(clippy::unused_async, reason = "as where it is available")]
    pub(crate) async fn wait(&self) -> bool {
        match self.0 {}
    }
}
