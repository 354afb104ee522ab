//! Waits that end: what has not come within [`LIMIT`] fails its test and is named, so that no test hangs.

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What has not come after this long will not come.
pub const LIMIT: Duration = Duration::from_secs(150);

/// Looks again until there is something, and returns it: a process that is not ours gives no event to wait for.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "never: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Looks again until this holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Asks again until the answer is so, and returns that.
#[track_caller]
pub fn ask_until<T: Debug>(ask: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> T {
    let began = Instant::now();
    loop {
        let answer = ask();
        if holds(&answer) {
            return answer;
        }
        assert!(began.elapsed() < LIMIT, "at last: {answer:#?}");
    }
}

/// The lines of a stream, as they come.
pub struct Lines {
    received: Receiver<String>,
    passed: Vec<String>,
}

impl Lines {
    /// Reads the stream until its end, or until the first line after this is dropped.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, received) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stream).lines();
            // The test may have ended before the stream.
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let passed = Vec::new();
        Self { received, passed }
    }

    /// Returns the next line; `None` at the end of the stream.
    #[track_caller]
    pub fn next(&mut self) -> Option<String> {
        match self.received.recv_timeout(LIMIT) {
            Ok(line) => {
                self.passed.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line came after:\n{}", self.passed()),
        }
    }

    /// Returns the first of the next lines that is so; panics where the stream ends before.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let line = self.next();
            let line = line.unwrap_or_else(|| panic!("ended before {what}:\n{}", self.passed()));
            if holds(&line) {
                return line;
            }
            assert!(began.elapsed() < LIMIT, "never {what}:\n{}", self.passed());
        }
    }

    /// Returns the lines that have passed so far.
    pub fn passed(&self) -> String {
        self.passed.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Waits for the end of the stream and returns all of it.
    #[track_caller]
    pub fn all(mut self) -> String {
        while self.next().is_some() {}
        self.passed()
    }
}
