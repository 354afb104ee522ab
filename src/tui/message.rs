//! The messages to the dashboard, and the effects that it asks for.

use ratatui::crossterm::event::KeyEvent;

use crate::action::{Action, Proposal, Refusal};
use crate::event::{AutoRestartStatus, Event};
use crate::health::Moment;

/// Identifies one preparation of an action, so that a late answer does not reopen a dialog that was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// The permission of a person beyond what the inventory says of an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Permission {
    #[default]
    Nothing,
    /// To kill what does not end by SIGTERM.
    Kill,
    /// To signal this process, which is not proved to be the service's, and to kill it where that was asked for.
    Pid { pid: u32, kills: bool },
}

impl Permission {
    /// Returns whether what does not end by SIGTERM is killed.
    pub(crate) const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Pid { kills: true, .. })
    }
}

/// A message to the dashboard.
#[derive(Debug)]
pub(crate) enum Message {
    Key(KeyEvent),
    Paste(String),
    Resize {
        width: u16,
        height: u16,
    },
    Tick(Moment),
    Event(Event),
    /// Automatic restart was switched on or off, or has given up on a service.
    Automatic(AutoRestartStatus),
    /// A kill of the service was confirmed and has begun.
    Killing {
        service: String,
    },
    /// A refusal of what was confirmed.
    Refused(Refusal),
    /// The answer to [`Effect::Prepare`]: the plan, or every refusal.
    Prepared {
        ticket: Ticket,
        result: Result<Proposal, Vec<Refusal>>,
    },
}

/// Something that the loop around the dashboard has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) enum Effect {
    /// Leave, with exit code 0.
    Quit,
    /// Give the terminal back to the shell until it continues us.
    Suspend,
    /// Probe a service now, or all services (`None`).
    ProbeNow { service: Option<String> },
    /// Switch automatic restart on or off.
    SwitchAutomatic,
    /// Read the identities of the services and plan an action on them; nothing is sent.
    Prepare {
        ticket: Ticket,
        services: Vec<String>,
        action: Action,
        permission: Permission,
    },
    /// Carry out a prepared action: somebody has confirmed it.
    Run { ticket: Ticket },
    /// Discard a prepared action.
    Forget { ticket: Ticket },
}
