//! The questions that stand between a key and an action. Cancel always has the focus first; nothing is sent before
//! somebody has seen the exact request of every service.

use tui_input::Input;

use crate::action::{Action, Goal, Proposal, ProposedAction, Refusal};

use super::message::Ticket;

/// What stands over the screen.
#[derive(Debug)]
pub(crate) enum Dialog {
    /// The identities are being read; nothing was sent.
    Preparing {
        /// Which preparation.
        ticket: Ticket,
        /// The services.
        services: Vec<String>,
        /// What is wanted.
        action: Action,
    },
    /// Shall this be done?
    Confirm(Box<Question>),
    /// It will not be done, and why.
    Refused(Denial),
    /// Shall the dashboard be left although actions are under way?
    Leave(Button),
}

/// Shall this be done?
#[derive(Debug)]
pub(crate) struct Question {
    /// What was prepared.
    pub(crate) ticket: Ticket,
    /// What was wanted.
    pub(crate) action: Action,
    /// The services that were meant; not all of them need to have something done to them.
    pub(crate) services: Vec<String>,
    /// What would be done; at least one.
    pub(crate) proposal: Proposal,
    /// The button that Enter presses.
    pub(crate) focus: Button,
    /// The name as far as it is typed, where one has to be.
    pub(crate) typed: Input,
    /// So many names of protected services have been typed.
    pub(crate) named: usize,
    /// The first line on the screen.
    pub(crate) top: usize,
    /// Its last line has been on the screen.
    pub(crate) read: bool,
}

/// Why nothing is done.
#[derive(Debug)]
pub(crate) struct Denial {
    /// Every reason.
    pub(crate) refusals: Vec<Refusal>,
    /// So many services were meant.
    pub(crate) meant: usize,
    /// The first line on the screen.
    pub(crate) top: usize,
}

/// How much of what can be scrolled is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// All its lines.
    pub(crate) lines: usize,
    /// Those that are on the screen at once.
    pub(crate) rows: usize,
}

/// The buttons of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    /// Nothing is sent.
    Cancel,
    /// It is done.
    Confirm,
}

/// In a window with fewer rows nobody can read.
const FEWEST_ROWS: usize = 3;

impl Dialog {
    /// The first line on the screen, of what can be scrolled.
    pub(crate) const fn top(&self) -> usize {
        match self {
            Self::Confirm(question) => question.top,
            Self::Refused(denial) => denial.top,
            Self::Preparing { .. } | Self::Leave(_) => 0,
        }
    }

    /// Scrolls to this line; the far end is cut back when everything settles.
    pub(crate) const fn scroll(&mut self, to: usize) {
        match self {
            Self::Confirm(question) => question.top = to,
            Self::Refused(denial) => denial.top = to,
            Self::Preparing { .. } | Self::Leave(_) => {}
        }
    }

    /// Brings the position back to where there is something.
    pub(crate) fn settle(&mut self, part: Part) {
        let last = part.lines.saturating_sub(part.rows);
        self.scroll(self.top().min(last));
    }

    /// The button that has the focus, where there are two.
    pub(crate) const fn focus(&mut self) -> Option<&mut Button> {
        match self {
            Self::Confirm(question) => Some(&mut question.focus),
            Self::Leave(focus) => Some(focus),
            Self::Preparing { .. } | Self::Refused(_) => None,
        }
    }

    /// This part of it was before somebody's eyes.
    pub(crate) fn seen(&mut self, part: Part) {
        if let Self::Confirm(question) = self {
            let legible = part.rows >= FEWEST_ROWS.min(part.lines);
            question.read |= legible && question.top + part.rows >= part.lines;
        }
    }

    /// The screen is another one: it has to be seen anew.
    pub(crate) fn unseen(&mut self) {
        if let Self::Confirm(question) = self {
            question.read = false;
            question.top = 0;
        }
    }
}

impl Question {
    /// A question about this plan.
    pub(crate) fn new(
        ticket: Ticket,
        action: Action,
        services: Vec<String>,
        proposal: Proposal,
    ) -> Self {
        Self {
            ticket,
            action,
            services,
            proposal,
            focus: Button::Cancel,
            typed: Input::default(),
            named: 0,
            top: 0,
            read: false,
        }
    }

    /// The names that have to be typed, one after the other: those of the protected services.
    pub(crate) fn names_to_type(&self) -> Vec<&str> {
        let offers = self.proposal.offers.iter();
        offers
            .filter(|offer| offer.protected)
            .map(|offer| offer.service.as_str())
            .collect()
    }

    /// The name that has to be typed now, where any has to be.
    pub(crate) fn name_to_type(&self) -> Option<&str> {
        self.names_to_type().get(self.named).copied()
    }

    /// Takes in that the typed name has changed: the next one is asked for as soon as this one is whole. The last one
    /// stays on the screen.
    pub(crate) fn typed_on(&mut self) {
        let names = self.names_to_type();
        let whole = names.get(self.named) == Some(&self.typed.value().trim());
        if whole && self.named + 1 < names.len() {
            self.named += 1;
            self.typed.reset();
        }
    }

    /// Whether every name that has to be is typed.
    fn is_named(&self) -> bool {
        let names = self.names_to_type();
        names.is_empty()
            || (self.named + 1 == names.len() && names.last() == Some(&self.typed.value().trim()))
    }

    /// Whether the confirming button may be pressed: nobody agrees to what they have not seen.
    pub(crate) fn may_confirm(&self) -> bool {
        self.read && self.is_named()
    }

    /// Whether the plan does this to the service.
    pub(crate) fn does(&self, offer: &ProposedAction, goal: Goal) -> bool {
        let mut legs = self.proposal.order.iter();
        legs.any(|leg| leg.service == offer.service && leg.goal == goal)
    }

    /// The services that were meant and to which nothing has to be done.
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
    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Cancel => Self::Confirm,
            Self::Confirm => Self::Cancel,
        }
    }
}

impl Denial {
    /// The reasons why nothing is done to so many services.
    pub(crate) const fn new(refusals: Vec<Refusal>, meant: usize) -> Self {
        Self {
            refusals,
            meant,
            top: 0,
        }
    }
}
