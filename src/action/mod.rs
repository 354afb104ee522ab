//! Requests, plans, order, when to ask, verdicts: what will be done, and what was proved.
//!
//! Pure: sends nothing, reads no clock.

mod offer;
mod verdict;

pub use offer::{Offer, Refusal};
pub use verdict::{Action, Verdict};
