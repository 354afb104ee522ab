//! The binary carrying out an action, watched while it does.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::process::Running;
use super::scene::Ran;

/// A run of the binary whose account on stderr is read line by line.
pub struct Acting {
    running: Running,
    account: BufReader<ChildStderr>,
    told: String,
}

impl Acting {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let account = running.child().stderr.take().expect("stderr is piped");
        Self {
            running,
            account: BufReader::new(account),
            told: String::new(),
        }
    }

    /// Waits until it tells a line with this text; panics where it ends before.
    pub fn until(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            let length = self.account.read_line(&mut line).expect("stderr is text");
            assert_ne!(
                length, 0,
                "it ended before it told {text:?}; it told:\n{}",
                self.told
            );
            self.told.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Whether it goes on.
    pub fn goes_on(&mut self) -> bool {
        self.running.ended().is_none()
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        let pid = i32::try_from(self.running.pid()).expect("a pid is small");
        kill_process(Pid::from_raw(pid).expect("a pid is not zero"), Signal::INT)
            .expect("it can be interrupted");
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(mut self) {
        self.running.stop(Signal::KILL);
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let mut stderr = self.told;
        self.account
            .read_to_string(&mut stderr)
            .expect("stderr is text");
        let mut stdout = String::new();
        let output = self.running.child().stdout.take();
        output
            .expect("stdout is piped")
            .read_to_string(&mut stdout)
            .expect("stdout is text");
        Ran {
            stdout,
            stderr,
            code: self.running.wait().code().unwrap_or(-1),
        }
    }
}
