//! The signals that an action may send.

/// A signal that an action may send; SIGKILL is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM
    Term,
    /// SIGINT
    Int,
    /// SIGHUP
    Hup,
    /// SIGQUIT
    Quit,
    /// SIGUSR1
    Usr1,
    /// SIGUSR2
    Usr2,
}

impl Signal {
    /// All of them, by the name used in files.
    pub const ALL: [(&'static str, Self); 6] = [
        ("TERM", Self::Term),
        ("INT", Self::Int),
        ("HUP", Self::Hup),
        ("QUIT", Self::Quit),
        ("USR1", Self::Usr1),
        ("USR2", Self::Usr2),
    ];

    /// `TERM`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Hup => "HUP",
            Self::Quit => "QUIT",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
        }
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
