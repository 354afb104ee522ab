//! What dependencies contribute: those that the service reports on, and those that it should.

use std::sync::Arc;

use super::{Finding, finding};
use crate::health::tracker::Tracker;
use crate::health::{Dependency, DependencyStatus, Reading, State};

impl Tracker {
    /// What each dependency that the service reports on contributes.
    pub(super) fn dependency_findings(&self) -> Vec<Finding> {
        let Some(table) = self.counted_table() else {
            return Vec::new();
        };
        let ours = |dependency: &&Dependency| {
            !table.ignores_dependencies || self.info.required.contains(&dependency.name)
        };
        let dependencies = table.dependencies.iter().flatten().filter(ours);
        dependencies
            .filter_map(|dependency| {
                let dependency = &*self.dependencies.judge(dependency);
                let required = self.is_required(dependency);
                let state = match dependency.status {
                    DependencyStatus::Error if required => State::Unhealthy,
                    DependencyStatus::Error | DependencyStatus::Degraded => State::Degraded,
                    DependencyStatus::Unknown if required => State::Unknown,
                    _ => return None,
                };
                let subject = format!("dependency {}", dependency.name);
                Some(finding(state, &subject, describe(dependency)))
            })
            .collect()
    }

    /// Those that the inventory requires and no payload names: nothing is known of them.
    pub(super) fn absent_findings(&self) -> Vec<Finding> {
        if self.info.required.is_empty() {
            return Vec::new();
        }
        let readings = self
            .probes
            .iter()
            .filter_map(|probe| probe.standing.counted()?.reading.as_ref());
        let tables: Vec<_> = readings
            .filter(|reading| reading.dependencies.is_some())
            .collect();
        // Where only failures are listed, not to be there is good news.
        if tables.is_empty() || tables.iter().any(|it| it.lists_failures_only) {
            return Vec::new();
        }
        let is_listed = |name: &String| {
            let mut all = tables
                .iter()
                .flat_map(|it| it.dependencies.iter().flatten());
            all.any(|dependency| dependency.name == *name)
        };
        let absent = self.info.required.iter().filter(|name| !is_listed(name));
        absent
            .map(|name| {
                let subject = format!("dependency {name}");
                finding(State::Unknown, &subject, "not reported".to_owned())
            })
            .collect()
    }

    /// The reading whose dependencies count: of the first probe that has some, thresholds applied.
    pub(super) fn counted_table(&self) -> Option<&Arc<Reading>> {
        self.probes.iter().find_map(|probe| {
            let reading = probe.standing.counted()?.reading.as_ref()?;
            let table = reading.dependencies.as_ref()?;
            (!table.is_empty()).then_some(reading)
        })
    }

    pub(in crate::health::tracker) fn is_required(&self, dependency: &Dependency) -> bool {
        dependency.required || self.info.required.contains(&dependency.name)
    }
}

/// A dependency in one line: `error: timeout after 2s`.
fn describe(dependency: &Dependency) -> String {
    let status = match (dependency.status, &dependency.word) {
        (DependencyStatus::Unknown, Some(word)) if word != "unknown" => {
            format!("status word not known: {word}")
        }
        (status, _) => status.to_string(),
    };
    match &dependency.error {
        Some(error) => format!("{status}: {error}"),
        None => status,
    }
}
