//! A stop under way that a person may end by force: SIGKILL as a second step, while the stop still waits.
//!
//! Must not decide whom it reaches: that is the list which the stop has proved.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::PreparedAction;
use super::kill::AFTER_TERM;
use super::signal::{ProvenTarget, target_names};
use crate::action::{Action, Goal, PlanStep, Proposal, ProposedAction, Refusal, RefusalReason};
use crate::inventory::Service;
use crate::text;

/// The switch of one service of an action; clones are the same switch.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForceSwitch {
    stage: Arc<Mutex<ForceStage>>,
    asked: CancellationToken,
}

/// How far an action has come towards a stop that can be ended by force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum ForceStage {
    /// Nothing is being stopped: it waits for its turn, or starts already.
    #[default]
    NotStopping,
    /// The stop waits for the end of these processes, named for people.
    Stopping(String),
    /// The action on the service has ended.
    Ended,
}

impl ForceSwitch {
    /// Returns what force would do to the service now; `None` where the action on it has ended.
    pub(crate) fn proposal(&self, service: &Service) -> Option<Result<Proposal, Refusal>> {
        let action = Action::Shutdown;
        let names = match self.stage() {
            ForceStage::Stopping(names) => names,
            ForceStage::NotStopping => {
                let reason = "nothing of it is being stopped at the moment";
                let hint = "its steps are in its detail and in the events";
                return Some(Err(RefusalReason::new(reason, hint).of(service, action)));
            }
            ForceStage::Ended => return None,
        };
        let after_term = text::format_duration(AFTER_TERM);
        let offer = ProposedAction {
            service: service.name.clone(),
            action,
            means: "SIGKILL, to end the stop that is under way".to_owned(),
            request: text::clean(&format!("SIGKILL to {names}"), 300),
            after_reply: None,
            otherwise: Some(format!(
                "whoever has had no SIGTERM gets that first, and {after_term} to end"
            )),
            then: None,
            target: "what the stop has proved to be its own, and still runs".to_owned(),
            timeout: AFTER_TERM,
            protected: service.protected,
        };
        let step = PlanStep {
            service: service.name.clone(),
            goal: Goal::Stop,
        };
        Some(Ok(Proposal {
            offers: vec![offer],
            order: vec![step],
        }))
    }

    /// Has the stop killed without further waiting. Returns whether there still was one.
    pub(crate) fn force(&self) -> bool {
        let stops = matches!(self.stage(), ForceStage::Stopping(_));
        if stops {
            self.asked.cancel();
        }
        stops
    }

    fn stage(&self) -> ForceStage {
        let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        stage.clone()
    }

    /// Returns what is cancelled once somebody asks for force.
    pub(super) fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Notes that these are being stopped.
    pub(super) fn begin(&self, list: &[ProvenTarget]) {
        if !list.is_empty() {
            self.set(ForceStage::Stopping(target_names(list)));
        }
    }

    /// Notes that nothing is being stopped any more.
    pub(super) fn pass(&self) {
        self.set(ForceStage::NotStopping);
    }

    /// Notes that the action has ended.
    pub(super) fn end(&self) {
        self.set(ForceStage::Ended);
    }

    fn set(&self, stage: ForceStage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

impl PreparedAction {
    /// Returns the switch of each service, by name.
    pub(crate) fn force_switches(&self) -> impl Iterator<Item = (String, ForceSwitch)> + '_ {
        let targets = self.targets.iter();
        targets.map(|target| (target.service.name.clone(), target.force.clone()))
    }
}
