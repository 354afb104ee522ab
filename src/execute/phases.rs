//! The phases of an action on one service: it is stopped, it is started. Each sends at most once, and says how the action
//! ended where nothing more follows.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::address::connect_all;
use super::audit::{Audit, AuditSubject, instance_info};
use super::facts::{IdentityQuestion, ServiceFacts, name};
use super::monitor::MonitorSubject;
use super::request::offer_to_start;
use super::result::{ActionEnd, Flow, ended};
use super::{Executor, PlanTarget, PlannedRequest, PlannedWork};
use crate::action::{
    Action, Baseline, ConnectOutcome, Goal, Responder, ResponderKind, Verdict, restart_verdict,
};
use crate::event::{ActionDetails, ActionResult, ActionStep, Input, PhaseTimes, StepKind};
use crate::health::{Identity, Moment, OldProcess, Process};
use crate::host::records::Lock;
use crate::host::{alive, image};
use crate::inventory::Means;
use crate::text;

/// The context that all services of an action share.
#[derive(Clone, Copy)]
pub(super) struct ActionContext<'a> {
    pub(super) executor: &'a Executor,
    pub(super) action: Action,
    pub(super) audit: &'a Audit,
    pub(super) engine: &'a UnboundedSender<Input>,
    pub(super) cancel: &'a CancellationToken,
}

/// A service while its plan is carried out.
pub(super) struct TargetRun<'a> {
    pub(super) context: ActionContext<'a>,
    pub(super) target: PlanTarget,
    began: Option<Moment>,
    /// The facts from when its stop was sent, to be compared with the instance that is started.
    baseline: Option<Baseline>,
    before: Option<Identity>,
    pub(super) evidence: Vec<String>,
    pub(super) times: PhaseTimes,
    /// Keeps others from acting on the service.
    lock: Option<Lock>,
}

/// An instance that is ready.
pub(super) struct StartedInstance {
    pub(super) facts: ServiceFacts,
    /// Set where it is the process that was started here, by what the kernel says of its listening socket, or has none.
    pub(super) is_ours: bool,
    /// The time until its program ran and listened.
    pub(super) start: Duration,
    /// The time from there until it was ready.
    pub(super) ready: Duration,
}

impl Drop for TargetRun<'_> {
    fn drop(&mut self) {
        // However it has ended, nobody can force it any more.
        self.target.force.action_ended();
    }
}

impl<'a> TargetRun<'a> {
    pub(super) fn new(context: ActionContext<'a>, target: PlanTarget, lock: Option<Lock>) -> Self {
        Self {
            context,
            target,
            began: None,
            baseline: None,
            before: None,
            evidence: Vec::new(),
            times: PhaseTimes::default(),
            lock,
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.context.executor.clock.now()
    }

    /// Notes that the first phase begins, where it does.
    pub(super) fn begin(&mut self) {
        let now = self.now();
        let facts = &self.target.facts;
        // What was asked just before belongs to it; where a person has thought about it, nothing did.
        let took = if facts.are_fresh(now) {
            facts.took
        } else {
            Duration::ZERO
        };
        self.began = self.began.or(Some(now.minus(took)));
    }

    /// Tells a step of the action.
    pub(super) fn tell(&self, kind: StepKind, what: &str) {
        let at = self.now();
        // Nobody may be listening any more; the action goes on.
        let _ = self.context.engine.send(Input::ActionStep(ActionStep {
            service: self.target.service.name.clone(),
            action: self.context.action,
            kind,
            text: text::clean(what, 300),
            elapsed: at.since(self.began.unwrap_or(at)),
            at,
        }));
    }

    /// Returns the subject of the audit lines of this action.
    pub(super) fn audit_subject(&self, before: &Identity) -> AuditSubject<'_> {
        AuditSubject {
            service: &self.target.service.name,
            action: self.context.action,
            request: self.target.request(),
            before: Some(instance_info(before)),
        }
    }

    /// Returns the question for the service's identity, at the address that was asked before.
    pub(super) fn identity_question(&self, baseline: &Baseline) -> IdentityQuestion {
        IdentityQuestion {
            prober: self.context.executor.prober.clone(),
            probes: self.target.facts.probes.clone(),
            baseline: baseline.clone(),
            pin: self.target.facts.pin,
            endpoint: None,
            search: false,
        }
    }

    /// Returns the subject of a proof on the service's endpoints and these processes.
    pub(super) fn subject<P>(
        &self,
        proof: P,
        processes: Vec<Process>,
        interrupted: String,
    ) -> MonitorSubject<P> {
        MonitorSubject {
            proof,
            endpoints: self.target.facts.endpoints.clone(),
            processes,
            first_look: Vec::new(),
            is_proxied: false,
            interrupted,
            clock: self.context.executor.clock,
            cancel: self.context.cancel.clone(),
            time_out: CancellationToken::new(),
        }
    }

