//! The offspring of a command, wherever it went: a process can leave its group and its session, but not the environment
//! that it was started with.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The variable that marks a command and all that it starts.
pub(crate) const VARIABLE: &str = "HEALTHCTL_PROBE";

/// A value for it that nobody else has: the processes of a container are seen from outside it, under other numbers.
pub(crate) fn mark() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{random:016x}", std::process::id())
}

/// Ends every process that carries the mark and was started after this one.
#[cfg(target_os = "linux")]
pub(crate) fn end(mark: &str, after: u32) {
    // One that is ended may have started another just before, and one that is just being replaced by another program
    // shows no environment for a moment. Nothing takes longer than this many looks but a system that stands still.
    const ROUNDS: usize = 500;
    let wanted = format!("{VARIABLE}={mark}");
    let first = if numbers_began_anew(after) { 0 } else { after };
    let mut ended = Vec::new();
    for _ in 0..ROUNDS {
        let mut settled = true;
        for pid in processes().filter(|pid| *pid > first) {
            if ended.contains(&pid) {
                continue;
            }
            // Before its environment is read: one that gets it in between shows it then.
            let is_in_transit = in_transit(pid);
            if carries(pid, wanted.as_bytes()) {
                if kill(pid, wanted.as_bytes()) {
                    ended.push(pid);
                    settled = false;
                }
            } else if is_in_transit {
                settled = false;
            }
        }
        if settled {
            return;
        }
        std::thread::yield_now();
    }
}

/// Elsewhere only the process group of a command can be ended.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end(_mark: &str, _after: u32) {}

/// Whether pids have come to their largest and begun at the smallest again since this one was given out.
#[cfg(target_os = "linux")]
fn numbers_began_anew(since: u32) -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let latest = load.split_ascii_whitespace().last();
    latest
        .and_then(|pid| pid.parse::<u32>().ok())
        .is_none_or(|latest| latest < since)
}

#[cfg(target_os = "linux")]
fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = std::process::id();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

#[cfg(target_os = "linux")]
fn carries(pid: u32, wanted: &[u8]) -> bool {
    // Others' processes cannot be read, nor can ours be theirs.
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|it| it == wanted))
}

/// Whether the process is just being replaced by another program: it has memory, and no environment in it yet.
#[cfg(target_os = "linux")]
fn in_transit(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| lacks_environment(&String::from_utf8_lossy(&stat)))
}

/// Reads a line of proc(5): field 23 is the size of its memory, 51 the end of its environment.
#[cfg(target_os = "linux")]
fn lacks_environment(stat: &str) -> bool {
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    // What follows the name begins with field 3.
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
    field(23).is_some_and(|size| size != "0") && field(51) == Some("0")
}

/// The descriptor is opened before the mark is looked at again: from then on it stands for one process.
#[cfg(target_os = "linux")]
fn kill(pid: u32, wanted: &[u8]) -> bool {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok())
        .is_some_and(|descriptor| {
            carries(pid, wanted) && pidfd_send_signal(&descriptor, Signal::KILL).is_ok()
        })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::{VARIABLE, end, lacks_environment, mark};

    #[test]
    fn those_that_carry_the_mark_are_ended_and_no_others() {
        let (ours, other) = (mark(), mark());
        assert_ne!(ours, other);
        let start = |mark: &str| {
            let mut command = Command::new("sleep");
            command.arg("20").env(VARIABLE, mark).spawn().unwrap()
        };
        let (mut first, mut second) = (start(&ours), start(&other));
        end(&ours, std::process::id());
        assert_eq!(first.wait().unwrap().signal(), Some(9));
        assert_eq!(second.try_wait().unwrap(), None);
        second.kill().unwrap();
        second.wait().unwrap();
    }
    #[test]
    fn only_a_process_in_transit_has_memory_without_an_environment() {
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
            // A thread of the kernel, or a zombie.
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
    fn one_that_is_just_being_started_is_not_missed() {
        for _ in 0..200 {
            let ours = mark();
            let mut child = Command::new("sleep")
                .arg("20")
                .env(VARIABLE, &ours)
                .spawn()
                .unwrap();
            end(&ours, std::process::id());
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
    }
}
