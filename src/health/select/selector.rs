//! One selector as typed: terms joined by commas, all of which have to hold.

use super::term::{Term, Test};
use super::{Candidate, SelectError};
use crate::health::ServiceSnapshot;
use crate::text::clean;

/// A selector: terms joined by a comma, which means *and*.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    terms: Vec<Term>,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// When a term is empty or of no kind that there is, a glob is malformed, or a word after `state:` or `flag:` is not
    /// one of theirs.
    pub fn parse(text: &str) -> Result<Self, SelectError> {
        let terms = split(text).map(Term::parse).collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            terms,
        })
    }

    /// The selector as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the selector asks for a state or a flag, which only probes can tell.
    pub fn needs_snapshot(&self) -> bool {
        self.terms
            .iter()
            .any(|term| matches!(term.test, Test::State(_) | Test::Flag(_)))
    }

    /// Returns whether the service is selected.
    pub fn matches(&self, snapshot: &ServiceSnapshot) -> bool {
        self.terms.iter().all(|term| term.holds_in(snapshot))
    }

    /// Returns whether the service may be selected, as far as the inventory tells: `state:` and `flag:` are left open.
    pub(super) fn matches_static(&self, candidate: Candidate<'_>) -> bool {
        self.terms
            .iter()
            .all(|term| term.holds(candidate) != Some(false))
    }

    /// Finds every name, glob, group and label that nothing in the inventory holds, negated ones too: a slip in `!api`
    /// would select what it was to leave out. Where each holds for something, all together have to as well.
    pub(super) fn check(&self, inventory: &[Candidate<'_>]) -> Result<(), Vec<SelectError>> {
        let holds = |term: &Term, candidate| term.holds(candidate) != Some(term.is_negated);
        let errors: Vec<_> = self
            .terms
            .iter()
            .filter(|term| !inventory.iter().any(|&candidate| holds(term, candidate)))
            .map(|term| term.test.matches_nothing(inventory))
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        if inventory.iter().any(|&it| self.matches_static(it)) {
            return Ok(());
        }
        let shown = clean(&self.text, 80);
        let error = SelectError::new(format!("no service is all of `{shown}` at once"));
        Err(vec![error.hint(
            "a comma means *and*; with a space between them selectors add up",
        )])
    }
}

/// Splits at commas, but for those inside the braces of a glob.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}
