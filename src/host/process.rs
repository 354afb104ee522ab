//! Processes as the kernel tells of them in `/proc/PID/stat`: whether one is alive, when it started, whose child it is.
//!
//! A pid alone names nobody, because it is given out again: only a pid with its kernel start is a
//! [`Process`]. What cannot be seen is unknown here, never gone.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use crate::health::{LocalProcess, Process};
use crate::text;

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunningProcess {
    pub(crate) process: Process,
    /// The pid of its parent.
    pub(crate) parent: u32,
    /// The name of its program as the kernel keeps it (15 bytes), cleaned.
    pub(crate) name: String,
}

impl std::fmt::Display for RunningProcess {
    /// Writes pid and name: `pid 4711 (api)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {} ({})", self.process.pid, self.name)
    }
}

/// The running process with this pid; `None` where there is none, where it only waits to be reaped, and
/// where this system has no `/proc`.
pub(crate) fn process(pid: u32) -> Option<RunningProcess> {
    let stat = Stat::of(pid)?;
    stat.runs().then(|| stat.running(pid))
}

/// Returns whether exactly this process still runs; `None` where that cannot be told.
pub(crate) fn alive(process: Process) -> Option<bool> {
    match read(process.pid) {
        Ok(Some(stat)) => Some(stat.runs() && stat.start_ticks == process.start_ticks),
        // A process that only `/proc` hides may be this one.
        Err(error) if vanished(&error) => (exists(process.pid) == Some(false)).then_some(false),
        Ok(None) | Err(_) => None,
    }
}

/// Returns when the process started, on the wall clock as it is set now.
pub(crate) fn started_at(process: Process) -> Option<Timestamp> {
    let nanos = i128::from(process.start_ticks).saturating_mul(NANOS) / i128::from(per_second());
    let started = Timestamp::now().as_nanosecond() - (since_boot() - nanos);
    // A tick is 10 ms; what is finer is the time between the two clocks being read.
    Timestamp::from_nanosecond((started + 500_000) / 1_000_000 * 1_000_000).ok()
}

/// Returns the process with its start on the wall clock; `None` where that cannot be told.
pub(crate) fn local_process(process: Process) -> Option<LocalProcess> {
    Some(LocalProcess {
        pid: process.pid,
        started: started_at(process)?,
    })
}

/// Returns the clock ticks since boot: a process whose start is not below was started later.
pub(crate) fn ticks_now() -> u64 {
    u64::try_from(since_boot() * i128::from(per_second()) / NANOS).unwrap_or(0)
}

const NANOS: i128 = 1_000_000_000;

fn per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

/// Returns the nanoseconds since boot.
fn since_boot() -> i128 {
    let since_boot = clock_gettime(ClockId::Boottime);
    i128::from(since_boot.tv_sec) * NANOS + i128::from(since_boot.tv_nsec)
}

/// Returns whether `/proc` can be looked at: only there can a pid be told from its successor.
pub(crate) fn available() -> bool {
    process(std::process::id()).is_some()
}

/// The chain of parents of a process, nearest first; it ends at pid 1, at a gap, or after 64.
pub(crate) fn ancestors(of: Process) -> Vec<Process> {
    let mut found = Vec::new();
    let mut next = process(of.pid).filter(|running| running.process == of);
    while let Some(running) = next {
        if found.len() >= 64 || running.parent == 0 {
            break;
        }
        next = process(running.parent);
        if let Some(parent) = &next {
            found.push(parent.process);
        }
    }
    found
}

/// The process that has loaded the program which this one runs: itself, or the one that it was forked from, as a
/// worker from its master. Itself where that cannot be told.
pub(crate) fn loaded(by: Process) -> Process {
    let Some(own) = image(by) else {
        return by;
    };
    ancestors(by)
        .into_iter()
        .take_while(|ancestor| image(*ancestor) == Some(own))
        .last()
        .unwrap_or(by)
}

/// Returns what tells the program that a process runs from one that it has run before: the place in its memory at which the
/// program was loaded, another one after each `exec`, and the same in a fork. `None` where that cannot be read.
pub(crate) fn image(process: Process) -> Option<u64> {
    let stat = read(process.pid).ok()??;
    (stat.start_ticks == process.start_ticks && stat.stack > 1).then_some(stat.stack)
}

