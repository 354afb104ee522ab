//! What the answers of one probe amount to: the thresholds after which its result turns, and whether its answers
//! alternate (flapping).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::health::{Failure, Outcome, ProbeResult, Reading};

/// The result of a probe with the thresholds applied, and the reason.
#[derive(Debug, Clone)]
pub(super) struct CountedResult {
    pub(super) result: ProbeResult,
    /// The reading that goes with it.
    pub(super) reading: Option<Arc<Reading>>,
    /// Why it is no pass.
    pub(super) failure: Option<Failure>,
    /// The service answered, whatever the result.
    pub(super) answered: bool,
}

/// The thresholds of one probe and how far the latest answers have come towards them.
#[derive(Debug, Default)]
pub(super) struct Thresholds {
    failure_threshold: u64,
    success_threshold: u64,
    /// The next answer counts whatever the thresholds say: nothing is known to weigh it against.
    first_counts: bool,
    /// The result with the thresholds applied; `None` where no answer counts yet.
    pub(super) counted: Option<CountedResult>,
    successes: u64,
    non_successes: u64,
    /// The latest fail, with the number of non-successes after it.
    fail: Option<(CountedResult, u64)>,
}

impl Thresholds {
    pub(super) fn new(failure_threshold: u32, success_threshold: u32, first_counts: bool) -> Self {
        Self {
            failure_threshold: u64::from(failure_threshold.max(1)),
            success_threshold: u64::from(success_threshold.max(1)),
            first_counts,
            ..Self::default()
        }
    }

    /// Whether no answer has been weighed, or set aside, since the beginning or [`Thresholds::forget`].
    pub(super) const fn is_fresh(&self) -> bool {
        self.first_counts && self.counted.is_none()
    }

    /// All that was known belongs to a process that is gone.
    pub(super) fn forget(&mut self, first_counts: bool) {
        *self = Self {
            failure_threshold: self.failure_threshold,
            success_threshold: self.success_threshold,
            first_counts,
            ..Self::default()
        };
    }

    /// An answer came that does not count, so that no later one is the first. With `undecided`, what was known before
    /// does not count either.
    pub(super) fn set_aside(&mut self, undecided: bool) {
        if undecided {
            self.forget(false);
        }
        self.first_counts = false;
    }

    /// Weighs an answer. True where the probe turned to a non-success by it.
    pub(super) fn record_answer(
        &mut self,
        outcome: &Outcome,
        reading: Option<Arc<Reading>>,
        answered: bool,
    ) -> bool {
        let latest = CountedResult {
            result: outcome.result,
            reading,
            failure: outcome.failure.clone(),
            answered,
        };
        let first = std::mem::take(&mut self.first_counts) && self.counted.is_none();
        if latest.result.is_success() {
            self.successes = self.successes.saturating_add(1);
            self.non_successes = 0;
            self.fail = None;
            let counted = self.counted.as_ref();
            let turned = counted.is_some_and(|counted| !counted.result.is_success());
            if !turned || self.successes >= self.success_threshold {
                self.counted = Some(latest);
            }
            return false;
        }
        self.successes = 0;
        self.non_successes = self.non_successes.saturating_add(1);
        if latest.result == ProbeResult::Fail {
            self.fail = Some((latest.clone(), 0));
        } else if let Some((_, since)) = &mut self.fail {
            *since = since.saturating_add(1);
        }
        if first {
            self.counted = Some(latest);
        } else if self.non_successes >= self.failure_threshold {
            // One fail among the last `failure_threshold` non-successes makes it a fail.
            self.counted = match &self.fail {
                Some((fail, since)) if *since < self.failure_threshold => Some(fail.clone()),
                _ => Some(latest),
            };
        } else {
            return false;
        }
        true
    }
}

const LATEST: usize = 10;
const RAISED_AT_CHANGES: usize = 4;
const CLEARED_AFTER_EQUAL: usize = 5;

/// The latest answers of one probe.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    successes: VecDeque<bool>,
    pub(super) raised: bool,
}

