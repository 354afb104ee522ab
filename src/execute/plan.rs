//! Makes a plan from the names of services: every identity is read and every request known, or every refusal told.
//!
//! Must not send anything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use tokio::time::{sleep, timeout};

use super::address::ServiceAddress;
use super::audit::Audit;
use super::facts::{
    FactsQuestion, OtherServices, ServiceFacts, StartCommands, StoredState, find_owners, name,
};
use super::force::AFTER_TERM;
use super::request::{offer_to_start, plan_request, refuse_copies, refuse_foreign, refuse_split};
use super::start::{NO_PROGRAM, NO_RECORDS};
use super::{Executor, Force, ForceSwitch, PlanTarget, PlannedWork, PreparedAction, record_key};
use crate::action::{
    Action, ActionPlan, Goal, LOOKS_APART, Refusal, RefusalReason, needed_beside, needs,
    plan_action, stop_order,
};
use crate::health::STILL_FRESH;
use crate::host::Endpoint;
use crate::host::pid_file::PidFile;
use crate::host::records::RecordKey;
use crate::inventory::{ActionSpec, Inventory, Means, Service, Signal};

/// The time that looking up the name of another service may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
/// The number of services whose facts are gathered at once.
const AT_ONCE: usize = 32;

/// A service of a plan that is being made.
struct PlanCandidate {
    service: Arc<Service>,
    key: RecordKey,
    other_services: Arc<OtherServices>,
    plan: ActionPlan,
}

impl Executor {
    /// Gathers the facts of each of the services and says what would be sent to it. A service that is refused refuses the
    /// plan: then nothing may be sent to any.
    ///
    /// # Errors
    /// Every refusal.
    pub(crate) async fn prepare(
        &self,
        action: Action,
        inventory: &Inventory,
        names: &[String],
    ) -> Result<PreparedAction, Vec<Refusal>> {
        let beside = match action {
            Action::Start if !self.policy.no_deps => startable_beside(inventory, names),
            _ => Vec::new(),
        };
        let mut all: Vec<String> = names.iter().chain(&beside).cloned().collect();
        let order = match action {
            // Dependencies do not matter where all services go on.
            Action::Reload => all,
            // Services start in the reverse of the order in which they stop.
            Action::Start => {
                all.reverse();
                stop_order(inventory, &all)
            }
            _ => stop_order(inventory, &all),
        };
        let services = named(inventory, &order);
        let starts = |service: &Arc<Service>| service.start.is_some() && !service.supervised;
        let needs_records =
            matches!(action, Action::Start | Action::Restart) && services.iter().any(starts);
        if let Some(no) = self.refuses_all(needs_records) {
            let refuse = |service: &Arc<Service>| no.clone().of(service, action);
            return Err(services.iter().map(refuse).collect());
        }
        let other_services = Arc::new(self.other_services(inventory).await);
        let mut refusals = Vec::new();
        let asking = stream::iter(services).map(|service| {
            let key = record_key(inventory, &service.name);
            self.ask(action, service, key, &other_services)
        });
        let mut asked = accepted(asking.buffered(AT_ONCE).collect().await, &mut refusals);
        // What runs already needs no start, whoever has started it.
        asked.retain(|(candidate, facts)| {
            !beside.contains(&candidate.service.name) || facts.nothing_there()
        });
        let (candidates, mut all_facts): (Vec<PlanCandidate>, Vec<_>) = asked.into_iter().unzip();
        let questions = candidates.iter().map(|candidate| self.question(candidate));
        let mut asked: Vec<_> = questions.zip(&mut all_facts).collect();
        find_owners(&mut asked).await;
        drop(asked);
        let planning = stream::iter(candidates.into_iter().zip(all_facts))
            .map(|(candidate, facts)| self.plan(action, candidate, facts));
        let mut targets = accepted(planning.buffered(AT_ONCE).collect().await, &mut refusals);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let order: Vec<String> = targets.iter().map(|it| it.service.name.clone()).collect();
        for target in &mut targets {
            let name = &target.service.name;
            target.needs = named(
                inventory,
                &needed_beside(inventory, std::slice::from_ref(name)),
            );
            if let PlannedWork::Start(offer) = &mut target.work
                && beside.contains(name)
            {
                let needed_by = names.iter().filter(|other| {
                    needed_beside(inventory, std::slice::from_ref(other)).contains(name)
                });
                let needed_by: Vec<&str> = needed_by.map(String::as_str).collect();
                offer.means = format!("{}; {} needs it", offer.means, needed_by.join(", "));
            }
        }
        let needs = match action {
            Action::Reload => vec![Vec::new(); targets.len()],
            _ => needs(inventory, &order),
        };
        Ok(PreparedAction {
            action,
            targets,
            needs,
        })
    }

