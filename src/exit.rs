//! Every exit code, in one place.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; with `--exit-code`: every service is pass or warn.
    Done,
    /// With `--exit-code`: at least one fail.
    Fail,
    /// Wrong usage or inventory.
    Usage,
    /// With `--exit-code`: no fail, but at least one unknown.
    Unknown,
    /// An action was refused; nothing was sent to any target.
    Refused,
    /// An action ran, but its effect was disproved or could not be verified.
    Unproved,
    /// A deadline passed.
    Deadline,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// A code that a format or an action has computed.
    Code(u8),
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Refused => 4,
            Self::Unproved => 5,
            Self::Deadline => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Code(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
