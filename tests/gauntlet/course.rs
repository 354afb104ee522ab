//! The course that each program runs, and what came of each step, as one line that is compared with the table.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::programs::Program;
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;
use crate::support::started::{MARK, Stage};
use crate::support::terminal::Pty;
use crate::support::waiting::wait_until;

/// A program in a folder of its own, with a stranger beside it.
pub(crate) struct Course {
    program: &'static Program,
    stage: Stage,
    port: u16,
    /// Everything of the program that was ever seen, as pid and kernel start.
    seen: BTreeSet<Process>,
    strangers: Vec<Running>,
    terminal: Option<Pty>,
    results: Vec<String>,
    /// The reasons and texts behind the results.
    details: Vec<String>,
}

/// A process: its pid and the kernel's start of it.
type Process = (u32, u64);

impl Course {
    pub(crate) fn new(program: &'static Program) -> Self {
        let (scene, port) = (Scene::new(), free_port());
        let course = Self {
            program,
            strangers: Vec::new(),
            terminal: None,
            seen: BTreeSet::new(),
            results: Vec::new(),
            details: Vec::new(),
            port,
            stage: Stage::of(scene),
        };
        for (path, text) in program.files {
            course.stage.scene().write(path, &course.filled(text));
        }
        for folder in ["run", "logs"] {
            fs::create_dir_all(course.path().join(folder)).expect("a folder can be made");
        }
        course.link_packages();
        if let Some(prepare) = program.prepare {
            let status = course.shell(prepare).status().expect("a shell can be run");
            assert!(status.success(), "{prepare}: {status}");
        }
        let inventory = format!(
            "defaults: {{interval: 500ms, timeout: 10s}}\nservices:\n  {name}:\n    start:\n      command: {command}\n      \
             cwd: {cwd}\n      log: logs/{name}.log\n      ready_timeout: 60s\n{keys}",
            name = program.name,
            command = course.filled(program.command),
            cwd = program.cwd,
            keys = course.filled(program.keys),
        );
        course.stage.scene().write("healthctl.yaml", &inventory);
        course
    }

    /// Runs the program as healthctl starts it, and compares what came of each step.
    pub(crate) fn started_by_healthctl(mut self, expected: &str) {
        self.invite_strangers();
        self.act("start");
        self.check("");
        self.edit();
        self.act("restart");
        if let Some(keeper) = self.recorded("keeper") {
            self.kill("keeper", keeper);
            self.check("");
            self.act("restart");
        }
        if let Some(service) = self.in_pid_file().or_else(|| self.recorded("process")) {
            self.kill_service(service);
            self.check("");
            self.act("start");
        }
        self.act("shutdown");
        self.end(expected);
    }

    /// Runs the program as it is started by hand, and compares what came of each step.
    pub(crate) fn started_by_hand(mut self, expected: &str) {
        self.invite_strangers();
        self.type_command();
        self.check("");
        self.edit();
        self.act("restart");
        self.act("shutdown");
        if self.listens() {
            return self.end(expected);
        }
        self.note("again by hand");
        self.type_command();
        if let Some(service) = self.in_pid_file().or_else(|| self.typed_process()) {
            self.kill_service(service);
            self.check("");
            self.act("start");
            self.act("shutdown");
        }
        self.end(expected);
    }

    /// Runs the program below a supervisor that brings it back, which `prepare` has started.
    pub(crate) fn supervised(mut self, supervisor: &str, expected: &str) {
        self.invite_strangers();
        self.act("start");
        self.check("");
        self.act("restart");
        let service = self.in_pid_file().expect("it has written its pid");
        self.kill_service(service);
        let is_back = |course: &Self| course.listens() && course.in_pid_file() != Some(service);
        self.wait("its supervisor brings it back", is_back);
        self.check("");
        self.act("shutdown");
        assert_eq!(self.recorded("process"), None);
        let file = fs::read_to_string(self.path().join(supervisor));
        let file = file.expect("the supervisor has written its pid");
        let pid = file.trim().parse().expect("a pid is a number");
        self.look();
        signal(pid, Signal::TERM);
        self.end(expected);
    }

    fn path(&self) -> &Path {
        self.stage.scene().path()
    }

    /// Fills the places of this course into a text of the table.
    fn filled(&self, text: &str) -> String {
        let tools = tools();
        text.replace("{port}", &self.port.to_string())
            .replace("{here}", &self.path().display().to_string())
            .replace("{tools}", &tools.display().to_string())
            .replace("{postgres}", &postgres().display().to_string())
    }

    /// Makes the packages of npm those of this project.
    fn link_packages(&self) {
        let packages = tools().join("node/node_modules");
        let here = self.path().join(self.program.cwd).join("node_modules");
        if packages.is_dir() && !here.exists() {
            std::os::unix::fs::symlink(packages, here).expect("a link can be made");
        }
    }