    /// Returns why every action is refused, where one is. A start that `needs_records` is of no use without the audit file:
    /// its records stand in the same directory.
    fn refuses_all(&self, needs_records: bool) -> Option<RefusalReason> {
        if self.policy.read_only {
            return Some(RefusalReason::new(
                "read-only: actions are switched off",
                "leave out `--read-only` and `HEALTHCTL_READ_ONLY`",
            ));
        }
        let reason = Audit::open(self.policy.audit.as_deref(), &self.policy.command).err()?;
        let hint = if needs_records {
            "set `XDG_STATE_HOME` to a directory that can be written: the audit file and the records of what is started stand there"
        } else {
            "`--no-audit` acts without it; or set `XDG_STATE_HOME` to a directory that can be written"
        };
        Some(RefusalReason::new(reason, hint))
    }

    /// Gathers the facts of a service, but for the owners of its socket, which are searched for all services at once.
    async fn ask(
        &self,
        action: Action,
        service: Arc<Service>,
        key: RecordKey,
        other_services: &Arc<OtherServices>,
    ) -> Result<(PlanCandidate, ServiceFacts), Refusal> {
        let refuse = |reason: String| RefusalReason::from(reason).of(&service, action);
        let plan = self.planned(&service, action);
        let plan = plan.map_err(|no| no.of(&service, action))?;
        let stored = self.stored_state(&key).map_err(refuse)?;
        let needs_record = plan.goal == Goal::Start && !service.supervised;
        if needs_record && self.policy.records.is_none() {
            return Err(refuse(NO_RECORDS.to_owned()));
        }
        if needs_record && self.policy.program.is_none() {
            return Err(refuse(NO_PROGRAM.to_owned()));
        }
        let candidate = PlanCandidate {
            service: Arc::clone(&service),
            key,
            other_services: Arc::clone(other_services),
            plan,
        };
        let question = self.question(&candidate);
        let ask = async || {
            let facts = ServiceFacts::ask(question, stored.clone()).await;
            facts.map_err(refuse)
        };
        let mut facts = ask().await?;
        if facts.nothing_there() {
            // As for any proof of an end, a single look proves nothing.
            sleep(LOOKS_APART).await;
            facts = ask().await?;
        }
        Ok((candidate, facts))
    }

    /// Plans an action on a service, as far as that does not depend on what runs.
    ///
    /// # Errors
    /// The service has no method for it.
    pub(super) fn planned(
        &self,
        service: &Service,
        action: Action,
    ) -> Result<ActionPlan, RefusalReason> {
        let mut plan = plan_action(service, action)?;
        if let Some(method) = &mut plan.request {
            method.timeout = self.policy.timeout.unwrap_or(method.timeout);
        }
        if self.policy.force == Force::Soon {
            plan.by_force(service, AFTER_TERM)
        } else if self.policy.pid.is_some() {
            plan.by_signal(service)
        } else {
            Ok(plan)
        }
    }

    /// Returns where the services of the inventory listen and are on record.
    async fn other_services(&self, inventory: &Inventory) -> OtherServices {
        let services = inventory.services.values();
        let found = services.clone().map(|service| async {
            let endpoints = self.local_endpoints(service).await;
            (service.name.clone(), endpoints)
        });
        OtherServices {
            files: inventory.files.clone(),
            endpoints: join_all(found).await,
            pid_files: services
                .clone()
                .filter_map(|service| Some((service.name.clone(), service.pid_file.clone()?)))
                .collect(),
            commands: StartCommands::of(services),
            records: self.policy.records.clone(),
        }
    }

    /// Returns where a service listens on this machine. A name that cannot be looked up in time is taken for that of another
    /// machine.
    async fn local_endpoints(&self, service: &Service) -> Vec<Endpoint> {
        let address = ServiceAddress::of(service, None);
        let found = timeout(LOOKUP_TIMEOUT, address.endpoints(&self.prober)).await;
        let mut found = found.ok().and_then(Result::ok).unwrap_or_default();
        found.retain(Endpoint::is_local);
        found
    }