/// Returns the pids of all processes; none where this system has no `/proc`.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the other processes of the session that this process has begun; it may have exited.
pub(crate) fn session_of(leader: Process) -> Vec<RunningProcess> {
    let mut members: Vec<RunningProcess> = pids()
        .filter(|pid| *pid != leader.pid)
        .filter_map(|pid| {
            let stat = Stat::of(pid)?;
            // The number of a session is not given out again while anybody is in it.
            let member =
                stat.session == leader.pid && stat.start_ticks >= leader.start_ticks && stat.runs();
            member.then(|| stat.running(pid))
        })
        .collect();
    members.sort_by_key(|member| member.process.pid);
    members
}

/// Returns the number of the session of exactly this process.
pub(crate) fn session_number(process: Process) -> Option<u32> {
    let stat = read(process.pid).ok()??;
    (stat.start_ticks == process.start_ticks).then_some(stat.session)
}

/// Returns the children of the process with this pid, those that only wait to be reaped as well.
pub(super) fn children(parent: u32) -> Vec<Process> {
    let child = |pid| {
        let stat = Stat::of(pid)?;
        (stat.parent == parent).then_some(Process {
            pid,
            start_ticks: stat.start_ticks,
        })
    };
    pids().filter_map(child).collect()
}

/// Returns all processes that run below this one, which is not among them; those nearest to it first.
pub(crate) fn below(ancestor: Process) -> Vec<RunningProcess> {
    // One that forks and ends while the list is read hides what it has started, so the list has to be the same twice.
    const ROUNDS: usize = 8;
    let mut found = below_at_a_look(ancestor);
    for _ in 0..ROUNDS {
        let again = below_at_a_look(ancestor);
        let is_same = again
            .iter()
            .map(|one| one.process)
            .eq(found.iter().map(|one| one.process));
        found = again;
        if is_same {
            break;
        }
    }
    found
}

fn below_at_a_look(ancestor: Process) -> Vec<RunningProcess> {
    let all: Vec<RunningProcess> = pids().filter_map(process).collect();
    let mut found: Vec<RunningProcess> = Vec::new();
    let mut parents = vec![ancestor.pid];
    // A process that has ended meanwhile, and whose pid another one has, has no children of its own any more.
    while !parents.is_empty() && alive(ancestor) == Some(true) {
        let mut children: Vec<RunningProcess> = all
            .iter()
            .filter(|one| parents.contains(&one.parent))
            .filter(|one| one.process.start_ticks >= ancestor.start_ticks)
            .cloned()
            .collect();
        children.retain(|one| !found.contains(one) && one.process != ancestor);
        children.sort_by_key(|one| one.process.pid);
        parents = children.iter().map(|one| one.process.pid).collect();
        found.append(&mut children);
    }
    found
}

/// Returns the path at which this program can be run again, even where its file was replaced meanwhile.
pub(crate) fn own_program() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        return Some(own.to_owned());
    }
    std::env::current_exe().ok()
}

/// The device and inode of a file.
pub(crate) type FileId = (u64, u64);

/// Returns whether exactly this process holds the file open for writing.
pub(crate) fn holds_for_writing(process: Process, file: FileId) -> bool {
    let directory = PathBuf::from(format!("/proc/{}", process.pid));
    let descriptors = std::fs::read_dir(directory.join("fd"));
    let is_held = |descriptor: std::fs::DirEntry| {
        let is_file = std::fs::metadata(descriptor.path())
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == file);
        is_file
            && std::fs::read_to_string(directory.join("fdinfo").join(descriptor.file_name()))
                .is_ok_and(|info| is_open_for_writing(&info))
    };
    let mut descriptors = descriptors.into_iter().flatten().flatten();
    descriptors.any(is_held) && alive(process) == Some(true)
}

/// Reads `/proc/PID/fdinfo/FD` (proc(5)): the flags of `open` are octal, and the last two bits say reading, writing or both.
fn is_open_for_writing(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 0o3 != 0)
}

