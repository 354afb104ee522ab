//! The verdict on a reload: what the service said of it, and whether its process has survived it.
//!
//! A reply says whether the configuration was taken; looks say whether the process goes on.

use std::time::Duration;

use super::reload_reply::{ReplyClass, classify, summary};
use super::{
    ConnectOutcome, LatestLook, Observation, ProofProgress, ProofSubject, Prover, ResponderKind,
    list,
};
use crate::action::Verdict;
use crate::health::{Moment, ReloadReply};

#[cfg(test)]
mod tests;

/// A process that answered after it had read its configuration is watched for this long.
const AFTER_REPLY: Duration = Duration::from_millis(300);
/// A process of which nobody knows when it reads its configuration is watched for this long.
const AFTER_SIGNAL: Duration = Duration::from_secs(1);
/// A listener that is opened again for the new configuration is back after this.
const REBOUND: Duration = Duration::from_secs(2);

/// The response to the request itself. All texts are cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReloadResponse {
    /// The service gave a reply.
    Replied {
        code: u16,
        /// The code and, in short, the body: `answered 200 OK: {…}`.
        how: String,
        /// The reply as it was read.
        reply: ReloadReply,
    },
    /// The request was taken, and nothing more will come: a signal was delivered, a command succeeded.
    Taken(String),
    /// The command failed: how.
    Failed(String),
    /// The request went out, and what became of it is not known: why.
    Lost(String),
}

/// The fate of the process that was asked to reload.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ProcessFate {
    /// The same process goes on.
    GoesOn(String),
    /// Something may go on; nothing tells which process.
    Unknown(String),
    /// Nothing listens any more, though the process runs.
    Silent(String),
    /// The process is gone.
    Died(String),
}

/// Watches whether a service survives its reload, and gives the verdict on both.
#[derive(Debug, Clone)]
pub(crate) struct ReloadProof {
    response: ReloadResponse,
    look: LatestLook,
    began: Moment,
    /// Set where something listened before the request.
    listened: bool,
    refused_since: Option<Moment>,
    wants_answer: bool,
}

impl ReloadProof {
    /// Begins a proof when the response has come. `before` are the looks at the addresses from before the request.
    pub(crate) fn new(
        subject: ProofSubject,
        before: &[ConnectOutcome],
        response: ReloadResponse,
        began: Moment,
    ) -> Self {
        Self {
            response,
            look: LatestLook::at(subject),
            began,
            listened: before.contains(&ConnectOutcome::Accepted),
            refused_since: None,
            wants_answer: false,
        }
    }

    /// Returns what became of the process, where a look alone tells.
    fn looked(&mut self, at: Moment) -> Option<ProcessFate> {
        if self.look.exited() {
            return Some(self.exited());
        }
        self.wants_answer = false;
        if self.listened && self.look.refuses() {
            let since = *self.refused_since.get_or_insert(at);
            return (at.since(since) >= REBOUND).then(|| self.silent());
        }
        self.refused_since = None;
        let watched = match self.response {
            ReloadResponse::Replied { .. } => AFTER_REPLY,
            _ => AFTER_SIGNAL,
        };
        self.wants_answer = at.since(self.began) >= watched;
        None
    }

    /// Returns what became of the process, once the service was asked which one answers; `None` where none did.
    fn answered(&self, responder: Option<ResponderKind>, evidence: &[String]) -> ProcessFate {
        if self.look.runs() {
            return ProcessFate::GoesOn(format!("{} goes on", list(&self.look.subject.processes)));
        }
        match responder {
            Some(ResponderKind::Same) => ProcessFate::GoesOn("the same process answers".to_owned()),
            Some(ResponderKind::New) if !self.look.subject.replicas => {
                let why = evidence.first().map(|why| format!(" ({why})"));
                ProcessFate::Died(format!("a new process answers{}", why.unwrap_or_default()))
            }
            Some(_) => ProcessFate::Unknown("nothing tells which process answers now".to_owned()),
            None => ProcessFate::Unknown("nothing tells whether its process goes on".to_owned()),
        }
    }

    fn exited(&self) -> ProcessFate {
        let exits = self.look.exits();
        if !self.look.accepts() {
            return ProcessFate::Died(exits);
        }
        let accepting = self.look.accepting();
        ProcessFate::Died(format!("{exits}; something else listens at {accepting}"))
    }

    fn silent(&self) -> ProcessFate {
        let addresses = list(&self.look.subject.addresses);
        if !self.look.runs() {
            return ProcessFate::Died(format!("nothing listens at {addresses} any more"));
        }
        let processes = list(&self.look.subject.processes);
        ProcessFate::Silent(format!(
            "{processes} runs, but {addresses} refuses connections"
        ))
    }
}

