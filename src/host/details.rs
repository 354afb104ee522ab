//! What the kernel tells of one process beyond its parent and its start: its words, its program, its terminal, its user.
//!
//! Must not judge anything. What may not be read is `None`, never a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::process::{RunningProcess, Stat, alive, pids, process};
use crate::health::Process;

/// A flag of a process in the kernel's own words: `PF_KTHREAD`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The words that a process was started with, or has written over them, with what is needed to compare them with a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProcessLine {
    /// The words without the empty ones at the end, which a rewritten title leaves behind. Empty where they may not be read.
    pub(crate) words: Vec<String>,
    /// The current directory.
    pub(crate) cwd: Option<PathBuf>,
    /// The file of its program, without the ` (deleted)` of one that was replaced.
    pub(crate) executable: Option<PathBuf>,
    /// The script of npm, pnpm or yarn that it was started by: `npm_lifecycle_event` and `npm_package_json`.
    pub(crate) script: Option<(String, PathBuf)>,
    pub(crate) environment: ProcessEnvironment,
}

/// The environment that a process was started with, as far as it may be seen. It may hold secrets, so it is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ProcessEnvironment(Vec<u8>);

impl ProcessEnvironment {
    /// Returns the value of a variable; `None` where it is not set, or may not be seen.
    pub(crate) fn value(&self, name: &str) -> Option<&[u8]> {
        let mut variables = self.0.split(|byte| *byte == 0);
        variables.find_map(|it| it.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for ProcessEnvironment {
    fn from(variables: &[(&str, &str)]) -> Self {
        let lines = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\0"));
        Self(lines.collect::<String>().into_bytes())
    }
}

impl std::fmt::Debug for ProcessEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessEnvironment(***)")
    }
}

impl ProcessLine {
    /// Returns the command line of exactly this process, as far as it may be seen.
    pub(crate) fn of(process: Process) -> Self {
        let pid = process.pid;
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let target = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).ok();
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = ProcessEnvironment(environment);
        let line = Self {
            words: words(&bytes),
            cwd: target("cwd"),
            executable: target("exe").map(|path| without_deleted(&path)),
            script: script(&environment),
            environment,
        };
        if alive(process) == Some(true) {
            line
        } else {
            Self::default()
        }
    }

    /// Returns the words for people.
    pub(crate) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// Returns the working directory of a process, where it may be seen.
pub(crate) fn directory_of(process: Process) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{}/cwd", process.pid)).ok()
}

fn words(bytes: &[u8]) -> Vec<String> {
    let words = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut words: Vec<String> = words.map(std::borrow::Cow::into_owned).collect();
    // The last word ends with a zero as well.
    if words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    // A title leaves zeros where the words were; a single empty argument is one.
    let filled = words.iter().rposition(|word| !word.is_empty());
    if words.len() > filled.map_or(0, |last| last + 2) {
        words.truncate(filled.map_or(0, |last| last + 1));
    }
    words
}

fn without_deleted(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    text.strip_suffix(" (deleted)")
        .map_or_else(|| path.to_owned(), PathBuf::from)
}

fn script(environment: &ProcessEnvironment) -> Option<(String, PathBuf)> {
    let value = |name: &str| {
        let found = environment.value(name);
        found.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    Some((
        value("npm_lifecycle_event")?,
        value("npm_package_json")?.into(),
    ))
}

/// What decides whether a process may be signalled at all, and with which others it belongs together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProcessTraits {
    /// The number of its process group.
    pub(crate) group: u32,
    /// The number of its session.
    pub(crate) session: u32,
    /// The device number of its controlling terminal; 0 where it has none.
    pub(crate) terminal: i64,
    pub(crate) is_kernel_thread: bool,
    /// Set where it has a pid in a namespace of its own as well, as the processes of a container have.
    pub(crate) is_nested: bool,
    /// The effective user; `None` where it may not be seen.
    pub(crate) user: Option<u32>,
    /// The paths of its control groups, one a line, as `/proc/PID/cgroup` has them.
    pub(crate) control_groups: String,
}

