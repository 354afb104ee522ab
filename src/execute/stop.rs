//! Stops a service: sends the request, and watches until its end is proved or the time is up.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::address::ServiceAddress;
use super::facts::{IdentityAnswer, IdentityQuestion};
use super::monitor::{MonitorSubject, Monitored, Pending, monitor};
use super::phases::TargetRun;
use super::result::{ActionEnd, Flow, ended};
use super::send::{Delivery, NotSent, StopResponse, kernel_signal, send};
use super::signal::{ProvenTarget, send_signal, send_to_all, target_names};
use super::{Force, PlannedRequest};
use crate::action::{
    Action, Baseline, ConnectOutcome, Goal, NOTHING_TO_LOOK_AT, Observation, ResponderKind,
    StopProof, StopStage, Verdict, WOULD_SHOW,
};
use crate::event::StepKind;
use crate::health::{Identity, Moment, Process};
use crate::host::{Endpoint, alive, ancestors, is_local};
use crate::inventory::Means;
use crate::text;

/// A scheduled stop of which nobody knows whether it was taken is watched for this long.
const IN_DOUBT: Duration = Duration::from_secs(2);
/// The others have this share of the time, where the first one may have passed the stop on.
const SHARE_OF_OTHERS: u32 = 2;
/// The largest number of lines of evidence on the process that answers.
const MOST_EVIDENCE: usize = 12;

/// A stop under way.
struct StopWatch<'a> {
    run: &'a TargetRun<'a>,
    request: &'a PlannedRequest,
    subject: MonitorSubject<StopProof>,
    baseline: Baseline,
    looks: Vec<ConnectOutcome>,
    response: Option<StopResponse>,
    /// The identity that answered last.
    after: Option<Identity>,
    /// The process that answered last, compared with those before.
    responder: Option<ResponderKind>,
    evidence: Vec<String>,
    /// The evidence on the process that answers.
    compared: Vec<String>,
    /// When a good reply came, until the signal that follows it was sent.
    taken: Option<Moment>,
    began: Moment,
    /// The processes above the one that is signalled first.
    above: Vec<Process>,
    signalled: Vec<Process>,
}

impl TargetRun<'_> {
    /// Sends the request, or what takes its place where its route is not offered, watches, and kills where that was asked
    /// for.
    pub(super) async fn stop(&self, request: &PlannedRequest) -> ActionEnd {
        let began = Instant::now();
        // What was asked before belongs to the time-out; most of that is the service's all the same.
        let timeout = request.method.timeout;
        let limit = timeout
            .saturating_sub(self.target.facts.took)
            .max(timeout / 2);
        let is_asked = || self.target.force.asked().is_cancelled();
        let left = || {
            if is_asked() {
                Duration::ZERO
            } else {
                limit.saturating_sub(began.elapsed())
            }
        };
        let first = self.request_stop(request, limit).await;
        let (request, mut result) = match (&first.not_offered, &request.otherwise) {
            (Some(_), Ok(other)) if !self.asks_no_more() => {
                (&**other, self.stop_otherwise(other, first, left()).await)
            }
            _ => (request, first),
        };
        let stays = result.unreached
            || (result.not_offered.is_some() && is_asked())
            || matches!(
                result.verdict,
                Verdict::StillAnswering | Verdict::StillDraining | Verdict::Unverified
            );
        if stays {
            // From here on nobody can ask for force any more, so that whoever has asked is heard.
            self.target.force.stop_ended();
        }
        if stays && self.is_forced() && !self.context.cancel.is_cancelled() {
            return self.kill(request, left(), result).await;
        }
        let goes_on = matches!(
            result.verdict,
            Verdict::StillAnswering | Verdict::StillDraining
        );
        let can_be_killed = || {
            let mut list = request.list.iter();
            list.any(|one| one.accepts_signals().is_ok())
        };
        if goes_on && can_be_killed() {
            result.text += "; `--force` ends it";
        }
        result
    }

    /// Returns whether what has not stopped is to be killed.
    pub(super) fn is_forced(&self) -> bool {
        self.context.executor.policy.force != Force::Never
            || self.target.force.asked().is_cancelled()
    }

    /// Returns whether nothing more is to be asked of the service.
    fn asks_no_more(&self) -> bool {
        self.context.cancel.is_cancelled() || self.target.force.asked().is_cancelled()
    }

    /// Sends what takes the place of a route that is not offered.
    async fn stop_otherwise(
        &self,
        other: &PlannedRequest,
        first: ActionEnd,
        limit: Duration,
    ) -> ActionEnd {
        let answer = first.not_offered.unwrap_or_default();
        let name = &other.offer.request;
        let what = format!("its route is not offered (it {answer}); sending {name}");
        self.tell(StepKind::Sending, &what);
        let mut result = self.request_stop(other, limit).await;
        result.text = format!(
            "{}; its route {answer}, so its next means was used: {name}",
            result.text
        );
        result.evidence.splice(0..0, first.evidence);
        result
    }

    async fn request_stop(&self, request: &PlannedRequest, limit: Duration) -> ActionEnd {
        let began = self.now();
        let facts = &self.target.facts;
        let subject = facts.subject(&self.target.service, &facts.processes.all());
        let proof = StopProof::new(subject, began);
        let baseline = facts.baseline(began);
        let so_far = format!(
            "{} was on its way and not yet answered",
            request.offer.request
        );
        let mut watch = StopWatch {
            run: self,
            request,
            subject: MonitorSubject {
                first_look: facts.looks.clone(),
                is_proxied: matches!(facts.address, ServiceAddress::Proxied(_)),
                time_out: self.target.force.asked().clone(),
                ..self.subject(proof, baseline.processes.clone(), interrupted(&so_far))
            },
            baseline,
            looks: facts.looks.clone(),
            response: None,
            after: None,
            responder: None,
            evidence: Vec::new(),
            compared: Vec::new(),
            taken: None,
            began,
            // Read before it is signalled: of a process that has gone nothing is known.
            above: request
                .first()
                .map_or_else(Vec::new, |first| ancestors(first.process())),
            signalled: Vec::new(),
        };
        let end = monitor(&mut watch, limit).await;
        let mut result = ended(end.map_continue(|(verdict, text)| watch.proved(verdict, text)));
        result.evidence.append(&mut watch.evidence);
        result.after = result.after.or(watch.after.map(Box::new));
        result.responder = watch.responder;
        result.signalled = watch.signalled;
        result
    }
}

