//! New process or the same one: the weighing of identity signals.
//!
//! A signal proves *new* by being different, never by being earlier or later. An equal signal proves *same* only where
//! it is strong. Versions and counters support and never prove.

use std::time::Duration;

use super::{Identity, Moment, Process, Start};
use crate::text;

/// The result of comparing two identities: do they belong to the same process?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// A signal proves that the process is a new one.
    New,
    /// A strong signal is equal, and none says new.
    Same,
    /// No signal decides it.
    Unknown,
}

/// The knowledge about the process that answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldProcess {
    /// The old process has exited.
    Gone,
    /// The old process still runs.
    Alive,
    /// The old process was not looked up.
    Unknown,
}

/// The result of a comparison, with what was weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// New, same, or not to be told.
    pub sameness: Sameness,
    /// A line for each signal that could be compared: first those that prove, then those that support.
    pub evidence: Vec<String>,
}

/// The evidence of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    ProvesNew,
    ProvesSame,
    Supports,
}

type IdentitySignal = Option<(Weight, String)>;

impl Identity {
    /// Compares who answered `before` with who answers in `after`, with nothing known of the old process.
    pub fn compare(before: &Self, after: &Self) -> Comparison {
        Self::compare_with(before, after, OldProcess::Unknown)
    }

    /// Compares who answered `before` with who answers in `after`.
    pub fn compare_with(before: &Self, after: &Self, old: OldProcess) -> Comparison {
        let mut signals: Vec<_> = [
            instances(before, after),
            starts(before, after),
            processes(before, after, old),
            versions(before, after),
            counters(before, after),
        ]
        .into_iter()
        .flatten()
        .collect();
        signals.sort_by_key(|(weight, _)| *weight);
        let sameness = match signals.first() {
            Some((Weight::ProvesNew, _)) => Sameness::New,
            Some((Weight::ProvesSame, _)) if old != OldProcess::Gone => Sameness::Same,
            _ => Sameness::Unknown,
        };
        let evidence = signals.into_iter().map(|(_, line)| line).collect();
        Comparison { sameness, evidence }
    }

    /// Returns whether the identity has a signal that can tell one process from another.
    pub fn is_telling(&self) -> bool {
        self.start.is_some() || self.instance.is_some() || self.process.is_some()
    }

    /// Returns whether both identities have one signal in common, so that a comparison means something.
    pub(super) fn shares_signal_with(&self, other: &Self) -> bool {
        (self.start.is_some() && other.start.is_some())
            || (self.instance.is_some() && other.instance.is_some())
            || (self.process.is_some() && other.process.is_some())
    }

    /// Takes over what a later reading of the same process adds. The start stays as it was first read, or
    /// most exactly, so that one derived from an uptime does not wander.
    pub(super) fn absorb(&mut self, later: &Self) {
        let better = |kept: &Start, new: &Start| {
            !new.derived && (kept.derived || new.tolerance < kept.tolerance)
        };
        if let Some(new) = &later.start
            && self.start.as_ref().is_none_or(|kept| better(kept, new))
        {
            self.start = Some(*new);
            self.read_at = later.read_at;
        }
        self.read_at = self.read_at.or(later.read_at);
        for (mine, new) in [
            (&mut self.instance, &later.instance),
            (&mut self.version, &later.version),
            (&mut self.address, &later.address),
        ] {
            if new.is_some() {
                mine.clone_from(new);
            }
        }
        self.process = later.process.or(self.process);
        self.counted = later.counted.or(self.counted);
    }
}

fn instances(before: &Identity, after: &Identity) -> IdentitySignal {
    let (old, new) = (before.instance.as_ref()?, after.instance.as_ref()?);
    Some(if old == new {
        (Weight::ProvesSame, format!("instance is still {old}"))
    } else {
        (Weight::ProvesNew, format!("instance was {old}, is {new}"))
    })
}

fn starts(before: &Identity, after: &Identity) -> IdentitySignal {
    let (old, new) = (before.start.as_ref()?, after.start.as_ref()?);
    let tolerance = old.tolerance.max(new.tolerance);
    let distance = distance_of_starts(before, after)?;
    let derived = if old.derived || new.derived {
        " (from the uptime)"
    } else {
        ""
    };
    Some(if distance > tolerance {
        (
            Weight::ProvesNew,
            format!("start was {}, is {}{derived}", old.at, new.at),
        )
    } else if was_too_young(before, old) {
        (
            Weight::Supports,
            format!(
                "start is still {}{derived}, but it is told no closer than {}, and the process was younger than that",
                old.at,
                text::format_duration(tolerance),
            ),
        )
    } else {
        (
            Weight::ProvesSame,
            format!("start is still {}{derived}", old.at),
        )
    })
}

