//! When to probe: one loop for `watch` and `check`, the owner of all trackers. It publishes
//! [`Event`](crate::event::Event)s and takes [`Input`](crate::event::Input)s.
//!
//! Must not print, act on a service or know a view. [`watch()`] runs until it is stopped, [`check()`] for one round or until a
//! condition holds. `schedule` says when, `limits` how many at once, `probes` which; `in_flight` holds what is asked.

mod channel;
mod in_flight;
mod lateness;
mod limits;
mod probes;
mod run;
mod schedule;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use channel::{EventReceiver, channel};
pub(crate) use in_flight::Ask;
pub(crate) use limits::Caps;
pub(crate) use run::{Handle, Options, Progress, Until, check, watch};
