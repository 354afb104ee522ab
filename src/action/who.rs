//! Who answers after a request to stop: the process that was asked, its successor, or a copy that was there all along.

use std::time::Duration;

use super::Who;
use crate::health::{Identity, Moment, Process, Sameness};

/// What was known before the request was sent.
#[derive(Debug, Clone)]
pub struct Known {
    /// Every identity that answered.
    pub identities: Vec<Identity>,
    /// Every process that is known to be the service's.
    pub processes: Vec<Process>,
    /// When the request was sent.
    pub sent: Moment,
    /// The same on the clock that the kernel stamps processes with.
    pub sent_ticks: u64,
}

/// Who answered after it.
#[derive(Debug, Clone, Default)]
pub struct Answerer {
    /// What the answer says of it.
    pub identity: Identity,
    /// How long it says that it has been up.
    pub uptime: Option<Duration>,
    /// The processes that listen at its address now, where all of them can be seen.
    pub owners: Option<Vec<Process>>,
    /// When the answer came.
    pub at: Option<Moment>,
}

/// An uptime is whole seconds at worst, and the answer took its time.
const UPTIME_TOLERANCE: Duration = Duration::from_secs(2);

impl Known {
    /// Compares who answers now with who was there before, with what was weighed.
    pub fn who(&self, answerer: &Answerer) -> (Who, Vec<String>) {
        if let Some(owners) = answerer.owners.as_deref().filter(|all| !all.is_empty())
            && let Some(found) = self.by_owner(owners)
        {
            return found;
        }
        let mut new = None;
        for before in &self.identities {
            // The kernel's word was weighed above, with all owners; here only reported signals count.
            let comparison = Identity::compare(&reported(before), &reported(&answerer.identity));
            match comparison.sameness {
                Sameness::Same => return (Who::Same, comparison.evidence),
                Sameness::New => new = Some(comparison.evidence),
                Sameness::Unknown => {}
            }
        }
        let Some(evidence) = new else {
            return (Who::Unknown, Vec::new());
        };
        if self.older_than_the_request(answerer) {
            return (Who::Other, vec!["it was up before the request".to_owned()]);
        }
        (Who::New, evidence)
    }

    /// What the owners of the listening socket tell; `None` where they tell nothing.
    fn by_owner(&self, owners: &[Process]) -> Option<(Who, Vec<String>)> {
        let pids = |processes: &[Process]| {
            let texts: Vec<_> = processes.iter().map(|p| p.pid.to_string()).collect();
            texts.join(", ")
        };
        if owners.iter().any(|owner| self.processes.contains(owner)) {
            let evidence = format!("the listening socket belongs to pid {}", pids(owners));
            return Some((Who::Same, vec![evidence]));
        }
        if self.processes.is_empty() {
            return None;
        }
        let evidence = format!(
            "the listening socket belonged to pid {}, now to pid {}",
            pids(&self.processes),
            pids(owners)
        );
        let younger = owners
            .iter()
            .all(|owner| owner.start_ticks >= self.sent_ticks);
        Some((if younger { Who::New } else { Who::Other }, vec![evidence]))
    }

    /// An uptime is the one figure that tells an age without two clocks having to agree.
    fn older_than_the_request(&self, answerer: &Answerer) -> bool {
        match (answerer.uptime, answerer.at) {
            (Some(uptime), Some(at)) => {
                uptime > at.since(self.sent).saturating_add(UPTIME_TOLERANCE)
            }
            _ => false,
        }
    }
}

fn reported(identity: &Identity) -> Identity {
    Identity {
        process: None,
        ..identity.clone()
    }
}
