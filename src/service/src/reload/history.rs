//! The versions that were in force.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::ReloadTrigger;

/// How many are remembered.
const REMEMBERED: usize = 10;

/// A configuration that was or is in force.
#[derive(Debug)]
pub struct ConfigVersion<C> {
    /// Its number; the one that the service started with is 1.
    pub number: u64,
    /// When it came into force.
    pub since: Timestamp,
    /// What brought it.
    pub trigger: ReloadTrigger,
    /// The configuration.
    pub config: Arc<C>,
}

pub(super) struct History<C> {
    versions: VecDeque<ConfigVersion<C>>,
    latest: u64,
}

impl<C> History<C> {
    pub(super) fn new(config: Arc<C>, now: Timestamp) -> Self {
        let mut history = Self {
            versions: VecDeque::new(),
            latest: 0,
        };
        history.push(config, ReloadTrigger::Start, now);
        history
    }

    /// Remembers a new version and gives its number.
    pub(super) fn push(&mut self, config: Arc<C>, trigger: ReloadTrigger, now: Timestamp) -> u64 {
        self.latest = self.latest.saturating_add(1);
        self.versions.push_back(ConfigVersion {
            number: self.latest,
            since: now,
            trigger,
            config,
        });
        while self.versions.len() > REMEMBERED {
            self.versions.pop_front();
        }
        self.latest
    }

    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    pub(super) fn version(&self, number: u64) -> Option<Arc<C>> {
        self.versions
            .iter()
            .find(|version| version.number == number)
            .map(|version| Arc::clone(&version.config))
    }

    pub(super) fn versions(&self) -> Vec<ConfigVersion<C>> {
        self.versions.iter().cloned().collect()
    }
}

impl<C> Clone for ConfigVersion<C> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            since: self.since,
            trigger: self.trigger,
            config: Arc::clone(&self.config),
        }
    }
}
