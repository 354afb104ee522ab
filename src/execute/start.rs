//! Starts a service, or waits for the successor that something else starts, until it is ready and proved to be the instance
//! that was waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::address::connect_all;
use super::facts::{FactsQuestion, ServiceFacts, StoredState, heads, name, shown};
use super::monitor::{MonitorSubject, Monitored, Pending, monitor};
use super::phases::{StartedInstance, TargetRun};
use super::readiness::ReadinessCheck;
use super::result::{ActionEnd, Flow, ended, or_end};
use super::send::{Delivery, run_command};
use super::{Executor, PlanTarget};
use crate::action::{
    AddressHolder, ChildExit, ConnectOutcome, Handover, LOOKS_APART, Observation, ProofSubject,
    Prover, ReadinessProof, StartProof, Verdict,
};
use crate::event::StepKind;
use crate::health::Process;
use crate::host::directories::below_inventory;
use crate::host::keeper::enclosing_unit;
use crate::host::launch::{StartOrder, launch, make_log, startable};
use crate::host::log::{excerpt, last_line};
use crate::host::mtime::matching_files;
use crate::host::pid_file::{self, PidFile};
use crate::host::records::{Record, RecordError, RecordKey, Records};
use crate::host::{
    Endpoint, RunningProcess, alive, ancestors, can_bind, listening_addresses, process,
};
use crate::inventory::{Exec, Means, Secret, Service, StartSpec};
use crate::probe::{Redactions, reveal};
use crate::text;

pub(super) const NO_RECORDS: &str = "there is no home directory to record in what is started";
pub(super) const NO_PROGRAM: &str = "healthctl cannot find its own executable to start it by";

/// The kernel holds the address of a closed connection this long.
const HELD_FOR: Duration = Duration::from_secs(60);
const WROTE_NOTHING: &str =
    "it wrote nothing: does it read its standard input, which is empty here?";

/// The answer to a readiness check: the check to repeat, what is missing, and the facts where nothing is.
struct ReadinessAnswer {
    check: ReadinessCheck,
    missing: Vec<String>,
    facts: Option<ServiceFacts>,
}

/// An instance that is waited for.
struct StartWatch<'a, P> {
    run: &'a TargetRun<'a>,
    /// Its processes are those of a service that ran already.
    subject: MonitorSubject<P>,
    /// The means of the request that has the successor started.
    means: Option<&'a Means>,
    /// The command that has a supervisor start it.
    command: Option<&'a Exec>,
    /// The process that was started here.
    process: Option<RunningProcess>,
    record: Option<Record>,
    records: Option<&'a Records>,
    /// Set where the facts of the instance are gathered once it is ready.
    gathers: bool,
    not_ready: &'static str,
    began: Instant,
    /// The time that is left for it to be ready.
    limit: Duration,
    listened: Option<Instant>,
    check: Option<ReadinessCheck>,
    /// The missing probes that were reported last.
    reported: String,
    /// The facts of the instance that is ready, and whether it is the expected one.
    ready: Option<(ServiceFacts, bool)>,
}

