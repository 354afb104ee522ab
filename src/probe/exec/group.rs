//! The process group of a command: all of it ends with the command, and with us.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The groups under way. What runs in a task may not live long enough to be dropped when we are told to end.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Whether commands may be started. Held open while one is, so that none can slip through at the end.
static GATE: RwLock<bool> = RwLock::new(true);

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leave to start a command; none once we are ending.
pub(super) fn leave() -> Option<RwLockReadGuard<'static, bool>> {
    let gate = GATE.read().unwrap_or_else(PoisonError::into_inner);
    gate.then_some(gate)
}

/// Commands may be run as long as this lives. With it ends every command that is under way, and all that it started.
#[derive(Debug)]
#[must_use]
pub(crate) struct Commands;

impl Commands {
    /// Lets commands be run.
    pub(crate) fn allow() -> Self {
        set_gate(true);
        Self
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        set_gate(false);
        for group in running().drain(..) {
            end(group);
        }
    }
}

/// One that hangs while it is started (a file system that is away) must not hold up our own end.
fn set_gate(open: bool) {
    for _ in 0..100 {
        match GATE.try_write() {
            Ok(mut gate) => {
                *gate = open;
                return;
            }
            Err(TryLockError::Poisoned(gate)) => {
                *gate.into_inner() = open;
                return;
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
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
