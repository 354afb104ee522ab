//! What can be done, and what can be proved of it.

use crate::health::words_macro as words;

words! {
    /// An action on a service.
    Action {
        /// Ask the service to stop and wait until that is proved.
        Shutdown = "shutdown",
        /// Ask the service to stop and return.
        Schedule = "schedule",
        /// Have the service read its configuration again.
        Reload = "reload",
        /// Start the service and wait until it is ready.
        Start = "start",
        /// Stop the service, start it, and compare the two processes.
        Restart = "restart",
    }
}

/// The result that an action, or one phase of it, is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The process of the service ends.
    Stop,
    /// The process goes on with its configuration read again.
    Reload,
    /// The process, where there is one, ends, and healthctl starts another.
    Start,
    /// Something else puts another process in the place of this one.
    Replace,
}

impl Goal {
    /// Returns the verb for people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Replace => "restart",
            Self::Reload => "reload",
        }
    }
}

words! {
    /// The verdict on an action: what was proved.
    Verdict {
        /// Every address refuses and the process has exited.
        Stopped = "stopped",
        /// Every address refuses; no pid could be known.
        NotListening = "not-listening",
        /// A new process answers, and the old one is gone.
        Restarted = "restarted",
        /// The service was started and is ready.
        Started = "started",
        /// The service was not running; nothing was sent.
        AlreadyStopped = "already-stopped",
        /// The service was running; nothing was done.
        AlreadyRunning = "already-running",
        /// The request was taken; what comes of it is not waited for.
        Accepted = "accepted",
        /// The configuration was read again.
        Reloaded = "reloaded",
        /// The process that answers is the old one.
        SameProcess = "same-process",
        /// The service was asked to stop and goes on answering.
        StillAnswering = "still-answering",
        /// The service stopped, and something started it again.
        GoneThenBack = "gone-then-back",
        /// Nothing tells whether it worked.
        Unverified = "unverified",
        /// The new configuration was refused; the old one is kept.
        ReloadRejected = "reload-rejected",
        /// Some parts were reloaded, others not.
        ReloadPartial = "reload-partial",
        /// The process was to go on and is gone.
        Died = "died",
        /// The service was still draining when the time was up.
        StillDraining = "still-draining",
        /// The service was not ready when the time was up.
        NotReady = "not-ready",
        /// The action was refused; nothing was sent.
        Refused = "refused",
    }
}

impl Verdict {
    /// The exit code that this verdict alone leads to.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Stopped
            | Self::NotListening
            | Self::Restarted
            | Self::Started
            | Self::AlreadyStopped
            | Self::AlreadyRunning
            | Self::Accepted
            | Self::Reloaded => 0,
            Self::SameProcess
            | Self::StillAnswering
            | Self::GoneThenBack
            | Self::Unverified
            | Self::ReloadRejected
            | Self::ReloadPartial
            | Self::Died => 5,
            Self::StillDraining | Self::NotReady => 124,
            Self::Refused => 4,
        }
    }
}

/// The exit code of several actions: the highest of 5, 124, 4, in this order of weight, else 0.
pub fn exit_code(verdicts: impl IntoIterator<Item = Verdict>) -> u8 {
    /// The heaviest first: what was disproved counts more than what took too long.
    const WEIGHTS: [u8; 3] = [5, 124, 4];
    let codes: Vec<u8> = verdicts.into_iter().map(Verdict::exit_code).collect();
    WEIGHTS
        .into_iter()
        .find(|weight| codes.contains(weight))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Verdict, exit_code};

    #[test]
    fn the_heaviest_verdict_gives_the_exit_code() {
        for (verdicts, expected) in [
            ("", 0),
            ("stopped", 0),
            ("stopped already-stopped accepted not-listening", 0),
            ("stopped refused", 4),
            ("refused still-draining stopped", 124),
            ("still-draining still-answering refused", 5),
            ("gone-then-back", 5),
            ("unverified still-draining", 5),
        ] {
            let verdicts = verdicts
                .split_ascii_whitespace()
                .map(|word| Verdict::parse(word).unwrap());
            assert_eq!(exit_code(verdicts), expected);
        }
    }
}
