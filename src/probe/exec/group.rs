//! The process group of a command, and descendants that have left it: all of them end with the command, and with us.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::process::Child;

use crate::host::ProcessEnd;
use crate::host::descendants::{self, CommandTag};
use crate::host::signals::end_group;

/// The commands of this process. A task may not live long enough to drop its command when we are told to end.
static COMMANDS: Mutex<CommandRegistry> = Mutex::new(CommandRegistry {
    ending: false,
    starting: 0,
    started: Vec::new(),
});

/// Notified whenever no command is being started.
static STARTED: Condvar = Condvar::new();

/// The longest search for descendants that have left the group; it usually takes a few milliseconds.
const SEARCH: Duration = Duration::from_secs(10);

/// The longest search for the descendants of all commands at our own end, for which somebody waits.
const SEARCH_AT_EXIT: Duration = Duration::from_secs(1);

/// The longest wait, at our own end, for commands that are being started: a start may block on a file system.
const START_WAIT: Duration = Duration::from_millis(500);

struct CommandRegistry {
    ending: bool,
    /// The number of commands that are being started.
    starting: usize,
    /// Commands that run, or of which processes may be left.
    started: Vec<StartedGroup>,
}

/// A command that was started.
struct StartedGroup {
    /// The process group, until it was ended.
    group: Option<Pid>,
    /// The tag by which descendants are found.
    tag: CommandTag,
}

fn commands() -> MutexGuard<'static, CommandRegistry> {
    COMMANDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The permit to start a command, held until its group is known, so that no command is missed at our end.
#[derive(Debug)]
pub(super) struct StartPermit(());

/// Returns a permit, or `None` once we are ending.
pub(super) fn permit_start() -> Option<StartPermit> {
    let mut commands = commands();
    if commands.ending {
        return None;
    }
    commands.starting += 1;
    Some(StartPermit(()))
}

impl Drop for StartPermit {
    fn drop(&mut self) {
        let mut commands = commands();
        commands.starting = commands.starting.saturating_sub(1);
        if commands.starting == 0 {
            STARTED.notify_all();
        }
    }
}

/// The guard of all commands. Dropping it ends every running command and its descendants.
#[derive(Debug)]
#[must_use]
pub(crate) struct Commands(());

impl Commands {
    /// Permits commands to run.
    pub(crate) fn allow() -> Self {
        commands().ending = false;
        Self(())
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let mut commands = commands();
        commands.ending = true;
        let waited = STARTED.wait_timeout_while(commands, START_WAIT, |state| state.starting > 0);
        let (mut commands, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let left = std::mem::take(&mut commands.started);
        drop(commands);
        for group in left.iter().filter_map(|started| started.group) {
            end_group(group);
        }
        let tags: Vec<CommandTag> = left.into_iter().map(|started| started.tag).collect();
        descendants::kill_tagged(&tags, Instant::now() + SEARCH_AT_EXIT);
    }
}

/// The group that a child leads, and the descendants that have left it. Dropping it ends all of them.
#[derive(Debug)]
pub(super) struct CommandGroup(Option<CommandTag>);

impl CommandGroup {
    /// Registers the group of a child that was started as its leader, with this text in its environment.
    pub(super) fn of(child: &Child, text: String) -> Self {
        let pid = child.id();
        let (value, leader) = (text, pid.unwrap_or(0));
        let tag = CommandTag { value, leader };
        let group = pid
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        commands().started.push(StartedGroup {
            group,
            tag: tag.clone(),
        });
        Self(Some(tag))
    }

    /// Kills the group itself. Until its leader is waited for, its number cannot be reused.
    pub(super) fn kill(&self) {
        let mut commands = commands();
        let known = |started: &&mut StartedGroup| Some(&started.tag) == self.0.as_ref();
        let group = commands.started.iter_mut().find(known);
        if let Some(group) = group.and_then(|started| started.group.take()) {
            end_group(group);
        }
    }

    /// Ends the descendants that have left the group, if there are any.
    pub(super) async fn end_descendants(mut self) {
        if let Some(tag) = self.0.take() {
            let _ = tokio::task::spawn_blocking(move || end_tagged(tag)).await;
        }
    }
}

impl Drop for CommandGroup {
    fn drop(&mut self) {
        self.kill();
        // A group that is dropped with the runtime is ended with [`Commands`].
        if let (Some(tag), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || end_tagged(tag));
        }
    }
}

/// Ends descendants. They stay registered until this is done, because our own end may come in between.
fn end_tagged(tag: CommandTag) {
    let tag = [tag];
    descendants::kill_tagged(&tag, Instant::now() + SEARCH);
    commands()
        .started
        .retain(|started| !tag.contains(&started.tag));
}

/// Waits for the end of a child without reaping it, so that its pid is not reused.
pub(super) async fn ended(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let end = pid.and_then(Pid::from_raw).and_then(ProcessEnd::of);
    if let Some(end) = end
        && end.wait().await
    {
        return;
    }
    // There is no descriptor. The status is returned when it is waited for again.
    let _ = child.wait().await;
}
