//! What a look at this machine finds of a service, beside what its own probes say: which process runs its code, whether
//! that code has changed since, who else listens at its address.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flag, HotFiles, Start};
use crate::text::approximate_duration;
use jiff::{SignedDuration, Timestamp};

/// A file that shows that a service runs, such as a heartbeat, may look fresh for this long after its end.
pub const STILL_FRESH: SignedDuration = SignedDuration::from_mins(5);

/// The findings about a service on this machine; empty where nothing could be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFinding {
    /// The process that runs its code.
    pub process: Option<LocalProcess>,
    /// What tells the program that this process runs from one that it has run before, where that can be read.
    pub image: Option<u64>,
    /// Nothing of it runs, as far as that can be known.
    pub gone: bool,
    /// The files that the service runs from.
    pub code: CodeFiles,
    /// Why who listens at its address is not the service.
    pub foreign: Option<String>,
    /// The independent processes that listen at the address of the service, as a sentence.
    pub split: Option<String>,
    /// How the process that healthctl started has ended, where nothing of it runs.
    pub exit: Option<ProcessExit>,
    /// What the records tell of its life.
    pub on_record: OnRecord,
    /// The flags that cannot be told, each with the reason.
    pub undetermined: BTreeMap<Flag, String>,
    /// How often what healthctl started has ended by itself, where that is a crash loop, as a sentence.
    pub crash_loop: Option<String>,
}

/// What the records of this machine tell of the life of a service, whoever made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnRecord {
    /// Nothing.
    #[default]
    Nothing,
    /// It can be started here and never was, and nothing listens at its address, which is on this machine.
    NeverStarted,
    /// It was shut down on purpose at this time, UTC.
    ShutDown(Timestamp),
    /// It was started, its process lives, and it may take until this time, UTC, to answer.
    StartedUntil(Timestamp),
}

/// The end of a process that healthctl started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessExit {
    /// The process id (pid).
    pub pid: u32,
    /// When it ended, UTC.
    pub at: Timestamp,
    /// The status in words, and the last line of its log: `exit status: 3; its last line: no such table`.
    pub how: String,
    /// Set where the status is none of the service's `success_codes`.
    pub is_failure: bool,
    /// Set where healthctl had asked it to end.
    pub asked: bool,
}

/// The number of exits that make a crash loop, and the time in which they do.
const LOOP_EXITS: usize = 3;
const LOOP_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// Returns whether a service whose processes have ended by themselves at these times, the earliest first, is in a crash loop:
/// at least three exits in five minutes, and since then never five minutes without one.
pub fn is_crash_loop(exits: &[Timestamp], now: Timestamp) -> bool {
    let is_close =
        |earlier: Timestamp, later: Timestamp| later.duration_since(earlier) <= LOOP_WITHIN;
    let mut is_loop = false;
    for (index, exit) in exits.iter().enumerate() {
        let before = |count: usize| exits.get(index.checked_sub(count)?);
        let goes_on = before(1).is_some_and(|before| is_close(*before, *exit));
        let begins = before(LOOP_EXITS - 1).is_some_and(|first| is_close(*first, *exit));
        is_loop = begins || (is_loop && goes_on);
    }
    is_loop && exits.last().is_some_and(|last| is_close(*last, now))
}

/// A process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalProcess {
    /// The process id (pid).
    pub pid: u32,
    /// When the kernel started it, UTC.
    pub started: Timestamp,
}

/// The files that a service runs from, as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeFiles {
    /// The newest of its sources.
    pub newest: Option<ChangedFile>,
    /// The newest of the files that its configuration is made of.
    pub config: Option<ChangedFile>,
    /// When it was asked last to read its configuration again, and has.
    pub reloaded: Option<Timestamp>,
    /// The executable of its start command.
    pub executable: Option<ChangedFile>,
    /// The file that its process runs, where that was built from these sources.
    pub built: Option<ChangedFile>,
    /// The file that its process runs has another one in its place.
    pub replaced: bool,
    /// The `start` entry differs from the one that the process was started by.
    pub entry_differs: bool,
    /// The sources are not those that healthctl started it with, whatever their times say.
    pub differs: bool,
    /// What the process reads again by itself.
    pub hot: BTreeSet<HotFiles>,
    /// The oldest process that answers, where it was forked from the one that has loaded the program: it may have read the
    /// sources again, or not.
    pub read_by: Option<LocalProcess>,
    /// Why changes of some of the files cannot be told: they cannot be looked through, or there are none.
    pub unreadable: Option<String>,
    /// When healthctl started it.
    pub recorded_at: Option<Timestamp>,
    /// Until when a process belongs to the start that healthctl made, UTC.
    pub first_until: Option<Timestamp>,
}