/// How far two starts are apart, in either direction. Two that were derived from an uptime are compared on the
/// monotonic clock, so that a wall clock that was set does not make a process new.
fn distance_of_starts(before: &Identity, after: &Identity) -> Option<Duration> {
    let (old, new) = (before.start.as_ref()?, after.start.as_ref()?);
    let apart = new.at.duration_since(old.at).unsigned_abs();
    if !(old.derived && new.derived) {
        return Some(apart);
    }
    let (Some(read_old), Some(read_new)) = (before.read_at, after.read_at) else {
        return Some(apart);
    };
    let begun = |read: Moment, start: &Start| {
        let uptime = read.wall.duration_since(start.at).as_nanos();
        let mono = i128::try_from(read.mono.as_nanos()).unwrap_or(i128::MAX);
        mono.saturating_sub(uptime)
    };
    let apart = begun(read_new, new).saturating_sub(begun(read_old, old));
    let apart = u64::try_from(apart.unsigned_abs()).unwrap_or(u64::MAX);
    Some(Duration::from_nanos(apart))
}

/// Whether a successor could have the same start: the process was read when it was younger than its start is exact.
fn was_too_young(before: &Identity, start: &Start) -> bool {
    before
        .read_at
        .is_some_and(|read| read.wall.duration_since(start.at).unsigned_abs() <= start.tolerance)
}

fn processes(before: &Identity, after: &Identity, old_process: OldProcess) -> IdentitySignal {
    let (old, new) = (before.process?, after.process?);
    let Process { pid, start_ticks } = new;
    if old == new {
        let line = format!("pid is still {pid} with the same kernel start");
        return Some((Weight::ProvesSame, line));
    }
    if old.pid == pid {
        let was = old.start_ticks;
        let line = format!("pid {pid} was given again: kernel start was {was}, is {start_ticks}");
        return Some((Weight::ProvesNew, line));
    }
    let (weight, fate) = match old_process {
        OldProcess::Gone => (Weight::ProvesNew, ", which is gone"),
        OldProcess::Alive => (Weight::Supports, ", which still lives"),
        OldProcess::Unknown => (Weight::Supports, ""),
    };
    Some((weight, format!("pid was {}{fate}, is {pid}", old.pid)))
}

fn versions(before: &Identity, after: &Identity) -> IdentitySignal {
    let (old, new) = (before.version.as_ref()?, after.version.as_ref()?);
    (old != new).then(|| supports(&format!("version was {old}, is {new}")))
}

fn counters(before: &Identity, after: &Identity) -> IdentitySignal {
    let (old, new) = (before.counted?, after.counted?);
    (new < old).then(|| supports(&format!("counters fell from {old} to {new}")))
}

