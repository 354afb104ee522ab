//! What can be set about a service's end.

use std::time::Duration;

/// How a service ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long requests in flight may take to finish; then their connections are cut.
    pub drain_limit: Duration,
    /// How long one clean-up handler may take.
    pub clean_up_limit: Duration,
    /// What the port does meanwhile.
    pub while_draining: WhileDraining,
    /// Whether SIGTERM and SIGINT begin the shutdown.
    pub signals: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            drain_limit: Duration::from_secs(30),
            clean_up_limit: Duration::from_secs(10),
            while_draining: WhileDraining::Answer,
            signals: true,
        }
    }
}

/// What the port does while the service drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileDraining {
    /// It stays open: health and shutdown routes answer, other work gets 503.
    Answer,
    /// It closes at once and refuses connections; what is in flight may finish.
    Refuse,
}