    /// Returns the question for the facts of a service of a plan.
    fn question<'a>(&'a self, candidate: &'a PlanCandidate) -> FactsQuestion<'a> {
        let method = candidate.plan.request.as_ref();
        FactsQuestion {
            service: &candidate.service,
            means: method.map(|method| &method.means),
            prober: &self.prober,
            other_services: &candidate.other_services,
            is_shown: self.policy.is_shown,
            named: self.policy.pid,
        }
    }

    /// Returns what the records tell of a service.
    ///
    /// # Errors
    /// The record cannot be read.
    pub(super) fn stored_state(&self, key: &RecordKey) -> Result<StoredState, String> {
        let Some(records) = &self.policy.records else {
            return Ok(StoredState::default());
        };
        let now = self.clock.now().wall;
        let stopped = records.stopped_since(key);
        Ok(StoredState {
            record: records.read(key).map_err(|error| error.to_string())?,
            survivors: records.survivors(key),
            stopped: stopped.filter(|at| now.duration_since(*at) < STILL_FRESH),
        })
    }

    /// Gathers all facts of a service.
    ///
    /// # Errors
    /// Its record cannot be read, or its name not be resolved.
    pub(super) async fn gather(
        &self,
        target: &PlanTarget,
        means: Option<&Means>,
    ) -> Result<ServiceFacts, String> {
        let question = FactsQuestion {
            service: &target.service,
            means,
            prober: &self.prober,
            other_services: &target.other_services,
            is_shown: self.policy.is_shown,
            named: self.policy.pid,
        };
        let stored = self.stored_state(&target.key)?;
        Box::pin(ServiceFacts::gather(question, self.clock, stored)).await
    }

    /// Returns how long the service may take to be ready after it was started.
    pub(super) fn ready_timeout(&self, service: &Service) -> Duration {
        let declared = service.start.as_ref().map(|start| start.ready_timeout);
        self.policy.timeout.or(declared).unwrap_or_default()
    }

    /// Says what would be sent, now that all facts are there.
    async fn plan(
        &self,
        action: Action,
        candidate: PlanCandidate,
        mut facts: ServiceFacts,
    ) -> Result<PlanTarget, Refusal> {
        let refuse = |reason: String| RefusalReason::from(reason).of(&candidate.service, action);
        if facts.is_changing() {
            facts = self.settled(&candidate).await.map_err(refuse)?;
        }
        let PlanCandidate {
            service,
            key,
            other_services,
            plan,
        } = candidate;
        let refuse = |reason: String| RefusalReason::from(reason).of(&service, action);
        facts.complete(&self.prober, self.clock).await;
        let work = self.work(action, &service, &plan, &facts);
        let work = work.map_err(|no| no.of(&service, action))?;
        if plan.goal == Goal::Start && !matches!(work, PlannedWork::Nothing) {
            let again = if matches!(work, PlannedWork::Request(_)) {
                " again"
            } else {
                ""
            };
            let startable = self.startable(&service, &key, false).await;
            startable.map_err(|why| refuse(format!("it could not be started{again}: {why}")))?;
        }
        let only_starts = matches!(work, PlannedWork::Start(_));
        Ok(PlanTarget {
            service,
            key,
            other_services,
            facts,
            goal: if only_starts { Goal::Start } else { plan.goal },
            work,
            needs: Vec::new(),
            force: ForceSwitch::default(),
        })
    }

    /// Gathers the facts again of a service that was just stopping or starting; if nothing is there then, once more, as one
    /// look proves no end.
    async fn settled(&self, candidate: &PlanCandidate) -> Result<ServiceFacts, String> {
        let gather = async || {
            sleep(LOOKS_APART).await;
            let recorded = self.stored_state(&candidate.key)?;
            ServiceFacts::gather(self.question(candidate), self.clock, recorded).await
        };
        let facts = gather().await?;
        if facts.nothing_there() {
            gather().await
        } else {
            Ok(facts)
        }
    }

