//! The binary carrying out an action, watched while it does.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::process::Running;
use super::scene::Ran;
use super::waiting::Lines;

/// A run of the binary whose account on stderr is read line by line.
pub struct Acting {
    running: Running,
    stdout: Lines,
    account: Lines,
}

impl Acting {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let stdout = running.child().stdout.take().expect("stdout is piped");
        let account = running.child().stderr.take().expect("stderr is piped");
        Self {
            running,
            stdout: Lines::of(stdout),
            account: Lines::of(account),
        }
    }

    /// Waits until it tells a line with this text; panics where it ends before.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        self.account.until(text, |line| line.contains(text));
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
        self.running.signal(Signal::INT);
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(mut self) {
        self.running.stop(Signal::KILL);
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        Ran {
            stdout: self.stdout.all(),
            stderr: self.account.all(),
            code: self.running.wait().code().unwrap_or(-1),
        }
    }
}
