//! `watch -o ndjson` under way, its changes read one by one.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::process::Running;
use super::scene::Scene;

/// What has not come after this long will not come.
const LIMIT: Duration = Duration::from_secs(120);

/// A stream of changes; ended when dropped.
pub struct Watching {
    running: Running,
    lines: Receiver<String>,
}

impl Watching {
    /// Watches what the words say, in this scene.
    pub fn start(scene: &Scene, words: &[&str]) -> Self {
        let mut command = scene.command(&[&["watch", "-o", "ndjson"], words].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let stdout = running.child().stdout.take().expect("stdout is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut all = BufReader::new(stdout).lines().map_while(Result::ok);
            // The test may have ended before the stream.
            all.try_for_each(|line| sender.send(line))
        });
        Self { running, lines }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The next change; panics where none comes any more.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(LIMIT);
        let line = line.unwrap_or_else(|error| panic!("no change came: {error}"));
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

    /// Ends it as a user would, by a signal; gives its exit code.
    pub fn end(mut self, signal: Signal) -> Option<i32> {
        self.running.stop(signal).code()
    }
}