    pub(super) fn before(&self) -> Identity {
        let before = self.before.clone();
        before.unwrap_or_else(|| self.target.identity())
    }

    /// Stops the service. Goes on with the verdict where it has stopped and is to be started again.
    pub(super) async fn stop_phase(&mut self) -> Flow<Verdict> {
        let request = match self.preflight().await {
            Flow::Continue(request) => request,
            Flow::Break(result) if result.verdict == Verdict::AlreadyStopped => {
                return self.stopped_by_itself(result);
            }
            Flow::Break(result) => return Flow::Break(result),
        };
        self.note_stopped(true);
        let sent = self.begin_sending(&request, true);
        let mut result = self.stop(&request).await;
        if has_stopped(result.verdict) {
            let took = self.now().since(sent);
            self.times.drain = Some(took);
            let left = request.method.timeout.saturating_sub(took);
            self.end_session(&mut result, left).await;
        }
        if self.target.goal == Goal::Stop {
            if matches!(
                result.verdict,
                Verdict::Refused | Verdict::StillAnswering | Verdict::GoneThenBack
            ) {
                self.note_stopped(false);
            }
            return Flow::Break(result);
        }
        if !has_stopped(result.verdict) {
            return Flow::Break(self.not_replaced(result));
        }
        let verdict = result.verdict;
        self.keep_evidence(result);
        Flow::Continue(verdict)
    }

    /// The service has ended meanwhile: what remains of a restart is to start it.
    fn stopped_by_itself(&mut self, result: ActionEnd) -> Flow<Verdict> {
        let executor = self.context.executor;
        if self.target.goal != Goal::Start {
            self.note_stopped(true);
            return Flow::Break(result);
        }
        if executor.policy.only_running {
            return Flow::Break(ActionEnd::refused(format!(
                "nothing was started: it has ended meanwhile: {}",
                result.text
            )));
        }
        let target = &mut self.target;
        let timeout = executor.ready_timeout(&target.service);
        let action = self.context.action;
        let offer = offer_to_start(&target.service, action, &target.facts, timeout);
        target.work = PlannedWork::Start(offer);
        let verdict = result.verdict;
        self.keep_evidence(result);
        Flow::Continue(verdict)
    }

    /// Starts the service, or has it replaced.
    pub(super) async fn start_phase(&mut self) -> ActionEnd {
        if !self.context.cancel.is_cancelled() {
            self.note_stopped(false);
        }
        let end = match self.target.goal {
            Goal::Replace => Box::pin(self.replace_and_prove()).await,
            Goal::Start | Goal::Stop | Goal::Reload => self.start_and_prove().await,
        };
        ended(end)
    }

    /// Has the service read its configuration again: the one action that leaves it running.
    pub(super) async fn reload_phase(&mut self) -> Flow<ActionEnd> {
        let request = self.preflight().await?;
        self.tell_sending(&request);
        let sent = self.now().wall;
        let mut result = self.reload(&request).await?;
        // By a signal or a command nobody says more than that it was asked, and goes on.
        let has_read = matches!(result.verdict, Verdict::Reloaded | Verdict::Accepted);
        let records = self.context.executor.policy.records.as_ref();
        if let Some(records) = records.filter(|_| has_read)
            && let Err(why) = records.mark_reloaded(&self.target.key, sent)
        {
            let what = "that it was reloaded could not be noted";
            result.evidence.push(format!("{what}: {why}"));
        }
        Flow::Continue(result)
    }

    async fn start_and_prove(&mut self) -> Flow<ActionEnd> {
        let was_stopped = self.times.drain.is_some();
        match self.preflight_start(was_stopped).await {
            Flow::Continue(()) => {}
            Flow::Break(result) if result.verdict == Verdict::AlreadyRunning => {
                return Flow::Continue(self.wait_until_ready(result.text).await);
            }
            Flow::Break(result) => return Flow::Break(result),
        }
        if self.baseline.is_none() {
            self.baseline = Some(self.target.facts.baseline(self.now()));
        }
        match self.start().await {
            Flow::Continue(new) => Flow::Continue(self.result_when_ready(&new, was_stopped)),
            Flow::Break(mut result) => {
                if was_stopped {
                    result.text = format!("it was stopped; {}", result.text);
                }
                Flow::Break(result)
            }
        }
    }