    fn work(
        &self,
        action: Action,
        service: &Service,
        plan: &ActionPlan,
        facts: &ServiceFacts,
    ) -> Result<PlannedWork, RefusalReason> {
        let no = |reason: &str, hint: &str| Err(RefusalReason::new(reason, hint));
        let does_not_run = || format!("it does not run: {}", facts.absence());
        let start = || {
            let timeout = self.ready_timeout(service);
            PlannedWork::Start(offer_to_start(service, action, facts, timeout))
        };
        let gone = facts.nothing_there();
        if gone && facts.named.is_none() {
            refuse_copies(facts)?;
        }
        let Some(method) = &plan.request else {
            if gone {
                return Ok(start());
            }
            if facts.is_stopping() && !service.supervised {
                return Ok(start());
            }
            return runs(service, facts).map(|()| PlannedWork::Nothing);
        };
        match plan.goal {
            Goal::Stop if gone => return Ok(PlannedWork::Nothing),
            Goal::Start if gone => return Ok(start()),
            Goal::Reload if gone => {
                return no(&does_not_run(), "it reads its configuration when it starts");
            }
            Goal::Replace if gone && service.start.is_some() => return Ok(start()),
            // A supervisor can be told to start what does not run.
            Goal::Replace if gone && !matches!(method.means, Means::Exec(_)) => {
                return no(&does_not_run(), "what supervises it has to start it");
            }
            _ => {}
        }
        let by_signal = by_signal(action, method, facts);
        let plan = ActionPlan {
            request: Some(by_signal.as_ref().unwrap_or(method).clone()),
            ..plan.clone()
        };
        let mut request = plan_request(service, action, &plan, facts)?;
        if by_signal.is_some() {
            let means = &mut request.offer.means;
            *means = means.replacen("signal", "signal, as nothing listens at its address", 1);
        }
        Ok(PlannedWork::Request(Box::new(request)))
    }
}

/// Returns the services that healthctl can start, of those that `names` need beside themselves.
pub(crate) fn startable_beside(inventory: &Inventory, names: &[String]) -> Vec<String> {
    let mut beside = needed_beside(inventory, names);
    beside.retain(|name| {
        let service = inventory.services.get(name);
        service.is_some_and(|it| it.start.is_some() && !it.supervised)
    });
    beside
}

fn named(inventory: &Inventory, names: &[String]) -> Vec<Arc<Service>> {
    let services = names.iter().filter_map(|name| inventory.services.get(name));
    services.cloned().collect()
}

/// Returns SIGTERM in place of a route that cannot be reached, where a process is proved to be the service's own: one that
/// is starting, or hangs in its end.
fn by_signal(action: Action, method: &ActionSpec, facts: &ServiceFacts) -> Option<ActionSpec> {
    let Means::Http(request) = &method.means else {
        return None;
    };
    let unreachable = facts.address.holds(request) && facts.refuses();
    let proved = || facts.processes.leader().is_some();
    (action != Action::Reload && unreachable && proved())
        .then(|| ActionSpec::plain(Means::Signal(Signal::Term), method.timeout))
}

/// Checks that a service that is to be started runs already.
///
/// # Errors
/// Why that cannot be said.
pub(super) fn runs(service: &Service, facts: &ServiceFacts) -> Result<(), RefusalReason> {
    refuse_foreign(service, facts)?;
    refuse_split(facts)?;
    let processes = &facts.processes;
    if processes.all().is_empty()
        && let Some(probe) = &facts.passing
    {
        let reason =
            format!("its probe `{probe}` passes, so it seems to run, but its process is not known");
        return Err(RefusalReason::new(reason, "name its `pid_file`"));
    }
    if let Some(left) = processes
        .recorded()
        .filter(|_| !processes.leader_seen && facts.refuses())
    {
        return Err(RefusalReason::new(
            format!("its process has gone and has left {} behind", name(&left)),
            "`restart` ends that first, and so does `shutdown`",
        ));
    }
    if facts.something_there() {
        return Ok(());
    }
    let unknown = |why: &str| format!("whether it runs cannot be told: {why}");
    Err(match &processes.pid_file {
        Some(PidFile::Unknown(why)) => {
            RefusalReason::new(unknown(why), "delete the file if it has ended")
        }
        Some(PidFile::Names(named)) if named.doubt.is_some() => {
            let doubt = named.doubt.as_deref().unwrap_or_default();
            RefusalReason::new(unknown(doubt), "delete the file if it is out of date")
        }
        _ if facts.endpoints.is_empty() => {
            let why = "it has no address, and no process of it is known";
            RefusalReason::new(unknown(why), "name its `pid_file`")
        }
        _ => unknown(&format!(
            "{} neither accepts nor refuses",
            facts.endpoints_text()
        ))
        .into(),
    })
}

/// Returns what was not refused, and adds the refusals to the others.
fn accepted<T>(results: Vec<Result<T, Refusal>>, refusals: &mut Vec<Refusal>) -> Vec<T> {
    let results = results.into_iter();
    let accepted = results.filter_map(|result| result.map_err(|no| refusals.push(no)).ok());
    accepted.collect()
}
