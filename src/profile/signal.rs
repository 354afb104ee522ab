//! The signals that an action may send.

/// A signal that an action may send; SIGKILL is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The signal with the name SIGTERM.
    Term,
    /// The signal with the name SIGINT.
    Int,
    /// The signal with the name SIGHUP.
    Hup,
    /// The signal with the name SIGQUIT.
    Quit,
    /// The signal with the name SIGUSR1.
    Usr1,
    /// The signal with the name SIGUSR2.
    Usr2,
}

/// A signal that follows the reply of a route, where the process still runs some time later: `then` of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalAfterReply {
    /// The signal.
    pub signal: Signal,
    /// The time between the reply and the signal.
    pub after: std::time::Duration,
}

impl Signal {
    /// All signals with their names in files.
    pub const ALL: [(&'static str, Self); 6] = [
        ("TERM", Self::Term),
        ("INT", Self::Int),
        ("HUP", Self::Hup),
        ("QUIT", Self::Quit),
        ("USR1", Self::Usr1),
        ("USR2", Self::Usr2),
    ];

    /// Returns the name in files, such as `TERM`.
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, signal)| *signal == self)
            .map_or("", |(name, _)| name)
    }

    /// Reads `TERM` or `SIGTERM`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, signal)| *signal)
    }
}
