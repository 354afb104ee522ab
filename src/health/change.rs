//! What is different between two snapshots of one service.

use super::ServiceSnapshot;

/// A kind of difference between two snapshots of one service, as the stream formats name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// This is the first snapshot of the service.
    First,
    /// The state differs.
    State,
    /// A flag was set or cleared.
    Flags,
    /// The reasons differ.
    Reasons,
    /// The result of a probe differs.
    Result,
    /// The status of a dependency differs.
    Dependency,
    /// The version differs.
    Version,
    /// The start of the process differs.
    Start,
}

impl Change {
    /// Returns the differences; empty where only counters, ages and latencies moved.
    pub fn between(before: &ServiceSnapshot, after: &ServiceSnapshot) -> Vec<Self> {
        let flags =
            |snapshot: &ServiceSnapshot| (snapshot.flags.clone(), snapshot.blocked_by.clone());
        let probes = before.probes.iter().zip(&after.probes);
        let mut results = probes.map(|(before, after)| {
            (before.latest, before.counted) != (after.latest, after.counted)
        });
        let dependencies = before.dependencies.iter().zip(&after.dependencies);
        let mut statuses = dependencies
            .map(|(before, after)| (&before.name, before.status) != (&after.name, after.status));
        [
            (Self::State, before.state != after.state),
            (Self::Flags, flags(before) != flags(after)),
            (Self::Reasons, before.reasons != after.reasons),
            (Self::Result, results.any(|is_so| is_so)),
            (
                Self::Dependency,
                before.dependencies.len() != after.dependencies.len()
                    || statuses.any(|is_so| is_so),
            ),
            (Self::Version, before.version != after.version),
            (Self::Start, before.started != after.started),
        ]
        .into_iter()
        .filter_map(|(change, is_so)| is_so.then_some(change))
        .collect()
    }
}