    async fn replace_and_prove(&mut self) -> Flow<ActionEnd> {
        let request = self.preflight().await?;
        let ran_before = !self.target.facts.nothing_there();
        let sent = self.begin_sending(&request, ran_before);
        let result = self.stop(&request).await;
        self.target.force.stop_ended();
        let took = self.now().since(sent);
        let (verdict, unseen) = (result.verdict, result.unseen);
        if has_stopped(verdict) {
            self.times.drain = Some(took);
        } else if !unseen && verdict != Verdict::GoneThenBack {
            return Flow::Break(self.not_replaced(result));
        }
        self.keep_evidence(result);
        let left = request.method.timeout.saturating_sub(took);
        let mut started = self.successor(&request.method.means, left).await?;
        if ran_before && !unseen {
            started.is_ours = verdict == Verdict::Stopped;
        } else if unseen {
            // No process was known that could be compared with the one that is ready now.
            self.note_times(&started);
            let text = "it is ready, and nothing tells whether its process is a new one: a `pid_file`, or a `url` whose payload has a start time or an instance, would";
            let result = ActionEnd::new(Verdict::Unverified, text);
            return Flow::Continue(result.with_identity(started.facts.identity()));
        }
        Flow::Continue(self.result_when_ready(&started, ran_before))
    }

    /// Waits until something else has started a successor; where nothing has, the start command of the service does.
    async fn successor(&self, means: &Means, left: Duration) -> Flow<StartedInstance> {
        let service = &self.target.service;
        if service.actions.restart.is_some() || service.start.is_none() {
            return self.wait_for_successor(means, left).await;
        }
        let limit = self.context.executor.ready_timeout(service);
        let end = match self.wait_for_successor(means, limit).await {
            Flow::Break(end) if end.verdict == Verdict::NotReady => end,
            other => return other,
        };
        let looks = connect_all(&self.target.facts.endpoints).await;
        if looks.contains(&ConnectOutcome::Accepted) {
            return Flow::Break(end);
        }
        self.tell(StepKind::Remark, "it is not back by itself");
        self.start().await
    }

    fn note_times(&mut self, started: &StartedInstance) {
        self.times.start = Some(started.start);
        self.times.ready = Some(started.ready);
    }

    /// Returns the result for an instance that is ready. Where one ran before, the two are compared.
    fn result_when_ready(&mut self, started: &StartedInstance, ran_before: bool) -> ActionEnd {
        self.note_times(started);
        let after = started.facts.identity();
        let is = describe(&after);
        if !ran_before {
            let text = format!("{is} answers and is ready");
            return ActionEnd::new(Verdict::Started, text).with_identity(after);
        }
        let before = self.before();
        let mut responder = Responder {
            identity: after.clone(),
            owners: started.facts.processes.all_owners(),
            at: after.read_at,
            ..Responder::default()
        };
        responder.image = responder.sole_owner().and_then(image);
        let baseline = self.baseline.as_ref();
        let responder = baseline.map(|baseline| baseline.compare(&responder).0);
        let responder = responder.unwrap_or(ResponderKind::Unknown);
        let old = match before.process.and_then(alive) {
            Some(true) => OldProcess::Alive,
            Some(false) => OldProcess::Gone,
            None => OldProcess::Unknown,
        };
        let evidence = Identity::compare_with(&before, &after, old).evidence;
        let was = describe(&before);
        let verdict = restart_verdict(responder, started.is_ours);
        let text = match verdict {
            Verdict::Restarted => format!("{is} answers; before it was {was}"),
            Verdict::SameProcess => format!("the process that answers is the old one: {is}"),
            _ => format!(
                "it answers, and nothing tells the old process ({was}) from a new one ({is}): a start time or an instance in its payload, or a `pid_file`, would"
            ),
        };
        if verdict == Verdict::Restarted && !evidence.is_empty() {
            let what = format!("proved new: {}", evidence.join("; "));
            self.tell(StepKind::Proved, &what);
        }
        self.evidence.extend(evidence);
        ActionEnd::new(verdict, text).with_identity(after)
    }

    /// Gives the result of a restart whose stop has not come to an end: the verdict is on the process that is still there.
    fn not_replaced(&self, mut result: ActionEnd) -> ActionEnd {
        let processes = self.target.facts.processes.all();
        let runs = || processes.iter().any(|it| alive(it.process) == Some(true));
        match (result.verdict, result.responder) {
            (Verdict::GoneThenBack, _) => return gone_then_back(&result.text),
            (Verdict::StillAnswering, Some(ResponderKind::Same)) => {
                result.verdict = Verdict::SameProcess;
            }
            (Verdict::StillAnswering, None | Some(ResponderKind::Unknown)) if runs() => {
                result.verdict = Verdict::SameProcess;
            }
            _ => {}
        }
        result
    }

    fn keep_evidence(&mut self, result: ActionEnd) {
        self.evidence.extend(result.evidence);
        self.evidence.push(result.text);
    }

    /// Notes what is known when the request goes out, and tells it.
    fn begin_sending(&mut self, request: &PlannedRequest, ran_before: bool) -> Moment {
        self.tell_sending(request);
        let sent = self.now();
        self.note_asked();
        let restarts = matches!(self.target.goal, Goal::Start | Goal::Replace);
        self.target.force.stopping(&request.list, restarts);
        self.baseline = Some(self.target.facts.baseline(sent));
        self.before = ran_before.then(|| self.target.identity());
        sent
    }

