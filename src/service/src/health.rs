//! The health of a component and of the whole service, and the result of one check.

use std::fmt::Display;

use indexmap::IndexMap;
use serde_json::Value;

/// The health of a component or of the whole service, from the least to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Health {
    /// Nothing is known of the component yet.
    Unknown,
    /// The component works as it should.
    Healthy,
    /// The component works, but not as it should.
    Degraded,
    /// The component does not work.
    Unhealthy,
}

/// Says whether the service can do its work without a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Need {
    /// The service cannot work without the component: an unhealthy component makes the service unhealthy.
    #[default]
    Required,
    /// The service can work without the component: an unhealthy component makes the service degraded.
    Optional,
}

impl Health {
    /// Every value, from the least to the most severe.
    pub const ALL: [Self; 4] = [
        Self::Unknown,
        Self::Healthy,
        Self::Degraded,
        Self::Unhealthy,
    ];

    /// Returns the name in lower case, as payloads and metrics write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Combines the health of components into that of the service.
    ///
    /// The most severe one wins, but an unhealthy optional component counts as degraded. Unknown
    /// components are left out; the service is unknown when no other is left.
    ///
    /// ```
    /// use healthctl_service::{Health, Need};
    ///
    /// let service = Health::of([
    ///     (Need::Required, Health::Healthy),
    ///     (Need::Optional, Health::Unhealthy),
    /// ]);
    /// assert_eq!(service, Health::Degraded);
    /// ```
    pub fn of(components: impl IntoIterator<Item = (Need, Health)>) -> Self {
        components
            .into_iter()
            .map(|(need, health)| match (need, health) {
                (Need::Optional, Self::Unhealthy) => Self::Degraded,
                _ => health,
            })
            .max()
            .unwrap_or(Self::Unknown)
    }
}

/// The result of one check.
///
/// A check may return a `CheckResult` or what converts into one: `()` is healthy, and of a
/// `Result` an `Err` is unhealthy with the text of the error as its message.
///
/// ```
/// use healthctl_service::{CheckResult, Health};
///
/// let result = CheckResult::degraded("1 of 4 workers").with_detail("workers", 1);
/// assert_eq!(result.health, Health::Degraded);
///
/// let refused: Result<(), &str> = Err("connection refused");
/// assert_eq!(CheckResult::from(refused), CheckResult::unhealthy("connection refused"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// The health of the component.
    pub health: Health,
    /// An explanation for people.
    pub message: Option<String>,
    /// Further facts about the component, in the order in which they were added.
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

    /// Creates the result of a component that works.
    pub fn healthy() -> Self {
        Self::new(Health::Healthy, None)
    }

    /// Creates the result of a component that works, but not as it should.
    pub fn degraded(message: impl Display) -> Self {
        Self::new(Health::Degraded, Some(message.to_string()))
    }

    /// Creates the result of a component that does not work.
    pub fn unhealthy(message: impl Display) -> Self {
        Self::new(Health::Unhealthy, Some(message.to_string()))
    }

    /// Creates the result of a check that could not find out.
    pub fn unknown(message: impl Display) -> Self {
        Self::new(Health::Unknown, Some(message.to_string()))
    }

    /// Sets the explanation for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Display) -> Self {
        self.message = Some(message.to_string());
        self
    }

    /// Adds a fact about the component, such as the size of a pool.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_of_the_service_follows_from_its_components() {
        use Health::{Degraded, Healthy, Unhealthy, Unknown};
        use Need::{Optional, Required};
        let check = |components: &[(Need, Health)], expected| {
            let service = Health::of(components.iter().copied());
            assert_eq!(service, expected, "{components:?}");
        };
        check(&[], Unknown);
        check(&[(Required, Unknown)], Unknown);
        check(&[(Required, Unknown), (Required, Healthy)], Healthy);
        check(&[(Required, Healthy), (Required, Degraded)], Degraded);
        check(&[(Optional, Degraded)], Degraded);
        check(&[(Required, Healthy), (Optional, Unhealthy)], Degraded);
        check(&[(Required, Degraded), (Required, Unhealthy)], Unhealthy);
        check(&[(Required, Unhealthy), (Required, Unknown)], Unhealthy);
    }
}
