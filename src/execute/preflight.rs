//! The preflight: the last look before anything is sent or started. The plan may be old, and somebody may have acted since.
//!
//! What has changed is told, nothing that was agreed to is done to another process, and nothing is done that is not on
//! record.

use super::address::connect_all;
use super::facts::{ServiceFacts, shown};
use super::phases::{TargetRun, gone_then_back};
use super::plan::runs;
use super::request::{plan_request, refuse_copies};
use super::result::{ActionEnd, Flow, or_refuse};
use super::send::{Delivery, run_check};
use super::signal::ProvenTarget;
use super::{PlannedRequest, PlannedWork};
use crate::action::{ActionPlan, ConnectOutcome, Goal, Verdict};
use crate::event::StepKind;
use crate::health::{Identity, Process, Sameness};
use crate::host::alive;
use crate::inventory::Means;
use crate::text;

const NOT_SENT: &str = "nothing was sent";
const NOT_STARTED: &str = "nothing was started";

fn not_sent<T>(why: &str) -> Flow<T> {
    or_refuse(NOT_SENT, Err(why.to_owned()))
}

fn not_started<T>(why: &str) -> Flow<T> {
    or_refuse(NOT_STARTED, Err(why.to_owned()))
}

fn already_running<T>(facts: &ServiceFacts) -> Flow<T> {
    let text = format!("{}; nothing was started", facts.presence());
    Flow::Break(ActionEnd::new(Verdict::AlreadyRunning, text))
}

fn already_stopped<T>(facts: &ServiceFacts) -> Flow<T> {
    let text = format!("{}; nothing was sent", facts.absence());
    Flow::Break(ActionEnd::new(Verdict::AlreadyStopped, text))
}

