//! Carries out an action: facts, preflight, stop, start, monitor, audit.
//!
//! [`Executor::prepare`] gathers the facts and says what would be sent to which process; nothing has happened yet.
//! [`Executor::run`] carries that out: each service passes a preflight, then its phases stop and start it, and a monitor
//! watches until the end is proved or the time is up. Must not use the engine: a proof rests on looks of its own.

mod address;
mod audit;
mod facts;
mod force;
mod kill;
mod monitor;
mod ownership;
mod phases;
mod plan;
mod preflight;
mod readiness;
mod reload;
mod request;
mod result;
mod run;
mod scan;
mod send;
mod signal;
mod start;
mod stop;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::action::{
    Action, CurrentInstance, Goal, ProposedAction, Refusal, RolloutPolicy, Verdict,
};
use crate::event::{ActionDetails, ActionResult};
use crate::health::Identity;
use crate::host::records::{RecordKey, Records};
use crate::host::{Clock, local_process};
use crate::inventory::{ActionSpec, Inventory, Service};
use crate::probe::Prober;
use crate::text;

use audit::{Audit, AuditSubject, instance_info};
use facts::{OtherServices, ServiceFacts};
use force::ForceSwitches;
use ownership::OwnProcess;
use signal::ProvenTarget;

pub(crate) use force::{ForceOffer, ForceSwitch};
pub(crate) use plan::startable_beside;
pub(crate) use scan::HostScan;

/// The permission to kill a service that does not stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Force {
    #[default]
    Never,
    /// When its time is up.
    InTheEnd,
    /// Soon: a stop is by signals alone. Somebody has asked for that after a stop.
    Soon,
}

/// Settings that hold for every action of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// Refuses every action before anything is looked at.
    pub(crate) read_only: bool,
    /// The directory of the audit file; `None` records nothing.
    pub(crate) audit: Option<PathBuf>,
    /// The command line, for the audit file, secrets masked.
    pub(crate) command: String,
    /// The time that each phase of an action may take, instead of the inventory's.
    pub(crate) timeout: Option<Duration>,
    pub(crate) force: Force,
    /// A start leaves alone the services that its own need.
    pub(crate) no_deps: bool,
    /// Leaves down a service that is to be restarted and has ended since the plan was made.
    pub(crate) only_running: bool,
    pub(crate) rollout: RolloutPolicy,
    /// The records of started services, and the locks on services that are acted on.
    pub(crate) records: Option<Records>,
    /// This program, to start services detached; `None` where it cannot be found.
    pub(crate) program: Option<PathBuf>,
    /// Set where a person sees the process that is meant before anything is sent.
    pub(crate) is_shown: bool,
    /// The one process to signal, which the person has named.
    pub(crate) pid: Option<u32>,
}

/// Carries out actions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    prober: Prober,
    clock: Clock,
    policy: Policy,
    switches: ForceSwitches,
}

/// An action on some services, in the order in which it will be carried out. Nothing has been sent.
#[derive(Debug, Clone)]
pub(crate) struct PreparedAction {
    pub(crate) action: Action,
    targets: Vec<PlanTarget>,
    /// For each target the others that it needs, by index.
    needs: Vec<Vec<usize>>,
}

/// A service of a plan.
#[derive(Debug, Clone)]
struct PlanTarget {
    service: Arc<Service>,
    /// The key of its record.
    key: RecordKey,
    other_services: Arc<OtherServices>,
    facts: ServiceFacts,
    goal: Goal,
    work: PlannedWork,
    /// The services that it needs, directly or through others.
    needs: Vec<Arc<Service>>,
    force: ForceSwitch,
}

/// The work that is to be done on a service.
#[derive(Debug, Clone)]
enum PlannedWork {
    /// The service has stopped, or runs, already.
    Nothing,
    /// A request is sent.
    Request(Box<PlannedRequest>),
    /// The service is only started.
    Start(ProposedAction),
}

/// A request of a plan.
#[derive(Debug, Clone)]
struct PlannedRequest {
    method: ActionSpec,
    offer: ProposedAction,
    /// The process to signal first, where the request is a signal.
    signalled: Option<OwnProcess>,
    /// The request that is sent in its place where its route is not offered; or why there is none.
    otherwise: Result<Box<PlannedRequest>, String>,
    /// The process that gets the signal after a good reply, where one is to follow; or why none can get it.
    after_reply: Option<Result<OwnProcess, String>>,
    /// Every process that is proved to be the service's own, held open from before anything is sent.
    list: Vec<ProvenTarget>,
}

impl Executor {
    /// Makes an executor that asks by `prober`, whose clock has to be `clock`.
    pub(crate) fn new(prober: Prober, clock: Clock, policy: Policy) -> Self {
        Self {
            prober,
            clock,
            policy,
            switches: ForceSwitches::default(),
        }
    }

    /// Returns the switch that ends the stop of a service by force, where this executor, or a clone of it, has begun the
    /// latest action on it.
    pub(crate) fn force_switch(&self, service: &str) -> Option<ForceSwitch> {
        self.switches.get(service)
    }

