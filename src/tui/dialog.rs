//! The questions that stand between a key and an action. Cancel always has the focus first; nothing is sent before
//! somebody has seen the exact request.

use tui_input::Input;

use crate::action::{Action, Offer, Refusal};

use super::message::Ticket;

/// What stands over the screen.
#[derive(Debug)]
pub(crate) enum Dialog {
    /// The identity is being read; nothing was sent.
    Preparing {
        /// Which preparation.
        ticket: Ticket,
        /// The service.
        service: String,
        /// What is wanted.
        action: Action,
    },
    /// Shall this be done?
    Confirm(Question),
    /// It will not be done, and why.
    Refused(Vec<Refusal>),
}

/// Shall this be done?
#[derive(Debug)]
pub(crate) struct Question {
    /// What was prepared.
    pub(crate) ticket: Ticket,
    /// What would be done; at least one.
    pub(crate) offers: Vec<Offer>,
    /// The button that Enter presses.
    pub(crate) focus: Button,
    /// The name as far as it is typed, where one has to be.
    pub(crate) typed: Input,
}

/// The buttons of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    /// Nothing is sent.
    Cancel,
    /// It is done.
    Confirm,
}

impl Question {
    /// A question about these offers.
    pub(crate) fn new(ticket: Ticket, offers: Vec<Offer>) -> Self {
        Self {
            ticket,
            offers,
            focus: Button::Cancel,
            typed: Input::default(),
        }
    }

    /// The name that has to be typed first, where a protected service is among the offers.
    pub(crate) fn name_to_type(&self) -> Option<&str> {
        self.offers
            .iter()
            .find(|offer| offer.protected)
            .map(|offer| offer.service.as_str())
    }

    /// Whether the confirming button may be pressed.
    pub(crate) fn may_confirm(&self) -> bool {
        self.name_to_type()
            .is_none_or(|name| name == self.typed.value())
    }

    /// Gives the focus to the other button.
    pub(crate) fn switch(&mut self) {
        self.focus = match self.focus {
            Button::Cancel => Button::Confirm,
            Button::Confirm => Button::Cancel,
        };
    }
}