impl TargetRun<'_> {
    /// Goes on where the service may be started now.
    pub(super) async fn preflight_start(&mut self, was_stopped: bool) -> Flow {
        if self.context.cancel.is_cancelled() {
            return not_started("interrupted before");
        }
        if was_stopped {
            let facts = &self.target.facts;
            let looks = connect_all(&facts.endpoints).await;
            if looks.contains(&ConnectOutcome::Accepted) {
                return Flow::Break(gone_then_back(&format!(
                    "it stopped, and something listens at {} again before it was started here",
                    facts.accepting_of(&looks)
                )));
            }
            return Flow::Continue(());
        }
        let ran = matches!(self.target.work, PlannedWork::Nothing);
        if !ran {
            self.precheck(NOT_STARTED).await?;
            if !self.target.facts.nothing_there() {
                Box::pin(self.wait_for_end()).await?;
            }
        }
        if self.is_fresh() {
            if ran {
                return already_running(&self.target.facts);
            }
        } else {
            let facts = or_refuse(NOT_STARTED, self.gather(None).await)?;
            if !facts.nothing_there() {
                let runs = runs(&self.target.service, &facts);
                or_refuse(NOT_STARTED, runs.map_err(|no| no.reason))?;
                self.target.facts = facts;
                return already_running(&self.target.facts);
            }
            or_refuse(NOT_STARTED, refuse_copies(&facts).map_err(|no| no.reason))?;
            if ran {
                return not_started(&format!(
                    "it ran when the plan was made and has ended since, {}",
                    facts.absence()
                ));
            }
            self.target.facts = facts;
        }
        self.record()
    }

    /// Runs the precheck of its start command, where it has one: where that fails, nothing is stopped or started.
    async fn precheck(&self, not_done: &str) -> Flow {
        let service = &self.target.service;
        let start = service.start.as_ref();
        let Some(precheck) = start.and_then(|start| start.precheck.as_ref()) else {
            return Flow::Continue(());
        };
        let what = format!("running its precheck {}", shown(precheck));
        self.tell(StepKind::Remark, &what);
        let limit = self.context.executor.ready_timeout(service);
        let why = match Box::pin(run_check(precheck, limit)).await {
            Delivery::Failed { command, how } => format!("its precheck `{command}` failed ({how})"),
            Delivery::Lost(why) => format!("its precheck failed: {why}"),
            Delivery::NotSent(why) => format!("its precheck cannot be run: {why}"),
            Delivery::Done(_) | Delivery::Replied(_) | Delivery::Cut(..) => {
                return Flow::Continue(());
            }
        };
        let mut refused = ActionEnd::refused(format!("{not_done}: {why}"));
        refused.code_rejected = true;
        Flow::Break(refused)
    }

    /// Waits until a service that is stopping has ended.
    async fn wait_for_end(&mut self) -> Flow {
        let facts = &mut self.target.facts;
        // What is known of it now is soon out of date.
        facts.read_at = None;
        let processes: Vec<_> = facts.processes.all();
        let shown = facts.presence();
        self.tell(
            StepKind::Remark,
            &format!("{shown}; waiting until it has ended"),
        );
        let limit = self.context.executor.policy.timeout;
        let limit = limit.unwrap_or(self.target.service.shutdown_timeout());
        let processes = processes.iter().map(|one| one.process).collect();
        match self.watch_end(processes, limit).await {
            Verdict::Stopped => Flow::Continue(()),
            Verdict::Unverified => not_started("interrupted while it was stopping"),
            _ => {
                let facts = or_refuse(NOT_STARTED, self.gather(None).await)?;
                let text = format!(
                    "{} and is still stopping after {}; nothing was started; `restart --force` ends it",
                    facts.presence(),
                    text::format_duration(limit)
                );
                Flow::Break(ActionEnd::new(Verdict::StillDraining, text))
            }
        }
    }

    /// Goes on with the request that is to be sent now.
    pub(super) async fn preflight(&mut self) -> Flow<PlannedRequest> {
        if self.context.cancel.is_cancelled() {
            return not_sent("interrupted before");
        }
        let PlannedWork::Request(planned) = self.target.work.clone() else {
            return self.still_stopped().await;
        };
        if self.target.goal == Goal::Start {
            self.precheck(NOT_SENT).await?;
        }
        let known = self.target.facts.processes.all();
        let known = known.iter().map(|running| running.process);
        let signalled = planned.signalled.as_ref().map(|one| one.running.process);
        let one_has_gone = known
            .chain(signalled)
            .any(|process| alive(process) != Some(true));
        let request = if !self.is_fresh() || one_has_gone {
            self.plan_again(*planned).await?
        } else {
            *planned
        };
        if self.target.goal == Goal::Start {
            let executor = self.context.executor;
            let target = &self.target;
            let startable = executor.startable(&target.service, &target.key, true).await;
            let startable =
                startable.map_err(|why| format!("it could not be started again: {why}"));
            or_refuse(NOT_SENT, startable)?;
        }
        // From here on every signal goes to one of these, whatever becomes of their pids.
        let list = or_refuse(NOT_SENT, ProvenTarget::all(&self.target.facts.processes))?;
        self.note_list(&list);
        self.record()?;
        Flow::Continue(request.with_list(&list))
    }

    /// Puts the processes of the list on record, so that they are known for the service's own later, too: what goes on after a
    /// stop can still be ended by force.
    fn note_list(&mut self, list: &[ProvenTarget]) {
        let Some(records) = &self.context.executor.policy.records else {
            return;
        };
        let key = &self.target.key;
        let processes: Vec<Process> = list.iter().map(ProvenTarget::process).collect();
        let mut noted = records.add_descendants(key, &processes);
        // Who names a process means it for this once.
        let is_named = self.context.executor.policy.pid.is_some();
        if self.target.goal != Goal::Reload && !is_named {
            noted = noted.and(records.note_stopping(key, &processes));
        }
        if let Err(why) = noted {
            self.evidence
                .push(format!("its record stays as it was: {why}"));
        }
    }

    fn is_fresh(&self) -> bool {
        self.target.facts.are_fresh(self.now())
    }

    async fn gather(&self, means: Option<&Means>) -> Result<ServiceFacts, String> {
        self.context.executor.gather(&self.target, means).await
    }

    /// Ends the stop of a service that had stopped when the plan was made.
    async fn still_stopped(&self) -> Flow<PlannedRequest> {
        let facts = or_refuse(NOT_SENT, self.gather(None).await)?;
        if facts.nothing_there() {
            return already_stopped(&facts);
        }
        not_sent(&format!(
            "it had stopped when the plan was made and was started since: {}",
            facts.presence()
        ))
    }

    /// Gathers the facts again, and goes on with the request where it goes to the same process.
    async fn plan_again(&mut self, planned: PlannedRequest) -> Flow<PlannedRequest> {
        self.tell(
            StepKind::Identifying,
            "checking again which process answers",
        );
        let facts = or_refuse(NOT_SENT, self.gather(Some(&planned.method.means)).await)?;
        let (service, before) = (&self.target.service, &self.target.facts);
        if facts.nothing_there() {
            match self.target.goal {
                Goal::Stop | Goal::Start => {
                    self.target.facts = facts;
                    return already_stopped(&self.target.facts);
                }
                Goal::Replace if before.nothing_there() => {}
                Goal::Reload | Goal::Replace => {
                    return not_sent(&format!("it has ended, {}", facts.absence()));
                }
            }
        }
        if let Some(change) = changed(before, &facts, service.replicas) {
            return not_sent(&format!(
                "it is not the process that was shown any more ({change})"
            ));
        }
        let action = self.context.action;
        let plan = self.context.executor.planned(service, action);
        let request = plan.and_then(|plan| {
            let plan = ActionPlan {
                request: Some(planned.method),
                ..plan
            };
            plan_request(service, action, &plan, &facts)
        });
        let request = or_refuse(NOT_SENT, request.map_err(|no| no.reason))?;
        if let (Some(shown), Some(now)) = (&planned.signalled, &request.signalled)
            && shown.running.process != now.running.process
        {
            return not_sent(&format!(
                "the signal was to go to pid {}, and now it would go to pid {}",
                shown.running.process.pid, now.running.process.pid
            ));
        }
        self.target.work = PlannedWork::Request(Box::new(request.clone()));
        self.target.facts = facts;
        Flow::Continue(request)
    }

    /// Writes the first line of the audit: nothing is sent that is not on record.
    fn record(&self) -> Flow {
        let subject = self.audit_subject(&self.target.identity());
        let written = self.context.audit.write(&subject, None);
        let why = |error| format!("the audit file cannot be written: {error}");
        or_refuse(NOT_SENT, written.map_err(why))
    }
}

/// Says why the process that answers now is not the one that was shown when somebody agreed; `None` where nothing does.
fn changed(shown: &ServiceFacts, now: &ServiceFacts, replicas: bool) -> Option<String> {
    let known = shown.processes.all();
    let gone = |process| alive(process) == Some(false);
    if let Some(first) = known.first()
        && known.iter().all(|running| gone(running.process))
    {
        return Some(format!("pid {} has exited", first.process.pid));
    }
    if replicas {
        return None;
    }
    let now = now.identities.first()?;
    let mut evidence = None;
    for before in &shown.identities {
        let comparison = Identity::compare(before, now);
        if comparison.sameness != Sameness::New {
            return None;
        }
        evidence = comparison.evidence.into_iter().next();
    }
    evidence
}