    /// Returns the same executor, whose audit lines give `command` as their command.
    pub(crate) fn called_for(&self, command: &str) -> Self {
        let mut other = self.clone();
        text::clean(command, 300).clone_into(&mut other.policy.command);
        other
    }

    /// Returns the same executor, which restarts what runs and starts nothing that has ended meanwhile: somebody may have
    /// stopped it.
    pub(crate) fn only_running(mut self, only_running: bool) -> Self {
        self.policy.only_running = only_running;
        self
    }

    /// Returns the same executor, whose stops are by signals alone, the last of which is SIGKILL.
    pub(crate) fn killing(mut self) -> Self {
        self.policy.force = Force::Soon;
        self
    }

    /// Returns the same executor, which signals this one process, as a person has named it.
    pub(crate) fn naming(mut self, pid: u32) -> Self {
        self.policy.pid = Some(pid);
        self
    }

    /// Returns the same executor, whose actions nobody sees before they are carried out.
    pub(crate) fn unseen(mut self) -> Self {
        self.policy.is_shown = false;
        self
    }

    /// Returns when somebody shut this service down, where nobody has started it with healthctl since.
    pub(crate) fn stopped_since(&self, inventory: &Inventory, service: &str) -> Option<Timestamp> {
        let key = record_key(inventory, service);
        self.policy.records.as_ref()?.stopped_since(&key)
    }

    /// Records refusals, as far as the audit file can be written, and returns each as the end of its action. `prepared` is
    /// the plan that was refused, where one was made.
    pub(crate) fn refuse(
        &self,
        refusals: &[Refusal],
        prepared: Option<&PreparedAction>,
    ) -> Vec<ActionResult> {
        let audit = Audit::open(self.policy.audit.as_deref(), &self.policy.command).ok();
        let refuse = |refusal: &Refusal| {
            let target = prepared.and_then(|plan| plan.target(&refusal.service));
            self.refused(
                (&refusal.service, refusal.action, target),
                &refusal.reason,
                audit.as_ref(),
            )
        };
        refusals.iter().map(refuse).collect()
    }

    /// Records that an action on a service was refused, and returns its end.
    fn refused(
        &self,
        (service, action, target): (&str, Action, Option<&PlanTarget>),
        reason: &str,
        audit: Option<&Audit>,
    ) -> ActionResult {
        if let Some(audit) = audit {
            let subject = AuditSubject {
                service,
                action,
                request: target.and_then(PlanTarget::request),
                before: target.map(|target| instance_info(&target.identity())),
            };
            // Nothing was sent, so a line that cannot be written hides nothing.
            let _ = audit.write(&subject, Some((None, Verdict::Refused, reason)));
        }
        ActionResult {
            service: service.to_owned(),
            action,
            verdict: Verdict::Refused,
            text: reason.to_owned(),
            evidence: Vec::new(),
            parts: Vec::new(),
            details: ActionDetails::default(),
            elapsed: Duration::ZERO,
            at: self.clock.now(),
        }
    }
}

/// Returns the key of the record of a service.
pub(crate) fn record_key(inventory: &Inventory, service: &str) -> RecordKey {
    RecordKey::new(&inventory.declares(service), service).with_legacy_inventory(&inventory.file())
}

impl PreparedAction {
    fn target(&self, service: &str) -> Option<&PlanTarget> {
        let mut targets = self.targets.iter();
        targets.find(|target| target.service.name == service)
    }

    /// Returns the instance that was found of a service; `None` where nothing of it was.
    pub(crate) fn present(&self, service: &str) -> Option<CurrentInstance> {
        let facts = &self.target(service)?.facts;
        if facts.nothing_there() {
            return None;
        }
        let identity = facts.identity();
        Some(CurrentInstance {
            process: identity.process.and_then(local_process),
            identity,
            draining: facts.draining,
        })
    }
}

impl PlannedRequest {
    /// Returns the same request, and what takes its place, with the processes that may be signalled.
    fn with_list(self, list: &[ProvenTarget]) -> Self {
        Self {
            list: list.to_vec(),
            otherwise: self.otherwise.map(|other| Box::new(other.with_list(list))),
            ..self
        }
    }

    /// Returns the process to signal first, held open; `None` where the request is no signal, or it has gone.
    fn first(&self) -> Option<&ProvenTarget> {
        let signalled = self.signalled.as_ref()?.running.process;
        self.list.iter().find(|one| one.process() == signalled)
    }
}

impl PlanTarget {
    fn identity(&self) -> Identity {
        self.facts.identity()
    }

    fn offer(&self) -> Option<&ProposedAction> {
        match &self.work {
            PlannedWork::Nothing => None,
            PlannedWork::Request(request) => Some(&request.offer),
            PlannedWork::Start(offer) => Some(offer),
        }
    }

    /// Returns all that is sent and run, for the audit file.
    fn request(&self) -> Option<String> {
        let offer = self.offer()?;
        Some(match &offer.then {
            Some(then) => format!("{}; then {then}", offer.request_in_full()),
            None => offer.request_in_full(),
        })
    }
}
