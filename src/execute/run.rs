//! Carries a plan out: in the order and as many at once as its agenda says, each with its account in the audit file.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::audit::{About, Audit};
use super::ending::Ending;
use super::halves::{Case, With};
use super::{Executor, PreparedAction, Target, Todo};
use crate::action::{
    Action, ActionPhase, Goal, PlanStep, Proposal, Rollout, RolloutNode, RolloutPolicy,
    RolloutTask, Verdict,
};
use crate::event::{ActionResult, ActionStep, Input, StepKind};
use crate::health::Moment;
use crate::host::records::{Lock, RecordError};
use crate::text;

/// Where the account of one action goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) events: &'a UnboundedSender<Input>,
    pub(super) service: &'a str,
    pub(super) action: Action,
    pub(super) began: Moment,
}

impl Teller<'_> {
    pub(super) fn step(&self, at: Moment, kind: StepKind, what: &str) {
        // Nobody may be listening any more; the action goes on.
        let _ = self.events.send(Input::ActionStep(ActionStep {
            service: self.service.to_owned(),
            action: self.action,
            kind,
            text: text::clean(what, 300),
            elapsed: at.since(self.began),
            at,
        }));
    }
}

/// Why a plan is not begun.
struct Obstacle {
    reason: String,
    /// The service on which somebody else acts.
    busy: Option<String>,
}

impl From<String> for Obstacle {
    fn from(reason: String) -> Self {
        Self { reason, busy: None }
    }
}

/// A plan under way.
struct Run<'a> {
    executor: &'a Executor,
    action: Action,
    audit: Audit,
    events: &'a UnboundedSender<Input>,
    stop: &'a CancellationToken,
}

impl Executor {
    /// Carries the plan out and gives the end of each of its services, in the order of the plan. When `stop` is
    /// cancelled, nothing more is sent, and what is under way is no longer watched: the account says so.
    pub(crate) async fn run(
        &self,
        prepared: PreparedAction,
        events: &UnboundedSender<Input>,
        stop: &CancellationToken,
    ) -> Vec<ActionResult> {
        let action = prepared.action;
        let audit = match Audit::open(self.policy.audit.as_deref(), &self.policy.command) {
            Ok(audit) => audit,
            Err(reason) => {
                let obstacle = Obstacle::from(reason);
                return self.all_unsent(&prepared, &obstacle, None, events);
            }
        };
        let locks = match self.locks(&prepared) {
            Ok(locks) => locks,
            Err(obstacle) => return self.all_unsent(&prepared, &obstacle, Some(&audit), events),
        };
        let run = Run {
            executor: self,
            action,
            audit,
            events,
            stop,
        };
        let agenda = Rollout::new(members(&prepared), self.policy.manner);
        let cases = prepared.targets.into_iter().zip(locks);
        let cases = cases
            .map(|(target, lock)| Case::new(target, lock))
            .collect();
        run.carry_out(agenda, cases).await
    }

    /// Sees to it that nobody else acts on any of the services meanwhile.
    fn locks(&self, prepared: &PreparedAction) -> Result<Vec<Option<Lock>>, Obstacle> {
        let Some(records) = &self.policy.records else {
            return Ok(prepared.targets.iter().map(|_| None).collect());
        };
        let lock = |target: &Target| match target.todo {
            Todo::Nothing => Ok(None),
            Todo::Send(_) | Todo::Start(_) => {
                let doing = format!("{} {}", prepared.action, target.service.name);
                match records.lock(&target.key, &doing) {
                    // Whoever can do without a record of it has a state directory that cannot be written.
                    Err(RecordError::File { .. }) if self.policy.audit.is_none() => Ok(None),
                    lock => lock.map(Some).map_err(|error| Obstacle {
                        reason: format!("nothing was sent to any service: {error}"),
                        busy: matches!(error, RecordError::Busy(_))
                            .then(|| target.service.name.clone()),
                    }),
                }
            }
        };
        prepared.targets.iter().map(lock).collect()
    }

    fn all_unsent(
        &self,
        prepared: &PreparedAction,
        obstacle: &Obstacle,
        audit: Option<&Audit>,
        events: &UnboundedSender<Input>,
    ) -> Vec<ActionResult> {
        let text = text::clean(&obstacle.reason, 400);
        let refused = prepared.targets.iter().map(|target| {
            let name = &target.service.name;
            if let Some(audit) = audit {
                let request = target.request();
                let before = target.identity();
                let about = About {
                    service: name,
                    action: prepared.action,
                    request: request.as_deref(),
                    before: Some(&before),
                };
                // As elsewhere: where nothing was sent, a line that cannot be written hides nothing.
                let _ = audit.after(about, None, Verdict::Refused, &text);
            }
            let mut done = self.done(name, prepared.action, Verdict::Refused, text.clone());
            done.details.busy = obstacle.busy.as_ref() == Some(name);
            let _ = events.send(Input::ActionResult(Box::new(done.clone())));
            done
        });
        refused.collect()
    }
}

impl PreparedAction {
    /// The plan as it is shown to whoever has to agree to it, one service after the other.
    pub(crate) fn proposal(&self) -> Proposal {
        let tasks = Rollout::new(members(self), RolloutPolicy::default()).rehearsed();
        let mut proposal = Proposal::default();
        for task in tasks {
            let Some(target) = self.targets.get(task.node) else {
                continue;
            };
            let Some(offer) = target.offer() else {
                continue;
            };
            let goal = match (target.goal, task.phase) {
                (Goal::Reload, _) => Goal::Reload,
                (_, ActionPhase::Stop) => Goal::Stop,
                (Goal::Replace, ActionPhase::Start) => Goal::Replace,
                (_, ActionPhase::Start) => Goal::Start,
            };
            if !proposal
                .order
                .iter()
                .any(|leg| leg.service == offer.service)
            {
                proposal.offers.push(offer.clone());
            }
            proposal.order.push(PlanStep {
                service: offer.service.clone(),
                goal,
            });
        }
        proposal
    }
}

