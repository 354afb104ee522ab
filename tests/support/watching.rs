//! `watch -o ndjson` under way, its changes read one by one.

use std::process::Stdio;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::process::Running;
use super::scene::Scene;
use super::waiting::{LIMIT, Lines};

/// A stream of changes; ended when dropped.
pub struct Watching {
    running: Running,
    lines: Lines,
}

impl Watching {
    /// Watches what the words say, in this scene.
    pub fn start(scene: &Scene, words: &[&str]) -> Self {
        let mut command = scene.command(&[&["watch", "-o", "ndjson"], words].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let stdout = running.child().stdout.take().expect("stdout is piped");
        let lines = Lines::of(stdout);
        Self { running, lines }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The next change; panics where none comes any more.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let line = self.lines.next().expect("another change comes");
        serde_json::from_str(&line).expect("a line is JSON")
    }

    /// Every change up to the first one of which this is true.
    #[track_caller]
    pub fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut passed = Vec::new();
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < LIMIT, "it never came: {passed:#?}");
            let change = self.next();
            let last = holds(&change);
            passed.push(change);
            if last {
                return passed;
            }
        }
    }

    /// The first change in which this service is in this state.
    #[track_caller]
    pub fn until_state(&mut self, service: &str, state: &str) -> Value {
        let mut passed = self.until(|change| change["name"] == service && change["state"] == state);
        passed.pop().expect("it was waited for")
    }

    /// Every change up to the first one in which a service is stopped; panics where one is unhealthy before.
    #[track_caller]
    pub fn until_stopped(&mut self) -> Vec<Value> {
        let ends = self.until(|change| change["state"] == "stopped");
        let failed = |change: &Value| change["state"] == "unhealthy";
        assert!(!ends.iter().any(failed), "it has not failed: {ends:#?}");
        ends
    }

    /// Ends it by SIGTERM; returns every change that was not read yet.
    #[track_caller]
    pub fn rest(mut self) -> Vec<Value> {
        self.running.stop(Signal::TERM);
        std::iter::from_fn(|| self.lines.next())
            .map(|line| serde_json::from_str(&line).expect("a line is JSON"))
            .collect()
    }

    /// Ends it as a user would, by a signal; gives its exit code.
    pub fn end(mut self, signal: Signal) -> Option<i32> {
        self.running.stop(signal).code()
    }
}