impl Prover for ReloadProof {
    fn observe(&mut self, at: Moment, observation: Observation) -> ProofProgress {
        let fate = match observation {
            Observation::Look(look) => {
                self.look.take(look);
                self.looked(at)
            }
            Observation::Answer {
                responder,
                evidence,
                ..
            } => Some(self.answered(Some(responder), &evidence)),
            Observation::GatewayError(_) | Observation::NoAnswer => Some(self.answered(None, &[])),
            _ => None,
        };
        fate.map(|fate| verdict(&self.response, &fate)).into()
    }

    fn wants_answer(&self) -> bool {
        self.wants_answer
    }

    fn nears_end(&self) -> bool {
        true
    }
}

/// Returns the verdict on a reload.
fn verdict(response: &ReloadResponse, fate: &ProcessFate) -> (Verdict, String) {
    let (known, there) = match fate {
        ProcessFate::Died(text) => return (Verdict::Died, text.clone() + &clause(response)),
        ProcessFate::Silent(text) => {
            return (Verdict::Unverified, text.clone() + &clause(response));
        }
        ProcessFate::GoesOn(text) => (true, text),
        ProcessFate::Unknown(text) => (false, text),
    };
    match response {
        ReloadResponse::Replied { code, how, reply } => of_reply(*code, how, reply, there),
        ReloadResponse::Taken(what) if known => (Verdict::Accepted, format!("{what}; {there}")),
        // Nobody has said that the configuration was read, so that the process goes on is all that could be proved.
        ReloadResponse::Taken(what) => (
            Verdict::Unverified,
            format!(
                "{what}; {there}: a `pid_file`, or a start time or an instance in its payload, would"
            ),
        ),
        ReloadResponse::Failed(how) => (Verdict::ReloadRejected, format!("{how}; {there}")),
        ReloadResponse::Lost(why) => (Verdict::Unverified, format!("{why}; {there}")),
    }
}

fn of_reply(code: u16, how: &str, reply: &ReloadReply, there: &str) -> (Verdict, String) {
    let parts = summary(reply);
    // What the service says of the whole, its parts, or the bare answer: the one that tells most.
    let told = match (&reply.message, parts.is_empty()) {
        (_, false) => parts.clone(),
        (Some(message), true) => message.clone(),
        (None, true) => format!("it {how}"),
    };
    let (verdict, text) = match classify(code, reply) {
        ReplyClass::Reloaded if parts.is_empty() => (Verdict::Reloaded, format!("it {how}")),
        ReplyClass::Reloaded => (Verdict::Reloaded, parts),
        ReplyClass::Partial => (Verdict::ReloadPartial, told),
        ReplyClass::Rejected => {
            // The service often says of the whole what it says of the part that is to blame.
            let repeated = |message: &String| {
                let mut of_parts = reply.parts.iter().filter_map(|part| part.message.as_ref());
                of_parts.any(|part| message.contains(part.as_str()) || part.contains(message))
            };
            let message = reply.message.as_ref();
            let why = match message.filter(|message| !repeated(message) && !parts.is_empty()) {
                Some(message) => format!("{message}; {told}"),
                None => told,
            };
            let text = format!("it keeps its old configuration: {why}");
            (Verdict::ReloadRejected, text)
        }
        ReplyClass::NotTaken => (
            Verdict::ReloadRejected,
            format!("it does not take the request, and keeps its old configuration: it {how}"),
        ),
        ReplyClass::NotOffered => (
            Verdict::Refused,
            format!(
                "nothing was reloaded: it {how}: its route is not offered, not enabled or not allowed; where it reloads by another route, a signal or a command, say so: `actions: {{reload: {{signal: HUP}}}}`"
            ),
        ),
        ReplyClass::Accepted => (Verdict::Accepted, format!("it {how}")),
        ReplyClass::Unclear => {
            let semicolon = if parts.is_empty() { "" } else { "; " };
            let unclear = "which does not tell whether it was reloaded";
            (
                Verdict::Unverified,
                format!("it {how}, {unclear}{semicolon}{parts}"),
            )
        }
    };
    (verdict, format!("{text}; {there}"))
}

/// The response as a clause behind what became of the process.
fn clause(response: &ReloadResponse) -> String {
    use ReloadResponse::{Failed, Lost, Replied, Taken};
    match response {
        Replied { how, .. } => format!("; it had {how}"),
        Taken(text) | Failed(text) | Lost(text) => format!("; {text}"),
    }
}