/// The services of a plan as its agenda knows them.
fn members(prepared: &PreparedAction) -> Vec<RolloutNode> {
    let needs = prepared.needs.iter();
    prepared
        .targets
        .iter()
        .zip(needs)
        .map(|(target, needs)| {
            let halves = target.goal == Goal::Start && matches!(target.todo, Todo::Send(_));
            RolloutNode {
                name: target.service.name.clone(),
                goes_down: halves || matches!(target.goal, Goal::Stop | Goal::Reload),
                comes_up: halves || matches!(target.goal, Goal::Start | Goal::Replace),
                needs: needs.clone(),
            }
        })
        .collect()
}

impl Run<'_> {
    async fn carry_out(&self, mut agenda: Rollout, cases: Vec<Case>) -> Vec<ActionResult> {
        let mut ended: Vec<Option<ActionResult>> = cases.iter().map(|_| None).collect();
        let mut cases: Vec<Option<Case>> = cases.into_iter().map(Some).collect();
        let mut running = FuturesUnordered::new();
        loop {
            while let Some(task) = agenda.begin() {
                if let Some(case) = cases.get_mut(task.node).and_then(Option::take) {
                    running.push(self.half(task, case));
                }
            }
            self.leave_out(&agenda, &mut cases, &mut ended);
            let interruptible = !self.stop.is_cancelled();
            select! {
                biased;
                Some((task, case, verdict, done)) = running.next() => {
                    agenda.ended(task, verdict);
                    if let Some(place) = ended.get_mut(task.node) {
                        *place = done;
                    }
                    if let Some(place) = cases.get_mut(task.node) {
                        *place = Some(case);
                    }
                    if self.stop.is_cancelled() {
                        agenda.interrupt();
                    }
                }
                () = self.stop.cancelled(), if interruptible && !running.is_empty() => agenda.interrupt(),
                else => break,
            }
        }
        ended.into_iter().flatten().collect()
    }

    /// One half; with its end, where nothing more follows.
    async fn half(
        &self,
        task: RolloutTask,
        mut case: Case,
    ) -> (RolloutTask, Case, Verdict, Option<ActionResult>) {
        let began = *case.began.get_or_insert(self.executor.clock.now());
        let name = case.target.service.name.clone();
        let with = With {
            action: self.action,
            audit: &self.audit,
            stop: self.stop,
            teller: Teller {
                events: self.events,
                service: &name,
                action: self.action,
                began,
            },
        };
        let ending = match (task.phase, case.target.goal) {
            (_, Goal::Reload) => Some(self.executor.reloaded(&mut case, with).await),
            (ActionPhase::Stop, _) => self.executor.down(&mut case, with).await,
            (ActionPhase::Start, _) => Some(self.executor.up(&mut case, with).await),
        };
        match ending {
            None => (task, case, Verdict::Stopped, None),
            Some(ending) => {
                let verdict = ending.verdict;
                let done = self.conclude(&mut case, ending);
                (task, case, verdict, Some(done))
            }
        }
    }

    /// Tells the end of what was planned and will not be begun any more.
    fn leave_out(
        &self,
        agenda: &Rollout,
        cases: &mut [Option<Case>],
        ended: &mut [Option<ActionResult>],
    ) {
        for (member, (case, done)) in cases.iter_mut().zip(ended).enumerate() {
            let (Some(case), None) = (case, &done) else {
                continue;
            };
            let Some((_, why)) = agenda.left_out(member) else {
                continue;
            };
            let ending = if case.times.drain.is_some() {
                Ending::new(Verdict::Stopped, why.to_owned())
            } else {
                Ending::unsent(why)
            };
            *done = Some(self.conclude(case, ending));
        }
    }

    /// Writes the account of an end and tells it; others may act on the service now.
    fn conclude(&self, case: &mut Case, mut ending: Ending) -> ActionResult {
        let clock = self.executor.clock;
        let details = case.details(&mut ending);
        let before = case.before();
        let request = case.target.request();
        let mut text = text::clean(&ending.text, 400);
        let about = About {
            service: &case.target.service.name,
            action: self.action,
            request: request.as_deref(),
            before: Some(&before),
        };
        let after = ending.after.as_deref();
        let recorded = self.audit.after(about, after, ending.verdict, &text);
        // Where nothing was sent, a line that cannot be written hides nothing.
        if let Err(error) = recorded
            && ending.verdict != Verdict::Refused
        {
            text = format!("{text} (the audit file could not be written: {error})");
        }
        case.lock = None;
        let at = clock.now();
        let done = ActionResult {
            service: case.target.service.name.clone(),
            action: self.action,
            verdict: ending.verdict,
            text,
            evidence: ending
                .evidence
                .iter()
                .map(|line| text::clean(line, 300))
                .collect(),
            parts: ending.parts,
            details,
            elapsed: case.began.map(|began| at.since(began)).unwrap_or_default(),
            at,
        };
        let _ = self
            .events
            .send(Input::ActionResult(Box::new(done.clone())));
        done
    }
}
