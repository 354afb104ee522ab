//! Sends a reload, once, and watches whether the service survives it.

use std::time::Duration;

use tokio::select;

use super::PlannedRequest;
use super::facts::{IdentityAnswer, heads};
use super::monitor::{MonitorSubject, Monitored, Pending, monitor};
use super::phases::TargetRun;
use super::result::{ActionEnd, Flow};
use super::send::{Delivery, answered, masked_body, send};
use crate::action::{Baseline, ConnectOutcome, Observation, ReloadProof, ReloadResponse, Verdict};
use crate::event::StepKind;
use crate::health::{Identity, ReloadReply};
use crate::inventory::ActionSpec;
use crate::probe::Redactions;

/// A reload that was sent.
struct ReloadWatch<'a> {
    run: &'a TargetRun<'a>,
    /// Its processes are those that have to go on: their workers may be replaced by the new configuration.
    subject: MonitorSubject<ReloadProof>,
    baseline: Baseline,
    after: Option<Identity>,
    /// The evidence on the process that answers, where that is a new one.
    compared: Vec<String>,
}

impl TargetRun<'_> {
    /// Sends the request and says how the reload ended.
    pub(super) async fn reload(&self, request: &PlannedRequest) -> Flow<ActionEnd> {
        let facts = &self.target.facts;
        let executor = self.context.executor;
        let mut lasting = heads(&facts.processes.all());
        if let Some(signalled) = &request.signalled {
            lasting.retain(|running| running.process == signalled.running.process);
        }
        let baseline = facts.baseline(self.now());
        let name = &request.offer.request;
        let pin = facts.pin_for(&request.method.means);
        let delivery = select! {
            biased;
            () = self.context.cancel.cancelled() => {
                let text = format!("interrupted: {name} was on its way and not yet answered");
                return Flow::Break(ActionEnd::new(Verdict::Unverified, text));
            }
            delivery = send(&executor.prober, request, pin) => delivery,
        };
        let response = response_of(delivery, &request.method)?;
        let (answer, parts) = match &response {
            ReloadResponse::Replied { how, reply, .. } => {
                (format!("reply: it {how}"), reply.parts.clone())
            }
            ReloadResponse::Taken(text)
            | ReloadResponse::Failed(text)
            | ReloadResponse::Lost(text) => (text.clone(), Vec::new()),
        };
        self.tell(StepKind::Accepted, &answer);
        let subject = facts.subject(&self.target.service, &lasting);
        let proof = ReloadProof::new(subject, &facts.looks, response, self.now());
        let processes = lasting.iter().map(|one| one.process).collect();
        let interrupted = format!(
            "interrupted: {name} was sent ({answer}); whether its process goes on was not waited for"
        );
        let mut watch = ReloadWatch {
            run: self,
            subject: self.subject(proof, processes, interrupted),
            baseline,
            after: None,
            compared: Vec::new(),
        };
        let (verdict, text) = monitor(&mut watch, Duration::MAX).await?;
        let mut evidence = vec![answer];
        evidence.extend(parts.iter().map(ToString::to_string));
        if verdict == Verdict::Died {
            evidence.append(&mut watch.compared);
        }
        let mut result = ActionEnd::new(verdict, text).with_evidence(evidence);
        result.parts = parts;
        result.after = watch.after.map(Box::new);
        Flow::Continue(result)
    }
}

impl Monitored for ReloadWatch<'_> {
    type Proof = ReloadProof;
    type Answer = IdentityAnswer;

    fn subject(&mut self) -> &mut MonitorSubject<ReloadProof> {
        &mut self.subject
    }

    fn ask(&mut self, _looks: &[ConnectOutcome]) -> Option<Pending<IdentityAnswer>> {
        Some(Box::pin(self.run.identity_question(&self.baseline).ask()))
    }

    fn answered(&mut self, (observation, identity): IdentityAnswer) -> Observation {
        self.after = identity;
        if let Observation::Answer { evidence, .. } = &observation {
            self.compared.clone_from(evidence);
        }
        observation
    }
}

/// Goes on with the response of the service; ends where nothing went out.
fn response_of(delivery: Delivery, method: &ActionSpec) -> Flow<ReloadResponse> {
    Flow::Continue(match delivery {
        Delivery::Replied(reply) => {
            let decode = method.reply.clone().unwrap_or_default();
            let read = decode.read(reply.code, &reply.body, &reply.headers);
            ReloadResponse::Replied {
                code: reply.code,
                how: answered(reply.code, &masked_body(&reply)),
                reply: masked(read, &reply.redactions),
            }
        }
        Delivery::Cut(code @ 200..=299, why) => {
            let answer = answered(code, &[]);
            ReloadResponse::Lost(format!(
                "it {answer}, and the rest of its reply is lost: {why}"
            ))
        }
        Delivery::Cut(code, _) => ReloadResponse::Replied {
            code,
            how: answered(code, &[]),
            reply: ReloadReply::default(),
        },
        Delivery::Done(what) => ReloadResponse::Taken(what),
        Delivery::Failed { command, how } => {
            ReloadResponse::Failed(format!("`{command}` failed ({how})"))
        }
        Delivery::Lost(why) => ReloadResponse::Lost(why),
        Delivery::NotSent(why) => {
            return Flow::Break(ActionEnd::refused(format!("nothing was sent: {why}")));
        }
    })
}

/// Removes the secrets of the request from the reply.
fn masked(mut reply: ReloadReply, redactions: &Redactions) -> ReloadReply {
    let parts = reply.parts.iter_mut();
    let parts = parts.flat_map(|part| [&mut part.word, &mut part.message]);
    for text in parts.chain([&mut reply.word, &mut reply.message]).flatten() {
        *text = redactions.apply(text);
    }
    reply
}
