//! Raw to resolved: layers laid over each other, defaults filled in, what fits together checked.
//!
//! The only place with default values.

mod actions;
mod ask;
mod assemble;
mod command;
mod depends;
mod expect;
mod layers;
mod probes;
mod running;
mod service;
mod variables;

pub(super) use ask::Said;
pub(super) use depends::check as check_dependencies;
pub(super) use layers::{
    Layer, LayerKind, action_layers, headers, http, option, probe_layers, request,
};
pub(super) use service::{Parts, service};
pub(super) use variables::Variables;

/// What holds where nobody says anything.
pub(super) mod defaults {
    use std::time::Duration;

    use crate::profile::Connection;

    pub(in super::super) const INTERVAL: Duration = Duration::from_secs(5);
    pub(in super::super) const TIMEOUT: Duration = Duration::from_secs(2);
    pub(in super::super) const FAILURE_THRESHOLD: u32 = 3;
    pub(in super::super) const SUCCESS_THRESHOLD: u32 = 1;
    pub(in super::super) const START_PERIOD: Duration = Duration::ZERO;
    pub(in super::super) const CONNECTION: Connection = Connection::Fresh;
    pub(in super::super) const MAX_BODY: u64 = 1 << 20;
    /// The founding services drain for 30 s at most.
    pub(in super::super) const ACTION_TIMEOUT: Duration = Duration::from_secs(40);
    pub(in super::super) const READY_TIMEOUT: Duration = Duration::from_secs(60);
    pub(in super::super) const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
}
