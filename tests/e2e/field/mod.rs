//! What real programs, terminals and habits have shown, a test each. The letter and number in front of a name group them.

mod command_line;
mod copies;
mod exits;
mod frameworks;
mod hangup;
mod ownership;
mod property;
mod signals;
mod stale;
mod states;
mod verdicts;

use serde_json::Value;

use crate::actions::{SERVICE, assert_ended, audit, begin, hidden, run, scene};
use crate::support::faulty::FaultyService;
use crate::support::process::free_port;
use crate::support::scene::{Ran, Scene};
use crate::support::started::{Stage, Startable};

/// A stage on which the service `api` was started, which does as the words say.
fn started(words: &str, more: &str) -> Stage {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", words).with(more)]);
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    stage
}