/// Returns whether this process is one of several that their parent, the same program in the same process group, has started
/// to share its work. Two copies started by hand, or by healthctl, are not.
pub(crate) fn one_of_a_pool(one: &RunningProcess) -> bool {
    let file = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let group = |pid: u32| Some(Stat::of(pid)?.group);
    let (own, parents) = (file(one.process.pid), file(one.parent));
    one.parent > 1 && own.is_some() && own == parents && group(one.process.pid) == group(one.parent)
}

/// Returns whether the process runs a file that stood at this path and does no longer: another one is in its place, or none.
pub(crate) fn runs_another_file_than(process: Process, path: &Path) -> bool {
    let Ok(runs) = std::fs::read_link(format!("/proc/{}/exe", process.pid)) else {
        return false;
    };
    let wanted = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let text = runs.to_string_lossy();
    text.strip_suffix(" (deleted)")
        .is_some_and(|before| Path::new(before) == wanted)
        && alive(process) == Some(true)
}

/// The fields of a line of `/proc/PID/stat` that are used here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    name: String,
    state: char,
    parent: u32,
    pub(super) group: u32,
    /// 0 where the leader of the session is outside of the pid namespace.
    pub(super) session: u32,
    /// The device number of its controlling terminal; 0 where it has none.
    pub(super) terminal: i64,
    /// The flags of the kernel, `PF_*`.
    pub(super) flags: u64,
    threads: u64,
    start_ticks: u64,
    /// The start of its stack; 0 or 1 where it may not be read.
    stack: u64,
}

impl Stat {
    /// Returns what the kernel says of the process with this pid; `None` where it cannot be read.
    pub(super) fn of(pid: u32) -> Option<Self> {
        read(pid).ok().flatten()
    }

    fn running(&self, pid: u32) -> RunningProcess {
        RunningProcess {
            process: Process {
                pid,
                start_ticks: self.start_ticks,
            },
            parent: self.parent,
            name: text::clean(&self.name, 40),
        }
    }

    /// A zombie has exited, unless only its first thread has: then the others go on serving.
    fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x') || self.threads > 1
    }
}

/// `Ok(None)` is a line that cannot be read, which should not happen and proves nothing.
fn read(pid: u32) -> io::Result<Option<Stat>> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat"))?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Reads a line of `stat`. The program's name may hold spaces, parentheses and line breaks, so what counts
/// is the last `)`.
fn parse(line: &str) -> Option<Stat> {
    let open = line.find('(')?;
    let close = line.rfind(')')?;
    let name = line.get(open + 1..close)?.to_owned();
    let fields: Vec<&str> = line.get(close + 1..)?.split_ascii_whitespace().collect();
    // proc(5) counts from 1 and the state is field 3.
    let field = |number: usize| fields.get(number.checked_sub(3)?).copied();
    Some(Stat {
        name,
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        terminal: field(7)?.parse().ok()?,
        flags: field(9)?.parse().ok()?,
        threads: field(20)?.parse().ok()?,
        start_ticks: field(22)?.parse().ok()?,
        stack: field(28).and_then(|stack| stack.parse().ok()).unwrap_or(0),
    })
}

