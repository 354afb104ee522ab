//! All that is known of a service before an action: its address, what its own probes report, its processes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::identity::{identity, identity_probes, is_draining};
use super::owners::{merge_owners, owners_of};
use super::{Circumstances, OtherProcesses, OtherServices, ProcessFacts, heads, name};
use crate::action::{Baseline, ConnectOutcome, LOOKS_APART, ProofSubject, all_refuse};
use crate::execute::address::{ServiceAddress, connect_all};
use crate::execute::ownership::AnswerKind;
use crate::health::{FailureKind, Identity, Moment, Outcome, ProbeResult, Process, Role};
use crate::host::pid_file::PidFile;
use crate::host::records::Record;
use crate::host::{
    Clock, Endpoint, Owners, RunningProcess, alive, image, is_local, started_at, ticks_now,
};
use crate::inventory::{Connection, Means, Probe, ProbeKind, Service};
use crate::probe::Prober;

/// A service that answers faster than this is asked again, to see whether another instance answers in turn.
const QUICK: Duration = Duration::from_millis(300);
/// The facts of a plan older than this are gathered again before anything is sent.
const FRESH: Duration = Duration::from_millis(500);
/// The number of times that it is asked then.
const REPEATS: usize = 2;

/// The state of a service as the records store it.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredState {
    /// The record of its start.
    pub(crate) record: Option<Record>,
    /// The processes of the last stop that still run: they were put on record then.
    pub(crate) survivors: Vec<Process>,
    /// When it was stopped, where that was a moment ago, so that a probe that still passes, by a file that is fresh, says
    /// nothing.
    pub(crate) stopped: Option<Timestamp>,
}

/// All that is known of a service.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceFacts {
    pub(crate) address: ServiceAddress,
    /// Every endpoint behind the address.
    pub(crate) endpoints: Vec<Endpoint>,
    /// The result of connecting to each endpoint.
    pub(crate) looks: Vec<ConnectOutcome>,
    /// The IP address at which the identity was read.
    pub(crate) pin: Option<SocketAddr>,
    /// The probes that report the identity, to be asked again.
    pub(crate) probes: Vec<Probe>,
    /// Every identity that answered; the first is the one that counts.
    pub(crate) identities: Vec<Identity>,
    pub(crate) draining: bool,
    /// The pid that the person has named.
    pub(crate) named: Option<u32>,
    /// The kind of answer that it gave at its own address.
    answer: AnswerKind,
    pub(crate) processes: ProcessFacts,
    /// Set where it could be started here, so that no trace of it means that it does not run.
    can_start: bool,
    /// The liveness or readiness probe that passes, where there is no address to look at.
    pub(crate) passing: Option<String>,
    /// When it was stopped, where that was a moment ago.
    stopped: Option<Timestamp>,
    /// When the facts began to be gathered, and how long that took.
    begun: Option<Instant>,
    pub(crate) took: Duration,
    pub(crate) read_at: Option<Moment>,
}

/// All that is needed to gather the facts of a service.
#[derive(Clone, Copy)]
pub(crate) struct FactsQuestion<'a> {
    pub(crate) service: &'a Arc<Service>,
    /// The means of the request that is to be sent.
    pub(crate) means: Option<&'a Means>,
    pub(crate) prober: &'a Prober,
    pub(crate) other_services: &'a Arc<OtherServices>,
    /// Set where a person sees the process before anything is sent.
    pub(crate) is_shown: bool,
    /// The pid that the person has named.
    pub(crate) named: Option<u32>,
}