impl Flapping {
    pub(super) fn record(&mut self, success: bool) {
        if self.successes.len() == LATEST {
            self.successes.pop_front();
        }
        self.successes.push_back(success);
        let latest = self.successes.iter().rev();
        let equal = latest.take_while(|&&earlier| earlier == success).count();
        if equal >= CLEARED_AFTER_EQUAL {
            // What came before must not raise it again.
            self.successes.drain(..self.successes.len() - equal);
            self.raised = false;
            return;
        }
        let later = self.successes.iter().skip(1);
        let pairs = self.successes.iter().zip(later);
        if pairs.filter(|(earlier, later)| earlier != later).count() >= RAISED_AT_CHANGES {
            self.raised = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{FailureKind, Moment};

    /// Answers as letters (`p`ass, `w`arn, `f`ail, `u`nknown); after each what the probe counts as.
    fn check(failure_threshold: u32, success_threshold: u32, answers: &str, expected: &str) {
        let mut thresholds = Thresholds::new(failure_threshold, success_threshold, true);
        let found: String = answers
            .chars()
            .map(|answer| {
                let at = Moment::at_seconds(0.0);
                let outcome = match answer {
                    'p' => Outcome::bare(ProbeResult::Pass, at),
                    'w' => Outcome::bare(ProbeResult::Warn, at),
                    'f' => Outcome::failed(FailureKind::Timeout, "no answer", at),
                    _ => Outcome::failed(FailureKind::Local, "no descriptor", at),
                };
                thresholds.record_answer(&outcome, None, false);
                match thresholds.counted.as_ref().map(|counted| counted.result) {
                    None => '-',
                    Some(result) => result.as_str().chars().next().unwrap_or('?'),
                }
            })
            .collect();
        assert_eq!(found, expected, "{answers}");
    }

    #[test]
    fn thresholds() {
        check(3, 1, "pffp", "pppp");
        check(3, 1, "pfffp", "pppfp");
        check(3, 1, "pfpffp", "pppppp");
        check(1, 1, "pfp", "pfp");
        check(3, 2, "pfffpfpp", "pppffffp");
        check(3, 2, "pfffpp", "pppffp");
        check(3, 1, "pwp", "pwp");
        check(3, 2, "fpw", "ffw");
    }

    #[test]
    fn the_first_answer_ever_counts_at_once() {
        check(3, 3, "f", "f");
        check(3, 3, "p", "p");
        check(3, 3, "u", "u");
        check(3, 3, "w", "w");
        check(3, 3, "fp", "ff");
    }

    #[test]
    fn one_fail_among_the_non_successes_makes_it_a_fail() {
        check(3, 1, "puuu", "pppu");
        check(3, 1, "puuf", "pppf");
        check(3, 1, "pfuu", "pppf");
        check(3, 1, "puuuf", "pppuf");
        check(3, 1, "pfuuu", "pppfu");
        check(3, 1, "uuf", "uuf");
        check(3, 1, "uf", "uu");
        check(2, 1, "fuu", "ffu");
    }

    /// `+` success, `-` none; the flag after each as `F` or `.`.
    fn check_flapping(answers: &str, expected: &str) {
        let mut flapping = Flapping::default();
        let found: String = answers
            .chars()
            .map(|c| {
                flapping.record(c == '+');
                if flapping.raised { 'F' } else { '.' }
            })
            .collect();
        assert_eq!(found, expected, "{answers}");
    }

    #[test]
    fn raised_at_four_changes_in_ten_cleared_after_five_equal() {
        check_flapping("++++++++++", "..........");
        check_flapping("+-+-", "....");
        check_flapping("+-+-+", "....F");
        check_flapping("+-+-+++++-", "....FFFF..");
        check_flapping("+-+-+----+", "....FFFFFF");
        check_flapping("+-+-+-----", "....FFFFF.");
        // The same four changes are out of sight when ten answers lie between the first and the last.
        check_flapping("+--++--++--++", ".......FFFFFF");
        check_flapping("+---+++---+++", ".............");
    }

    #[test]
    fn what_cleared_it_does_not_raise_it_again() {
        check_flapping("+-+-+++++-+", "....FFFF...");
    }
}