fn supports(line: &str) -> (Weight, String) {
    let line = format!("{line} (supports, proves nothing)");
    (Weight::Supports, line)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An identity from words: `start=12:00:00±1s`, `up=30±2s` (at the moment read), `instance=a`, `pid=7@100`,
    /// `version=1`, `counted=5`.
    fn identity(read_at: f64, words: &str) -> Identity {
        let read_at = Moment::at_seconds(read_at);
        let mut identity = Identity {
            read_at: Some(read_at),
            ..Identity::default()
        };
        for word in words.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap();
            let (value, tolerance) = value.split_once('±').unwrap_or((value, "1us"));
            let tolerance = humantime::parse_duration(tolerance).unwrap();
            match key {
                "start" => {
                    identity.start = Some(Start {
                        at: format!("2026-11-22T{value}Z").parse::<Timestamp>().unwrap(),
                        tolerance,
                        derived: false,
                    });
                }
                "up" => {
                    let uptime = Duration::from_secs_f64(value.parse().unwrap());
                    identity.start = Some(Start {
                        at: read_at.wall - uptime,
                        tolerance,
                        derived: true,
                    });
                }
                "instance" => identity.instance = Some(value.to_owned()),
                "pid" => {
                    let (pid, start_ticks) = value.split_once('@').unwrap();
                    identity.process = Some(Process {
                        pid: pid.parse().unwrap(),
                        start_ticks: start_ticks.parse().unwrap(),
                    });
                }
                "version" => identity.version = Some(value.to_owned()),
                "counted" => identity.counted = Some(value.parse().unwrap()),
                other => panic!("{other}?"),
            }
        }
        identity
    }

    fn check(before: &str, after: &str, old: OldProcess, expected: Sameness, line: &str) {
        let comparison =
            Identity::compare_with(&identity(0.0, before), &identity(60.0, after), old);
        let found = comparison.evidence.join("; ");
        assert_eq!(
            comparison.sameness, expected,
            "{before} -> {after}: {found}"
        );
        assert_eq!(found, line, "{before} -> {after}");
    }

    #[test]
    fn signals_are_weighed() {
        use OldProcess::{Alive, Gone, Unknown as Nobody};
        use Sameness::{New, Same, Unknown};
        for (before, after, old, expected, line) in [
            ("", "", Nobody, Unknown, ""),
            ("instance=a", "version=1", Nobody, Unknown, ""),
            (
                "instance=a",
                "instance=b",
                Nobody,
                New,
                "instance was a, is b",
            ),
            (
                "instance=a",
                "instance=a",
                Nobody,
                Same,
                "instance is still a",
            ),
            (
                "pid=7@100",
                "pid=7@100",
                Nobody,
                Same,
                "pid is still 7 with the same kernel start",
            ),
            (
                "pid=7@100",
                "pid=7@200",
                Nobody,
                New,
                "pid 7 was given again: kernel start was 100, is 200",
            ),
            (
                "pid=7@100",
                "pid=8@200",
                Gone,
                New,
                "pid was 7, which is gone, is 8",
            ),
            (
                "pid=7@100",
                "pid=8@200",
                Alive,
                Unknown,
                "pid was 7, which still lives, is 8",
            ),
            ("pid=7@100", "pid=8@200", Nobody, Unknown, "pid was 7, is 8"),
            (
                "version=1 counted=90",
                "version=2 counted=3",
                Nobody,
                Unknown,
                "version was 1, is 2 (supports, proves nothing); counters fell from 90 to 3 (supports, proves nothing)",
            ),
            (
                "version=1 counted=3",
                "version=1 counted=90",
                Nobody,
                Unknown,
                "",
            ),
            // A re-exec keeps the pid and its kernel start; the reported start tells.
            (
                "pid=7@100 start=09:00:00",
                "pid=7@100 start=10:00:30",
                Nobody,
                New,
                "start was 2026-11-22T09:00:00Z, is 2026-11-22T10:00:30Z; pid is still 7 with the same kernel start",
            ),
            // An instance that is the host's name stays; the start tells.
            (
                "instance=host start=09:00:00",
                "instance=host start=10:00:30",
                Nobody,
                New,
                "start was 2026-11-22T09:00:00Z, is 2026-11-22T10:00:30Z; instance is still host",
            ),
        ] {
            check(before, after, old, expected, line);
        }
    }

    #[test]
    fn starts_differ_by_more_than_their_resolution_or_not_at_all() {
        use Sameness::{New, Same, Unknown};
        let sameness = |before: &str, after: &str| {
            Identity::compare(&identity(0.0, before), &identity(60.0, after)).sameness
        };
        for (before, after, expected) in [
            ("start=09:00:00±1s", "start=09:00:00±1s", Same),
            ("start=09:00:00±1s", "start=09:00:01±1s", Same),
            ("start=09:00:00±1s", "start=09:00:02±1s", New),
            // Never order: a clock that was set back gives an earlier start to a later process.
            ("start=09:00:00±1s", "start=08:00:00±1s", New),
            ("start=09:00:00.000±1ms", "start=09:00:00.400±1ms", New),
            ("start=09:00:00.000±1ms", "start=09:00:00.001±1ms", Same),
            // The coarser of the two decides.
            ("start=09:00:00±1ms", "start=09:00:01.500±2s", Same),
            // Uptimes: 60 s later the same process has been up 60 s longer.
            ("up=100±2s", "up=160±2s", Same),
            ("up=100±2s", "up=158.5±2s", Same),
            ("up=100±2s", "up=40±2s", New),
            ("up=100±2s", "up=157±2s", New),
            // It was read when its start could not be told from a successor's.
            ("start=10:00:00±1s", "start=10:00:00±1s", Unknown),
            ("up=1±2s", "up=60.5±2s", Unknown),
        ] {
            assert_eq!(sameness(before, after), expected, "{before} -> {after}");
        }
    }

    #[test]
    fn a_wall_clock_that_was_set_makes_no_derived_start_new() {
        let before = identity(0.0, "up=100±2s");
        let mut after = identity(60.0, "up=160±2s");
        let hour = 3600 * SECOND;
        let read = after.read_at.unwrap();
        after.read_at = Some(Moment {
            wall: read.wall - hour,
            ..read
        });
        after.start = after.start.map(|start| Start {
            at: start.at - hour,
            ..start
        });
        assert_eq!(Identity::compare(&before, &after).sameness, Sameness::Same);
    }

    #[test]
    fn a_process_that_is_gone_is_not_the_same() {
        let identity = identity(0.0, "pid=7@100");
        let comparison = Identity::compare_with(&identity, &identity, OldProcess::Gone);
        assert_eq!(comparison.sameness, Sameness::Unknown);
    }
}
