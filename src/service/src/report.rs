//! What one check found out about its component.

use std::fmt::Display;

use indexmap::IndexMap;
use serde_json::Value;

use super::component::Health;

/// The result of one check.
///
/// A check may return one, or what turns into one: `()` is healthy, and of a `Result` an `Err` is
/// unhealthy with the error's text.
///
/// ```
/// use healthctl_service::{Health, CheckResult};
///
/// let report = CheckResult::degraded("1 of 4 workers").with_detail("workers", 1);
/// assert_eq!(report.health, Health::Degraded);
///
/// let refused: Result<(), &str> = Err("connection refused");
/// assert_eq!(CheckResult::from(refused), CheckResult::unhealthy("connection refused"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// How the component is.
    pub health: Health,
    /// What there is to say about that.
    pub message: Option<String>,
    /// SyncStats and words beside it, in the order in which they were said.
    pub details: IndexMap<String, Value>,
}

impl CheckResult {
    fn new(health: Health, message: Option<String>) -> Self {
        Self {
            health,
            message,
            details: IndexMap::new(),
        }
    }

    /// All is well.
    pub fn healthy() -> Self {
        Self::new(Health::Healthy, None)
    }

    /// It works, but not as it should.
    pub fn degraded(message: impl Display) -> Self {
        Self::new(Health::Degraded, Some(message.to_string()))
    }

    /// It does not work.
    pub fn unhealthy(message: impl Display) -> Self {
        Self::new(Health::Unhealthy, Some(message.to_string()))
    }

    /// The check could not tell.
    pub fn unknown(message: impl Display) -> Self {
        Self::new(Health::Unknown, Some(message.to_string()))
    }

    /// The same with this message.
    #[must_use]
    pub fn with_message(mut self, message: impl Display) -> Self {
        self.message = Some(message.to_string());
        self
    }

    /// The same with something else said about the component.
    #[must_use]
    pub fn with_detail(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }
}

impl From<()> for CheckResult {
    fn from((): ()) -> Self {
        Self::healthy()
    }
}

impl<E: Display> From<Result<(), E>> for CheckResult {
    fn from(result: Result<(), E>) -> Self {
        result.map_or_else(Self::unhealthy, Self::from)
    }
}

impl<E: Display> From<Result<Self, E>> for CheckResult {
    fn from(result: Result<Self, E>) -> Self {
        result.unwrap_or_else(Self::unhealthy)
    }
}
