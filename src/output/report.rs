//! The report that all formats show: services at one moment, each with its verdict. Must not format anything.

use std::sync::Arc;

use crate::health::{CheckVerdict, Moment, ServiceSnapshot, State};

use super::FailOn;

/// A finished report on some services.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// The time of the report. All ages are as of this time.
    pub(crate) at: Moment,
    /// The worst verdict of the services; `pass` when there are none.
    pub(crate) verdict: CheckVerdict,
    /// The services in inventory order.
    pub(crate) services: Vec<ServiceReport>,
}

/// A service in the report.
#[derive(Debug, Clone)]
pub(crate) struct ServiceReport {
    pub(crate) snapshot: Arc<ServiceSnapshot>,
    pub(crate) verdict: CheckVerdict,
    /// Why a flag that was asked for cannot be told, a sentence each.
    pub(crate) undetermined: Vec<String>,
}

impl Report {
    /// Returns the report on these services at this time.
    pub(crate) fn new(
        snapshots: impl IntoIterator<Item = Arc<ServiceSnapshot>>,
        fail_on: &FailOn,
        at: Moment,
    ) -> Self {
        let services: Vec<_> = snapshots
            .into_iter()
            .map(|snapshot| ServiceReport::new(snapshot, fail_on))
            .collect();
        let verdict = services.iter().map(|service| service.verdict).max();
        Self {
            at,
            verdict: verdict.unwrap_or(CheckVerdict::Pass),
            services,
        }
    }

    /// Returns the number of services in a state.
    pub(crate) fn count(&self, state: State) -> usize {
        let services = self.services.iter();
        services.filter(|it| it.snapshot.state == state).count()
    }
}

impl ServiceReport {
    pub(crate) fn new(snapshot: Arc<ServiceSnapshot>, fail_on: &FailOn) -> Self {
        let verdict = fail_on.verdict(&snapshot);
        let undetermined = fail_on.undetermined(&snapshot).collect();
        Self {
            snapshot,
            verdict,
            undetermined,
        }
    }

    /// Returns the notes that explain a flag: `stale: src/app.py changed 12s ago, …`.
    pub(crate) fn flag_notes(&self) -> impl Iterator<Item = &str> {
        let explains_flag = |note: &str| {
            let word = note.split_once(": ").map(|(word, _)| word);
            let mut flags = self.snapshot.flags.iter();
            flags.any(|flag| Some(flag.as_str()) == word)
        };
        let notes = self.snapshot.notes.iter().map(String::as_str);
        let notes = notes.filter(move |note| explains_flag(note));
        notes.chain(self.undetermined.iter().map(String::as_str))
    }
}
