//! Everything that can happen to the dashboard, and everything that it can want.

use std::collections::BTreeSet;

use ratatui::crossterm::event::KeyEvent;

use crate::action::{Action, Proposal, Refusal};
use crate::event::Event;
use crate::health::Moment;

/// Tells one preparation of an action from another: a late answer to a dialog that was left must not open it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// Time went on.
    Tick(Moment),
    /// The engine or an action tells something.
    Event(Event),
    /// Automatic restart was switched on or off, or restarts a service no more.
    Automatic {
        /// Whether it is on now.
        on: bool,
        /// The services that it has given up on.
        given_up: BTreeSet<String>,
    },
    /// What an action would do is known, or why it is refused.
    Prepared {
        /// The preparation that this answers.
        ticket: Ticket,
        /// The plan, or every refusal.
        result: Result<Proposal, Vec<Refusal>>,
    },
}

/// Something that the dashboard wants done by the loop around it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Effect {
    /// Leave, with exit code 0.
    Quit,
    /// Give the terminal back to the shell until it continues us.
    Suspend,
    /// Ask the probes of a service now, or of all.
    ProbeNow {
        /// The service; `None` is all of them.
        service: Option<String>,
    },
    /// Switch automatic restart on or off, whichever it is not.
    SwitchAutomatic,
    /// Read the identity of each of the services and tell what an action on them would be; nothing is sent to any.
    Prepare {
        /// To be given back with the answer.
        ticket: Ticket,
        /// The services, in inventory order.
        services: Vec<String>,
        /// What is wanted.
        action: Action,
    },
    /// Carry out what was prepared: somebody confirmed it.
    Run {
        /// Which preparation.
        ticket: Ticket,
    },
    /// Throw away what was prepared.
    Forget {
        /// Which preparation.
        ticket: Ticket,
    },
}
