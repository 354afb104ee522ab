//! Requests, plans, order, when to ask, verdicts: what will be done, and what was proved.
//!
//! Pure: sends nothing, reads no clock.

mod arrival;
mod automatic;
mod consent;
mod order;
mod plan;
mod proof;
mod proposal;
pub mod reload;
mod rollout;
#[cfg(test)]
mod samples;
mod turns;
mod verdict;
mod who;

pub use arrival::{Arrival, Arrived, Expected, Glance, Holder, Started, renewed};
pub use automatic::{Automatic, Order, Outcome, Present};
pub use consent::{Consent, Questions};
pub(crate) use order::stop_order;
pub(crate) use plan::plan_action;
pub use plan::{ActionPlan, Goal, Method, RefusalReason, START_COMMAND, shown_command};
pub use proof::Who;
pub use proof::{
    APART, Life, Look, NOTHING_TO_LOOK_AT, Proof, Seen, Stage, Subject, Turn, WOULD_SHOW,
};
pub use proposal::{PlanStep, Proposal, ProposedAction, Refusal};
pub(crate) use rollout::needs;
pub use rollout::{ActionPhase, Rollout, RolloutNode, RolloutPolicy, RolloutTask};
pub use turns::{StateTurn, Turns};
pub use verdict::{Action, Verdict, exit_code};
pub use who::{Answerer, Known};
