//! Services that healthctl starts in a test: they outlive it, so the test ends them.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::faulty::VARIABLE;
use super::process::free_port;
use super::scene::Scene;

/// The environment variable that tells whose they are.
pub const MARK: &str = "STARTED_IN";

/// The entry of a misbehaving service that healthctl can start, on a port that was free a moment ago.
pub struct Startable {
    name: &'static str,
    port: u16,
    words: String,
    more: String,
    profile: &'static str,
    /// What a shell that runs it does beside it; it is run without one where this is empty.
    shell: &'static str,
}

impl Startable {
    /// One of this name that does as the words say; see [`FaultyService`](super::faulty::FaultyService).
    pub fn new(name: &'static str, words: &str) -> Self {
        Self {
            name,
            port: free_port(),
            words: words.to_owned(),
            more: String::new(),
            profile: "hephaestus",
            shell: "",
        }
    }

    /// Its start command leaves it in the background and ends, as daemons are started.
    pub fn in_background(mut self) -> Self {
        self.shell = "& sleep 0.1";
        self
    }

    /// A shell stays between it and healthctl.
    pub fn under_a_shell(mut self) -> Self {
        self.shell = "; exit 0";
        self
    }

    /// It follows another profile.
    pub fn of_profile(mut self, profile: &'static str) -> Self {
        self.profile = profile;
        self
    }

    /// With more keys.
    pub fn with(mut self, more: &str) -> Self {
        self.more.push_str(more);
        self
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn entry(&self, folder: &Path, test: &str) -> String {
        let program = std::env::current_exe().expect("this binary has a path");
        let (program, folder) = (program.display(), folder.display());
        let command = if self.shell.is_empty() {
            format!("\"{program}\", --exact, \"{test}\", --ignored, --nocapture")
        } else {
            format!(
                "sh, -c, \"'{program}' --exact '{test}' --ignored --nocapture {}\"",
                self.shell
            )
        };
        format!(
            "  {name}:\n    profile: {profile}\n    url: http://127.0.0.1:{port}\n    start:\n      \
             command: [{command}]\n      \
             env: {{{VARIABLE}: \"alone port={port} {words}\", {MARK}: \"{folder}\"}}\n      \
             log: logs/{name}.log\n      ready_timeout: 30s\n{more}",
            name = self.name,
            profile = self.profile,
            port = self.port,
            words = self.words,
            more = self.more,
        )
    }
}

/// The script of [`Scripted`]; its head says what it does.
const SCRIPT: &str = include_str!("script.py");

/// A service in Python that healthctl can start, and its scene: see `script.py`.
pub struct Scripted {
    stage: Stage,
    port: u16,
}

impl Scripted {
    /// A service `api` with these words of the script and more keys, a line each.
    pub fn new(words: &str, more: &str) -> Self {
        let (scene, port) = (Scene::new(), free_port());
        scene.write("script.py", SCRIPT);
        for pipe in ["boot", "end"] {
            let path = scene.path().join(pipe);
            let made = Command::new("mkfifo").arg(path).status();
            assert!(made.expect("mkfifo can be run").success());
        }
        let words: String = words
            .split(' ')
            .filter(|it| !it.is_empty())
            .fold(String::new(), |all, word| format!("{all}, {word}"));
        let folder = scene.path().display();
        let more = more.replace('\n', "\n    ");
        let entry = format!(
            "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:{port}\n    interval: 50ms\n    \
             start: {{command: [python3, script.py, \"{port}\"{words}], env: {{{MARK}: \"{folder}\"}}}}\n    {more}\n"
        );
        scene.write("healthctl.yaml", &entry);
        let stage = Stage::of(scene);
        Self { stage, port }
    }

    /// Its scene.
    pub fn scene(&self) -> &Scene {
        self.stage.scene()
    }

    /// Its stage.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The command that starts it by hand, as its inventory has it.
    pub fn by_hand(&self, words: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command
            .args(["script.py", &self.port.to_string()])
            .args(words)
            .current_dir(self.scene().path())
            .env(MARK, self.scene().path());
        command
    }

    /// Lets it go on that waits at this pipe; waits until it does wait there.
    pub fn release(&self, pipe: &str) {
        let path = self.scene().path().join(pipe);
        let opened = std::fs::OpenOptions::new().write(true).open(path);
        drop(opened.expect("a pipe can be opened"));
    }
}

/// A scene with services that can be started; all that were are ended with it.
pub struct Stage {
    scene: Scene,
}

impl Stage {
    /// A scene with these services; `test` is the full name of the test that calls
    /// [`serve_if_asked`](super::faulty::serve_if_asked).
    pub fn new(test: &str, services: &[&Startable]) -> Self {
        let scene = Scene::new();
        let entries: Vec<String> = services
            .iter()
            .map(|service| service.entry(scene.path(), test))
            .collect();
        scene.write(
            "healthctl.yaml",
            &format!("services:\n{}", entries.concat()),
        );
        Self { scene }
    }

    /// This scene, whose inventory gives [`MARK`], with the scene's path, to all that it starts.
    pub fn of(scene: Scene) -> Self {
        Self { scene }
    }

    /// The scene.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The pids of all that were started in it and still run, lowest first.
    pub fn running(&self) -> Vec<u32> {
        let wanted = format!("{MARK}={}", self.scene.path().display());
        let carries = |pid: &u32| {
            environment_of(*pid)
                .split(|byte| *byte == 0)
                .any(|it| it == wanted.as_bytes())
        };
        let entries = std::fs::read_dir("/proc").expect("/proc can be listed");
        let mut pids: Vec<u32> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(carries)
            .collect();
        pids.sort_unstable();
        pids
    }

    /// The record of a service, where there is one.
    pub fn record(&self, name: &str) -> Option<Value> {
        let path = self.record_path(name)?;
        // A stop may have removed it meanwhile.
        let text = std::fs::read_to_string(path).ok()?;
        Some(serde_json::from_str(&text).expect("a record is JSON"))
    }

    /// Where it stands.
    pub fn record_path(&self, name: &str) -> Option<PathBuf> {
        let folder = self.scene.path().join("state/healthctl/services");
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| {
            let file = path.file_name().and_then(|name| name.to_str());
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending == Some("json") && file.is_some_and(|file| file.starts_with(&format!("{name}-")))
        })
    }
}

/// The environment of a process; empty where it has none, or has ended. While a process executes another program, it has
/// none for a moment, so that it is read again then.
fn environment_of(pid: u32) -> Vec<u8> {
    let read = || std::fs::read(format!("/proc/{pid}/environ"));
    while read().is_ok_and(|environment| environment.is_empty()) && is_in_execve(pid) {
        std::thread::yield_now();
    }
    // It may have come to its end between the two looks.
    read().unwrap_or_default()
}

/// Whether a process has memory and not yet an environment: it executes another program just now.
fn is_in_execve(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    // The state is the third field of the line.
    let mut fields = fields.split_ascii_whitespace();
    let (memory, environment_end) = (fields.nth(23 - 3), fields.nth(51 - 23 - 1));
    memory.is_some_and(|size| size != "0") && environment_end == Some("0")
}

impl Drop for Stage {
    fn drop(&mut self) {
        for pid in self.running() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // It may have ended just now.
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}