impl TargetRun<'_> {
    /// Starts the service and waits until it is ready.
    pub(super) async fn start(&self) -> Flow<StartedInstance> {
        match self.start_once().await {
            Flow::Break(end) if end.in_use => {
                self.wait_for_address(end).await?;
                self.start_once().await
            }
            flow => flow,
        }
    }

    /// Waits until the closed connections of the process before hold the address of the service no longer; ends where they
    /// still do, or where somebody listens there meanwhile.
    async fn wait_for_address(&self, end: ActionEnd) -> Flow {
        let endpoints = &self.target.facts.endpoints;
        let held = || {
            let mut addresses = endpoints.iter().filter_map(|endpoint| match endpoint {
                Endpoint::Tcp(address) => Some(*address),
                Endpoint::Socket(_) => None,
            });
            addresses.any(|address| !can_bind(address))
        };
        let limit = text::format_duration(HELD_FOR);
        let what = format!(
            "its address is in use and nobody listens there: closed connections hold it; waiting until it is free, {limit} at most"
        );
        self.tell(StepKind::Remark, &what);
        let until = Instant::now() + HELD_FOR;
        while held() {
            let looks = connect_all(endpoints).await;
            let is_over = Instant::now() >= until || looks.contains(&ConnectOutcome::Accepted);
            if is_over || self.context.cancel.is_cancelled() {
                return Flow::Break(end);
            }
            sleep(LOOKS_APART).await;
        }
        Flow::Continue(())
    }

    async fn start_once(&self) -> Flow<StartedInstance> {
        let PlanTarget { service, key, .. } = &self.target;
        let executor = self.context.executor;
        if let Some(start) = service.start.as_ref().filter(|_| service.supervised) {
            return self.hand_over(start).await;
        }
        let began = Instant::now();
        let launched = async {
            let (records, order, redactions) = executor.start_order(service, key).await?;
            let program = executor.policy.program.as_ref().ok_or(NO_PROGRAM)?;
            let launched = launch(program, records, &order).await?;
            Ok::<_, String>((records, order, redactions, launched))
        };
        let (verdict, what) = if self.times.drain.is_some() {
            (Verdict::Died, "it could not be started")
        } else {
            (Verdict::Refused, "nothing was started")
        };
        let launched = or_end(verdict, what, launched.await)?;
        let (records, order, redactions, record) = launched;
        let started = record.process;
        let running = process(started.pid)
            .filter(|running| running.process == started)
            .unwrap_or_else(|| unseen_process(started, &order.shown));
        let (named, log) = (name(&running), order.log.display());
        let what = format!("started {named}, its output goes to {log}");
        self.tell(StepKind::Started, &what);
        if let Some(unit) = enclosing_unit() {
            let what = format!(
                "healthctl runs inside {unit}: when that unit ends, so do this service and its keeper"
            );
            self.tell(StepKind::Remark, &what);
        }
        let interrupted = format!(
            "interrupted: {named} was started and runs on; whether it gets ready was not waited for"
        );
        let mut watch = StartWatch {
            process: Some(running.clone()),
            record: Some(record.clone()),
            records: Some(records),
            began,
            ..self.start_watch(self.start_proof(Some(&running), interrupted))
        };
        let instance = match watch.until_ready(executor.ready_timeout(service)).await {
            Flow::Continue(instance) => instance,
            Flow::Break(mut result) => {
                let (log, offset) = (order.log.clone(), record.log_offset);
                let read = move || {
                    let end = std::fs::metadata(&log).map_or(offset, |found| found.len());
                    (excerpt(&log, offset), last_line(&log, &(offset..end)))
                };
                let (lines, last) = tokio::task::spawn_blocking(read).await.unwrap_or_default();
                result.log = lines.iter().map(|line| redactions.apply(line)).collect();
                let last = last.map(|last| redactions.apply(&last));
                result.in_use = result.verdict == Verdict::Died
                    && result.log.iter().any(|line| says_in_use(line))
                    && !connect_all(&self.target.facts.endpoints)
                        .await
                        .contains(&ConnectOutcome::Accepted);
                let more = match (result.verdict, last) {
                    (Verdict::Died, Some(last)) => Some(format!("its last line: {last}")),
                    (Verdict::Died, None) => {
                        let exit = records.exit_of(key, started);
                        let ended_well = exit.is_some_and(|exit| exit.status() == 0);
                        ended_well.then(|| WROTE_NOTHING.to_owned())
                    }
                    (Verdict::NotReady, _) => self.listens_elsewhere(&record).await,
                    _ => None,
                };
                if let Some(more) = more {
                    result.text = format!("{}; {more}", result.text);
                }
                return Flow::Break(result);
            }
        };
        let what = "what runs of it could not be recorded";
        or_end(
            Verdict::Unverified,
            what,
            self.record_listeners(&record, &instance),
        )?;
        Flow::Continue(instance)
    }

    /// Says at which other address the process that was started, or one that it has started, listens.
    async fn listens_elsewhere(&self, record: &Record) -> Option<String> {
        let own = self.target.facts.endpoints.clone();
        let record = record.clone();
        let search = tokio::task::spawn_blocking(move || {
            let mut family = record.below_keeper();
            family.extend(record.leader());
            family.extend(record.session(true));
            let family: Vec<Process> = family.iter().map(|one| one.process).collect();
            let mut found = listening_addresses(&family);
            found.retain(|address| !own.contains(&Endpoint::Tcp(*address)));
            found
        });
        let found: Vec<String> = search.await.ok()?.iter().map(ToString::to_string).collect();
        (!found.is_empty()).then(|| {
            let places = found.join(" and ");
            format!("it listens at {places} instead: is its `url` or its port another one?")
        })
    }

    /// Runs the start command of a supervised service, which may end, and waits until the service is ready.
    async fn hand_over(&self, start: &StartSpec) -> Flow<StartedInstance> {
        let shown = shown(&start.exec);
        self.tell(StepKind::Started, &format!("running {shown}"));
        let interrupted = format!(
            "interrupted: {shown} was run; whether the service gets ready was not waited for"
        );
        let mut watch = StartWatch {
            command: Some(&start.exec),
            ..self.start_watch(self.start_proof(None, interrupted))
        };
        let limit = self.context.executor.ready_timeout(&self.target.service);
        watch.until_ready(limit).await
    }

    /// Records the process that runs in place of the one that was started, where that has gone into the background, and the
    /// descendants that have left its session and listen; and that it is ready.
    fn record_listeners(
        &self,
        record: &Record,
        instance: &StartedInstance,
    ) -> Result<(), RecordError> {
        let (key, executor) = (&self.target.key, self.context.executor);
        let Some(records) = executor
            .policy
            .records
            .as_ref()
            .filter(|_| instance.is_ours)
        else {
            return Ok(());
        };
        let owners = instance.facts.processes.owning().iter();
        let owners: Vec<Process> = owners.map(|owner| owner.process).collect();
        records.add_descendants(key, &owners)?;
        let Some(background) = instance.in_background(record.process) else {
            return records.update(key, record.process, |record| record.ready = true);
        };
        let of_background = Record {
            process: background,
            ..record.clone()
        };
        records.note_start(key, &of_background)?;
        records.update(key, record.process, |record| {
            record.process = background;
            record.ready = true;
        })
    }

    /// Waits until something else has started a successor and that is ready.
    pub(super) async fn wait_for_successor(
        &self,
        means: &Means,
        limit: Duration,
    ) -> Flow<StartedInstance> {
        let interrupted = "interrupted: whether it is started again was not waited for";
        let mut watch = StartWatch {
            means: Some(means),
            ..self.start_watch(self.start_proof(None, interrupted.to_owned()))
        };
        watch.until_ready(limit).await
    }

    /// Waits until a service that runs already, as `running` says, is ready.
    pub(super) async fn wait_until_ready(&self, running: String) -> ActionEnd {
        let executor = self.context.executor;
        let limit = executor.ready_timeout(&self.target.service);
        let interrupted = format!("{running}; interrupted before it was ready");
        let proof = ReadinessProof::new(running, limit);
        let processes = self.target.facts.processes.all();
        let processes = processes.iter().map(|one| one.process).collect();
        let subject = MonitorSubject {
            endpoints: Vec::new(),
            ..self.subject(proof, processes, interrupted)
        };
        let mut watch = StartWatch {
            gathers: false,
            not_ready: "it runs already and is not ready yet",
            ..self.start_watch(subject)
        };
        let end = monitor(&mut watch, limit).await;
        ended(end.map_continue(|(verdict, text)| ActionEnd::new(verdict, text)))
    }

    fn start_proof(
        &self,
        process: Option<&RunningProcess>,
        interrupted: String,
    ) -> MonitorSubject<StartProof> {
        let endpoints = &self.target.facts.endpoints;
        let subject = ProofSubject {
            addresses: endpoints.iter().map(ToString::to_string).collect(),
            processes: process.into_iter().map(name).collect(),
            replicas: self.target.service.replicas,
        };
        let proof = StartProof::new(subject, self.now());
        self.subject(proof, Vec::new(), interrupted)
    }

    fn start_watch<P>(&self, subject: MonitorSubject<P>) -> StartWatch<'_, P> {
        StartWatch {
            run: self,
            subject,
            means: None,
            command: None,
            process: None,
            record: None,
            records: None,
            gathers: true,
            not_ready: "not ready yet",
            began: Instant::now(),
            limit: Duration::ZERO,
            listened: None,
            check: Some(ReadinessCheck::of(&self.target.service)),
            reported: String::new(),
            ready: None,
        }
    }
}

