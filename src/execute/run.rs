//! Carries a plan out: in the order of its rollout and as many services at once as that says.

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::select;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::audit::Audit;
use super::facts::{FactsQuestion, ServiceFacts, StoredState};
use super::phases::{ActionContext, TargetRun};
use super::result::{ActionEnd, Flow, ended};
use super::{Executor, PlanTarget, PlannedWork, PreparedAction};
use crate::action::{
    ActionPhase, Goal, PlanStep, Proposal, Rollout, RolloutNode, RolloutPolicy, RolloutTask,
    Verdict,
};
use crate::event::{ActionResult, Input};
use crate::host::records::{Lock, RecordError};
use crate::text;

/// Why a plan is not begun.
struct PlanObstacle {
    reason: String,
    /// The service on which another healthctl acts.
    busy: Option<String>,
}

impl Executor {
    /// Carries the plan out and returns the end of each of its services, in the order of the plan. When `cancel` is
    /// cancelled, nothing more is sent, and what is under way is no longer watched: the ends say so.
    pub(crate) async fn run(
        &self,
        prepared: PreparedAction,
        engine: &UnboundedSender<Input>,
        cancel: &CancellationToken,
    ) -> Vec<ActionResult> {
        let audit = match Audit::open(self.policy.audit.as_deref(), &self.policy.command) {
            Ok(audit) => audit,
            Err(reason) => {
                let obstacle = PlanObstacle { reason, busy: None };
                return self.refuse_all(&prepared, &obstacle, None, engine);
            }
        };
        let locks = match self.lock_all(&prepared) {
            Ok(locks) => locks,
            Err(obstacle) => return self.refuse_all(&prepared, &obstacle, Some(&audit), engine),
        };
        let _fresh = self.prober.fresh_connections();
        let context = ActionContext {
            executor: self,
            action: prepared.action,
            audit: &audit,
            engine,
            cancel,
        };
        for target in &prepared.targets {
            self.switches.add(&target.service.name, &target.force);
        }
        let rollout = Rollout::new(nodes(&prepared), self.policy.rollout);
        let targets = prepared.targets.into_iter().zip(locks);
        let runs = targets.map(|(target, lock)| Some(TargetRun::new(context, target, lock)));
        carry_out(rollout, runs.collect(), cancel).await
    }

    /// Locks every service on which something is to be done.
    fn lock_all(&self, prepared: &PreparedAction) -> Result<Vec<Option<Lock>>, PlanObstacle> {
        let lock = |target: &PlanTarget| {
            let records = self.policy.records.as_ref();
            let works = !matches!(target.work, PlannedWork::Nothing);
            let Some(records) = records.filter(|_| works) else {
                return Ok(None);
            };
            let doing = format!("{} {}", prepared.action, target.service.name);
            match records.lock(&target.key, &doing) {
                // Whoever can do without an audit has a state directory that cannot be written.
                Err(RecordError::File { .. }) if self.policy.audit.is_none() => Ok(None),
                lock => lock.map(Some).map_err(|error| PlanObstacle {
                    reason: format!("nothing was sent to any service: {error}"),
                    busy: matches!(error, RecordError::Busy(_))
                        .then(|| target.service.name.clone()),
                }),
            }
        };
        prepared.targets.iter().map(lock).collect()
    }

    fn refuse_all(
        &self,
        prepared: &PreparedAction,
        obstacle: &PlanObstacle,
        audit: Option<&Audit>,
        engine: &UnboundedSender<Input>,
    ) -> Vec<ActionResult> {
        let reason = text::clean(&obstacle.reason, 400);
        let refuse = |target: &PlanTarget| {
            let name = &target.service.name;
            let subject = (name.as_str(), prepared.action, Some(target));
            let mut done = self.refused(subject, &reason, audit);
            done.details.busy = obstacle.busy.as_ref() == Some(name);
            let _ = engine.send(Input::ActionResult(Box::new(done.clone())));
            done
        };
        prepared.targets.iter().map(refuse).collect()
    }
}

impl PreparedAction {
    /// Returns the plan as it is shown to whoever has to agree to it, one service after the other.
    pub(crate) fn proposal(&self) -> Proposal {
        let tasks = Rollout::new(nodes(self), RolloutPolicy::default()).rehearsed();
        let mut proposal = Proposal::default();
        for task in tasks {
            let target = &self.targets[task.node];
            let Some(offer) = target.offer() else {
                continue;
            };
            let goal = match (target.goal, task.phase) {
                (Goal::Reload, _) => Goal::Reload,
                (_, ActionPhase::Stop) => Goal::Stop,
                (Goal::Replace, ActionPhase::Start) => Goal::Replace,
                (_, ActionPhase::Start) => Goal::Start,
            };
            let service = offer.service.clone();
            if proposal.order.iter().all(|step| step.service != service) {
                proposal.offers.push(offer.clone());
            }
            proposal.order.push(PlanStep { service, goal });
        }
        proposal
    }
}

