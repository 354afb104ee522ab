//! Tells which process answers after a request: the one that was asked, its successor, or another instance that was there
//! all along.

use std::time::Duration;

use crate::health::{Identity, Moment, Process, Sameness, Start};

/// The process that answers, compared with those before the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponderKind {
    /// The process that was asked.
    Same,
    /// A process that was not there before.
    New,
    /// The process that was asked, as another program: it has replaced itself.
    Reborn,
    /// Another process, which was there before as well.
    Other,
    /// The process that answers cannot be told.
    Unknown,
}

impl ResponderKind {
    /// Returns whether the process that answers is not the one that was asked.
    pub(super) const fn is_new(self) -> bool {
        matches!(self, Self::New | Self::Reborn)
    }
}

/// All that was known before the request was sent.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    /// Every identity that answered.
    pub(crate) identities: Vec<Identity>,
    /// Every process that is known to be the service's.
    pub(crate) processes: Vec<Process>,
    /// All processes that listened at its address are among them.
    pub(crate) all_owners: bool,
    /// The program that its process runs, where there is exactly one (`host::image`).
    pub(crate) image: Option<u64>,
    /// Set where it listens on this machine, whose clock is ours.
    pub(crate) is_local: bool,
    /// When the request was sent.
    pub(crate) sent: Moment,
    /// The same in clock ticks since boot, as the kernel stamps processes.
    pub(crate) sent_ticks: u64,
}

/// The process that answered after the request, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Responder {
    /// The identity that the answer reports.
    pub(crate) identity: Identity,
    /// The uptime that it reports.
    pub(crate) uptime: Option<Duration>,
    /// The processes that listen at its address now, where all of them can be seen.
    pub(crate) owners: Option<Vec<Process>>,
    /// The program that its process runs, where there is exactly one (`host::image`).
    pub(crate) image: Option<u64>,
    /// When the answer came.
    pub(crate) at: Option<Moment>,
}

impl Responder {
    /// Returns the process that listens at its address, where there is exactly one.
    pub(crate) fn sole_owner(&self) -> Option<Process> {
        match self.owners.as_deref() {
            Some([one]) => Some(*one),
            _ => None,
        }
    }
}

impl Baseline {
    /// Compares the process that answers now with those before, and returns what told that, a line each.
    pub(crate) fn compare(&self, responder: &Responder) -> (ResponderKind, Vec<String>) {
        let reported = self.by_report(responder);
        let Some(owners) = responder.owners.as_deref().filter(|all| !all.is_empty()) else {
            return reported;
        };
        let Some(by_owner) = self.by_owner(owners) else {
            return reported;
        };
        // Nobody else listens or has listened, so the same process reports another start or instance.
        let alone = owners == self.processes.as_slice() && owners.len() == 1;
        if by_owner.0 != ResponderKind::Same || !alone || reported.0 != ResponderKind::New {
            return by_owner;
        }
        let (_, mut evidence) = reported;
        evidence.extend(by_owner.1);
        let kind = match (self.image, responder.image) {
            (Some(before), Some(now)) if before != now => ResponderKind::Reborn,
            (Some(_), Some(_)) => {
                evidence = vec![format!(
                    "pid {} with the same kernel start runs the same program, whatever it reports",
                    owners[0].pid
                )];
                ResponderKind::Same
            }
            _ => ResponderKind::Unknown,
        };
        (kind, evidence)
    }

