//! The process group of a command: all of it ends with the command, and with us.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The commands of this process. What runs in a task may not live long enough to be dropped when we are told to end.
static COMMANDS: Mutex<State> = Mutex::new(State {
    ending: false,
    starting: 0,
    running: Vec::new(),
});

/// Told whenever none is being started.
static STARTED: Condvar = Condvar::new();

/// One that hangs while it is started (a file system that is away) must not hold up our own end.
const PATIENCE: Duration = Duration::from_millis(500);

struct State {
    /// None is started any more.
    ending: bool,
    /// So many are being started.
    starting: usize,
    /// The groups under way.
    running: Vec<Pid>,
}

fn commands() -> MutexGuard<'static, State> {
    COMMANDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leave to start a command, from before it is started until its group is known: none can slip through at the end.
#[derive(Debug)]
pub(super) struct Leave(());

/// None once we are ending.
pub(super) fn leave() -> Option<Leave> {
    let mut commands = commands();
    if commands.ending {
        return None;
    }
    commands.starting += 1;
    Some(Leave(()))
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut commands = commands();
        commands.starting = commands.starting.saturating_sub(1);
        if commands.starting == 0 {
            STARTED.notify_all();
        }
    }
}

/// Commands may be run as long as this lives. With it ends every command that is under way, and all that it started.
#[derive(Debug)]
#[must_use]
pub(crate) struct Commands(());

impl Commands {
    /// Lets commands be run.
    pub(crate) fn allow() -> Self {
        commands().ending = false;
        Self(())
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let mut commands = commands();
        commands.ending = true;
        let waited = STARTED.wait_timeout_while(commands, PATIENCE, |state| state.starting > 0);
        let (mut commands, _) = waited.unwrap_or_else(PoisonError::into_inner);
        for group in commands.running.drain(..) {
            end(group);
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
        commands().running.extend(leader);
        Self(leader)
    }

    /// Ends it. As long as its leader was not waited for, its number cannot be anybody else's.
    pub(super) fn end(&mut self) {
        let Some(group) = self.0.take() else { return };
        let running = &mut commands().running;
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
