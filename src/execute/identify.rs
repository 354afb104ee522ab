//! Who answers for a service: what its own probes report, who owns its listening port, what its pid file proves.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::action::{APART, Known, Look, Subject};
use crate::health::{Identity, Moment, Outcome, Process, Role, State};
use crate::host::pid_file::{self, PidFile};
use crate::host::records::Record;
use crate::host::{Clock, Endpoint, Owners, Running, alive, is_local, ticks_now};
use crate::inventory::{Connection, Means, Probe, ProbeKind, Service};
use crate::probe::Asker;

use super::choose::name;
use super::look::look_at;
use super::owners::{find_owners, heads};
use super::place::{Place, http};

/// One that answers faster than this is asked again, to see whether another copy answers in turn.
const QUICK: Duration = Duration::from_millis(300);
/// How often it is asked then.
const AGAIN: usize = 2;

/// What we have left of our own of a service.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// The record of its start.
    pub(super) record: Option<Record>,
    /// We have seen it end just now, so that a probe that still passes, by a file that is fresh, says nothing.
    pub(super) ended: bool,
}

/// All that is known of who answers for a service.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Where it listens.
    pub(super) place: Place,
    /// Every endpoint behind that.
    pub(super) endpoints: Vec<Endpoint>,
    /// What a look at each of them found.
    pub(super) looks: Vec<Look>,
    /// The address whose identity was read.
    pub(super) pin: Option<SocketAddr>,
    /// The probes that tell the identity, to be asked again.
    pub(super) tellers: Vec<Probe>,
    /// Every identity that answered; the first is the one that counts.
    pub(super) identities: Vec<Identity>,
    /// It says that it is draining.
    pub(super) draining: bool,
    /// Who owns its listening port; `None` where it does not listen on this machine.
    pub(super) owners: Option<Owners>,
    /// What its pid file says; `None` where the inventory names none.
    pub(super) pid_file: Option<PidFile>,
    /// The process that we started and recorded, whether it still runs or not.
    pub(super) record: Option<Record>,
    /// That process itself was seen to run.
    pub(super) led: bool,
    /// We could start it, so that no trace of it means that it does not run.
    pub(super) is_ours_to_start: bool,
    /// The probe of its life or readiness that passes, where it has no address that could be looked at.
    pub(super) passes: Option<String>,
    /// When all this was complete.
    pub(super) read_at: Option<Moment>,
}

impl Found {
    /// Reads the identity of whoever answers for the service now.
    pub(super) async fn of(
        service: &Service,
        means: Option<&Means>,
        asker: &Asker,
        clock: Clock,
        trace: Trace,
    ) -> Result<Self, String> {
        let mut again = AGAIN;
        loop {
            let mut found = [Self::asked(service, means, asker, trace.clone()).await?];
            find_owners(&mut found).await;
            let [mut found] = found;
            if again > 0 && found.is_changing() {
                again -= 1;
                sleep(APART).await;
                continue;
            }
            found.settle(service, asker, clock).await;
            return Ok(found);
        }
    }

    /// Its process is known to run, or to have exited: no probe has to tell.
    fn is_known(&self) -> bool {
        self.record.is_some()
            || matches!(
                self.pid_file,
                Some(PidFile::Proved(_) | PidFile::Exited(_) | PidFile::Recycled(_))
            )
    }

    /// What was seen does not fit together: something that nobody has accepts connections, or its process has gone
    /// meanwhile. It is just ending, or beginning, and one more look tells more.
    pub(super) fn is_changing(&self) -> bool {
        let gone = |one: &Running| alive(one.process) == Some(false);
        matches!(self.owners, Some(Owners::Nobody))
            || self.owning().iter().any(gone)
            || (self.led && self.recorded().is_none())
    }

