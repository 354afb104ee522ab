//! `heartbeat:` of a profile: a last-seen time that ages.

use std::time::Duration;

use super::place::{Document, Places, Source};
use super::rule::Condition;
use crate::health::{Beat, Heartbeat};

/// Characters of a holder.
const LONGEST_HOLDER: usize = 128;

/// Where a payload tells of a sign of life.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pulse {
    /// When the last one was.
    pub(super) at: Places,
    /// How old it may be.
    pub(super) fresh_for: Span,
    /// How long after a missed one the next is missed.
    pub(super) every: Span,
    /// Whose it is.
    pub(super) holder: Places,
    /// What stands there where no other will follow.
    pub(super) last: Option<Condition>,
}

/// A length of time: the first of these that is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Span(pub(super) Vec<Length>);

/// One way to know a length of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Length {
    /// The profile says it.
    Fixed(Duration),
    /// The payload says it.
    Said(Places),
}

impl Span {
    fn of(&self, document: Document<'_>) -> Option<Duration> {
        let lengths = self.0.iter().filter_map(|length| match length {
            Length::Fixed(length) => Some(*length),
            Length::Said(places) => places.duration(document),
        });
        // What is good for no time at all is a field that was not filled in.
        lengths.into_iter().find(|length| !length.is_zero())
    }

    fn places(&self) -> impl Iterator<Item = &Places> {
        self.0.iter().filter_map(|length| match length {
            Length::Fixed(_) => None,
            Length::Said(places) => Some(places),
        })
    }
}

impl Pulse {
    /// What a payload says of it; `None` where nothing there belongs to a sign of life. A time that cannot be read is
    /// none, so that it is missed in the end.
    pub(super) fn read(&self, document: Document<'_>) -> Option<Heartbeat> {
        let all = [&self.at, &self.holder];
        let mut all = all.into_iter().chain(self.fresh_for.places());
        if !all.any(|places| places.stands(document)) {
            return None;
        }
        Some(Heartbeat {
            beat: self.at.beat(document).unwrap_or(Beat::Never),
            fresh_for: self.fresh_for.of(document),
            every: self.every.of(document),
            holder: self.holder.text(document, LONGEST_HOLDER),
            is_final: self.last.as_ref().is_some_and(|last| last.holds(document)),
        })
    }

    /// The places that a payload told it at.
    pub(super) fn taken<'a>(
        &'a self,
        document: Document<'a>,
    ) -> impl Iterator<Item = &'a Source> + 'a {
        let all = [&self.at, &self.holder];
        let lengths = self.fresh_for.places().chain(self.every.places());
        let all = all.into_iter().chain(lengths);
        all.flat_map(move |places| places.read(document, true))
    }

    /// Where the last one is looked for first, for people.
    pub(super) fn place(&self) -> String {
        let first = self.at.0.first();
        first.map_or_else(String::new, |place| place.source.to_string())
    }
}
