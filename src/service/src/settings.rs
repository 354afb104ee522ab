//! What can be set about a service's checks and its end.

use std::time::Duration;

/// How a service is checked and how it ends.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{Service, Settings, WhileDraining};
///
/// let settings = Settings {
///     drain_timeout: Duration::from_secs(5),
///     while_draining: WhileDraining::Refuse,
///     // The program has handlers of its own and calls `Service::shut_down`.
///     handle_signals: false,
///     ..Settings::default()
/// };
/// let service = Service::new("orders-api", "2.4.1", settings);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// For how long the result of a check is good.
    pub check_result_ttl: Duration,
    /// How long an answer waits for checks whose results are due; then it tells what was known before.
    pub check_wait: Duration,
    /// How long requests in flight may take to finish; then their connections are cut.
    pub drain_timeout: Duration,
    /// How long one clean-up handler may take.
    pub clean_up_timeout: Duration,
    /// What the port does meanwhile.
    pub while_draining: WhileDraining,
    /// Whether SIGTERM and SIGINT begin the shutdown.
    pub handle_signals: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            check_result_ttl: Duration::from_secs(1),
            check_wait: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(30),
            clean_up_timeout: Duration::from_secs(10),
            while_draining: WhileDraining::Answer,
            handle_signals: true,
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