    /// Looks at the service's addresses, asks its probes and reads its pid file; who owns its port comes after this.
    pub(super) async fn asked(
        service: &Service,
        means: Option<&Means>,
        asker: &Asker,
        Trace { record, ended }: Trace,
    ) -> Result<Self, String> {
        let place = Place::of(service, means);
        let endpoints = place.endpoints(asker).await?;
        let looks = look_at(&endpoints).await;
        let pid_file = match service.pid_file.clone() {
            None => None,
            Some(path) => Some(
                tokio::task::spawn_blocking(move || pid_file::read(&path))
                    .await
                    .map_err(|_| "the pid file could not be read".to_owned())?,
            ),
        };
        let mut found = Self {
            place,
            endpoints,
            looks,
            pin: None,
            tellers: Vec::new(),
            identities: Vec::new(),
            draining: false,
            owners: None,
            pid_file,
            led: record.as_ref().is_some_and(|one| one.leader().is_some()),
            record,
            is_ours_to_start: service.start.is_some(),
            passes: None,
            read_at: None,
        };
        found.ask(service, asker).await;
        if found.place == Place::Nowhere && !ended && !found.is_known() {
            found.passes = passing(service, asker).await;
        }
        found.pin = found.pin.or_else(|| found.accepting());
        Ok(found)
    }

    /// Asks again where the owners of the port tell nothing; complete after this.
    pub(super) async fn settle(&mut self, service: &Service, asker: &Asker, clock: Clock) {
        if self.processes().is_empty() {
            self.ask_again(service, asker).await;
        }
        self.read_at = Some(clock.now());
    }

    /// Every process that is known to be the service's own, the one to signal first.
    pub(super) fn processes(&self) -> Vec<Running> {
        let mut known: Vec<Running> = self.recorded().into_iter().collect();
        if let Some(PidFile::Proved(running)) = &self.pid_file
            && !known.iter().any(|one| one.process == running.process)
        {
            known.push(running.clone());
        }
        for owner in self.owning() {
            if !known.iter().any(|one| one.process == owner.process) {
                known.push(owner.clone());
            }
        }
        known
    }

    /// The process that we started, where it still runs.
    pub(super) fn recorded(&self) -> Option<Running> {
        self.record.as_ref().and_then(Record::running)
    }

    /// The process that is proved to be its own whoever listens: that we started, or that its pid file names.
    pub(super) fn proved(&self) -> Option<Running> {
        match &self.pid_file {
            _ if let Some(running) = self.recorded() => Some(running),
            Some(PidFile::Proved(running)) => Some(running.clone()),
            _ => None,
        }
    }

    /// What is known before a request goes out at `sent`, to compare with afterwards.
    pub(super) fn known(&self, sent: Moment) -> Known {
        Known {
            identities: self.identities.clone(),
            processes: self.processes().iter().map(|one| one.process).collect(),
            all_owners: matches!(self.owners, Some(Owners::Known { complete: true, .. })),
            sent,
            sent_ticks: ticks_now(),
        }
    }

    /// What is watched of it, by name: its addresses, and these of its processes.
    pub(super) fn subject(&self, service: &Service, processes: &[Running]) -> Subject {
        Subject {
            addresses: match &self.place {
                Place::Proxied(url) => vec![url.clone()],
                _ => self.endpoints.iter().map(ToString::to_string).collect(),
            },
            processes: processes.iter().map(name).collect(),
            replicas: service.replicas,
        }
    }

    /// An action goes to the very address whose identity was read, where it goes to the same place at all.
    pub(super) fn pin_for(&self, means: &Means) -> Option<SocketAddr> {
        match means {
            Means::Http(request) => self.place.pinned(request, self.pin),
            Means::Signal(_) | Means::Exec(_) => None,
        }
    }

    /// All who listen for it, where all of them can be seen.
    pub(super) fn all_owners(&self) -> Option<Vec<Process>> {
        match &self.owners {
            Some(Owners::Known {
                processes,
                complete: true,
            }) => Some(processes.iter().map(|one| one.process).collect()),
            _ => None,
        }
    }

    /// The processes that hold its listening socket.
    pub(super) fn owning(&self) -> &[Running] {
        match &self.owners {
            Some(Owners::Known { processes, .. }) => processes,
            _ => &[],
        }
    }

    /// The identity that counts, with the process where there is exactly one at the head of all.
    pub(super) fn identity(&self) -> Identity {
        let mut identity = self.identities.first().cloned().unwrap_or_default();
        let heads = heads(&self.processes());
        if let [head] = heads.as_slice() {
            identity.process = Some(head.process);
        }
        if identity.address.is_none() {
            identity.address = self.pin.map(|address| address.to_string());
        }
        identity
    }

