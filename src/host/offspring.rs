//! The offspring of a command, wherever it went: a process can leave its group and its session, but not the environment
//! that it was started with.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Instant;

/// The variable that marks a command and all that it starts.
pub(crate) const VARIABLE: &str = "HEALTHCTL_PROBE";

/// What tells a command and its offspring from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    text: String,
    /// The pid of the command; its offspring came after it.
    leader: u32,
}

/// A value for the variable that nobody else has: the processes of a container are seen from outside it, under other
/// numbers.
pub(crate) fn text() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{random:016x}", std::process::id())
}

impl Mark {
    /// That of the command with this text in its environment and this pid.
    pub(crate) const fn new(text: String, leader: u32) -> Self {
        Self { text, leader }
    }
}

/// Ends every process that carries one of the marks and was started after its command; not all of them where that would
/// take longer than until the deadline.
#[cfg(target_os = "linux")]
pub(crate) fn end(marks: &[Mark], deadline: Instant) {
    // One that is ended may have started another just before, and one that is just being replaced by another program
    // shows no environment for a moment. Nothing takes longer than this many looks but a system that stands still.
    const ROUNDS: usize = 500;
    let wanted: Vec<String> = marks
        .iter()
        .map(|mark| format!("{VARIABLE}={}", mark.text))
        .collect();
    let leaders = marks.iter().map(|mark| mark.leader);
    let (Some(first), Some(last)) = (leaders.clone().min(), leaders.max()) else {
        return;
    };
    let first = if numbers_began_anew(last) { 0 } else { first };
    let mut ended = Vec::new();
    for _ in 0..ROUNDS {
        let mut settled = true;
        for pid in processes().filter(|pid| *pid > first) {
            if ended.contains(&pid) {
                continue;
            }
            // Before its environment is read: one that gets it in between shows it then.
            let is_in_transit = in_transit(pid);
            if carries(pid, &wanted) {
                if kill(pid, &wanted) {
                    ended.push(pid);
                    settled = false;
                }
            } else if is_in_transit {
                settled = false;
            }
        }
        if settled || Instant::now() >= deadline {
            return;
        }
        std::thread::yield_now();
    }
}

/// Elsewhere only the process group of a command can be ended.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end(_marks: &[Mark], _deadline: Instant) {}

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
fn carries(pid: u32, wanted: &[String]) -> bool {
    // Others' processes cannot be read, nor can ours be theirs.
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|it| wanted.iter().any(|wanted| it == wanted.as_bytes()))
    })
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

/// Ends the process with this pid, where it carries one of the marks.
#[cfg(target_os = "linux")]
fn kill(pid: u32, wanted: &[String]) -> bool {
    use rustix::process::{Pid, Signal};
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let carries = || carries(pid, wanted);
    raw.is_some_and(|raw| super::signals::send_if(raw, Signal::KILL, carries).is_ok())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::{Instant, Mark, VARIABLE, end, lacks_environment, text};

    fn start(mark: &str) -> Child {
        let mut command = Command::new("sleep");
        let child = command.arg("20").env(VARIABLE, mark).spawn();
        child.expect("it can be run")
    }

    fn end_those(texts: &[&String]) {
        let marks = texts.iter();
        let marks: Vec<Mark> = marks
            .map(|text| Mark::new((*text).clone(), std::process::id()))
            .collect();
        end(&marks, Instant::now() + Duration::from_secs(60));
    }

    #[test]
    fn those_that_carry_a_mark_are_ended_and_no_others() {
        let (ours, too, other) = (text(), text(), text());
        assert_ne!(ours, other);
        let (mut first, mut second, mut third) = (start(&ours), start(&too), start(&other));
        end_those(&[]);
        assert_eq!(first.try_wait().unwrap(), None);
        end_those(&[&ours, &too]);
        assert_eq!(first.wait().unwrap().signal(), Some(9));
        assert_eq!(second.wait().unwrap().signal(), Some(9));
        assert_eq!(third.try_wait().unwrap(), None);
        third.kill().unwrap();
        third.wait().unwrap();
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
            let ours = text();
            let mut child = start(&ours);
            end_those(&[&ours]);
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
    }
}