    /// Notes that what runs of the service is asked to end, so that its end counts as none by itself.
    fn note_asked(&self) {
        if let Some(records) = &self.context.executor.policy.records {
            records.note_asked(&self.target.key);
        }
    }

    fn tell_sending(&self, request: &PlannedRequest) {
        let does = match request.method.means {
            Means::Exec(_) => "running",
            Means::Http(_) | Means::Signal(_) => "sending",
        };
        let what = format!("{does} {}", request.offer.request);
        self.tell(StepKind::Sending, &what);
    }

    /// Notes on record whether the service is to be down, so that automatic restart does not undo what was asked for. A
    /// service that is stopped only to be started again is not to be down.
    fn note_stopped(&mut self, stopped: bool) {
        let records = self.context.executor.policy.records.as_ref();
        let Some(records) = records.filter(|_| !stopped || self.target.goal == Goal::Stop) else {
            return;
        };
        let (noted, done) = if stopped {
            (records.mark_stopped(&self.target.key), "written")
        } else {
            (records.clear_stopped(&self.target.key), "removed")
        };
        if let Err(why) = noted {
            let what = "the note that it was stopped could not be";
            self.evidence.push(format!("{what} {done}: {why}"));
        }
    }

    /// Names what a stop has left running since it is not the service's own: nothing, or `; left alone: …`.
    fn left_alone(&self, verdict: Verdict) -> String {
        /// More than these are counted.
        const NAMED: usize = 3;
        let is_stop = self.target.goal != Goal::Reload
            && verdict != Verdict::Refused
            && self.baseline.is_some();
        let all = self.target.facts.processes.ownership.left_alone.iter();
        let all: Vec<String> = all
            .filter(|(running, _)| is_stop && alive(running.process) == Some(true))
            .map(|(running, why)| format!("{}, which {why}", name(running)))
            .collect();
        let more = match all.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let named: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
        match named.as_slice() {
            [] => String::new(),
            named => text::clean(&format!("; left alone: {}{more}", named.join("; ")), 400),
        }
    }

    /// Writes the last line of the audit and tells the end; others may act on the service now.
    pub(super) fn conclude(&mut self, result: ActionEnd) -> ActionResult {
        let before = self.before();
        let left_alone = self.left_alone(result.verdict);
        let mut sentence = text::clean(&result.text, 400) + &left_alone;
        let known = |identity: &Identity| {
            (*identity != Identity::default()).then(|| instance_info(identity))
        };
        let after = result.after.as_deref();
        let recorded = self.context.audit.write(
            &self.audit_subject(&before),
            Some((after.map(instance_info).as_ref(), result.verdict, &sentence)),
        );
        // Where nothing was sent, a line that cannot be written hides nothing.
        if let Err(error) = recorded
            && result.verdict != Verdict::Refused
        {
            sentence = format!("{sentence} (the audit file could not be written: {error})");
        }
        self.lock = None;
        self.target.force.action_ended();
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.extend(result.evidence);
        let at = self.now();
        let done = ActionResult {
            service: self.target.service.name.clone(),
            action: self.context.action,
            verdict: result.verdict,
            text: sentence,
            evidence: evidence.iter().map(|it| text::clean(it, 300)).collect(),
            parts: result.parts,
            details: ActionDetails {
                before: known(&before),
                after: after.and_then(known),
                times: self.times,
                log: result.log,
                busy: false,
                code_rejected: result.code_rejected,
                automatic: false,
            },
            elapsed: self.began.map(|it| at.since(it)).unwrap_or_default(),
            at,
        };
        let _ = self
            .context
            .engine
            .send(Input::ActionResult(Box::new(done.clone())));
        done
    }
}

const fn has_stopped(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Stopped | Verdict::NotListening | Verdict::AlreadyStopped
    )
}

pub(super) fn gone_then_back(text: &str) -> ActionEnd {
    let text = format!(
        "{text}: nothing was started here; where something else starts it again, `supervised: true` says so"
    );
    ActionEnd::new(Verdict::GoneThenBack, text)
}

/// `pid 4711, started 2026-11-22T10:00:00Z`, as far as it is known.
fn describe(identity: &Identity) -> String {
    let known = instance_info(identity);
    let pid = known.pid.map(|pid| format!("pid {pid}"));
    let instance = known.instance.map(|it| format!("instance {it}"));
    let start = known.started_at.or(known.process_started_at);
    let start = start.map(|start| format!("started {start:.0}"));
    let parts: Vec<String> = [pid, instance, start].into_iter().flatten().collect();
    if parts.is_empty() {
        known.address.unwrap_or_else(|| "unknown".to_owned())
    } else {
        parts.join(", ")
    }
}