    /// Whether nothing at all answers or runs: every address that can be reached refuses, and no known process is there.
    pub(super) fn nothing_there(&self) -> bool {
        let refused = self
            .looks
            .iter()
            .all(|look| matches!(look, Look::Refused | Look::Unreachable))
            && self.looks.contains(&Look::Refused);
        let gone = self.recorded().is_none()
            && !matches!(
                self.pid_file,
                Some(PidFile::Proved(_) | PidFile::Unknown(_))
            );
        let portless = self.place == Place::Nowhere
            && match self.pid_file {
                Some(PidFile::Exited(_) | PidFile::Missing | PidFile::Recycled(_)) => true,
                Some(PidFile::Proved(_) | PidFile::Unknown(_)) => false,
                None => self.is_ours_to_start,
            };
        (refused || portless) && gone && self.identities.is_empty() && self.passes.is_none()
    }

    /// Whether anything of it was seen: what is neither that nor absent is not known.
    pub(super) fn something_there(&self) -> bool {
        self.looks.contains(&Look::Accepted)
            || !self.identities.is_empty()
            || self.passes.is_some()
            || !self.processes().is_empty()
    }

    /// The first TCP address that accepted.
    fn accepting(&self) -> Option<SocketAddr> {
        self.endpoints
            .iter()
            .zip(&self.looks)
            .find_map(|(endpoint, look)| match (endpoint, look) {
                (Endpoint::Tcp(address), Look::Accepted) => Some(*address),
                _ => None,
            })
    }

    async fn ask(&mut self, service: &Service, asker: &Asker) {
        let mut candidates: Vec<&Probe> = service
            .probes
            .iter()
            .filter(|probe| match http(probe) {
                Some(request) => match &self.place {
                    Place::Proxied(_) => probe.role != Role::Named,
                    place => place.holds(request),
                },
                None => false,
            })
            .collect();
        // What decodes tells more, and of these the status most.
        candidates.sort_by_key(|probe| (probe.decode.is_none(), rank(probe.role)));
        let candidates: Vec<Probe> = candidates.into_iter().map(fresh).collect();
        let Some((first, others)) = candidates.split_first() else {
            return;
        };
        let answer = asker.ask(service, first).await;
        self.pin = answer.address.as_deref().and_then(|text| text.parse().ok());
        let pin = self.pin;
        let decoding: Vec<&Probe> = others.iter().filter(|one| one.decode.is_some()).collect();
        let others = decoding
            .iter()
            .map(|probe| asker.ask_at(service, probe, pin));
        let answers = join_all(others).await;
        let mut told: Vec<(&Probe, Outcome)> = vec![(first, answer)];
        told.extend(decoding.into_iter().zip(answers));
        self.tellers = tellers(&told);
        let outcomes: Vec<Outcome> = told.into_iter().map(|(_, outcome)| outcome).collect();
        self.draining = outcomes.iter().any(is_draining);
        self.identities.extend(identity(&outcomes));
    }

    /// Where no process can be known, a second copy behind the same address is only seen by asking again.
    async fn ask_again(&mut self, service: &Service, asker: &Asker) {
        for _ in 0..AGAIN {
            let Some(teller) = self.tellers.first().filter(|_| !self.identities.is_empty()) else {
                return;
            };
            let answer = asker.ask_at(service, teller, self.pin).await;
            if answer.latency.is_none_or(|latency| latency > QUICK) {
                return;
            }
            self.identities.extend(identity(&[answer]));
        }
    }

