//! What is to be done to services and what was proved of it: plans, their order, refusals, verdicts, and the decision to
//! restart automatically.
//!
//! Pure: must not send anything or read a clock.

mod auto_restart;
mod order;
mod plan;
mod proof;
mod proposal;
mod rollout;
#[cfg(test)]
mod samples;
mod transitions;
mod verdict;

pub(crate) use auto_restart::{AutoRestart, CurrentInstance, RestartOutcome, RestartRequest};
pub(crate) use order::{needed_beside, needs, stop_order};
pub(crate) use plan::{ActionPlan, RefusalReason, START_COMMAND, plan_action, shown_command};
pub(crate) use proof::{
    AddressHolder, Baseline, ChildExit, ConnectOutcome, ExitProof, Handover, LOOKS_APART,
    NOTHING_TO_LOOK_AT, Observation, ProcessState, ProofLook, ProofSubject, Prover, ReadinessProof,
    ReloadProof, ReloadResponse, Responder, ResponderKind, StartProof, StopProof, StopStage,
    WOULD_SHOW, all_refuse, has_done_nothing, restart_verdict,
};
pub(crate) use proposal::{Consent, MissingConsent, PlanStep, Proposal, ProposedAction, Refusal};
pub(crate) use rollout::{ActionPhase, Rollout, RolloutNode, RolloutPolicy, RolloutTask};
pub(crate) use transitions::{StateTransition, TransitionQueue};
pub(crate) use verdict::Goal;
pub use verdict::{Action, Verdict, exit_code};
