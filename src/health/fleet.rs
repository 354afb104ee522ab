//! All services together: who is blocked by whom, and what to tell after each change.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Change, Flag, Moment, Outcome, Picture, Rules, Tracker};

/// The newest picture of a service, and what is different from the one before.
#[derive(Debug, Clone)]
pub struct Update {
    /// The picture.
    pub picture: Arc<Picture>,
    /// What changed; empty where only figures moved.
    pub changed: Vec<Change>,
}

/// The trackers of all services, known by their place in the list that was handed in.
#[derive(Debug)]
pub struct Fleet {
    trackers: Vec<Tracker>,
    pictures: Vec<Arc<Picture>>,
    places: HashMap<String, usize>,
}

impl Fleet {
    /// Services of which nothing is known yet.
    pub fn new(rules: Vec<Rules>, now: Moment) -> Self {
        let trackers: Vec<_> = rules
            .into_iter()
            .map(|rules| Tracker::new(rules, now))
            .collect();
        Self {
            pictures: trackers
                .iter()
                .map(|tracker| Arc::new(tracker.picture(now)))
                .collect(),
            places: trackers
                .iter()
                .enumerate()
                .map(|(place, tracker)| (tracker.rules().name.clone(), place))
                .collect(),
            trackers,
        }
    }

    /// The place of the service with this name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Whether this probe is to be asked now.
    pub fn wants(&self, service: usize, probe: usize) -> bool {
        self.trackers
            .get(service)
            .is_some_and(|tracker| tracker.wants(probe))
    }

    /// The newest picture of every service, in their order.
    pub fn pictures(&self) -> Vec<Arc<Picture>> {
        self.pictures.clone()
    }

    /// Takes in what a probe found. The first update is this service's, the others those of services that it blocks or frees.
    pub fn record(&mut self, _service: usize, _probe: usize, _outcome: Outcome) -> Vec<Update> {
        todo!("state machine")
    }

    /// Draws what follows from time alone.
    pub fn tick(&mut self, _now: Moment) -> Vec<Update> {
        todo!("state machine")
    }

    /// A shutdown was accepted: from now on silence means *stopped*.
    pub fn shutdown_accepted(&mut self, _service: usize, _now: Moment) -> Vec<Update> {
        todo!("state machine")
    }

    /// We started it: its start period begins.
    pub fn started(&mut self, _service: usize, _now: Moment) -> Vec<Update> {
        todo!("state machine")
    }

    /// Sets or clears a flag that no probe can know.
    pub fn set_flag(&mut self, _service: usize, _flag: Flag, _on: bool) -> Vec<Update> {
        todo!("state machine")
    }
}
