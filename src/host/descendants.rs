//! The descendants of a command, in whatever process group: a process can leave its group and its session, but not the
//! environment that it was started with.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Instant;

/// The environment variable that tags a command and its descendants.
pub(crate) const VARIABLE: &str = "HEALTHCTL_PROBE";

/// The tag of a command and its descendants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandTag {
    pub(crate) value: String,
    /// The pid of the command; its descendants were started after it.
    pub(crate) leader: u32,
}

/// Returns a unique value for the variable. The pid alone is not unique: the processes of a container are visible from
/// outside it, under other pids.
pub(crate) fn new_value() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{random:016x}", std::process::id())
}

/// Kills every process that has one of the tags and was started after its command. At the deadline it stops, whether
/// all have been killed or not.
#[cfg(target_os = "linux")]
pub(crate) fn kill_tagged(tags: &[CommandTag], deadline: Instant) {
    // A killed process may have started another one just before, and a process in `execve` has no environment for a
    // moment. So many rounds are enough on any system that makes progress.
    const ROUNDS: usize = 500;
    let wanted: Vec<String> = tags
        .iter()
        .map(|tag| format!("{VARIABLE}={}", tag.value))
        .collect();
    let leaders = tags.iter().map(|tag| tag.leader);
    let (Some(first), Some(last)) = (leaders.clone().min(), leaders.max()) else {
        return;
    };
    let first = if pids_wrapped_around(last) { 0 } else { first };
    let mut killed = Vec::new();
    for _ in 0..ROUNDS {
        let mut settled = true;
        for pid in super::process::pids().filter(|pid| *pid > first) {
            if pid == std::process::id() || killed.contains(&pid) {
                continue;
            }
            // Checked before the environment is read: a process that gets one in between is found by the second check.
            let is_in_execve = is_in_execve(pid);
            if is_tagged(pid, &wanted) {
                if kill(pid, &wanted) {
                    killed.push(pid);
                    settled = false;
                }
            } else if is_in_execve {
                settled = false;
            }
        }
        if settled || Instant::now() >= deadline {
            return;
        }
        std::thread::yield_now();
    }
}

/// Does nothing: elsewhere only the process group of a command can be killed.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_tagged(_tags: &[CommandTag], _deadline: Instant) {}

/// Returns whether pids have wrapped around since this one was assigned.
#[cfg(target_os = "linux")]
fn pids_wrapped_around(since: u32) -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let latest = load.split_ascii_whitespace().last();
    latest
        .and_then(|pid| pid.parse::<u32>().ok())
        .is_none_or(|latest| latest < since)
}

#[cfg(target_os = "linux")]
fn is_tagged(pid: u32, wanted: &[String]) -> bool {
    // The processes of other users cannot be read, and they are no descendants.
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|it| wanted.iter().any(|wanted| it == wanted.as_bytes()))
    })
}

/// Returns whether the process is executing `execve`: it has memory, and no environment in it yet.
#[cfg(target_os = "linux")]
fn is_in_execve(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| lacks_environment(&String::from_utf8_lossy(&stat)))
}

/// Reads `/proc/PID/stat` (proc(5)): field 23 is the size of the memory, 51 the end of the environment.
#[cfg(target_os = "linux")]
fn lacks_environment(stat: &str) -> bool {
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    // Field 3 follows the name.
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
    field(23).is_some_and(|size| size != "0") && field(51) == Some("0")
}

/// Kills the process of this pid if it has one of the tags.
#[cfg(target_os = "linux")]
fn kill(pid: u32, wanted: &[String]) -> bool {
    use rustix::process::{Pid, Signal};
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let is_tagged = || is_tagged(pid, wanted);
    raw.is_some_and(|raw| super::signals::send_if(raw, Signal::KILL, is_tagged).is_ok())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::{CommandTag, Instant, VARIABLE, kill_tagged, lacks_environment, new_value};

    fn start(tag: &str) -> Child {
        let mut command = Command::new("sleep");
        let child = command.arg("20").env(VARIABLE, tag).spawn();
        child.expect("it can be run")
    }

    fn kill_all(values: &[&String]) {
        let tags = values.iter();
        let tags: Vec<CommandTag> = tags
            .map(|value| CommandTag {
                value: (*value).clone(),
                leader: std::process::id(),
            })
            .collect();
        kill_tagged(&tags, Instant::now() + Duration::from_secs(60));
    }

    #[test]
    fn tagged_processes_are_killed_and_no_others() {
        let (ours, too, other) = (new_value(), new_value(), new_value());
        assert_ne!(ours, other);
        let (mut first, mut second, mut third) = (start(&ours), start(&too), start(&other));
        kill_all(&[]);
        assert_eq!(first.try_wait().unwrap(), None);
        kill_all(&[&ours, &too]);
        assert_eq!(first.wait().unwrap().signal(), Some(9));
        assert_eq!(second.wait().unwrap().signal(), Some(9));
        assert_eq!(third.try_wait().unwrap(), None);
        third.kill().unwrap();
        third.wait().unwrap();
    }

    #[test]
    fn only_a_process_in_execve_has_memory_without_an_environment() {
        let stat = |size: &str, end: &str| {
            let mut fields: Vec<&str> = vec!["1"; 50];
            fields[0] = "R";
            fields[23 - 3] = size;
            fields[51 - 3] = end;
            format!("12 (a) b) {}", fields.join(" "))
        };
        for (size, end, expected) in [
            ("4096", "0", true),
            ("4096", "140723", false),
            // A kernel thread or a zombie.
            ("0", "0", false),
        ] {
            assert_eq!(
                lacks_environment(&stat(size, end)),
                expected,
                "{size} {end}"
            );
        }
        assert!(!lacks_environment("12 (a"));
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(!lacks_environment(&own));
    }

    #[test]
    fn a_process_that_is_just_being_started_is_killed() {
        for _ in 0..200 {
            let ours = new_value();
            let mut child = start(&ours);
            kill_all(&[&ours]);
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
    }
}