impl Monitored for StopWatch<'_> {
    type Proof = StopProof;
    type Answer = IdentityAnswer;

    fn subject(&mut self) -> &mut MonitorSubject<StopProof> {
        &mut self.subject
    }

    fn request(&self) -> Option<Pending<Delivery>> {
        let prober = self.run.context.executor.prober.clone();
        let request = self.request.clone();
        let pin = self.run.target.facts.pin_for(&request.method.means);
        Some(Box::pin(async move { send(&prober, &request, pin).await }))
    }

    fn sent(&mut self, delivery: Delivery, deadline: &mut Instant) -> Flow<Option<Observation>> {
        let response = StopResponse::from(delivery);
        let scheduled = self.run.context.action == Action::Schedule;
        match &response {
            StopResponse::NotSent(why @ (NotSent::Failed(_) | NotSent::Unreached(_))) => {
                let mut result = ActionEnd::refused(response.to_string());
                result.unreached = matches!(why, NotSent::Unreached(_));
                return Flow::Break(result);
            }
            StopResponse::NotOffered(answer) => {
                return Flow::Break(self.not_offered(answer));
            }
            StopResponse::Taken(what) if scheduled => {
                self.run.tell(StepKind::Accepted, what);
                return Flow::Break(ActionEnd::new(Verdict::Accepted, what));
            }
            // Nothing but the doubt is left to wait for.
            StopResponse::Unclear(_) | StopResponse::NotSent(_) if scheduled => {
                *deadline = Instant::now() + IN_DOUBT.min(self.request.method.timeout);
            }
            _ => {}
        }
        let name = &self.request.offer.request;
        let (kind, rejected, so_far) = match &response {
            StopResponse::Taken(what) => {
                self.taken = Some(self.run.now());
                let so_far = format!("{name} was sent and taken ({what})");
                (StepKind::Accepted, None, so_far)
            }
            StopResponse::Unclear(what) => {
                (StepKind::Remark, None, format!("{name} was sent ({what})"))
            }
            StopResponse::NotOffered(how) | StopResponse::Rejected(how) => {
                let so_far = format!("{name} was sent and it {how}");
                (StepKind::Remark, Some(how.clone()), so_far)
            }
            StopResponse::NotSent(why) => {
                let how = format!("could not be asked ({why})");
                (StepKind::Remark, Some(how), "nothing was sent".to_owned())
            }
        };
        self.subject.interrupted = interrupted(&so_far);
        if let (StopResponse::Taken(_), Some(first)) = (&response, self.request.first()) {
            self.signalled.push(first.process());
            self.signal_independent(first.process());
        }
        let text = response.to_string();
        self.run.tell(kind, &text);
        self.evidence.push(match self.request.method.means {
            Means::Http(_) => format!("reply: {text}"),
            Means::Signal(_) | Means::Exec(_) => text,
        });
        if self.subject.proof.is_blind() {
            return Flow::Break(unseen(&response));
        }
        self.response = Some(response);
        Flow::Continue(rejected.map(Observation::Rejected))
    }

    /// Asks the service about itself, at the address that was asked before or, where that has closed, at one that still
    /// accepts.
    fn ask(&mut self, looks: &[ConnectOutcome]) -> Option<Pending<IdentityAnswer>> {
        if self.run.target.facts.probes.is_empty() {
            return None;
        }
        let pin = self.open_address(looks);
        let endpoint = match (&self.run.target.facts.address, pin) {
            _ if self.baseline.processes.is_empty() => None,
            (ServiceAddress::Socket(path), _) => Some(Endpoint::Socket(path.clone())),
            (_, Some(address)) if is_local(address.ip()) => Some(Endpoint::Tcp(address)),
            _ => None,
        };
        let question = IdentityQuestion {
            pin,
            endpoint,
            search: !self.subject.proof.runs(),
            ..self.run.identity_question(&self.baseline)
        };
        Some(Box::pin(question.ask()))
    }

    fn answered(&mut self, (observation, identity): IdentityAnswer) -> Observation {
        if let Observation::Answer {
            responder,
            evidence,
            ..
        } = &observation
        {
            self.responder = Some(*responder);
            for line in evidence {
                if self.compared.len() < MOST_EVIDENCE && !self.compared.contains(line) {
                    self.compared.push(line.clone());
                }
            }
        }
        // An answer that broke off tells that something is there, but not which process.
        let tells = |identity: &Identity| identity.start.is_some() || identity.instance.is_some();
        if self.after.is_none() || identity.as_ref().is_some_and(tells) {
            self.after = identity.or(self.after.take());
        }
        observation
    }

    fn looked(&mut self, looks: &[ConnectOutcome]) {
        self.follow_reply();
        self.looks = looks.to_vec();
        self.signal_others();
    }

    fn reached(&mut self, stage: StopStage, text: &str) {
        let kind = match stage {
            StopStage::Draining => StepKind::Draining,
            StopStage::Silent => StepKind::Silent,
            StopStage::Gone => StepKind::Gone,
            StopStage::Back => StepKind::Remark,
        };
        self.run.tell(kind, text);
    }

    /// A scheduled stop of which nobody knows whether it was taken is accepted once the service drains.
    fn observed(&mut self) -> Flow {
        let in_doubt = self.run.context.action == Action::Schedule
            && matches!(self.response, Some(StopResponse::Unclear(_)));
        if in_doubt && self.subject.proof.drains() {
            return Flow::Break(ActionEnd::new(Verdict::Accepted, "it is draining"));
        }
        self.unproved_after_reply()
    }
}

