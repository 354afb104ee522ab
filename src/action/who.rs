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
    /// All processes that listened at its address are among them.
    pub all_owners: bool,
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
        let reported = self.by_report(answerer);
        let Some(owners) = answerer.owners.as_deref().filter(|all| !all.is_empty()) else {
            return reported;
        };
        let Some(by_owner) = self.by_owner(owners) else {
            return reported;
        };
        // Nobody else listens or has listened, so the same process reports another start or instance.
        let alone = owners == self.processes.as_slice() && owners.len() == 1;
        if by_owner.0 == Who::Same && alone && reported.0 == Who::New {
            let (_, mut evidence) = reported;
            evidence.extend(by_owner.1);
            return (Who::Reborn, evidence);
        }
        by_owner
    }

    /// What the service says of itself tells.
    fn by_report(&self, answerer: &Answerer) -> (Who, Vec<String>) {
        let mut new = None;
        for before in &self.identities {
            // The kernel's word is weighed with all owners; here only reported signals count.
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
        // One that was there before the request and did not listen then has taken the other's place all the same.
        let new = self.all_owners
            || owners
                .iter()
                .all(|owner| owner.start_ticks >= self.sent_ticks);
        Some((if new { Who::New } else { Who::Other }, vec![evidence]))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Start;

    fn process(pid: u32, start_ticks: u64) -> Process {
        Process { pid, start_ticks }
    }

    fn started(at: &str) -> Identity {
        Identity {
            start: Some(Start {
                at: at.parse().unwrap(),
                tolerance: Duration::from_micros(1),
                derived: false,
            }),
            ..Identity::default()
        }
    }

    fn known() -> Known {
        Known {
            identities: vec![started("2026-11-22T09:00:00Z")],
            processes: vec![process(10, 100)],
            all_owners: false,
            sent: Moment::at_seconds(0.0),
            sent_ticks: 1000,
        }
    }

    fn check(known: &Known, answerer: &Answerer, expected: Who) {
        assert_eq!(known.who(answerer).0, expected, "{answerer:?}");
    }

    fn owned(owners: &[Process]) -> Answerer {
        Answerer {
            owners: Some(owners.to_vec()),
            ..Answerer::default()
        }
    }

    #[test]
    fn owners_of_the_socket_come_before_what_is_reported() {
        check(&known(), &owned(&[process(10, 100)]), Who::Same);
        check(&known(), &owned(&[process(10, 2000)]), Who::New);
        check(&known(), &owned(&[process(11, 2000)]), Who::New);
        check(&known(), &owned(&[process(11, 999)]), Who::Other);
        check(
            &known(),
            &owned(&[process(10, 100), process(12, 2000)]),
            Who::Same,
        );
        let all = Known {
            all_owners: true,
            ..known()
        };
        check(&all, &owned(&[process(11, 999)]), Who::New);
        check(&all, &owned(&[process(10, 100)]), Who::Same);
    }

    #[test]
    fn reported_signals_tell_where_no_owner_is_known() {
        let says = |identity: Identity, uptime: Option<u64>| Answerer {
            identity,
            uptime: uptime.map(Duration::from_secs),
            owners: None,
            at: Some(Moment::at_seconds(3.0)),
        };
        check(
            &known(),
            &says(started("2026-11-22T09:00:00Z"), None),
            Who::Same,
        );
        check(
            &known(),
            &says(started("2026-11-22T10:00:01Z"), None),
            Who::New,
        );
        check(&known(), &says(Identity::default(), None), Who::Unknown);
        check(
            &known(),
            &says(started("2026-11-22T08:00:00Z"), Some(7200)),
            Who::Other,
        );
        check(
            &known(),
            &says(started("2026-11-22T10:00:01Z"), Some(2)),
            Who::New,
        );
    }

    #[test]
    fn a_process_that_reports_another_start_has_replaced_itself() {
        let says = |owners: &[Process], start: &str| Answerer {
            identity: started(start),
            ..owned(owners)
        };
        let old = process(10, 100);
        check(&known(), &says(&[old], "2026-11-22T10:00:01Z"), Who::Reborn);
        check(&known(), &says(&[old], "2026-11-22T09:00:00Z"), Who::Same);
        // Somebody else listens as well and may be the one who answered.
        let both = [old, process(12, 2000)];
        check(&known(), &says(&both, "2026-11-22T10:00:01Z"), Who::Same);
        // Of two that shared the port, the other one answers now.
        let pair = Known {
            processes: both.to_vec(),
            ..known()
        };
        let left = [process(12, 2000)];
        check(&pair, &says(&left, "2026-11-22T10:00:01Z"), Who::Same);
    }

    #[test]
    fn any_identity_seen_before_is_not_new() {
        let mut known = known();
        known.identities.push(started("2026-11-22T09:30:00Z"));
        let other = Answerer {
            identity: started("2026-11-22T09:30:00Z"),
            ..Answerer::default()
        };
        check(&known, &other, Who::Same);
    }
}