impl Executor {
    /// Checks that the service could be started, as far as that is known before it is stopped, and makes its log where that is
    /// asked for.
    ///
    /// # Errors
    /// Why it could not be.
    pub(super) async fn startable(
        &self,
        service: &Service,
        key: &RecordKey,
        makes_log: bool,
    ) -> Result<(), String> {
        let (records, order, _) = self.start_order(service, key).await?;
        let records = records.clone();
        let check = move || {
            startable(&records, &order)?;
            if makes_log {
                make_log(&records, &order)?;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(check)
            .await
            .map_err(|error| error.to_string())?
    }

    /// Returns the records and all that a start needs, secrets read; and the redactions for what the service writes.
    async fn start_order(
        &self,
        service: &Service,
        key: &RecordKey,
    ) -> Result<(&Records, StartOrder, Redactions), String> {
        let start = service.start.as_ref().ok_or("it does not say how")?;
        let records = self.policy.records.as_ref().ok_or(NO_RECORDS)?;
        let exec = &start.exec;
        let mut env = Vec::with_capacity(exec.env.len());
        let mut secrets = Vec::new();
        for (name, secret) in &exec.env {
            let value = reveal(secret)
                .await
                .map_err(|why| format!("its variable {name} cannot be read: {why}"))?;
            if !matches!(secret, Secret::Plain(_)) {
                secrets.push((name.clone(), value.clone()));
            }
            env.push((name.clone(), value));
        }
        let default_log = || records.default_log(key);
        let order = StartOrder {
            key: key.clone(),
            command: exec.command.clone(),
            shown: exec.shown.clone(),
            env,
            cwd: exec.cwd.clone(),
            log: start.log.clone().unwrap_or_else(default_log),
            entry: start.fingerprint(|path| below_inventory(key.inventory(), path)),
            sources: sources_fingerprint(service).await,
        };
        Ok((records, order, Redactions::new(exec, secrets)))
    }
}

impl StartWatch<'_, StartProof> {
    async fn until_ready(&mut self, limit: Duration) -> Flow<StartedInstance> {
        let limit = limit.saturating_sub(self.began.elapsed());
        self.limit = limit;
        let (verdict, text) = monitor(self, limit).await?;
        let (Verdict::Started, Some((facts, is_expected))) = (verdict, self.ready.take()) else {
            return Flow::Break(ActionEnd::new(verdict, text));
        };
        let listened = self.listened.unwrap_or_else(Instant::now);
        let ready = listened.elapsed();
        let what = format!("ready {:.1}s after it was up", ready.as_secs_f64());
        self.run.tell(StepKind::Ready, &what);
        Flow::Continue(StartedInstance {
            is_ours: is_expected && self.process.is_some(),
            facts,
            start: listened.duration_since(self.began),
            ready,
        })
    }
}

impl<P> StartWatch<'_, P> {
    /// Says which process listens now.
    fn holder(&self, facts: &ServiceFacts) -> AddressHolder {
        let owners = facts.processes.owning();
        let Some(started) = &self.process else {
            return AddressHolder::Unknown;
        };
        if owners.is_empty() {
            // Without an address there is nothing that another process could hold.
            return if facts.endpoints.is_empty() {
                AddressHolder::Expected
            } else {
                AddressHolder::Unknown
            };
        }
        let named = facts.processes.in_pid_file();
        let record = self.record.as_ref();
        let below = record.map_or_else(Vec::new, Record::below_keeper);
        let session = record.map_or_else(Vec::new, |record| record.session(false));
        let is_below = |process: Process, above: &RunningProcess| {
            process == above.process || ancestors(process).contains(&above.process)
        };
        let is_stranger = |owner: &&RunningProcess| {
            let process = owner.process;
            !is_below(process, started)
                && !named.is_some_and(|named| is_below(process, named))
                && !below
                    .iter()
                    .chain(&session)
                    .any(|one| one.process == process)
        };
        let strangers: Vec<String> = owners.iter().filter(is_stranger).map(name).collect();
        let shared = self.run.target.service.replicas && strangers.len() < owners.len();
        if strangers.is_empty() || shared {
            AddressHolder::Expected
        } else {
            AddressHolder::Stranger(strangers.join(", "))
        }
    }
}