    /// Gives a command what a developer's shell has: the packages in the path, and the mark of this course.
    fn equip(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        let python = tools().join("python/bin");
        let here = self.path();
        command
            .env("PATH", format!("{}:{path}", python.display()))
            .env("VIRTUAL_ENV", tools().join("python"))
            .env(MARK, here)
            .env("HOME", here.join("home"))
            .env("GOCACHE", tools().join("go"))
            // The folder of a course looks like a repository and is none.
            .env("GOFLAGS", "-buildvcs=false")
            .env("UV_NO_SYNC", "1")
            .env("UV_OFFLINE", "1");
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &self.filled(line)]);
        command.current_dir(self.path().join(self.program.cwd));
        self.equip(&mut command);
        command
    }

    /// Starts strangers in another folder: a Python, a Node and a shell, which have nothing to do with the program.
    fn invite_strangers(&mut self) {
        let elsewhere = self.path().join("elsewhere");
        fs::create_dir_all(&elsewhere).expect("a folder can be made");
        let python = tools().join("python/bin/python");
        for (program, arguments) in [
            (python.as_os_str(), ["-c", "import time; time.sleep(600)"]),
            ("node".as_ref(), ["-e", "setTimeout(() => {}, 600000)"]),
            ("sh".as_ref(), ["-c", "read -r line"]),
        ] {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .current_dir(&elsewhere)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let stranger = Running::start(&mut command).expect("a stranger can be started");
            self.strangers.push(stranger);
        }
    }

    fn run(&mut self, words: &[&str]) -> Value {
        let mut command = self.stage.scene().command(words);
        self.equip(&mut command);
        let output = command.output().expect("the binary can be run");
        self.look();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"))
    }

    fn note(&mut self, result: impl Into<String>) {
        self.results.push(result.into());
    }

    /// Notes the state and the flags of the service.
    fn check(&mut self, lead: &str) {
        let report = self.run(&["check", "-o", "json"]);
        let service = &report["services"][0];
        let mut words = vec![service["state"].as_str().unwrap_or_default().to_owned()];
        let flags = service["flags"].as_array().into_iter().flatten();
        words.extend(flags.filter_map(|flag| flag.as_str().map(str::to_owned)));
        self.details.push(service["reasons"].to_string());
        self.note(format!("{lead}{}", words.join(" ")));
    }

    /// Notes the verdict on an action.
    fn act(&mut self, action: &str) {
        let program = self.program.name;
        let results = self.run(&[action, "--yes", "-o", "json", program]);
        let result = &results[0];
        self.details
            .push(format!("{action}: {} {}", result["text"], result["log"]));
        let verdict = result["verdict"].as_str().unwrap_or_default().to_owned();
        if verdict == "refused" {
            let text = format!("{}", result["text"]);
            assert!(
                text.contains("pid "),
                "the refusal names no process: {text}"
            );
        }
        self.note(verdict);
    }

    /// Edits a source, and notes what is said of that once a program that reads its sources by itself has done so.
    fn edit(&mut self) {
        let Some((path, text)) = self.program.edit else {
            return;
        };
        let text = self.filled(text);
        self.stage.scene().write(path, &text);
        if self.program.reloads {
            let (saved, saved_again) = (Cell::new(Instant::now()), Cell::new(false));
            let served_since = Cell::new(None);
            self.wait("the edited source is served", |course| {
                if course.serves("edited") {
                    let since = served_since.get().unwrap_or_else(Instant::now);
                    served_since.set(Some(since));
                    // After another save, a second reload may be under way.
                    return !saved_again.get() || since.elapsed() >= Duration::from_secs(5);
                }
                served_since.set(None);
                if saved.get().elapsed() >= Duration::from_secs(10) {
                    // A reloader takes the files that it sees first for those that run.
                    course.stage.scene().write(path, &text);
                    saved.set(Instant::now());
                    saved_again.set(true);
                }
                false
            });
        }
        self.check("edited: ");
    }

    fn serves(&self, word: &str) -> bool {
        let asked = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
            let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request).ok()?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).ok()?;
            Some(reply)
        };
        asked().is_some_and(|reply| reply.contains(word))
    }

    /// Types the start command into a shell of a terminal of its own, and waits until the program is ready.
    fn type_command(&mut self) {
        if let Some(old) = self.terminal.take() {
            self.close(&old);
        }
        let mut shell = Command::new("bash");
        shell
            .args(["--norc", "--noprofile", "-i"])
            .current_dir(self.path().join(self.program.cwd))
            .env("PS1", "prompt> ");
        self.equip(&mut shell);
        let mut terminal = Pty::start(&shell, 120, 40);
        terminal.wait_for("prompt>");
        terminal.keys(&format!("{}\r", self.filled(self.program.by_hand)));
        self.terminal = Some(terminal);
        wait_for_port(self.port);
        let name = self.program.name;
        let mut command = self
            .stage
            .scene()
            .command(&["check", "--wait", "60s", name]);
        self.equip(&mut command);
        let output = command.output().expect("the binary can be run");
        assert!(output.status.success(), "{output:?}");
        self.look();
    }

    /// Ends the shell, and with it what it still runs in the foreground.
    fn close(&mut self, terminal: &Pty) {
        self.look();
        for child in children(terminal.pid()) {
            signal(child, Signal::KILL);
        }
        signal(terminal.pid(), Signal::KILL);
    }

    /// The process that the shell has started.
    fn typed_process(&self) -> Option<u32> {
        let shell = self.terminal.as_ref()?.pid();
        children(shell).first().copied()
    }

    /// The pid in the pid file of the program.
    fn in_pid_file(&self) -> Option<u32> {
        let path = self.path().join(self.program.pid_file?);
        let text = fs::read_to_string(path).expect("the pid file can be read");
        text.lines().next()?.trim().parse().ok()
    }

    fn kill_service(&mut self, pid: u32) {
        self.kill("service", pid);
        if self.program.workers_follow {
            self.wait("its workers have ended", |course| !course.listens());
        }
    }

    /// A pid in the record of the service.
    fn recorded(&self, part: &str) -> Option<u32> {
        let record = self.stage.record(self.program.name)?;
        u32::try_from(record[part]["pid"].as_u64()?).ok()
    }

    fn kill(&mut self, what: &str, pid: u32) {
        self.look();
        let start = start_of(pid);
        signal(pid, Signal::KILL);
        // Until its parent has taken note of its end, a program that looks at its pid file takes it for running.
        self.wait("the killed process is gone", |_| start_of(pid) != start);
        self.note(format!("{what} killed"));
    }

    fn listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Waits until this holds.
    fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let what = format!("{}: {what}", self.program.name);
        wait_until(&what, || holds(self));
    }

    /// Takes in what runs now of the program: what carries the mark, and all below it.
    fn look(&mut self) {
        let mut found: Vec<u32> = self.stage.running();
        let mut at = 0;
        while at < found.len() {
            for child in children(found[at]) {
                if !found.contains(&child) {
                    found.push(child);
                }
            }
            at += 1;
        }
        let shell = self.terminal.as_ref().map(Pty::pid);
        let found = found.into_iter().filter(|pid| Some(*pid) != shell);
        self.seen
            .extend(found.filter_map(|pid| Some((pid, start_of(pid)?))));
    }

    /// Notes what is left, and whether every stranger lives, and compares all that was noted.
    fn end(mut self, expected: &str) {
        self.look();
        if let Some(terminal) = self.terminal.take() {
            let refused = self.results.iter().any(|result| result == "refused");
            if refused {
                self.close(&terminal);
            } else {
                signal(terminal.pid(), Signal::KILL);
            }
        }
        let lives = |(pid, start): &&Process| start_of(*pid) == Some(*start) && !is_zombie(*pid);
        // What was refused is not to be touched, so it runs on.
        let refused = self
            .results
            .last()
            .is_some_and(|result| result == "refused");
        // What was signalled last may need a moment to end; what is left over then is told.
        let began = Instant::now();
        while !refused
            && self.seen.iter().any(|process| lives(&process))
            && began.elapsed() < Duration::from_secs(60)
        {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let left: Vec<String> = self
            .seen
            .iter()
            .filter(lives)
            .map(|(pid, _)| command_line(*pid))
            .collect();
        for (pid, start) in &self.seen {
            if start_of(*pid) == Some(*start) {
                signal(*pid, Signal::KILL);
            }
        }
        if !left.is_empty() && !refused {
            self.note(format!("LEFT OVER: {}", left.join(", ")));
        }
        if self.strangers.iter_mut().any(|one| one.ended().is_some()) {
            self.note("A STRANGER WAS TOUCHED");
        }
        assert_eq!(self.results.join("; "), expected, "{:#?}", self.details);
    }
}

/// The folder of what the gate installs for these tests.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gauntlet")
}

/// The newest version of PostgreSQL that is installed: its programs stand apart, by version.
fn postgres() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    let programs = programs.filter(|path| path.join("postgres").exists());
    programs.max().expect("postgresql is installed")
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have ended just now.
    let _ = pid.map(|pid| kill_process(pid, signal));
}

/// The fields of /proc/PID/stat behind the name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn start_of(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

fn is_zombie(pid: u32) -> bool {
    stat(pid).is_none_or(|fields| fields.first().is_some_and(|state| state == "Z"))
}

fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc can be listed");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        stat(*pid).and_then(|fields| fields.get(1)?.parse().ok()) == Some(parent)
            && !is_zombie(*pid)
    };
    pids.filter(is_child).collect()
}

fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    format!("pid {pid} ({})", text.trim())
}