/// Finds the owners of the listening sockets of all services in one search, and decides which processes are each one's own.
pub(crate) async fn find_owners(all: &mut [(FactsQuestion<'_>, &mut ServiceFacts)]) {
    let Some((question, _)) = all.first() else {
        return;
    };
    let other_processes = question.other_services.look().await;
    let endpoints = all.iter().map(|(_, facts)| facts.local_endpoints());
    let endpoints: Vec<Vec<Endpoint>> = endpoints.collect();
    let mut owners = owners_of(endpoints.concat()).await.into_iter();
    for ((question, facts), endpoints) in all.iter_mut().zip(endpoints) {
        facts.processes.owners = owners.by_ref().take(endpoints.len()).reduce(merge_owners);
        facts
            .decide(*question, endpoints, Arc::clone(&other_processes))
            .await;
    }
}

impl ServiceFacts {
    /// Gathers all facts of the service.
    ///
    /// # Errors
    /// Its name cannot be resolved: why.
    pub(crate) async fn gather(
        question: FactsQuestion<'_>,
        clock: Clock,
        stored: StoredState,
    ) -> Result<Self, String> {
        let prober = question.prober;
        let mut repeats = REPEATS;
        loop {
            let mut facts = Self::ask(question, stored.clone()).await?;
            find_owners(&mut [(question, &mut facts)]).await;
            if repeats > 0 && facts.is_changing() {
                repeats -= 1;
                sleep(LOOKS_APART).await;
                continue;
            }
            facts.complete(prober, clock).await;
            return Ok(facts);
        }
    }

    /// Connects to the service's addresses, asks its probes and reads its pid file. The owners of the socket are searched
    /// for afterwards; [`complete`](Self::complete) has to follow that.
    ///
    /// # Errors
    /// Its name cannot be resolved: why.
    pub(crate) async fn ask(
        FactsQuestion {
            service,
            means,
            prober,
            named,
            ..
        }: FactsQuestion<'_>,
        StoredState {
            record,
            survivors,
            stopped,
        }: StoredState,
    ) -> Result<Self, String> {
        let begun = Instant::now();
        let address = ServiceAddress::of(service, means);
        let endpoints = address.endpoints(prober).await?;
        let looks = connect_all(&endpoints).await;
        let reading = Arc::clone(service);
        let processes =
            tokio::task::spawn_blocking(move || ProcessFacts::read(&reading, record)).await;
        let processes = processes.map_err(|_| "the pid file could not be read".to_owned())?;
        let mut facts = Self {
            address,
            endpoints,
            looks,
            processes: ProcessFacts {
                survivors,
                ..processes
            },
            can_start: service.start.is_some(),
            named,
            stopped,
            begun: Some(begun),
            ..Self::default()
        };
        facts.ask_probes(service, prober).await;
        if facts.address == ServiceAddress::Nowhere
            && stopped.is_none()
            && !facts.process_is_known()
        {
            facts.passing = passing(service, prober).await;
        }
        facts.pin = facts.pin.or_else(|| facts.accepting_address(&facts.looks));
        Ok(facts)
    }

    /// Decides which processes are the service's own, by what listens at these of its endpoints.
    async fn decide(
        &mut self,
        question: FactsQuestion<'_>,
        endpoints: Vec<Endpoint>,
        other_processes: Arc<OtherProcesses>,
    ) {
        let circumstances = Circumstances {
            answer: self.answer,
            is_shown: question.is_shown,
            named: question.named,
            without_address: self.address == ServiceAddress::Nowhere,
            listeners_only: false,
        };
        let service = Arc::clone(question.service);
        let mut processes = self.processes.clone();
        let deciding = tokio::task::spawn_blocking(move || {
            processes.decide(&service, &endpoints, &other_processes, circumstances);
            processes
        });
        if let Ok(decided) = deciding.await {
            self.processes = decided;
        }
    }

    /// Asks again where the owners of the socket tell nothing, and notes the time.
    pub(crate) async fn complete(&mut self, prober: &Prober, clock: Clock) {
        if self.processes.all().is_empty() {
            self.repeat(prober).await;
        }
        self.took = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        self.read_at = Some(clock.now());
    }

    /// Returns whether the facts were gathered a moment ago.
    pub(crate) fn are_fresh(&self, now: Moment) -> bool {
        self.read_at.is_some_and(|at| now.since(at) <= FRESH)
    }

    /// Returns whether its process is known to run, or to have exited, so that no probe has to tell.
    fn process_is_known(&self) -> bool {
        let named = match &self.processes.pid_file {
            Some(PidFile::Names(named)) => named.doubt.is_none(),
            // A file that names a dead process may be as old as it is.
            _ => false,
        };
        self.processes.record.is_some() || named
    }

    /// Returns whether the facts contradict each other: a socket that nobody owns accepts connections, or a process has gone
    /// meanwhile. The service is just ending, or beginning, and another look tells more.
    pub(crate) fn is_changing(&self) -> bool {
        let gone = |one: &RunningProcess| alive(one.process) == Some(false);
        let processes = &self.processes;
        matches!(processes.owners, Some(Owners::Nobody))
            || processes.owning().iter().any(gone)
            || (processes.leader_seen && processes.recorded().is_none())
    }

    /// The facts that a later answer is compared with, for a request that goes out at `sent`.
    pub(crate) fn baseline(&self, sent: Moment) -> Baseline {
        let processes = self.processes.all();
        Baseline {
            identities: self.identities.clone(),
            processes: processes.iter().map(|one| one.process).collect(),
            all_owners: self.processes.all_owners().is_some(),
            image: match processes.as_slice() {
                [one] => image(one.process),
                _ => None,
            },
            is_local: match (&self.address, self.pin) {
                (ServiceAddress::Socket(_), _) => true,
                (_, pin) => pin.is_some_and(|pin| is_local(pin.ip())),
            },
            sent,
            sent_ticks: ticks_now(),
        }
    }

    /// The subject of a proof on its addresses and these of its processes.
    pub(crate) fn subject(&self, service: &Service, processes: &[RunningProcess]) -> ProofSubject {
        ProofSubject {
            addresses: match &self.address {
                ServiceAddress::Proxied(url) => vec![url.clone()],
                _ => self.endpoints.iter().map(ToString::to_string).collect(),
            },
            processes: processes.iter().map(name).collect(),
            replicas: service.replicas,
        }
    }

    /// The IP address that a request has to go to: the one at which the identity was read, as far as it goes there at all.
    pub(crate) fn pin_for(&self, means: &Means) -> Option<SocketAddr> {
        match means {
            Means::Http(request) => self.address.pinned(request, self.pin),
            Means::Signal(_) | Means::Exec(_) => None,
        }
    }

    /// The identity that counts, with the process where there is exactly one that no other has started.
    pub(crate) fn identity(&self) -> Identity {
        let mut identity = self.identities.first().cloned().unwrap_or_default();
        // Like is compared with like: the server where one is known, else what has started it.
        let serving = heads(self.processes.owning());
        let own = || heads(&self.processes.all());
        let known = if serving.is_empty() { own() } else { serving };
        if let [head] = known.as_slice() {
            identity.process = Some(head.process);
        }
        if identity.address.is_none() {
            identity.address = self.pin.map(|address| address.to_string());
        }
        identity
    }

    /// Returns whether every address that can be reached refuses connections, and there is one.
    pub(crate) fn refuses(&self) -> bool {
        all_refuse(&self.looks)
    }

    /// Returns whether nothing at all answers or runs: every address that can be reached refuses, and no known process is there.
    pub(crate) fn nothing_there(&self) -> bool {
        let pid_file = &self.processes.pid_file;
        let may_run = matches!(pid_file, Some(PidFile::Names(_) | PidFile::Unknown(_)));
        let without_address =
            self.address == ServiceAddress::Nowhere && (pid_file.is_some() || self.can_start);
        (self.refuses() || without_address)
            && !may_run
            && self.processes.recorded().is_none()
            && !self.processes.record.as_ref().is_some_and(Record::may_run)
            && self.processes.ownership.own.is_empty()
            && self.identities.is_empty()
            && self.passing.is_none()
    }

    /// Returns whether it is on its way to its end: it says so, or somebody has stopped it since its process was started.
    pub(crate) fn is_stopping(&self) -> bool {
        let is_older = |one: &RunningProcess| {
            let started = started_at(one.process);
            self.stopped
                .zip(started)
                .is_some_and(|(stopped, started)| started < stopped)
        };
        let processes = self.processes.all();
        self.draining || (!processes.is_empty() && processes.iter().all(is_older))
    }

    /// Returns whether anything of it was seen; one that is neither there nor absent is not known.
    pub(crate) fn something_there(&self) -> bool {
        self.looks.contains(&ConnectOutcome::Accepted)
            || !self.identities.is_empty()
            || self.passing.is_some()
            || !self.processes.all().is_empty()
            || self.processes.recorded().is_some()
            || self.processes.in_pid_file().is_some()
    }

    /// Says how it is known that nothing is there.
    pub(crate) fn absence(&self) -> String {
        if !self.endpoints.is_empty() {
            return format!("nothing listens at {}", self.endpoints_text());
        }
        match (&self.processes.pid_file, &self.processes.record) {
            (Some(PidFile::Exited(_)), _) => {
                "the process that its pid file names has exited".to_owned()
            }
            (_, Some(record)) => {
                format!("pid {}, which was started, has exited", record.process.pid)
            }
            (_, None) => "nothing of it is known to run".to_owned(),
        }
    }

    /// Says how it is known that it runs.
    pub(crate) fn presence(&self) -> String {
        let processes = self.processes.all();
        let mut known = Vec::new();
        if !processes.is_empty() {
            known.push(format!("{} runs", super::names(&processes)));
        }
        if self.looks.contains(&ConnectOutcome::Accepted) {
            let accepting = self.accepting_of(&self.looks);
            known.push(format!("{accepting} accepts connections"));
        }
        if let Some(probe) = &self.passing {
            known.push(format!("its probe `{probe}` passes"));
        }
        if known.is_empty() {
            known.push("it answers".to_owned());
        }
        known.join(" and ")
    }

    /// Returns all endpoints: `127.0.0.1:8000 and [::1]:8000`.
    pub(crate) fn endpoints_text(&self) -> String {
        joined(self.endpoints.iter())
    }

    /// Those of the endpoints that accept according to `looks`.
    pub(crate) fn accepting_of(&self, looks: &[ConnectOutcome]) -> String {
        joined(self.accepting(looks))
    }

    /// The first TCP address that accepts according to `looks`.
    pub(crate) fn accepting_address(&self, looks: &[ConnectOutcome]) -> Option<SocketAddr> {
        self.accepting(looks).find_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Socket(_) => None,
        })
    }

    fn accepting<'a>(&'a self, looks: &'a [ConnectOutcome]) -> impl Iterator<Item = &'a Endpoint> {
        let endpoints = self.endpoints.iter().zip(looks);
        let accepts = |look: &ConnectOutcome| *look == ConnectOutcome::Accepted;
        endpoints.filter_map(move |(endpoint, look)| accepts(look).then_some(endpoint))
    }

    async fn ask_probes(&mut self, service: &Service, prober: &Prober) {
        let is_asked = |probe: &&Probe| match (probe.kind.request(), &self.address) {
            (None, _) => false,
            (Some(_), ServiceAddress::Proxied(_)) => probe.role != Role::Named,
            (Some(request), address) => address.holds(request),
        };
        let mut asked: Vec<&Probe> = service.probes.iter().filter(is_asked).collect();
        // What decodes tells more, and of these the status most.
        asked.sort_by_key(|probe| (probe.decode.is_none(), rank(probe.role)));
        let asked: Vec<Probe> = asked.into_iter().map(with_fresh_connection).collect();
        let Some((first, others)) = asked.split_first() else {
            return;
        };
        let outcome = prober.probe(first, None).await;
        // What a proxy or a redirect leads to is not the service's own address.
        let own = |address: &SocketAddr| self.endpoints.contains(&Endpoint::Tcp(*address));
        let answered = outcome.address.as_deref().and_then(|it| it.parse().ok());
        self.pin = answered.filter(own);
        let pin = self.pin;
        // One that does not answer in time answers no other question either.
        let is_silent = outcome.failure_kind() == Some(FailureKind::Timeout);
        let others = others
            .iter()
            .filter(|one| one.decode.is_some() && !is_silent);
        let others = others.map(|probe| async move { (probe, prober.probe(probe, pin).await) });
        let mut answers: Vec<(&Probe, Outcome)> = vec![(first, outcome)];
        answers.extend(join_all(others).await);
        self.probes = identity_probes(&answers);
        let outcomes: Vec<Outcome> = answers.into_iter().map(|(_, outcome)| outcome).collect();
        self.draining = outcomes.iter().any(is_draining);
        let by_socket = matches!(self.address, ServiceAddress::Socket(_));
        let is_direct = |outcome: &&Outcome| {
            let address = outcome.address.as_deref().and_then(|it| it.parse().ok());
            by_socket || address.is_some_and(|address| own(&address))
        };
        let kinds = outcomes.iter().filter(is_direct);
        let kinds = kinds.map(|it| answer_kind(service, it));
        self.answer = kinds.max().unwrap_or_default();
        self.identities.extend(identity(&outcomes));
    }

    /// Asks again: where no process can be known, that alone shows another instance behind the same address.
    async fn repeat(&mut self, prober: &Prober) {
        for _ in 0..REPEATS {
            let Some(probe) = self.probes.first().filter(|_| !self.identities.is_empty()) else {
                return;
            };
            let outcome = prober.probe(probe, self.pin).await;
            if outcome.latency.is_none_or(|latency| latency > QUICK) {
                return;
            }
            self.identities.extend(identity(&[outcome]));
        }
    }

    /// The endpoints of this machine whose owners are the service's processes: all that accept, as another instance may
    /// listen at the other address of the same name.
    fn local_endpoints(&self) -> Vec<Endpoint> {
        if let ServiceAddress::Socket(path) = &self.address {
            return vec![Endpoint::Socket(path.clone())];
        }
        let mut all: Vec<Endpoint> = self.pin.map(Endpoint::Tcp).into_iter().collect();
        for endpoint in self.accepting(&self.looks) {
            if !all.contains(endpoint) {
                all.push(endpoint.clone());
            }
        }
        if all.is_empty() {
            all.clone_from(&self.endpoints);
        }
        all.retain(Endpoint::is_local);
        all
    }
}