impl ProcessTraits {
    /// Returns the traits of the process with this pid.
    pub(crate) fn of(pid: u32) -> Self {
        let read = |name: &str| {
            let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stat = Stat::of(pid);
        let stat = stat.as_ref();
        let status = read("status");
        let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        let numbers = |key: &str| line(key).map(|line| line.split_ascii_whitespace());
        Self {
            group: stat.map_or(0, |stat| stat.group),
            session: stat.map_or(0, |stat| stat.session),
            terminal: stat.map_or(0, |stat| stat.terminal),
            is_kernel_thread: stat.is_some_and(|stat| stat.flags & KERNEL_THREAD != 0),
            is_nested: numbers("NSpid:").is_some_and(|pids| pids.count() > 1),
            user: numbers("Uid:").and_then(|mut ids| ids.nth(1)?.parse().ok()),
            control_groups: read("cgroup"),
        }
    }
}

/// The processes of this machine at one time, each read when it is first asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessTable {
    known: BTreeMap<u32, Option<RunningProcess>>,
    all: Option<BTreeMap<u32, Vec<u32>>>,
}

impl ProcessTable {
    /// Returns the running process with this pid.
    pub(crate) fn get(&mut self, pid: u32) -> Option<RunningProcess> {
        let found = self.known.entry(pid).or_insert_with(|| process(pid));
        found.clone()
    }

    /// Returns the parents of a process, nearest first; they end at pid 1, at a gap, or after 64.
    pub(crate) fn ancestors(&mut self, of: &RunningProcess) -> Vec<RunningProcess> {
        let mut found: Vec<RunningProcess> = Vec::new();
        let mut next = of.parent;
        while next > 0 && found.len() < 64 {
            let Some(parent) = self.get(next) else {
                break;
            };
            next = parent.parent;
            found.push(parent);
        }
        found
    }

    /// Returns all pids.
    pub(crate) fn pids(&mut self) -> Vec<u32> {
        self.children();
        self.known
            .iter()
            .filter_map(|(pid, running)| running.as_ref().map(|_| *pid))
            .collect()
    }

    /// Returns all that is below a process.
    pub(crate) fn descendants(&mut self, of: u32) -> Vec<RunningProcess> {
        let mut found = Vec::new();
        let mut open = vec![of];
        let mut seen = BTreeSet::from([of]);
        while let Some(pid) = open.pop() {
            let children = self.children().get(&pid).cloned().unwrap_or_default();
            for child in children.into_iter().filter(|child| seen.insert(*child)) {
                open.push(child);
                found.extend(self.get(child));
            }
        }
        found
    }

    fn children(&mut self) -> &BTreeMap<u32, Vec<u32>> {
        if self.all.is_none() {
            let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for pid in pids() {
                if let Some(running) = self.get(pid) {
                    children.entry(running.parent).or_default().push(pid);
                }
            }
            self.all = Some(children);
        }
        self.all.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process::session_number;

    #[test]
    fn words_end_where_a_title_ends() {
        for (bytes, expected) in [
            (&b"node\0server.js\0"[..], &["node", "server.js"][..]),
            (b"npm run dev\0\0\0\0\0\0", &["npm run dev"]),
            (b"sh\0-c\0\0", &["sh", "-c", ""]),
            (b"redis-server *:6379", &["redis-server *:6379"]),
            (b"", &[]),
        ] {
            assert_eq!(words(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_script_is_known_by_both_of_its_variables() {
        let environment = b"A=1\0npm_lifecycle_event=dev\0npm_package_json=/srv/web/package.json\0";
        let expected = Some(("dev".to_owned(), PathBuf::from("/srv/web/package.json")));
        assert_eq!(script(&ProcessEnvironment(environment.to_vec())), expected);
        assert_eq!(
            script(&ProcessEnvironment(b"npm_lifecycle_event=dev\0".to_vec())),
            None
        );
        assert_eq!(
            script(&ProcessEnvironment(
                b"Xnpm_lifecycle_event=dev\0npm_package_json=x\0".to_vec()
            )),
            None
        );
    }

    #[test]
    fn a_replaced_program_keeps_its_path() {
        let path = without_deleted(Path::new("/srv/api (deleted)"));
        assert_eq!(path, Path::new("/srv/api"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_seen_as_it_is() {
        let own = process(std::process::id()).unwrap();
        let line = ProcessLine::of(own.process);
        assert_eq!(line.cwd, std::env::current_dir().ok());
        assert!(!line.words.is_empty() && line.executable.is_some());
        let traits = ProcessTraits::of(own.process.pid);
        assert!(!traits.is_kernel_thread);
        // 0 where the leader of the session is outside of the pid namespace.
        assert_eq!(Some(traits.session), session_number(own.process));
        let mut table = ProcessTable::default();
        let parent = table.ancestors(&own)[0].clone();
        assert!(table.descendants(parent.process.pid).contains(&own));
        assert!(table.pids().contains(&own.process.pid));
    }
}
