//! What is believed of one service, from everything its probes have found.

use crate::health::{Flag, Moment, Outcome, Picture, Rules};

/// The memory of one service: probe results go in, a [`Picture`] comes out.
#[derive(Debug)]
pub struct Tracker {
    rules: Rules,
}

impl Tracker {
    /// A service of which nothing is known yet.
    pub fn new(rules: Rules, _now: Moment) -> Self {
        Self { rules }
    }

    /// What was known of it beforehand.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether this probe is to be asked now: `startup` holds the others back until it has passed, and is not asked
    /// again after that.
    pub fn wants(&self, _probe: usize) -> bool {
        todo!("state machine")
    }

    /// Takes in what a probe found.
    pub fn record(&mut self, _probe: usize, _outcome: Outcome) {
        todo!("state machine")
    }

    /// Draws what follows from time alone; true where something may have changed.
    pub fn tick(&mut self, _now: Moment) -> bool {
        todo!("state machine")
    }

    /// A shutdown was accepted: from now on silence means *stopped*.
    pub fn shutdown_accepted(&mut self, _now: Moment) {
        todo!("state machine")
    }

    /// We started it: its start period begins.
    pub fn started(&mut self, _now: Moment) {
        todo!("state machine")
    }

    /// Sets or clears a flag that no probe can know.
    pub fn set_flag(&mut self, _flag: Flag, _on: bool) {
        todo!("state machine")
    }

    /// Everything known, as of `now`.
    pub fn picture(&self, _now: Moment) -> Picture {
        todo!("state machine")
    }
}
