//! The settings of a service for its checks and its shutdown.

use std::time::Duration;

/// The settings of a service.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{Service, Settings, WhileDraining};
///
/// let settings = Settings {
///     drain_timeout: Some(Duration::from_secs(5)),
///     while_draining: WhileDraining::Refuse,
///     // The program has signal handlers of its own and calls `Service::shut_down`.
///     handle_signals: false,
///     ..Settings::default()
/// };
/// let service = Service::new("orders-api", "2.4.1", settings);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The time for which the result of a check is valid; 1 second by default.
    pub check_result_ttl: Duration,
    /// The time for which an answer waits for checks that are due before it reports the last known
    /// results; 500 milliseconds by default.
    pub check_wait: Duration,
    /// The time that requests in flight may take to finish during a shutdown before their connections
    /// are closed. `None`, the default, leaves it to the convention of the routes, as
    /// [`Service::drain_timeout`](crate::Service::drain_timeout) says.
    pub drain_timeout: Option<Duration>,
    /// The share of new requests that is refused when the drain begins, from 0 to 1; 1 by default,
    /// which is all of them.
    ///
    /// A smaller share rises evenly to 1 during the first half of the drain timeout, so that what is
    /// let in has the other half to finish, and the drain lasts until then at least. Load balancers
    /// have this time to send work elsewhere. With [`WhileDraining::Refuse`] it has no effect.
    pub initial_rejection: f64,
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
            drain_timeout: None,
            initial_rejection: 1.0,
            clean_up_timeout: Duration::from_secs(10),
            while_draining: WhileDraining::default(),
            handle_signals: true,
        }
    }
}

/// The behaviour of the listener while the service drains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WhileDraining {
    /// The listener stays open: health and shutdown routes answer, other requests get 503, all of
    /// them or [a rising share](Settings::initial_rejection).
    #[default]
    Answer,
    /// The listener closes at once and connections are refused; requests in flight may finish.
    Refuse,
}
