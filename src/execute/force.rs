//! The end by force of a stop that is under way: SIGKILL as a second step, which a person permits while the stop still waits.
//!
//! Must not decide whom it reaches: that is what the stop has proved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::signal::{ProvenTarget, target_names};
use crate::action::{Action, Goal, PlanStep, Proposal, ProposedAction, Refusal, RefusalReason};
use crate::health::Process;
use crate::inventory::Service;
use crate::text;

/// The time that SIGTERM has before SIGKILL where the time of the stop is up already, unless all of it was less.
pub(super) const AFTER_TERM: Duration = Duration::from_secs(5);

/// The switches of the latest action on each service, by the name of the service; clones are the same switches.
#[derive(Debug, Clone, Default)]
pub(super) struct ForceSwitches(Arc<Mutex<HashMap<String, ForceSwitch>>>);

/// The switch of one service of an action; clones are the same switch.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForceSwitch {
    stage: Arc<Mutex<ForceStage>>,
    asked: CancellationToken,
}

/// The progress of an action towards a stop that can be ended by force.
#[derive(Debug, Clone, Default)]
enum ForceStage {
    /// Nothing is being stopped: it waits for its turn, or starts already.
    #[default]
    NotStopping,
    /// The stop waits for the end of these processes.
    Stopping {
        targets: Vec<ProvenTarget>,
        /// Set where the service is started again after that.
        restarts: bool,
    },
    /// The action on the service has ended.
    Ended,
}

/// The effect of force on a service, for a person to agree to.
#[derive(Debug, Clone)]
pub(crate) struct ForceOffer {
    pub(crate) proposal: Proposal,
    /// The processes that the person is shown.
    shown: Vec<Process>,
}

impl ForceSwitch {
    /// Returns what force would do to the service now; `None` where the action on it has ended.
    pub(crate) fn offer(&self, service: &Service) -> Option<Result<ForceOffer, Refusal>> {
        let refuse = |reason, hint| {
            let reason = RefusalReason::new(reason, hint);
            Some(Err(reason.of(service, Action::Shutdown)))
        };
        let (targets, restarts) = match &*self.stage() {
            ForceStage::Ended => return None,
            _ if self.asked.is_cancelled() => {
                return refuse("it is being killed already", "its steps are in its detail");
            }
            ForceStage::Stopping { targets, restarts } => (living(targets), *restarts),
            ForceStage::NotStopping => {
                return refuse(
                    "the action on it that is under way stops nothing at the moment",
                    "its steps are in its detail and in the events",
                );
            }
        };
        if targets.is_empty() {
            return refuse(
                "its stop waits, and no process that is proved to be its own still runs, so none may be killed",
                "its steps are in its detail and in the events",
            );
        }
        let after_term = text::format_duration(AFTER_TERM);
        let action = Action::Shutdown;
        let offer = ProposedAction {
            service: service.name.clone(),
            action,
            means: format!("SIGKILL, and SIGTERM {after_term} before it where none was sent yet"),
            request: text::clean(&format!("SIGKILL to {}", target_names(&targets)), 600),
            after_reply: None,
            otherwise: None,
            then: restarts.then(|| "the restart goes on: it is started again".to_owned()),
            target: "the processes that its stop is for".to_owned(),
            timeout: AFTER_TERM,
            protected: service.protected,
        };
        let step = PlanStep {
            service: service.name.clone(),
            goal: Goal::Stop,
        };
        let proposal = Proposal {
            offers: vec![offer],
            order: vec![step],
        };
        let shown = targets.iter().map(ProvenTarget::process).collect();
        Some(Ok(ForceOffer { proposal, shown }))
    }

    /// Has the stop killed without further waiting, as it was offered.
    ///
    /// # Errors
    /// Why nothing is killed: the stop is over, or concerns others than those that were shown.
    pub(crate) fn force(&self, offer: &ForceOffer) -> Result<(), &'static str> {
        let stage = self.stage();
        let ForceStage::Stopping { targets, .. } = &*stage else {
            return Err("its stop is over, and its result says how");
        };
        let is_shown = |one: &ProvenTarget| offer.shown.contains(&one.process());
        if !living(targets).iter().all(is_shown) {
            return Err("what is left of it are other processes than those that were shown");
        }
        // Under the lock, so that the stop either kills or is over before.
        self.asked.cancel();
        Ok(())
    }

    /// Returns what is cancelled once somebody asks for force.
    pub(super) fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Notes whom the stop waits for.
    pub(super) fn stopping(&self, targets: &[ProvenTarget], restarts: bool) {
        let targets = targets.to_vec();
        *self.stage() = ForceStage::Stopping { targets, restarts };
    }

    /// Notes that nothing is being stopped any more.
    pub(super) fn stop_ended(&self) {
        *self.stage() = ForceStage::NotStopping;
    }

    /// Notes that the action has ended.
    pub(super) fn action_ended(&self) {
        *self.stage() = ForceStage::Ended;
    }

    fn stage(&self) -> MutexGuard<'_, ForceStage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn living(targets: &[ProvenTarget]) -> Vec<ProvenTarget> {
    let mut living = targets.to_vec();
    living.retain(|one| one.accepts_signals().is_ok());
    living
}

impl ForceSwitches {
    /// Returns the switch of the latest action on a service.
    pub(super) fn get(&self, service: &str) -> Option<ForceSwitch> {
        self.lock().get(service).cloned()
    }

    /// Takes in the switch of an action that has begun.
    pub(super) fn add(&self, service: &str, switch: &ForceSwitch) {
        self.lock().insert(service.to_owned(), switch.clone());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ForceSwitch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
