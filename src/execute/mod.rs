//! Carries out an action plan: send, signal, watch, compare, audit; tells the engine of it by [`Input`](crate::event::Input).
//!
//! [`Executor::prepare`] reads every identity and says what would be sent to whom; nothing has happened yet.
//! [`Executor::run`] sends, once, and watches until the end is proved or the time is up. Must not use the
//! engine: a proof rests on its own looks.

mod again;
mod amount;
mod audit;
mod choose;
mod come_up;
mod command;
mod ending;
mod force;
mod foreign;
mod gates;
mod halves;
mod identify;
mod look;
mod owners;
mod place;
mod prepare;
mod question;
mod reload;
mod run;
mod scan;
mod send;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::action::{
    Action, Goal, Method, Present, ProposedAction, Refusal, RolloutPolicy, Verdict,
};
use crate::event::{ActionDetails, ActionResult};
use crate::health::{self, Identity, Process};
use crate::host::records::{Key, Records};
use crate::host::{Clock, started_at};
use crate::inventory::{Inventory, Service};
use crate::probe::Asker;
use crate::text;

use audit::Audit;
use identify::Found;

pub(crate) use scan::{HostScan, HostSnapshot};

/// What holds for every action of this run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// Refuse everything.
    pub(crate) read_only: bool,
    /// The directory of the audit file; `None` records nothing.
    pub(crate) audit: Option<PathBuf>,
    /// The command line, for the audit file, secrets masked.
    pub(crate) command: String,
    /// How long each half of an action may take, instead of what the inventory says.
    pub(crate) timeout: Option<Duration>,
    /// Whether what has not stopped in time may be killed.
    pub(crate) force: bool,
    /// What is to be restarted and has ended since it was prepared is left so.
    pub(crate) only_running: bool,
    /// How several services are acted on.
    pub(crate) manner: RolloutPolicy,
    /// Where what was started is recorded, and who acts on a service just now.
    pub(crate) records: Option<Records>,
    /// This program, to start others detached; `None` where it cannot be found.
    pub(crate) program: Option<PathBuf>,
}

/// Carries out actions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    asker: Asker,
    clock: Clock,
    policy: Policy,
}

/// A plan in the order in which it will be carried out. Nothing has been sent.
#[derive(Debug, Clone)]
pub(crate) struct PreparedAction {
    /// What will be done.
    pub(crate) action: Action,
    targets: Vec<Target>,
    /// For each target the others that it needs, by number.
    needs: Vec<Vec<usize>>,
}

/// One service of a plan.
#[derive(Debug, Clone)]
struct Target {
    service: Arc<Service>,
    /// What names its record.
    key: Key,
    found: Found,
    goal: Goal,
    todo: Todo,
}

/// What is to be done to a service.
#[derive(Debug, Clone)]
enum Todo {
    /// Nothing: it has stopped, or runs, already.
    Nothing,
    /// A request is sent.
    Send(Sending),
    /// It is only started.
    Start(ProposedAction),
}

/// One request of a plan.
#[derive(Debug, Clone)]
struct Sending {
    method: Method,
    offer: ProposedAction,
    signalled: Option<Process>,
}

impl Executor {
    /// An executor that asks by this asker. Its clock has to be the asker's.
    pub(crate) fn new(asker: Asker, clock: Clock, policy: Policy) -> Self {
        Self {
            asker,
            clock,
            policy,
        }
    }

    /// The same executor, whose audit file tells this as what it was called for.
    pub(crate) fn called_for(&self, command: &str) -> Self {
        let mut other = self.clone();
        text::clean(command, 300).clone_into(&mut other.policy.command);
        other
    }

    /// The same executor, which restarts what runs and starts nothing that has ended meanwhile: somebody may have
    /// stopped it.
    pub(crate) fn only_running(self, only_running: bool) -> Self {
        let policy = Policy {
            only_running,
            ..self.policy
        };
        Self { policy, ..self }
    }

    /// When somebody has had this service stopped for good, where nobody has started it by us since.
    pub(crate) fn put_down_since(&self, inventory: &Inventory, service: &str) -> Option<Timestamp> {
        let key = Key {
            inventory: inventory.file(),
            service: service.to_owned(),
        };
        self.policy.records.as_ref()?.down_since(&key)
    }

    /// Records refusals, as far as the audit file can be written, and tells each as the end of its action.
    /// `prepared` is the plan that was refused, where it had come so far.
    pub(crate) fn refuse(
        &self,
        refusals: &[Refusal],
        prepared: Option<&PreparedAction>,
    ) -> Vec<ActionResult> {
        let audit = Audit::open(self.policy.audit.as_deref(), &self.policy.command).ok();
        refusals
            .iter()
            .map(|refusal| {
                let target = prepared.and_then(|plan| plan.target(&refusal.service));
                let before = target.map(Target::identity);
                let request = target.and_then(Target::request);
                if let Some(audit) = &audit {
                    let about = audit::About {
                        service: &refusal.service,
                        action: refusal.action,
                        request: request.as_deref(),
                        before: before.as_ref(),
                    };
                    // It is refused already, and nothing was sent.
                    let _ = audit.after(about, None, Verdict::Refused, &refusal.reason);
                }
                self.done(
                    &refusal.service,
                    refusal.action,
                    Verdict::Refused,
                    refusal.reason.clone(),
                )
            })
            .collect()
    }

    fn done(&self, service: &str, action: Action, verdict: Verdict, text: String) -> ActionResult {
        ActionResult {
            service: service.to_owned(),
            action,
            verdict,
            text,
            evidence: Vec::new(),
            parts: Vec::new(),
            details: ActionDetails::default(),
            elapsed: Duration::ZERO,
            at: self.clock.now(),
        }
    }
}

impl PreparedAction {
    fn target(&self, service: &str) -> Option<&Target> {
        self.targets
            .iter()
            .find(|target| target.service.name == service)
    }

    /// Who was found there; `None` where nothing of the service was.
    pub(crate) fn present(&self, service: &str) -> Option<Present> {
        let found = &self.target(service)?.found;
        if found.nothing_there() {
            return None;
        }
        let identity = found.identity();
        let process = identity.process.and_then(|process| {
            let started = started_at(process)?;
            Some(health::Seen {
                pid: process.pid,
                started,
            })
        });
        Some(Present {
            identity,
            process,
            draining: found.draining,
        })
    }
}

impl Target {
    fn identity(&self) -> Identity {
        self.found.identity()
    }

    fn offer(&self) -> Option<&ProposedAction> {
        match &self.todo {
            Todo::Nothing => None,
            Todo::Send(sending) => Some(&sending.offer),
            Todo::Start(offer) => Some(offer),
        }
    }

    /// All that is sent and run, for the record.
    fn request(&self) -> Option<String> {
        let offer = self.offer()?;
        Some(match &offer.then {
            Some(then) => format!("{}; then {then}", offer.request),
            None => offer.request.clone(),
        })
    }
}
