//! `watch -o ndjson` under way, its changes read one by one.

use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::process::Running;
use super::scene::Scene;

/// A stream of changes; ended when dropped.
pub struct Watching {
    running: Running,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    /// Watches what the words say, in this scene.
    pub fn start(scene: &Scene, words: &[&str]) -> Self {
        let mut command = scene.command(&[&["watch", "-o", "ndjson"], words].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let stdout = running.child().stdout.take().expect("stdout is piped");
        Self {
            running,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The next change.
    pub fn next(&mut self) -> Value {
        let line = self.lines.next().expect("the stream goes on");
        serde_json::from_str(&line.expect("a line is text")).expect("a line is JSON")
    }

    /// Every change up to the first one of which this is true.
    pub fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut passed = Vec::new();
        loop {
            let change = self.next();
            let last = holds(&change);
            passed.push(change);
            if last {
                return passed;
            }
        }
    }

    /// The first change in which this service is in this state.
    pub fn until_state(&mut self, service: &str, state: &str) -> Value {
        let mut passed = self.until(|change| change["name"] == service && change["state"] == state);
        passed.pop().expect("it was waited for")
    }

    /// Ends it as a user would, by a signal; gives its exit code.
    pub fn end(mut self, signal: Signal) -> Option<i32> {
        self.running.stop(signal).code()
    }
}