/// No such file, or the process went away between opening and reading.
fn vanished(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// Returns whether some process has this pid, hidden from `/proc` or not.
fn exists(pid: u32) -> Option<bool> {
    match may_signal(Pid::from_raw(i32::try_from(pid).ok()?)?) {
        Ok(()) | Err(Errno::PERM) => Some(true),
        Err(Errno::SRCH) => Some(false),
        Err(_) => None,
    }
}

/// Returns whether a process with this pid may run that only `/proc` hides from this user.
pub(super) fn is_hidden(pid: u32) -> bool {
    let is_hidden = |error: &io::Error| vanished(error) && exists(pid) != Some(false);
    read(pid).as_ref().err().is_some_and(is_hidden)
}

/// Checks whether a signal could be sent to the process with this pid; sends none.
pub(super) fn may_signal(pid: Pid) -> Result<(), Errno> {
    rustix::process::test_kill_process(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid_and_name: &str, state: char, threads: u64) -> String {
        format!(
            "{pid_and_name} {state} 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 987654 1 2 3"
        )
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fork_runs_what_its_parent_has_loaded() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "(while :; do sleep 300; done) & wait"])
            .spawn()
            .unwrap();
        let child = |of: Process| {
            let path = format!("/proc/{pid}/task/{pid}/children", pid = of.pid);
            loop {
                let children = std::fs::read_to_string(&path).unwrap();
                let first = children.split(' ').next().and_then(|pid| pid.parse().ok());
                if let Some(running) = first.and_then(process) {
                    return running;
                }
                std::thread::yield_now();
            }
        };
        let master = process(shell.id()).unwrap().process;
        let worker = child(master).process;
        let program = loop {
            // Until it runs its own program it is a fork as well.
            let running = child(worker);
            if running.name == "sleep" {
                break running.process;
            }
            std::thread::yield_now();
        };
        assert_eq!(loaded(master), master);
        assert_eq!(loaded(worker), master);
        assert_eq!(loaded(program), program);
        for one in [program, worker] {
            let pid = rustix::process::Pid::from_raw(i32::try_from(one.pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
    }

    #[test]
    fn names_with_spaces_and_parentheses_do_not_shift_the_fields() {
        for name in [
            "sh",
            "a b",
            "tricky) S 1 (x",
            "))((",
            "",
            "Z (defunct)",
            "a\nb",
        ] {
            let stat = parse(&line(&format!("12 ({name})"), 'S', 3)).unwrap();
            assert_eq!(stat.name, name);
            assert_eq!((stat.state, stat.parent), ('S', 7), "{name}");
            assert_eq!((stat.threads, stat.start_ticks), (3, 987_654), "{name}");
        }
    }

    #[test]
    fn only_flags_that_write_are_for_writing() {
        for (info, expected) in [
            ("pos:\t0\nflags:\t0100000\nmnt_id:\t9\n", false),
            ("pos:\t0\nflags:\t0100001\nmnt_id:\t9\n", true),
            ("pos:\t0\nflags:\t02102002\nmnt_id:\t9\n", true),
            ("pos:\t0\n", false),
            ("flags:\tx\n", false),
        ] {
            assert_eq!(is_open_for_writing(info), expected, "{info:?}");
        }
    }

    #[test]
    fn broken_lines_are_no_process() {
        for text in [
            "",
            "12",
            "12 (sh",
            "12 (sh)",
            "12 (sh) S 1",
            ")(",
            "12 (sh) S x y",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_zombie_has_exited_unless_other_threads_go_on() {
        for (state, threads, runs) in [
            ('S', 1, true),
            ('D', 1, true),
            ('T', 1, true),
            ('Z', 1, false),
            ('Z', 2, true),
            ('X', 1, false),
        ] {
            let stat = parse(&line("12 (sh)", state, threads)).unwrap();
            assert_eq!(stat.runs(), runs, "{state} with {threads}");
        }
    }

    #[cfg(target_os = "linux")]
    mod linux {
        use super::super::*;

        #[test]
        fn this_process_is_alive_and_started_before_now() {
            let running = process(std::process::id()).unwrap();
            assert_eq!(alive(running.process), Some(true));
            assert!(running.process.start_ticks <= ticks_now());
            let started = started_at(running.process).unwrap();
            assert!(started <= Timestamp::now());
            assert!(!ancestors(running.process).is_empty());
        }

        #[test]
        fn the_same_pid_with_another_start_is_not_the_process() {
            let mut other = process(std::process::id()).unwrap().process;
            other.start_ticks += 1;
            assert_eq!(alive(other), Some(false));
        }

        #[test]
        fn an_unreaped_child_has_exited() {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let pid = rustix::process::Pid::from_child(&child);
            // Waits for the exit and leaves the zombie where it is.
            rustix::process::waitid(
                rustix::process::WaitId::Pid(pid),
                rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
            )
            .unwrap();
            assert_eq!(process(child.id()), None);
            child.wait().unwrap();
            let gone = Process {
                pid: child.id(),
                start_ticks: 1,
            };
            assert_eq!(alive(gone), Some(false));
        }
    }
}
