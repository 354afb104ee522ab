//! Sends a reload, once, and looks whether the service survives it.

use std::time::Duration;

use tokio::select;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::ending::Ending;
use super::identify::Found;
use super::look::{lives, look_at};
use super::owners::heads;
use super::question::{Heard, Question};
use super::run::Teller;
use super::send::{Went, answered, send, told};
use super::{Executor, Sending};
use crate::action::reload::{Fate, Next, Response, Survival, verdict};
use crate::action::{Known, Method, Seen};
use crate::event::StepKind;
use crate::health::{Process, ReloadReply};
use crate::host::Running;
use crate::inventory::Service;
use crate::probe::Masks;

/// Between two looks.
const TICK: Duration = Duration::from_millis(25);

/// One reload, with what was known before it.
struct Reload<'a> {
    executor: &'a Executor,
    service: &'a Service,
    found: &'a Found,
    /// The processes that have to go on: their workers may be replaced by the new configuration.
    lasting: Vec<Running>,
    known: Known,
}

impl Executor {
    /// Sends the request and tells what came of it.
    pub(super) async fn reload(
        &self,
        service: &Service,
        found: &Found,
        sending: &Sending,
        teller: Teller<'_>,
        stop: &CancellationToken,
    ) -> Ending {
        let mut lasting = heads(&found.processes());
        if let Some(signalled) = sending.signalled {
            lasting.retain(|running| running.process == signalled);
        }
        let reload = Reload {
            executor: self,
            service,
            found,
            lasting,
            known: found.known(self.clock.now()),
        };
        let pin = found.pin_for(&sending.method.means);
        let went = select! {
            biased;
            () = stop.cancelled() => return interrupted(sending, None),
            went = send(&self.asker, &sending.method, pin, sending.signalled) => went,
        };
        let response = match respond(went, &sending.method) {
            Ok(response) => response,
            Err(why) => return Ending::unsent(&format!("nothing was sent: {why}")),
        };
        let said = said(&response);
        teller.step(self.clock.now(), StepKind::Accepted, &said);
        let (fate, heard) = select! {
            biased;
            () = stop.cancelled() => return interrupted(sending, Some(&said)),
            survived = reload.survives(&response) => survived,
        };
        let (verdict, text) = verdict(&response, &fate);
        let mut ending = Ending::new(verdict, text);
        ending.evidence.push(said);
        if let Response::Replied { reply, .. } = response {
            ending
                .evidence
                .extend(reply.parts.iter().map(ToString::to_string));
            ending.parts = reply.parts;
        }
        if let Some(heard) = heard {
            if matches!(fate, Fate::Died(_)) {
                ending.evidence.extend(heard.evidence);
            }
            ending.after = heard.identity.map(Box::new);
        }
        ending
    }
}

impl Reload<'_> {
    /// Looks until it is certain what became of it, then asks who answers.
    async fn survives(&self, response: &Response) -> (Fate, Option<Heard>) {
        let processes: Vec<Process> = self.lasting.iter().map(|one| one.process).collect();
        let subject = self.found.subject(self.service, &self.lasting);
        let clock = self.executor.clock;
        let mut survival = Survival::new(subject, &self.found.looks, response, clock.now());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let addresses = look_at(&self.found.endpoints).await;
            match survival.see(clock.now(), &addresses, &lives(&processes)) {
                Next::Look => {}
                Next::Known(fate) => return (fate, None),
                Next::Ask => break,
            }
        }
        let heard = self.question().ask().await;
        let who = match heard.seen {
            Some(Seen::Answer { who, .. }) => Some(who),
            _ => None,
        };
        (survival.fate(who, &heard.evidence), Some(heard))
    }

    fn question(&self) -> Question {
        Question {
            asker: self.executor.asker.clone(),
            service: self.service.clone(),
            tellers: self.found.tellers.clone(),
            known: self.known.clone(),
            pin: self.found.pin,
            endpoint: None,
            search: false,
        }
    }
}

/// What came of the sending; or why nothing went out.
fn respond(went: Went, method: &Method) -> Result<Response, String> {
    Ok(match went {
        Went::Replied(reply) => {
            let decode = method.reply.clone().unwrap_or_default();
            Response::Replied {
                code: reply.code,
                how: answered(reply.code, &told(&reply)),
                reply: masked(decode.read(&reply.body, &reply.headers), &reply.masks),
            }
        }
        Went::Cut(code @ 200..=299, why) => Response::Lost(format!(
            "it {}, and the rest of its reply is lost: {why}",
            answered(code, &[])
        )),
        Went::Cut(code, _) => Response::Replied {
            code,
            how: answered(code, &[]),
            reply: ReloadReply::default(),
        },
        Went::Done(what) => Response::Taken(what),
        Went::Failed { command, how } => Response::Failed(format!("`{command}` failed ({how})")),
        Went::Lost(why) => Response::Lost(why),
        Went::NobodyThere(why) | Went::Unreached(why) | Went::Unsent(why) => return Err(why),
    })
}

/// What the request was given in confidence is nobody else's business.
fn masked(mut reply: ReloadReply, masks: &Masks) -> ReloadReply {
    let hide = |text: &mut Option<String>| {
        if let Some(text) = text {
            *text = masks.apply(text);
        }
    };
    hide(&mut reply.word);
    hide(&mut reply.message);
    for part in &mut reply.parts {
        hide(&mut part.word);
        hide(&mut part.message);
    }
    reply
}

/// What came back, for the account.
fn said(response: &Response) -> String {
    match response {
        Response::Replied { how, .. } => format!("reply: it {how}"),
        Response::Taken(text) | Response::Failed(text) | Response::Lost(text) => text.clone(),
    }
}

/// What was done and what was not, for somebody who did not want to wait.
fn interrupted(sending: &Sending, said: Option<&str>) -> Ending {
    let request = &sending.offer.request;
    let text = match said {
        None => format!("interrupted: {request} was on its method and not yet answered"),
        Some(said) => format!(
            "interrupted: {request} was sent ({said}); whether its process goes on was not waited for"
        ),
    };
    Ending::new(crate::action::Verdict::Unverified, text)
}
