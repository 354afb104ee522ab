//! Every exit code, in one place.

use std::process::ExitCode;

/// The exit code of the program.
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
    /// A deadline passed before the proof or the condition.
    Deadline,
    /// SIGHUP ended the command, or its terminal has gone.
    HungUp,
    /// SIGINT ended the command.
    Interrupted,
    /// SIGTERM ended the command.
    Terminated,
    /// A code of its own, as that of a panic.
    Code(u8),
}

impl Exit {
    /// Returns the number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Refused => 4,
            Self::Unproved => 5,
            Self::Deadline => 124,
            // 128 and the number of the signal, as a shell reports it.
            Self::HungUp => 129,
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

/// The codes with their meanings, as the README and the help show them.
pub(crate) const TABLE: &[(&str, &str)] = &[
    (
        "0",
        "done; with `--exit-code`: every service is pass or warn",
    ),
    ("1", "with `--exit-code`: at least one service fails"),
    ("2", "wrong usage or inventory"),
    (
        "3",
        "with `--exit-code`: no service fails, but at least one is unknown",
    ),
    (
        "4",
        "an action was refused: protected, read-only, not confirmed, not offered, not its own; nothing was sent to any target",
    ),
    (
        "5",
        "an action ran, but its effect was disproved or could not be verified",
    ),
    (
        "124",
        "a deadline passed: `--wait`; still draining; not ready after a start",
    ),
    (
        "129, 130, 143",
        "hung up, interrupted, terminated; leaving the dashboard by `q` or Ctrl-C is 0",
    ),
];

/// The table for the end of `--help`.
pub(crate) fn help() -> String {
    let lines: Vec<_> = TABLE
        .iter()
        .map(|(codes, meaning)| format!("  {codes:<13} {}", meaning.replace('`', "")))
        .collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::run::tests::readme;

    #[test]
    fn the_table_has_every_code() {
        let codes: Vec<_> = TABLE
            .iter()
            .flat_map(|(codes, _)| codes.split(", "))
            .collect();
        for exit in [
            Exit::Done,
            Exit::Fail,
            Exit::Usage,
            Exit::Unknown,
            Exit::Refused,
            Exit::Unproved,
            Exit::Deadline,
            Exit::HungUp,
            Exit::Interrupted,
            Exit::Terminated,
        ] {
            assert!(
                codes.contains(&exit.code().to_string().as_str()),
                "{exit:?}"
            );
        }
    }

    #[test]
    fn the_readme_shows_the_table() {
        let mut table = String::from("| exit code | meaning |\n| --- | --- |\n");
        for (codes, meaning) in TABLE {
            let _ = writeln!(table, "| {codes} | {meaning} |");
        }
        readme::assert_section("exit codes", &table);
    }
}