impl<P: Prover> Monitored for StartWatch<'_, P> {
    type Proof = P;
    type Answer = ReadinessAnswer;

    fn subject(&mut self) -> &mut MonitorSubject<P> {
        &mut self.subject
    }

    fn request(&self) -> Option<Pending<Delivery>> {
        let (exec, limit) = (self.command?.clone(), self.limit);
        Some(Box::pin(async move { run_command(&exec, limit).await }))
    }

    fn sent(&mut self, delivery: Delivery, _deadline: &mut Instant) -> Flow<Option<Observation>> {
        match delivery {
            Delivery::Failed { command, how } => {
                let text = format!("its start command `{command}` failed ({how})");
                return Flow::Break(ActionEnd::new(Verdict::Died, text));
            }
            Delivery::NotSent(why) => {
                let text = format!("its start command was not run: {why}");
                return Flow::Break(ActionEnd::new(Verdict::Died, text));
            }
            Delivery::Done(what) | Delivery::Lost(what) => self.run.tell(StepKind::Remark, &what),
            Delivery::Replied(_) | Delivery::Cut(..) => {}
        }
        Flow::Continue(None)
    }

    fn child_exit(&mut self) -> Option<ChildExit> {
        let (record, records) = (self.record.as_ref()?, self.records?);
        if alive(record.process) != Some(false) {
            return None;
        }
        let target = &self.run.target;
        let exit = records.exit_of(&target.key, record.process);
        if exit.is_none() && record.live_keeper().is_some() {
            // It writes the status down in a moment.
            return None;
        }
        let start = target.service.start.as_ref();
        let success = exit
            .as_ref()
            .zip(start)
            .is_some_and(|(exit, start)| start.success_codes.contains(&exit.status()));
        let how = exit.map_or_else(
            || "its keeper was killed, so its status is not known".to_owned(),
            |exit| exit.how(),
        );
        let read = |path| pid_file::read(path, Some(record.started_at));
        let named = target.service.pid_file.as_deref().map(read);
        let handover = match named {
            _ if !success => Handover::Nothing,
            Some(PidFile::Names(named)) if named.doubt.is_none() => Handover::Running,
            // It ends when nothing below it runs.
            _ if record.live_keeper().is_some() => Handover::Running,
            Some(_) => Handover::Pending,
            None => Handover::Nothing,
        };
        Some(ChildExit {
            success,
            how,
            handover,
        })
    }

    fn ask(&mut self, _looks: &[ConnectOutcome]) -> Option<Pending<ReadinessAnswer>> {
        let mut check = self.check.take()?;
        let means = self.means.cloned();
        let gathers = self.gathers;
        let executor = self.run.context.executor.clone();
        let other_services = Arc::clone(&self.run.target.other_services);
        // The owner of the socket tells more; without an address only the record tells which process it is.
        let record = self.record.clone();
        let record = record.filter(|_| self.run.target.facts.endpoints.is_empty());
        Some(Box::pin(async move {
            let mut missing = check.ask(&executor.prober).await;
            let mut facts = None;
            if missing.is_empty() && gathers {
                let stored = StoredState {
                    record,
                    ..StoredState::default()
                };
                let question = FactsQuestion {
                    service: &check.service,
                    means: means.as_ref(),
                    prober: &executor.prober,
                    other_services: &other_services,
                    is_shown: false,
                    named: None,
                };
                match ServiceFacts::gather(question, executor.clock, stored).await {
                    Ok(gathered) => facts = Some(gathered),
                    Err(why) => missing.push(why),
                }
            }
            ReadinessAnswer {
                check,
                missing,
                facts,
            }
        }))
    }

    fn answered(&mut self, answer: ReadinessAnswer) -> Observation {
        self.check = Some(answer.check);
        let missing = answer.missing.join(", ");
        if !missing.is_empty() && missing != self.reported && self.listened.is_some() {
            let what = format!("{}: {missing}", self.not_ready);
            self.run.tell(StepKind::Remark, &what);
            self.reported = missing;
        }
        let facts = answer.facts.as_ref();
        let holder = facts.map_or(AddressHolder::Unknown, |facts| self.holder(facts));
        let is_expected = holder == AddressHolder::Expected;
        self.ready = answer.facts.map(|facts| (facts, is_expected));
        Observation::Readiness {
            missing: answer.missing,
            holder,
        }
    }

    fn looked(&mut self, looks: &[ConnectOutcome]) {
        let listens = looks.is_empty() || looks.contains(&ConnectOutcome::Accepted);
        if listens {
            self.listened.get_or_insert_with(Instant::now);
        }
    }
}

impl StartedInstance {
    /// Returns the process that listens in place of the one that was started, where that has gone into the background.
    fn in_background(&self, started: Process) -> Option<Process> {
        let heads = heads(self.facts.processes.owning());
        let [head] = heads.as_slice() else {
            return None;
        };
        let gone = process(started.pid).is_none_or(|running| running.process != started);
        (gone && self.is_ours).then_some(head.process)
    }
}

/// Returns whether a line of a log says that the address to listen at is in use.
fn says_in_use(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let names_it = line.contains("address") || line.contains("port");
    line.contains("eaddrinuse") || (names_it && line.contains("in use"))
}

/// Describes a process that has exited before it could be looked at, by the name of its program.
fn unseen_process(process: Process, command: &[String]) -> RunningProcess {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    RunningProcess {
        process,
        parent: 0,
        name: text::clean(name, 40),
    }
}

/// Returns the fingerprint of the files that the service's code is made of now; `None` where it names none, or they cannot
/// be looked through.
async fn sources_fingerprint(service: &Service) -> Option<String> {
    let sources = service.sources.clone()?;
    let look = move || matching_files(&sources.root, &sources.patterns);
    let found = tokio::task::spawn_blocking(look).await.ok()?;
    Some(found.ok()?.fingerprint)
}
