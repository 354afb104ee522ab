//! `resources:` of a profile: free figures about a process.

use std::collections::BTreeMap;

use serde_json::Value;

use super::details;
use super::place::{Document, Places, Source};
use super::pointer;
use crate::text::clean;

/// Characters of a name.
const LONGEST_NAME: usize = 128;

/// Where a payload has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resources {
    /// A map of them, or a single one, at the first place that holds something.
    At(Places),
    /// Each at a place of its own, under the profile's name for it.
    Named(Vec<(String, Places)>),
}

impl Resources {
    /// What stands there. A named one with a unit is in seconds.
    pub(super) fn read(&self, document: Document<'_>) -> BTreeMap<String, Value> {
        let named = match self {
            Self::At(places) => {
                return match places.find(document) {
                    None => BTreeMap::new(),
                    Some((_, value)) if value.is_object() => details::fields(&value),
                    Some((place, value)) => {
                        [(last_name(&place.source), details::single(&value))].into()
                    }
                };
            }
            Self::Named(named) => named,
        };
        let found = named.iter().filter_map(|(name, places)| {
            let (place, value) = places.find(document)?;
            let value = if place.unit.is_some() {
                places.duration(document)?.as_secs_f64().into()
            } else {
                details::single(&value)
            };
            Some((name.clone(), value))
        });
        found.collect()
    }
}

/// What a single value is called where it stands alone.
fn last_name(source: &Source) -> String {
    let name = match source {
        Source::Pointer(place) => pointer::key(place.rsplit('/').next().unwrap_or_default()),
        Source::Header(name) => name.into(),
    };
    clean(&name, LONGEST_NAME)
}
