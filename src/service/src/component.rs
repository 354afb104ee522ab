//! Components and what they make of the whole.

use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Value;

use super::Service;
use super::dependency::{DependencySnapshot, DependencyStatus};

/// How a component, or the whole service, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing is known yet.
    Unknown,
    /// All is well.
    Healthy,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// Whether the service can do its work without a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It cannot: unhealthy, the component makes the service unhealthy.
    Required,
    /// It can: unhealthy, the component makes the service degraded.
    Optional,
}

/// A component at one point in time: a dependency that is in use, or a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Whether the service can do its work without it.
    pub need: Need,
    /// How it is.
    pub health: Health,
    /// What there is to say about that.
    pub message: Option<String>,
    /// When that was found out.
    pub checked_at: Option<Timestamp>,
    /// SyncStats and words beside it.
    pub details: IndexMap<String, Value>,
    /// How long finding out took.
    pub latency: Option<Duration>,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Unknown,
        Self::Healthy,
        Self::Degraded,
        Self::Unhealthy,
    ];

    /// Its word, in lower case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// What the components make of the whole: an unhealthy required one makes it unhealthy, an
    /// unhealthy optional or a degraded one degraded; those of which nothing is known are left out,
    /// and where none is left the whole is unknown.
    ///
    /// ```
    /// use healthctl_service::{Health, Need};
    ///
    /// let whole = Health::of([
    ///     (Need::Required, Health::Healthy),
    ///     (Need::Optional, Health::Unhealthy),
    /// ]);
    /// assert_eq!(whole, Health::Degraded);
    /// ```
    pub fn of(components: impl IntoIterator<Item = (Need, Health)>) -> Self {
        let rank = |health: &Self| match health {
            Self::Unknown => 0,
            Self::Healthy => 1,
            Self::Degraded => 2,
            Self::Unhealthy => 3,
        };
        components
            .into_iter()
            .map(|(need, health)| match (need, health) {
                (Need::Optional, Self::Unhealthy) => Self::Degraded,
                _ => health,
            })
            .max_by_key(rank)
            .unwrap_or(Self::Unknown)
    }
}

impl Need {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }
}

impl Component {
    /// What a dependency looks like as a component; nothing where it is not used.
    fn of(snapshot: DependencySnapshot) -> Option<Self> {
        let health = match snapshot.status {
            DependencyStatus::Unknown => Health::Unknown,
            DependencyStatus::Working => Health::Healthy,
            DependencyStatus::Degraded => Health::Degraded,
            DependencyStatus::Failing => Health::Unhealthy,
            DependencyStatus::NotUsed => return None,
        };
        Some(Self {
            name: snapshot.name,
            need: snapshot.need,
            health,
            message: snapshot.error.or(snapshot.message),
            checked_at: snapshot.checked_at,
            details: snapshot.details,
            latency: snapshot.latency,
        })
    }
}

impl Service {
    /// All components as they stand now: dependencies in the order in which they were made, then
    /// the gates that have no component of the same name.
    pub fn components(&self) -> Vec<Component> {
        let mut components: IndexMap<String, Component> = self
            .dependencies()
            .into_iter()
            .filter_map(Component::of)
            .map(|component| (component.name.clone(), component))
            .collect();
        for gate in self.gates() {
            gate.lay_over(&mut components);
        }
        components.into_values().collect()
    }

    /// What the components make of the whole.
    pub fn health(&self) -> Health {
        Health::of(parts(&self.components()))
    }

    /// Whether it can take work: every gate is open, every required component is known and not
    /// unhealthy, and nobody asked for the shutdown.
    pub fn is_ready(&self) -> bool {
        let lame = |component: &Component| {
            component.need == Need::Required
                && matches!(component.health, Health::Unhealthy | Health::Unknown)
        };
        !self.is_shutting_down()
            && self.readiness_gates_open()
            && !self.components().iter().any(lame)
    }
}

/// What [`Health::of`] wants of components.
pub(super) fn parts(components: &[Component]) -> impl Iterator<Item = (Need, Health)> {
    components
        .iter()
        .map(|component| (component.need, component.health))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_follows_from_its_components() {
        use Health::{Degraded, Healthy, Unhealthy, Unknown};
        use Need::{Optional, Required};
        let check = |components: &[(Need, Health)], expected| {
            let whole = Health::of(components.iter().copied());
            assert_eq!(whole, expected, "{components:?}");
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