/// Whether a process runs code that has changed since it read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staleness {
    /// As far as anything tells it does not.
    No,
    /// It does, for these reasons.
    Stale(String),
    /// It cannot be told, for this reason.
    Unclear(String),
}

/// A file and when it was written last, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// The path of the file, for people.
    pub path: String,
    /// The time of its content.
    pub at: Timestamp,
}

impl CodeFiles {
    /// The time of the newest of it, UTC.
    pub fn changed(&self) -> Option<Timestamp> {
        let files = [&self.newest, &self.config, &self.executable];
        let files = files.into_iter().flatten();
        files.map(|changed| changed.at).max()
    }
}

impl HostFinding {
    /// Another process runs now, of which the next look tells.
    pub fn process_is_gone(&mut self) {
        self.process = None;
        self.code.replaced = false;
        self.code.entry_differs = false;
    }

    /// Tells whether its process runs old code.
    ///
    /// `reported` is the start that the service tells of itself: where it is later than that of its process, as behind a
    /// reloader, the code was read then.
    pub fn staleness(&self, reported: Option<Start>, now: Timestamp) -> Staleness {
        let Some(started) = self.started(reported, now) else {
            return Staleness::No;
        };
        if self.gone || self.foreign.is_some() {
            return Staleness::No;
        }
        let code = &self.code;
        let newer_than = |file: &Option<ChangedFile>, read: Timestamp, verb| {
            let file = file.as_ref().filter(|file| file.at > read)?;
            Some(told(&file.path, verb, file.at, started, now))
        };
        let newer = |file, verb| newer_than(file, started, verb);
        let configured = code.reloaded.map_or(started, |at| at.max(started));
        let replaced = || {
            let text = "its executable was replaced since it started";
            code.replaced.then(|| text.to_owned())
        };
        let entry = "its `start` entry has changed since it was started";
        let changed = newer(&code.newest, "changed").map(|why| format!("{why}{HOT}"));
        // An edit since its start, which whoever answers has begun after, is in what that one has read.
        let is_read = code.newest.as_ref().is_some_and(|file| {
            let is_before = started.duration_since(file.at) >= START_PRECISION;
            is_before && code.recorded_at.is_some_and(|at| file.at > at)
        });
        let differs = code.differs && !is_read;
        let changed = changed.or_else(|| differs.then(|| DIFFER.to_owned()));
        let changed = changed.filter(|_| !code.hot.contains(&HotFiles::Sources));
        let unclear = match changed {
            Some(_) => self.unclear_reader(started),
            None => self.not_built(),
        };
        let reasons = [
            changed.filter(|_| unclear.is_none()),
            newer_than(&code.config, configured, "changed")
                .filter(|_| !code.hot.contains(&HotFiles::ConfigFiles)),
            newer(&code.executable, "was replaced").or_else(replaced),
            code.entry_differs.then(|| entry.to_owned()),
        ];
        let why: Vec<String> = reasons.into_iter().flatten().collect();
        match unclear.or_else(|| code.unreadable.clone()) {
            _ if !why.is_empty() => Staleness::Stale(why.join("; ")),
            Some(why) => Staleness::Unclear(why),
            None => Staleness::No,
        }
    }

    /// Says that the program was built before its sources changed: a restart alone does not take that change in.
    fn not_built(&self) -> Option<String> {
        let (source, built) = self.code.newest.as_ref().zip(self.code.built.as_ref())?;
        let is_older = built.at < source.at && !self.code.hot.contains(&HotFiles::Sources);
        is_older.then(|| {
            format!(
                "{} changed after {}, which it runs, was built, and may not be in it",
                source.path, built.path
            )
        })
    }

