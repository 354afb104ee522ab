//! The process group of a command, and whoever has left it: all of it ends with the command, and with us.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::process::Child;

use crate::host::offspring::{self, Mark};
use crate::host::signals::end_group;

/// The commands of this process. What runs in a task may not live long enough to be dropped when we are told to end.
static COMMANDS: Mutex<State> = Mutex::new(State {
    ending: false,
    starting: 0,
    started: Vec::new(),
});

/// Told whenever none is being started.
static STARTED: Condvar = Condvar::new();

/// Whoever has left the group of a command is looked for no longer than this; it takes a few milliseconds.
const SEARCH: Duration = Duration::from_secs(10);

/// At our own end, where somebody waits for it, it takes no longer than this for all commands together.
const AT_THE_END: Duration = Duration::from_secs(1);

/// One that hangs while it is started (a file system that is away) must not hold up our own end.
const PATIENCE: Duration = Duration::from_millis(500);

struct State {
    /// None is started any more.
    ending: bool,
    /// So many are being started.
    starting: usize,
    /// What is under way, or of which something may be left.
    started: Vec<Started>,
}

/// A command that was started.
struct Started {
    /// Its group, as long as that was not ended.
    group: Option<Pid>,
    /// Tells its offspring, wherever that went.
    mark: Mark,
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
        let left = std::mem::take(&mut commands.started);
        drop(commands);
        for group in left.iter().filter_map(|started| started.group) {
            end_group(group);
        }
        let marks: Vec<Mark> = left.into_iter().map(|started| started.mark).collect();
        offspring::end(&marks, Instant::now() + AT_THE_END);
    }
}

/// The group that a child leads, and whatever has left it; all of it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Group(Option<Mark>);

impl Group {
    /// The group of a child that was started as its leader, with this text in its environment.
    pub(super) fn of(child: &Child, text: String) -> Self {
        let pid = child.id();
        let mark = Mark::new(text, pid.unwrap_or(0));
        let group = pid
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        commands().started.push(Started {
            group,
            mark: mark.clone(),
        });
        Self(Some(mark))
    }

    /// Ends the group itself. As long as its leader was not waited for, its number cannot be anybody else's.
    pub(super) fn kill(&self) {
        let mut commands = commands();
        let known = |started: &&mut Started| Some(&started.mark) == self.0.as_ref();
        let group = commands.started.iter_mut().find(known);
        if let Some(group) = group.and_then(|started| started.group.take()) {
            end_group(group);
        }
    }

    /// Ends whoever has left the group. That none is found is no failure.
    pub(super) async fn end_offspring(mut self) {
        if let Some(mark) = self.0.take() {
            let _ = tokio::task::spawn_blocking(move || end_offspring(mark)).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // Whoever is dropped with the runtime is seen to at the end of all.
        if let (Some(mark), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || end_offspring(mark));
        }
    }
}

/// It is on record until it is done: our own end must not come in between.
fn end_offspring(mark: Mark) {
    let mark = [mark];
    offspring::end(&mark, Instant::now() + SEARCH);
    commands()
        .started
        .retain(|started| !mark.contains(&started.mark));
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
