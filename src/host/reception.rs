//! What a signal would do to a process: whether it takes it, ignores it, or would be ended by it.

use rustix::process::Signal;

use crate::health::Process;

use super::process::alive;

/// What a process does with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reception {
    /// It has a handler for it, or waits for it in a way of its own.
    Taken,
    /// It ignores it.
    Ignored,
    /// Nothing: what the kernel does by default ends it.
    Default,
}

/// What this process does with the signal; `None` where that cannot be told.
pub(crate) fn reception(process: Process, signal: Signal) -> Option<Reception> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    let found = parse(&status, u32::try_from(signal.as_raw()).ok()?)?;
    // The pid could have been given to another meanwhile.
    (alive(process) == Some(true)).then_some(found)
}

/// Reads the masks of proc(5): hexadecimal, the lowest bit is signal 1.
fn parse(status: &str, signal: u32) -> Option<Reception> {
    let bit = 1_u64.checked_shl(signal.checked_sub(1)?)?;
    let within = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(u64::from_str_radix(mask.trim(), 16).ok()? & bit != 0)
    };
    let (caught, ignored, blocked) = (within("SigCgt:")?, within("SigIgn:")?, within("SigBlk:")?);
    Some(match (caught, ignored, blocked) {
        // What is blocked is waited for by a thread, or read from a descriptor.
        (true, _, _) | (false, false, true) => Reception::Taken,
        (false, true, _) => Reception::Ignored,
        (false, false, false) => Reception::Default,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_tell_what_becomes_of_a_signal() {
        let status = "Name:\tapi\nSigBlk:\t0000000000000200\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000014a01\n";
        for (signal, expected) in [
            (1, Some(Reception::Taken)),
            (10, Some(Reception::Taken)),
            (13, Some(Reception::Ignored)),
            (12, Some(Reception::Taken)),
            (2, Some(Reception::Default)),
            (0, None),
            (65, None),
        ] {
            assert_eq!(parse(status, signal), expected, "{signal}");
        }
        assert_eq!(parse("Name:\tapi\n", 1), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_knows_nothing_of_signals_is_ended_by_them() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = crate::host::process::process(child.id()).unwrap().process;
        assert_eq!(reception(process, Signal::USR1), Some(Reception::Default));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(reception(process, Signal::USR1), None);
    }
}