impl StopWatch<'_> {
    /// Signals those of the list that the first one cannot have passed the signal on to: workers that are left of a process which
    /// has gone, each on its own.
    fn signal_independent(&mut self, first: Process) {
        let mut independent = self.request.list.clone();
        independent.retain(|one| {
            !one.is_below() && one.process() != first && !self.above.contains(&one.process())
        });
        self.signal(&independent, "the others of it have none above them");
    }

    /// Signals the others of the list, each once: as soon as the first one has gone, where it cannot have passed the signal on
    /// to them, else after half of the time, so that nothing is told twice that drains. After a route or a command the first
    /// one has to have gone before.
    fn signal_others(&mut self) {
        if self.response.is_none() {
            return;
        }
        let list = &self.request.list;
        let by_signal = self.request.first();
        let Some(first) = by_signal.or(list.first()) else {
            return;
        };
        let has_gone = alive(first.process()) == Some(false);
        let half = self.request.method.timeout / SHARE_OF_OTHERS;
        let had_time = self.run.now().since(self.began) >= half;
        let is_due = |one: &ProvenTarget| match by_signal {
            Some(first) => had_time || (has_gone && !one.may_have_been_told(first, list)),
            None => has_gone && had_time,
        };
        let mut others = list.clone();
        others.retain(|one| {
            one.process() != first.process()
                && !self.signalled.contains(&one.process())
                && is_due(one)
                && alive(one.process()) == Some(true)
        });
        let why = if has_gone {
            "its first process has gone"
        } else {
            "half of the time is up"
        };
        self.signal(&others, why);
    }

    fn signal(&mut self, targets: &[ProvenTarget], why: &str) {
        // Where something else takes their place, their end is its work.
        if targets.is_empty() || self.run.target.goal == Goal::Replace {
            return;
        }
        let what = format!("{why}; sending SIGTERM to {}", target_names(targets));
        self.run.tell(StepKind::Remark, &what);
        let processes = targets.iter().map(ProvenTarget::process);
        self.signalled.extend(processes);
        self.evidence.extend(send_to_all(targets, Signal::TERM));
    }

    /// Returns who of the list still runs, with their command lines.
    fn survivors(&self) -> String {
        let list = self.request.list.iter();
        let alive = list.filter(|one| alive(one.process()) == Some(true));
        let names: Vec<String> = alive.map(ProvenTarget::described).collect();
        names.join("; ")
    }

    /// Gives the result for a route that is not offered.
    fn not_offered(&self, answer: &str) -> ActionEnd {
        let request = &self.request.offer.request;
        let mut text = format!("nothing was done: {request} {answer}");
        if let Err(why) = &self.request.otherwise {
            let why = if why.is_empty() {
                "is the route enabled, and is the caller allowed to use it?"
            } else {
                why
            };
            text = format!("{text}, and there is no other means: {why}");
        }
        let mut result = ActionEnd::refused(text);
        result.evidence.push(format!("reply: it {answer}"));
        result.not_offered = Some(answer.to_owned());
        result
    }

    /// Returns whether the time after a good reply is up, after which a process that still runs is signalled.
    fn reply_is_old(&self) -> bool {
        let then = self.request.method.then.zip(self.taken);
        then.is_some_and(|(then, taken)| self.run.now().since(taken) >= then.after)
    }

    /// Sends the signal that follows a good reply, once, where the process still runs.
    fn follow_reply(&mut self) {
        let (Some(Ok(own)), Some(then)) = (&self.request.after_reply, self.request.method.then)
        else {
            return;
        };
        let mut list = self.request.list.iter();
        let Some(target) = list.find(|one| one.process() == own.running.process) else {
            return;
        };
        if !self.reply_is_old() || alive(target.process()) != Some(true) {
            return;
        }
        self.taken = None;
        let (signal, names) = (then.signal, target_names(std::slice::from_ref(target)));
        let what = format!(
            "SIG{} to {names}, which still runs {} after its reply",
            signal.as_str(),
            text::format_duration(then.after)
        );
        self.run.tell(StepKind::Remark, &format!("sending {what}"));
        self.evidence
            .push(match send_signal(target, kernel_signal(signal)) {
                Ok(()) => format!("sent {what}"),
                Err(error) => format!("could not send {what}: {error}"),
            });
        self.signalled.push(target.process());
    }

    /// Ends the stop where a good reply should be followed by a signal, the service goes on, and no process is proved.
    fn unproved_after_reply(&self) -> Flow {
        let Some(Err(why)) = &self.request.after_reply else {
            return Flow::Continue(());
        };
        if !self.reply_is_old() || !self.looks.contains(&ConnectOutcome::Accepted) {
            return Flow::Continue(());
        }
        let text = format!(
            "its reply was good, and something goes on answering; no signal can follow: {why}"
        );
        Flow::Break(ActionEnd::new(Verdict::StillAnswering, text))
    }

    /// The address at which the service may still answer.
    fn open_address(&self, looks: &[ConnectOutcome]) -> Option<SocketAddr> {
        let pinned = self.run.target.facts.pin?;
        let endpoints = self.run.target.facts.endpoints.iter().zip(looks);
        let is_closed = endpoints.into_iter().any(|(endpoint, look)| {
            *endpoint == Endpoint::Tcp(pinned) && *look == ConnectOutcome::Refused
        });
        let open = is_closed.then(|| self.run.target.facts.accepting_address(looks));
        open.flatten().or(Some(pinned))
    }

    /// Gives the result for the verdict of the proof, as far as anything was sent at all.
    fn proved(&mut self, verdict: Verdict, mut text: String) -> ActionEnd {
        let survivors = self.survivors();
        if verdict == Verdict::StillDraining && !survivors.is_empty() {
            text = format!("{text}; still there: {survivors}");
        }
        let stopped = matches!(verdict, Verdict::Stopped | Verdict::NotListening);
        if stopped {
            // The identity that answered before the end says nothing of the end.
            self.after = None;
        } else {
            self.evidence.append(&mut self.compared);
        }
        match &self.response {
            Some(StopResponse::NotSent(_)) if stopped => ActionEnd::new(
                Verdict::AlreadyStopped,
                format!("{text}; it had ended before anything was sent"),
            ),
            Some(response @ StopResponse::NotSent(_)) => ActionEnd::refused(response.to_string()),
            Some(StopResponse::Unclear(what)) if verdict == Verdict::StillAnswering => {
                ActionEnd::new(verdict, format!("{text}; {what}"))
            }
            None if !stopped => ActionEnd::new(verdict, format!("{text}; no reply has come")),
            _ => ActionEnd::new(verdict, text),
        }
    }
}

fn interrupted(so_far: &str) -> String {
    format!("interrupted: {so_far}; whether it stops was not waited for")
}

/// Gives the result where there is nothing to look at: the response is all that there will ever be.
fn unseen(response: &StopResponse) -> ActionEnd {
    if let StopResponse::NotSent(_) = response {
        return ActionEnd::refused(response.to_string());
    }
    let text = format!("{response}; {NOTHING_TO_LOOK_AT}: {WOULD_SHOW}");
    let mut result = ActionEnd::new(Verdict::Unverified, text);
    result.unseen = matches!(response, StopResponse::Taken(_));
    result
}
