//! The dialogs between a key and an action. Cancel always has the focus first. Nothing is sent before somebody has seen
//! the exact request of every service.

use tui_input::Input;

use crate::action::{Action, Goal, Proposal, ProposedAction, Refusal};

use super::message::{Permission, Ticket};

/// The dialog over the screen.
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) kind: DialogKind,
    /// The button that Enter presses, where there are two.
    pub(crate) focus: Button,
    /// The first line on the screen.
    pub(crate) top: usize,
    /// The last line has been on the screen.
    pub(crate) read: bool,
}

/// The subject of a dialog.
#[derive(Debug)]
pub(crate) enum DialogKind {
    /// The identities are being read, and nothing was sent.
    Preparing {
        ticket: Ticket,
        services: Vec<String>,
        action: Action,
        permission: Permission,
    },
    /// The plan is known and waits for an answer.
    Confirm(Box<PlanDialog>),
    /// The action is refused. `meant` is the number of services that were meant; `typed` is the pid as far as it is typed,
    /// where the refusal names a process that may be signalled all the same.
    Refused {
        refusals: Vec<Refusal>,
        meant: usize,
        permission: Permission,
        typed: Input,
    },
    /// The dashboard is about to quit although actions run.
    Leave,
}

/// A plan that waits for an answer.
#[derive(Debug)]
pub(crate) struct PlanDialog {
    pub(crate) ticket: Ticket,
    pub(crate) action: Action,
    pub(crate) permission: Permission,
    /// The services that were meant; the plan may have nothing to do for some of them.
    pub(crate) services: Vec<String>,
    /// The plan, with at least one offer.
    pub(crate) proposal: Proposal,
    /// The name as far as it is typed, for protected services.
    pub(crate) typed: Input,
    /// The number of names of protected services that have been typed.
    pub(crate) named: usize,
}

/// The part of a text that is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Viewport {
    /// The number of lines of the text.
    pub(crate) lines: usize,
    /// The number of lines on the screen at once.
    pub(crate) rows: usize,
}

/// The buttons of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    Cancel,
    Confirm,
}

/// The process that a refusal of one service offers to signal all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameableProcess {
    pub(crate) service: String,
    pub(crate) action: Action,
    pub(crate) pid: u32,
    /// Set where it is to be killed.
    pub(crate) kills: bool,
}

/// A viewport with fewer rows cannot be read.
const FEWEST_ROWS: usize = 3;

impl From<DialogKind> for Dialog {
    /// Returns the dialog at its first line, with Cancel in focus.
    fn from(kind: DialogKind) -> Self {
        Self {
            kind,
            focus: Button::Cancel,
            top: 0,
            read: false,
        }
    }
}

impl Dialog {
    /// Notes that this viewport has been on the screen.
    pub(crate) fn seen(&mut self, viewport: Viewport) {
        let legible = viewport.rows >= FEWEST_ROWS.min(viewport.lines);
        self.read |= legible && self.top + viewport.rows >= viewport.lines;
    }

    /// Notes that the screen has another size: the text of a plan has to be seen again.
    pub(crate) fn unseen(&mut self) {
        if let DialogKind::Confirm(_) = self.kind {
            self.read = false;
            self.top = 0;
        }
    }

    /// Returns the process whose pid may be typed, where a refusal offers one.
    pub(crate) fn nameable(&self) -> Option<NameableProcess> {
        match &self.kind {
            DialogKind::Refused {
                refusals,
                meant: 1,
                permission,
                ..
            } => {
                let refusal = refusals.first()?;
                Some(NameableProcess {
                    service: refusal.service.clone(),
                    action: refusal.action,
                    pid: refusal.nameable?,
                    kills: permission.kills(),
                })
            }
            _ => None,
        }
    }

    /// Returns whether the confirming button may be pressed: the whole plan has been seen and every name typed.
    pub(crate) fn may_confirm(&self) -> bool {
        match &self.kind {
            DialogKind::Confirm(plan) => self.read && plan.names_typed(),
            DialogKind::Leave => true,
            DialogKind::Preparing { .. } | DialogKind::Refused { .. } => false,
        }
    }
}

impl Viewport {
    /// Returns the first line on the screen when the last one is at the bottom.
    pub(crate) const fn last_top(self) -> usize {
        self.lines.saturating_sub(self.rows)
    }
}

impl PlanDialog {
    /// Returns the names of the protected services, which have to be typed one after the other.
    pub(crate) fn names_to_type(&self) -> Vec<&str> {
        let offers = self.proposal.offers.iter();
        offers
            .filter(|offer| offer.protected)
            .map(|offer| offer.service.as_str())
            .collect()
    }

    /// Returns the name that has to be typed now.
    pub(crate) fn name_to_type(&self) -> Option<&str> {
        self.names_to_type().get(self.named).copied()
    }

    /// Goes on to the next name once this one is complete. The last name stays on the screen.
    pub(crate) fn name_edited(&mut self) {
        let names = self.names_to_type();
        let whole = names.get(self.named) == Some(&self.typed.value().trim());
        if whole && self.named + 1 < names.len() {
            self.named += 1;
            self.typed.reset();
        }
    }

    fn names_typed(&self) -> bool {
        let names = self.names_to_type();
        names.is_empty()
            || (self.named + 1 == names.len() && names.last() == Some(&self.typed.value().trim()))
    }

    /// Returns whether the plan does this to the service.
    pub(crate) fn does(&self, offer: &ProposedAction, goal: Goal) -> bool {
        let mut steps = self.proposal.order.iter();
        steps.any(|step| step.service == offer.service && step.goal == goal)
    }

    /// Returns the services that were meant and need nothing.
    pub(crate) fn untouched(&self) -> Vec<&str> {
        let offers = &self.proposal.offers;
        self.services
            .iter()
            .filter(|name| offers.iter().all(|offer| offer.service != **name))
            .map(String::as_str)
            .collect()
    }
}

impl Button {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Cancel => Self::Confirm,
            Self::Confirm => Self::Cancel,
        }
    }
}
