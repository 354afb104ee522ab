//! When to ask: schedule, caps, and the one owner of all trackers; publishes [`Event`](crate::event::Event)s.
//!
//! Must not print, act on a service or know a face. [`watch()`] goes on until it is stopped, [`Rounds`] asks once or
//! until a condition holds; both stand on the same parts: `schedule` (when), `places` (how many at once),
//! `roster` (which) and `asking` (what is under way). What they publish goes through a [`channel()`].

mod ask;
mod asking;
mod caps;
mod channel;
mod lateness;
mod places;
mod roster;
mod round;
mod schedule;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub(crate) use ask::Ask;
pub(crate) use caps::Caps;
pub(crate) use channel::{EventReceiver, channel};
pub(crate) use round::{Progress, Rounds};
pub(crate) use watch::{Handle, Options, watch};
