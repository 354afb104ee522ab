//! The process group of a command: all of it ends with the command, and with us.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The groups under way. What runs in a task may not live long enough to be dropped when we are told to end.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every command that is under way, with all that it started.
pub(crate) fn end_all() {
    for group in running().drain(..) {
        end(group);
    }
}

fn end(group: Pid) {
    // It may have ended by itself.
    let _ = kill_process_group(group, Signal::KILL);
}

/// The group that a child leads; ended when dropped.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
    /// The group of a child that was started as its leader.
    pub(super) fn of(child: &Child) -> Self {
        let leader = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        running().extend(leader);
        Self(leader)
    }

    /// Ends it. As long as its leader was not waited for, its number cannot be anybody else's.
    pub(super) fn end(&mut self) {
        let Some(group) = self.0.take() else { return };
        let mut running = running();
        if let Some(index) = running.iter().position(|known| *known == group) {
            running.swap_remove(index);
            end(group);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for the end of a child without taking note of it, so that its number stays its own.
#[cfg(target_os = "linux")]
#[expect(
    deprecated,
    reason = "sound for a descriptor that is owned; its successor is unsafe for all others' sake"
)]
pub(super) async fn ended(child: &mut Child) {
    use rustix::process::{PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    let descriptor = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .and_then(|descriptor| AsyncFd::with_interest(descriptor, Interest::READABLE).ok());
    if let Some(descriptor) = descriptor
        && descriptor.readable().await.is_ok()
    {
        return;
    }
    // A kernel before 5.3, or no descriptor left. What comes of it is told when it is waited for again.
    let _ = child.wait().await;
}

/// Waits for the end of a child.
#[cfg(not(target_os = "linux"))]
pub(super) async fn ended(child: &mut Child) {
    // What comes of it is told when it is waited for again.
    let _ = child.wait().await;
}
