//! The settings of a service for its checks and its shutdown.

use std::time::Duration;

/// The settings of a service.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{Service, Settings, WhileDraining};
///
/// let settings = Settings {
///     drain_timeout: Duration::from_secs(5),
///     while_draining: WhileDraining::Refuse,
///     // The program has signal handlers of its own and calls `Service::shut_down`.
///     handle_signals: false,
///     ..Settings::default()
/// };
/// let service = Service::new("orders-api", "2.4.1", settings);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The time for which the result of a check is valid; 1 second by default.
    pub check_result_ttl: Duration,
    /// The time for which an answer waits for checks that are due before it reports the last known
    /// results; 500 milliseconds by default.
    pub check_wait: Duration,
    /// The time that requests in flight may take to finish during a shutdown before their connections
    /// are closed; 30 seconds by default.
    pub drain_timeout: Duration,
    /// The time that one clean-up handler may take; 10 seconds by default.
    pub clean_up_timeout: Duration,
    /// The behaviour of the listener during the shutdown.
    pub while_draining: WhileDraining,
    /// True (the default) if SIGTERM and SIGINT begin the shutdown.
    pub handle_signals: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            check_result_ttl: Duration::from_secs(1),
            check_wait: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(30),
            clean_up_timeout: Duration::from_secs(10),
            while_draining: WhileDraining::default(),
            handle_signals: true,
        }
    }
}

/// The behaviour of the listener while the service drains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WhileDraining {
    /// The listener stays open: health and shutdown routes answer, other requests get 503.
    #[default]
    Answer,
    /// The listener closes at once and connections are refused; requests in flight may finish.
    Refuse,
}