    /// Why it is not known whether the sources were read since they changed: who answers was forked since then, or is not
    /// the process that healthctl started. `started` is when its program was loaded.
    fn unclear_reader(&self, started: Timestamp) -> Option<String> {
        let code = &self.code;
        let changed = code.newest.as_ref().filter(|file| file.at > started);
        match (changed, code.read_by) {
            (Some(file), Some(fork)) if file.at <= fork.started => Some(format!(
                "pid {}, which answers, was forked after {} changed and may have read it, or not",
                fork.pid, file.path
            )),
            (None, Some(fork)) if fork.started > started => Some(format!(
                "its sources were replaced, and pid {}, which answers, may have read them since, or not",
                fork.pid
            )),
            (None, _) if code.first_until.is_some_and(|until| started > until) => Some(
                "its sources were replaced since healthctl started it, and whoever answers has begun later"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Tells of the newest change of the sources or configuration files that its process reads again by itself.
    pub fn hot_change(&self, now: Timestamp) -> Option<String> {
        let started = self.process?.started;
        let code = &self.code;
        let of = |files, newest| Some(newest).filter(|_| code.hot.contains(&files));
        let files = [
            of(HotFiles::Sources, &code.newest),
            of(HotFiles::ConfigFiles, &code.config),
        ];
        let files = files.into_iter().flatten().flatten();
        let file = files.max_by_key(|file| file.at)?;
        let is_newer = file.at > started;
        is_newer.then(|| {
            told(&file.path, "changed", file.at, started, now) + ", and is read again by itself"
        })
    }

    /// When its process read its code, at the latest.
    fn started(&self, reported: Option<Start>, now: Timestamp) -> Option<Timestamp> {
        let reported = reported
            .and_then(|start| start.at.checked_add(start.tolerance).ok())
            .filter(|at| *at <= now);
        let seen = self.process.map(|process| process.started);
        seen.max(reported)
    }
}

/// An edit that is closer to the start of a process than this may have come before or after it: Linux counts starts in
/// hundredths of a second, and the time of a file is up to a tick of its clock behind.
const START_PRECISION: SignedDuration = SignedDuration::from_millis(20);
/// What is said where the times of the sources tell nothing.
const DIFFER: &str =
    "its sources are not those that it was started with: one was replaced, removed or added";
/// The hint beside a changed source, for a process that reads its code again by itself.
const HOT: &str = " (`hot_reload: true` where it reads its code again by itself)";

/// `src/app.py changed 12s ago, 3m after it started`
fn told(path: &str, verb: &str, at: Timestamp, started: Timestamp, now: Timestamp) -> String {
    let after = approximate_duration(at.duration_since(started).unsigned_abs());
    let age = now.duration_since(at);
    if age.is_negative() {
        return format!("{path} {verb} {after} after it started, by a clock ahead of ours");
    }
    format!(
        "{path} {verb} {} ago, {after} after it started",
        approximate_duration(age.unsigned_abs())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn changed(seconds: i64) -> ChangedFile {
        ChangedFile {
            path: "src/app.py".to_owned(),
            at: at(seconds),
        }
    }

    /// A process that started at 100, looked at at 200.
    fn check(expected: Option<&str>, change: impl FnOnce(&mut HostFinding)) {
        let mut finding = HostFinding {
            process: Some(LocalProcess {
                pid: 4711,
                started: at(100),
            }),
            ..HostFinding::default()
        };
        change(&mut finding);
        let found = match finding.staleness(None, at(200)) {
            Staleness::No => None,
            Staleness::Stale(why) => Some(why.replace(HOT, "")),
            Staleness::Unclear(why) => Some(format!("unclear: {why}")),
        };
        assert_eq!(found.as_deref(), expected, "{finding:?}");
    }

    #[test]
    fn code_that_is_newer_than_its_process_makes_it_stale() {
        check(None, |_| {});
        check(None, |finding| finding.code.newest = Some(changed(99)));
        check(
            Some(
                "unclear: src/app.py changed after src/app.py, which it runs, was built, and may not be in it",
            ),
            |finding| {
                finding.code.newest = Some(changed(99));
                finding.code.built = Some(changed(98));
            },
        );
        check(None, |finding| {
            finding.code.newest = Some(changed(98));
            finding.code.built = Some(changed(99));
        });
        check(
            Some("src/app.py changed 1m 30s ago, 10s after it started"),
            |finding| finding.code.newest = Some(changed(110)),
        );
        check(
            Some("src/app.py was replaced 5s ago, 1m 30s after it started"),
            |finding| finding.code.executable = Some(changed(195)),
        );
        check(
            Some("its executable was replaced since it started"),
            |finding| {
                finding.code.replaced = true;
                finding.code.executable = Some(changed(90));
            },
        );
        check(
            Some(
                "src/app.py changed 50s ago, 50s after it started; its `start` entry has changed since it was started",
            ),
            |finding| {
                finding.code.newest = Some(changed(150));
                finding.code.entry_differs = true;
            },
        );
    }

    #[test]
    fn a_crash_loop_lasts_until_five_minutes_have_passed_without_an_exit() {
        for (exits, now, expected) in [
            (&[][..], 0, false),
            (&[0, 10], 20, false),
            (&[0, 10, 20], 20, true),
            (&[0, 150, 300], 300, true),
            (&[0, 150, 301], 301, false),
            (&[0, 10, 20], 320, true),
            (&[0, 10, 20], 321, false),
            (&[0, 10, 20, 300, 590], 700, true),
            (&[0, 10, 20, 321], 330, false),
            (&[0, 10, 20, 321, 322, 323], 330, true),
        ] {
            let exits: Vec<Timestamp> = exits.iter().map(|second| at(*second)).collect();
            assert_eq!(is_crash_loop(&exits, at(now)), expected, "{exits:?}");
        }
    }

    #[test]
    fn sources_whose_times_tell_nothing_are_compared_with_those_of_the_start() {
        check(Some(DIFFER), |finding| finding.code.differs = true);
        check(None, |finding| {
            finding.code.differs = true;
            finding.code.hot = HotFiles::ALL.iter().copied().collect();
            finding.code.newest = Some(changed(150));
            finding.code.config = Some(changed(150));
        });
        check(Some(DIFFER), |finding| {
            finding.code.differs = true;
            finding.code.first_until = Some(at(100));
        });
        // An edit after the start that healthctl made, and before whoever answers began; or at the same moment.
        for (changed_at, expected) in [(99, None), (100, Some(DIFFER))] {
            check(expected, |finding| {
                finding.code.differs = true;
                finding.code.recorded_at = Some(at(98));
                finding.code.newest = Some(changed(changed_at));
            });
        }
        check(
            Some(
                "unclear: its sources were replaced since healthctl started it, and whoever answers has begun later",
            ),
            |finding| {
                finding.code.differs = true;
                finding.code.first_until = Some(at(99));
            },
        );
    }

    #[test]
    fn a_fork_may_have_read_what_changed_before_it() {
        let forked = |started| {
            Some(LocalProcess {
                pid: 12,
                started: at(started),
            })
        };
        check(
            Some(
                "unclear: pid 12, which answers, was forked after src/app.py changed and may have read it, or not",
            ),
            |finding| {
                finding.code.newest = Some(changed(150));
                finding.code.read_by = forked(160);
            },
        );
        check(
            Some("src/app.py changed 50s ago, 50s after it started"),
            |finding| {
                finding.code.newest = Some(changed(150));
                finding.code.read_by = forked(140);
            },
        );
        // What else is old is known all the same.
        check(
            Some("its executable was replaced since it started"),
            |finding| {
                finding.code.newest = Some(changed(150));
                finding.code.read_by = forked(160);
                finding.code.replaced = true;
            },
        );
    }

    #[test]
    fn what_does_not_run_or_is_another_is_not_stale() {
        check(None, |finding| {
            finding.code.newest = Some(changed(150));
            finding.gone = true;
        });
        check(None, |finding| {
            finding.code.newest = Some(changed(150));
            finding.foreign = Some("pid 7 (nginx) listens at its address".to_owned());
        });
        check(None, |finding| {
            finding.code.newest = Some(changed(150));
            finding.process = None;
        });
    }

    #[test]
    fn a_later_start_that_it_reports_counts_as_exactly_as_it_is_known() {
        let finding = HostFinding {
            process: Some(LocalProcess {
                pid: 4711,
                started: at(100),
            }),
            code: CodeFiles {
                newest: Some(changed(150)),
                ..CodeFiles::default()
            },
            ..HostFinding::default()
        };
        let reported = |seconds, tolerance| {
            Some(Start {
                at: at(seconds),
                tolerance: std::time::Duration::from_secs(tolerance),
                derived: false,
            })
        };
        for (start, expected) in [
            (reported(149, 0), true),
            (reported(149, 1), false),
            (reported(160, 0), false),
            (reported(90, 0), true),
            // A clock that is ahead proves nothing.
            (reported(500, 0), true),
            (None, true),
        ] {
            let stale = finding.staleness(start, at(200)) != Staleness::No;
            assert_eq!(stale, expected, "{start:?}");
        }
    }
}