    /// The endpoints of this machine whose owners are the service's processes: all at which something accepts, as another
    /// copy may listen at the other address of the same name.
    pub(super) fn owned_endpoints(&self) -> Vec<Endpoint> {
        if let Place::Socket(path) = &self.place {
            return vec![Endpoint::Socket(path.clone())];
        }
        let accepting = self.endpoints.iter().zip(&self.looks);
        let accepting = accepting.filter(|(_, look)| **look == Look::Accepted);
        let accepting = accepting.map(|(endpoint, _)| endpoint.clone());
        let mut all: Vec<Endpoint> = self.pin.map(Endpoint::Tcp).into_iter().collect();
        for endpoint in accepting {
            if !all.contains(&endpoint) {
                all.push(endpoint);
            }
        }
        all.retain(|endpoint| match endpoint {
            Endpoint::Tcp(address) => is_local(address.ip()),
            Endpoint::Socket(_) => true,
        });
        all
    }
}

/// The first of its own probes, but for its startup and named ones, that passes.
async fn passing(service: &Service, asker: &Asker) -> Option<String> {
    let telling = |probe: &&Probe| !matches!(probe.role, Role::Named | Role::Startup);
    let probes: Vec<&Probe> = service.probes.iter().filter(telling).collect();
    let answers = join_all(probes.iter().map(|probe| asker.ask(service, probe))).await;
    let mut answers = probes.into_iter().zip(answers);
    let passes = answers.find(|(_, answer)| answer.result.is_success())?;
    Some(passes.0.name.clone())
}

/// What some answers together tell of who gave them; `None` where none came.
pub(super) fn identity(outcomes: &[Outcome]) -> Option<Identity> {
    let mut merged: Option<Identity> = None;
    for outcome in outcomes.iter().filter(|outcome| outcome.code.is_some()) {
        let known = merged.get_or_insert_with(|| Identity {
            address: outcome.address.clone(),
            read_at: Some(outcome.at),
            ..Identity::default()
        });
        let Some(reading) = &outcome.reading else {
            continue;
        };
        known.start = known.start.or(reading.started);
        known.instance = known.instance.take().or_else(|| reading.instance.clone());
        known.version = known.version.take().or_else(|| reading.version.clone());
        if let Some(dependencies) = &reading.dependencies {
            let counted = dependencies
                .iter()
                .flat_map(|one| [one.success_count, one.failure_count])
                .flatten()
                .fold(0, u64::saturating_add);
            known.counted = known.counted.or(Some(counted));
        }
    }
    merged
}

/// Whether the answer says that the service drains.
pub(super) fn is_draining(outcome: &Outcome) -> bool {
    outcome.reading.as_ref().is_some_and(|reading| {
        reading.draining
            || reading
                .status
                .as_ref()
                .is_some_and(|word| word.state == State::Draining)
    })
}

/// The uptime that an answer reports.
pub(super) fn uptime(outcomes: &[Outcome]) -> Option<Duration> {
    outcomes
        .iter()
        .find_map(|outcome| outcome.reading.as_ref()?.uptime)
}

/// The fewest of the probes that tell what all of them told: who answers, and that it drains.
fn tellers(asked: &[(&Probe, Outcome)]) -> Vec<Probe> {
    let mut chosen: Vec<Probe> = asked
        .first()
        .map(|(probe, _)| (*probe).clone())
        .into_iter()
        .collect();
    let identifies = |outcome: &Outcome| {
        outcome
            .reading
            .as_ref()
            .is_some_and(|reading| reading.started.is_some() || reading.instance.is_some())
    };
    if let Some((teller, _)) = asked.iter().find(|(_, outcome)| identifies(outcome))
        && chosen.iter().all(|probe| probe.name != teller.name)
    {
        chosen.push((*teller).clone());
    }
    // Readiness is what many take back first when they drain.
    if let Some((ready, _)) = asked.iter().find(|(probe, _)| probe.role == Role::Ready)
        && chosen.iter().all(|probe| probe.name != ready.name)
    {
        chosen.push((*ready).clone());
    }
    chosen
}

const fn rank(role: Role) -> u8 {
    match role {
        Role::Status => 0,
        Role::Ready => 1,
        Role::Live => 2,
        Role::Named => 3,
        Role::Startup => 4,
    }
}

/// The probe over a connection of its own: a kept one would go on answering behind a closed listener.
fn fresh(probe: &Probe) -> Probe {
    let mut probe = probe.clone();
    if let ProbeKind::Http(request) = &mut probe.kind {
        request.connection = Connection::Fresh;
    }
    probe
}
