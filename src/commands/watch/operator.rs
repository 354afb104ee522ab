//! Between the dashboard and what carries out actions: prepares, keeps what was prepared until somebody decides, runs it.
//!
//! Everything runs as tasks of its own; the loop never waits for it.

use tokio::sync::mpsc::UnboundedSender;

use crate::action::{Action, Refusal};
use crate::tui::{Message, Ticket};

/// Carries out what the dashboard asks for.
pub(super) struct Operator {}

impl Operator {
    /// Finds out what an action would be, and answers.
    pub(super) fn prepare(
        &mut self,
        ticket: Ticket,
        service: String,
        action: Action,
        answers: UnboundedSender<Message>,
    ) {
        let refusal = Refusal {
            service,
            action,
            reason: "not supported yet".to_owned(),
            hint: None,
        };
        let _ = answers.send(Message::Prepared {
            ticket,
            result: Err(vec![refusal]),
        });
    }

    /// Carries out what was prepared.
    pub(super) fn run(&mut self, _ticket: Ticket) {}

    /// Throws it away.
    pub(super) fn forget(&mut self, _ticket: Ticket) {}
}
