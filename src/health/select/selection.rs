//! Several selectors: a union, of which every static part has to match something.

use std::collections::BTreeMap;

use super::{SelectError, Selector};
use crate::health::Picture;

/// A service of the inventory, as far as a selector cares.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its group.
    pub group: Option<&'a str>,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// The union of several selectors; none at all means every service.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    selectors: Vec<Selector>,
}

impl Selection {
    /// Reads the selectors and checks them against the inventory.
    ///
    /// # Errors
    /// Every selector that is malformed or has a name, glob, group or label that matches nothing.
    pub fn parse<'a>(
        _texts: &[String],
        _inventory: impl IntoIterator<Item = Candidate<'a>>,
    ) -> Result<Self, Vec<SelectError>> {
        Ok(Self {
            selectors: Vec::new(),
        })
    }

    /// True where no selector was given.
    pub fn is_all(&self) -> bool {
        self.selectors.is_empty()
    }

    /// True where it cannot be told before a round of probes.
    pub fn needs_picture(&self) -> bool {
        todo!("selector")
    }

    /// Whether the service could be meant, as far as the inventory tells: what has to be probed.
    pub fn matches_static(&self, _candidate: Candidate<'_>) -> bool {
        todo!("selector")
    }

    /// Whether the service is meant.
    pub fn matches(&self, _picture: &Picture) -> bool {
        todo!("selector")
    }
}
