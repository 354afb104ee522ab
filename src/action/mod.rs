//! Requests, plans, order, when to ask, verdicts: what will be done, and what was proved.
//!
//! Pure: sends nothing, reads no clock.

mod automatic;
mod consent;
mod order;
mod plan;
mod proof;
mod proposal;
mod rollout;
#[cfg(test)]
mod samples;
mod turns;
mod verdict;

pub use automatic::{Automatic, Order, Outcome, Present};
pub use consent::{Consent, Questions};
pub(crate) use order::stop_order;
pub(crate) use plan::plan_action;
pub use plan::{ActionPlan, Goal, Method, RefusalReason, START_COMMAND, shown_command};
pub use proof::{
    AddressHolder, Baseline, ChildExit, ConnectOutcome, ExitProof, LOOKS_APART, NOTHING_TO_LOOK_AT,
    Observation, ProcessState, ProofProgress, ProofSubject, Prover, ReadinessProof, ReloadProof,
    ReloadResponse, Responder, ResponderKind, StartProof, StopProof, StopStage, WOULD_SHOW,
    restart_verdict,
};
pub use proposal::{PlanStep, Proposal, ProposedAction, Refusal};
pub(crate) use rollout::needs;
pub use rollout::{ActionPhase, Rollout, RolloutNode, RolloutPolicy, RolloutTask};
pub use turns::{StateTurn, Turns};
pub use verdict::{Action, Verdict, exit_code};
