//! Requests, plans, order, when to ask, verdicts: what will be done, and what was proved.
//!
//! Pure: sends nothing, reads no clock.

mod agenda;
mod arrival;
mod automatic;
mod consent;
mod offer;
mod order;
mod proof;
pub mod reload;
#[cfg(test)]
mod samples;
mod turns;
mod verdict;
mod way;
mod who;

pub use agenda::{Agenda, Half, Manner, Member, Task, needs};
pub use arrival::{Arrival, Arrived, Expected, Glance, Holder, Started, renewed};
pub use automatic::{Automatic, Order, Outcome, Present};
pub use consent::{Consent, Questions};
pub use offer::{Deed, Leg, Offer, Proposal, Refusal};
pub use order::stop_order;
pub use proof::Who;
pub use proof::{
    APART, Life, Look, NOTHING_TO_LOOK_AT, Proof, Seen, Stage, Subject, Turn, WOULD_SHOW,
};
pub use turns::{StateTurn, Turns};
pub use verdict::{Action, Verdict, exit_code};
pub use way::{Course, NoWay, START_COMMAND, Then, Way, course, shown_command};
pub use who::{Answerer, Known};