/// Returns what an answer says of whoever gave it.
fn answer_kind(service: &Service, outcome: &Outcome) -> AnswerKind {
    if outcome.code.is_none() {
        return AnswerKind::None;
    }
    let tells = outcome.reading.as_ref().is_some_and(|it| {
        it.status.is_some() || it.version.is_some() || it.started.is_some() || it.instance.is_some()
    });
    if tells && service.profile.is_some() && outcome.result != ProbeResult::Unknown {
        AnswerKind::Recognised
    } else {
        AnswerKind::Bytes
    }
}

/// Returns the endpoints as a text: `127.0.0.1:8000 and [::1]:8000`.
fn joined<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> String {
    let names: Vec<String> = endpoints.map(ToString::to_string).collect();
    if names.is_empty() {
        return "its address".to_owned();
    }
    names.join(" and ")
}

/// Returns the first of the service's own probes, but for its startup and named ones, that passes.
async fn passing(service: &Service, prober: &Prober) -> Option<String> {
    let tells = |probe: &&Probe| !matches!(probe.role, Role::Named | Role::Startup);
    let asked = service.probes.iter().filter(tells);
    let questions = asked.map(|probe| async move { (probe, prober.probe(probe, None).await) });
    let answers = join_all(questions).await;
    let mut passing = answers.iter().filter(|(_, it)| it.result.is_success());
    passing.next().map(|(probe, _)| probe.name.clone())
}

/// Returns how little the answer of a probe with this role tells of the service, compared with the others.
fn rank(role: Role) -> usize {
    let ranked = [Role::Status, Role::Ready, Role::Live, Role::Named];
    // A startup probe tells least.
    let rank = ranked.iter().position(|one| *one == role);
    rank.unwrap_or(ranked.len())
}

/// Returns the probe with a connection of its own: a kept one would go on answering behind a closed listener.
fn with_fresh_connection(probe: &Probe) -> Probe {
    let mut probe = probe.clone();
    if let ProbeKind::Http(request) = &mut probe.kind {
        request.connection = Connection::Fresh;
    }
    probe
}
