//! What would be done, in words that a confirmation, a dry run and the audit file all use.

use super::Action;

/// One action on one service as it would be carried out. All text is cleaned and free of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The service.
    pub service: String,
    /// What would be done.
    pub action: Action,
    /// The means, e.g. `shutdown route (waits for the end)`, `signal`, `command`.
    pub means: String,
    /// The exact request: `POST http://127.0.0.1:8000/health/shutdown`, `SIGTERM to pid 4711`, `systemctl stop api`.
    pub request: String,
    /// The start command that follows, where the request is only the first half of a restart.
    pub then: Option<String>,
    /// Where it goes: address and, where known, pid and start of the process.
    pub target: String,
    /// How long it may take.
    pub timeout: std::time::Duration,
    /// The name has to be typed.
    pub protected: bool,
}

/// Why an action is not carried out. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The service.
    pub service: String,
    /// What was asked for.
    pub action: Action,
    /// Why not, one sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}