    /// Compares by what the service reports of itself.
    fn by_report(&self, responder: &Responder) -> (ResponderKind, Vec<String>) {
        let now = reported(&responder.identity);
        let wanders = self.start_wanders();
        let mut new = None;
        for before in &self.identities {
            // The kernel's word is weighed with all owners; here only reported signals count.
            let before = reported(before);
            let comparison = Identity::compare(&before, &now);
            match comparison.sameness {
                Sameness::Same => return (ResponderKind::Same, comparison.evidence),
                Sameness::New if wanders => {
                    let comparison =
                        Identity::compare(&without_start(before), &without_start(now.clone()));
                    new = (comparison.sameness == Sameness::New)
                        .then_some(comparison.evidence)
                        .or(new);
                }
                Sameness::New => new = Some(comparison.evidence),
                Sameness::Unknown => {}
            }
        }
        let Some(evidence) = new else {
            let why = "the start that it reports differed from answer to answer before, so it tells nothing";
            let evidence = wanders.then(|| why.to_owned());
            return (ResponderKind::Unknown, evidence.into_iter().collect());
        };
        if self.older_than_the_request(responder) || self.starts_before_the_request(responder) {
            let evidence = vec!["it was up before the request".to_owned()];
            return (ResponderKind::Other, evidence);
        }
        (ResponderKind::New, evidence)
    }

