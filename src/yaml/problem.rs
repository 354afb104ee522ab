//! A mistake in a file: where it is, what was expected and what to do.

use super::Place;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: one lower-case sentence without a full stop, e.g. ``unknown key `timeuot` ``.
    pub message: String,
    /// Where; `None` only where no file is to blame.
    pub place: Option<Place>,
    /// What stands under the marked text: what was expected.
    pub label: Option<String>,
    /// What to do, e.g. ``did you mean `timeout`?``.
    pub hint: Option<String>,
    /// A second place that belongs to it (the first definition), with its label.
    pub related: Option<(Place, String)>,
    /// A warning does not make the file invalid.
    pub warning: bool,
}

impl Problem {
    /// A mistake at a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            ..Self::general(message)
        }
    }

    /// A mistake that no text is to blame for.
    pub fn general(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
            label: None,
            hint: None,
            related: None,
            warning: false,
        }
    }

    /// What stands under the marked text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do, where something can be said.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// A second place that belongs to it.
    #[must_use]
    pub fn related(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.related = Some((place.clone(), label.into()));
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.warning = true;
        self
    }
}

/// Collects every mistake.
#[derive(Debug, Default)]
pub struct Problems {
    /// In the order in which they were found.
    pub list: Vec<Problem>,
    /// Values that could not be had: what else would be said about them is a consequence.
    unknown: Vec<Place>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        let consequence = problem
            .place
            .as_ref()
            .is_some_and(|place| self.unknown.contains(place));
        if !consequence {
            self.list.push(problem);
        }
    }

    /// Adds one after which nothing else is said about its place.
    pub fn push_last(&mut self, problem: Problem) {
        let place = problem.place.clone();
        self.push(problem);
        self.unknown.extend(place);
    }

    /// Adds all of another collection.
    pub fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
        self.unknown.append(&mut other.unknown);
    }

    /// Whether one of them makes the file invalid.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| !problem.warning)
    }

    /// How many make the file invalid.
    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|problem| !problem.warning).count()
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            list: vec![problem],
            unknown: Vec::new(),
        }
    }
}
