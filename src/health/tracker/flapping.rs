//! Whether a probe's answers alternate. Raised at many changes, cleared after several equal answers, so that the flag
//! itself does not flap.

use std::collections::VecDeque;

const LATEST: usize = 10;
const RAISED_AT_CHANGES: usize = 4;
const CLEARED_AFTER_EQUAL: usize = 5;

/// The latest answers of one probe.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    successes: VecDeque<bool>,
    raised: bool,
}

impl Flapping {
    pub(super) fn record(&mut self, success: bool) {
        if self.successes.len() == LATEST {
            self.successes.pop_front();
        }
        self.successes.push_back(success);
        let equal = self
            .successes
            .iter()
            .rev()
            .take_while(|&&earlier| earlier == success)
            .count();
        if equal >= CLEARED_AFTER_EQUAL {
            // What came before must not raise it again.
            self.successes.drain(..self.successes.len() - equal);
            self.raised = false;
        } else if self.changes() >= RAISED_AT_CHANGES {
            self.raised = true;
        }
    }

    fn changes(&self) -> usize {
        let next = self.successes.iter().skip(1);
        self.successes
            .iter()
            .zip(next)
            .filter(|(earlier, later)| earlier != later)
            .count()
    }

    pub(super) const fn is_raised(&self) -> bool {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` success, `-` none; the flag after each as `F` or `.`.
    fn check(answers: &str, expected: &str) {
        let mut flapping = Flapping::default();
        let found: String = answers
            .chars()
            .map(|c| {
                flapping.record(c == '+');
                if flapping.is_raised() { 'F' } else { '.' }
            })
            .collect();
        assert_eq!(found, expected, "{answers}");
    }

    #[test]
    fn raised_at_four_changes_in_ten_cleared_after_five_equal() {
        check("++++++++++", "..........");
        check("+-+-", "....");
        check("+-+-+", "....F");
        check("+-+-+++++-", "....FFFF..");
        check("+-+-+----+", "....FFFFFF");
        check("+-+-+-----", "....FFFFF.");
        // The same four changes are out of sight when ten answers lie between the first and the last.
        check("+--++--++--++", ".......FFFFFF");
        check("+---+++---+++", ".............");
    }

    #[test]
    fn what_cleared_it_does_not_raise_it_again() {
        check("+-+-+++++-+", "....FFFF...");
    }
}