    /// Compares by the owners of the listening socket; `None` where they tell nothing.
    fn by_owner(&self, owners: &[Process]) -> Option<(ResponderKind, Vec<String>)> {
        let pids = |processes: &[Process]| {
            let texts: Vec<_> = processes.iter().map(|p| p.pid.to_string()).collect();
            texts.join(", ")
        };
        if owners.iter().any(|owner| self.processes.contains(owner)) {
            let evidence = format!("the listening socket belongs to pid {}", pids(owners));
            return Some((ResponderKind::Same, vec![evidence]));
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
        let is_younger = |owner: &Process| owner.start_ticks >= self.sent_ticks;
        if self.all_owners || owners.iter().all(is_younger) {
            Some((ResponderKind::New, vec![evidence]))
        } else {
            Some((ResponderKind::Other, vec![evidence]))
        }
    }

    /// Returns whether the start that is reported differed between two answers before the request.
    fn start_wanders(&self) -> bool {
        let starts = self.identities.iter().map(|identity| Identity {
            start: identity.start,
            read_at: identity.read_at,
            ..Identity::default()
        });
        let starts: Vec<Identity> = starts.collect();
        let differs =
            |pair: &[Identity]| Identity::compare(&pair[0], &pair[1]).sameness == Sameness::New;
        starts.windows(2).any(differs)
    }

    /// Returns whether the start that is reported lies before the request, by the clock of this machine.
    fn starts_before_the_request(&self, responder: &Responder) -> bool {
        let start = responder
            .identity
            .start
            .filter(|start| self.is_local && !start.derived);
        start.is_some_and(|start| {
            let latest = start.at.checked_add(start.tolerance).unwrap_or(start.at);
            latest < self.sent.wall
        })
    }

    /// An uptime is the one figure that tells an age without two clocks having to agree.
    fn older_than_the_request(&self, responder: &Responder) -> bool {
        let uptime = responder.uptime.zip(responder.at);
        uptime.is_some_and(|(uptime, at)| uptime > at.since(self.sent) + Start::UPTIME_TOLERANCE)
    }
}

fn without_start(identity: Identity) -> Identity {
    Identity {
        start: None,
        ..identity
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

    fn known() -> Baseline {
        Baseline {
            identities: vec![started("2026-11-22T09:00:00Z")],
            processes: vec![process(10, 100)],
            all_owners: false,
            image: Some(1),
            is_local: false,
            sent: Moment::at_seconds(0.0),
            sent_ticks: 1000,
        }
    }

    fn check(known: &Baseline, responder: &Responder, expected: ResponderKind) {
        assert_eq!(known.compare(responder).0, expected, "{responder:?}");
    }

    fn owned(owners: &[Process]) -> Responder {
        Responder {
            owners: Some(owners.to_vec()),
            ..Responder::default()
        }
    }

    #[test]
    fn owners_of_the_socket_come_before_what_is_reported() {
        check(&known(), &owned(&[process(10, 100)]), ResponderKind::Same);
        check(&known(), &owned(&[process(10, 2000)]), ResponderKind::New);
        check(&known(), &owned(&[process(11, 2000)]), ResponderKind::New);
        check(&known(), &owned(&[process(11, 999)]), ResponderKind::Other);
        check(
            &known(),
            &owned(&[process(10, 100), process(12, 2000)]),
            ResponderKind::Same,
        );
        let all = Baseline {
            all_owners: true,
            ..known()
        };
        check(&all, &owned(&[process(11, 999)]), ResponderKind::New);
        check(&all, &owned(&[process(10, 100)]), ResponderKind::Same);
    }

    #[test]
    fn reported_signals_tell_where_no_owner_is_known() {
        let says = |identity: Identity, uptime: Option<u64>| Responder {
            identity,
            uptime: uptime.map(Duration::from_secs),
            at: Some(Moment::at_seconds(3.0)),
            ..Responder::default()
        };
        check(
            &known(),
            &says(started("2026-11-22T09:00:00Z"), None),
            ResponderKind::Same,
        );
        check(
            &known(),
            &says(started("2026-11-22T10:00:01Z"), None),
            ResponderKind::New,
        );
        check(
            &known(),
            &says(Identity::default(), None),
            ResponderKind::Unknown,
        );
        check(
            &known(),
            &says(started("2026-11-22T08:00:00Z"), Some(7200)),
            ResponderKind::Other,
        );
        check(
            &known(),
            &says(started("2026-11-22T10:00:01Z"), Some(2)),
            ResponderKind::New,
        );
    }

    #[test]
    fn a_process_that_reports_another_start_has_replaced_itself() {
        let says = |owners: &[Process], start: &str| Responder {
            identity: started(start),
            image: Some(2),
            ..owned(owners)
        };
        let old = process(10, 100);
        check(
            &known(),
            &says(&[old], "2026-11-22T10:00:01Z"),
            ResponderKind::Reborn,
        );
        check(
            &known(),
            &says(&[old], "2026-11-22T09:00:00Z"),
            ResponderKind::Same,
        );
        // Somebody else listens as well and may be the one who answered.
        let both = [old, process(12, 2000)];
        check(
            &known(),
            &says(&both, "2026-11-22T10:00:01Z"),
            ResponderKind::Same,
        );
        // Of two that shared the port, the other one answers now.
        let pair = Baseline {
            processes: both.to_vec(),
            ..known()
        };
        let left = [process(12, 2000)];
        check(
            &pair,
            &says(&left, "2026-11-22T10:00:01Z"),
            ResponderKind::Same,
        );
    }

    #[test]
    fn the_same_process_is_never_new_unless_it_has_called_exec() {
        let says = |image| Responder {
            identity: started("2026-11-22T10:00:01Z"),
            image,
            ..owned(&[process(10, 100)])
        };
        check(&known(), &says(Some(2)), ResponderKind::Reborn);
        check(&known(), &says(Some(1)), ResponderKind::Same);
        check(&known(), &says(None), ResponderKind::Unknown);
    }

    #[test]
    fn a_start_that_wanders_or_lies_before_the_request_proves_nothing() {
        let says = |start: &str, instance: Option<&str>| Responder {
            identity: Identity {
                instance: instance.map(str::to_owned),
                ..started(start)
            },
            ..Responder::default()
        };
        let mut wanders = known();
        wanders.identities.push(started("2026-11-22T09:00:00.1Z"));
        let later = "2026-11-22T10:00:00Z";
        check(&wanders, &says(later, None), ResponderKind::Unknown);
        // An instance goes on counting.
        for identity in &mut wanders.identities {
            identity.instance = Some("a".to_owned());
        }
        check(&wanders, &says(later, Some("b")), ResponderKind::New);
        let sent = Moment::at_seconds(0.0).wall;
        let local = Baseline {
            is_local: true,
            ..known()
        };
        for (seconds, expected) in [(-1, ResponderKind::Other), (1, ResponderKind::New)] {
            let start = sent + jiff::SignedDuration::from_secs(seconds);
            check(&local, &says(&start.to_string(), None), expected);
        }
    }

    #[test]
    fn any_identity_seen_before_is_not_new() {
        let mut known = known();
        known.identities.push(started("2026-11-22T09:30:00Z"));
        let other = Responder {
            identity: started("2026-11-22T09:30:00Z"),
            ..Responder::default()
        };
        check(&known, &other, ResponderKind::Same);
    }
}