/// Returns the services of a plan as its rollout knows them.
fn nodes(prepared: &PreparedAction) -> Vec<RolloutNode> {
    let targets = prepared.targets.iter().zip(&prepared.needs);
    let node = |(target, needs): (&PlanTarget, &Vec<usize>)| {
        let both = target.goal == Goal::Start && matches!(target.work, PlannedWork::Request(_));
        RolloutNode {
            name: target.service.name.clone(),
            stops: both || matches!(target.goal, Goal::Stop | Goal::Reload),
            starts: both || matches!(target.goal, Goal::Start | Goal::Replace),
            is_replaced: target.goal == Goal::Replace,
            needs: needs.clone(),
        }
    };
    targets.map(node).collect()
}

async fn carry_out(
    mut rollout: Rollout,
    mut runs: Vec<Option<TargetRun<'_>>>,
    cancel: &CancellationToken,
) -> Vec<ActionResult> {
    let mut ended: Vec<Option<ActionResult>> = runs.iter().map(|_| None).collect();
    let mut running = FuturesUnordered::new();
    loop {
        while let Some(task) = rollout.begin() {
            if let Some(run) = runs[task.node].take() {
                running.push(phase(task, run));
            }
        }
        leave_out(&rollout, &mut runs, &mut ended);
        let interruptible = !cancel.is_cancelled();
        select! {
            biased;
            Some((task, run, verdict, done)) = running.next() => {
                rollout.ended(task, verdict);
                ended[task.node] = done;
                runs[task.node] = Some(run);
                if cancel.is_cancelled() {
                    rollout.interrupt();
                }
            }
            () = cancel.cancelled(), if interruptible && !running.is_empty() => rollout.interrupt(),
            else => break,
        }
    }
    ended.into_iter().flatten().collect()
}

/// Carries out one phase, and concludes the action on its service where nothing more follows.
async fn phase(
    task: RolloutTask,
    mut run: TargetRun<'_>,
) -> (RolloutTask, TargetRun<'_>, Verdict, Option<ActionResult>) {
    run.begin();
    let end = match (task.phase, run.target.goal) {
        (_, Goal::Reload) => Flow::Break(ended(run.reload_phase().await)),
        (ActionPhase::Stop, _) => Box::pin(run.stop_phase()).await,
        (ActionPhase::Start, _) => Flow::Break(Box::pin(run.start_phase()).await),
    };
    run.target.force.stop_ended();
    match end {
        Flow::Continue(verdict) => (task, run, verdict, None),
        Flow::Break(mut result) => {
            let verdict = result.verdict;
            if task.phase == ActionPhase::Start && verdict.exit_code() != 0 {
                run.name_what_is_down(&mut result).await;
            }
            let done = run.conclude(result);
            (task, run, verdict, Some(done))
        }
    }
}

impl TargetRun<'_> {
    /// Adds to the result of a failed start which of the services that it needs do not run.
    async fn name_what_is_down(&self, end: &mut ActionEnd) {
        let prober = &self.context.executor.prober;
        let looks = self.target.needs.iter().map(|need| async move {
            let question = FactsQuestion {
                service: need,
                means: None,
                prober,
                other_services: &self.target.other_services,
                is_shown: false,
                named: None,
            };
            let facts = ServiceFacts::ask(question, StoredState::default()).await;
            // Of a name that cannot be resolved nothing is known.
            facts
                .is_ok_and(|facts| !facts.something_there())
                .then_some(need.name.as_str())
        });
        let down: Vec<&str> = join_all(looks).await.into_iter().flatten().collect();
        if let [name] = down.as_slice() {
            end.text = format!("{}; {name}, which it needs, does not run", end.text);
        } else if !down.is_empty() {
            end.text = format!(
                "{}; {}, which it needs, do not run",
                end.text,
                down.join(", ")
            );
        }
    }
}

/// Concludes what was planned and will not be begun any more.
fn leave_out(
    rollout: &Rollout,
    runs: &mut [Option<TargetRun<'_>>],
    ended: &mut [Option<ActionResult>],
) {
    for (node, (run, done)) in runs.iter_mut().zip(ended).enumerate() {
        if let (Some(run), None, Some((_, why))) = (run, &done, rollout.skipped(node)) {
            let result = if run.times.drain.is_some() {
                ActionEnd::new(Verdict::Stopped, why)
            } else {
                ActionEnd::refused(why)
            };
            *done = Some(run.conclude(result));
        }
    }
}
