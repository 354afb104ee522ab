//! What a reload came to: what the service said of it, and whether it has survived it.
//!
//! A reply says whether the configuration was taken; that the process goes on is looked at.

mod said;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::proof::list;
use super::{Life, Look, Subject, Verdict, Who};
use crate::health::{Moment, ReloadReply};

use said::{Class, classify, summary};

/// A process that answered after it had read its configuration is watched for so long.
const AFTER_REPLY: Duration = Duration::from_millis(300);
/// One of which nobody knows when it reads it is watched for so long.
const AFTER_SIGNAL: Duration = Duration::from_secs(1);
/// A listener that is opened again for the new configuration is back after this.
const REBOUND: Duration = Duration::from_secs(2);

/// What came of the request itself. All text is cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// It replied.
    Replied {
        /// The status code.
        code: u16,
        /// The code and, in short, the body: `answered 200 OK: {…}`.
        how: String,
        /// What the reply says.
        reply: ReloadReply,
    },
    /// It was taken, and nothing more will come: a signal delivered, a command that ended well.
    Taken(String),
    /// The command failed: how.
    Failed(String),
    /// It went out, and what became of it is not known: why.
    Lost(String),
}

/// What became of whoever was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The same process goes on.
    GoesOn(String),
    /// Something may go on; nothing tells who.
    Unknown(String),
    /// Nothing listens any more, though its process runs.
    Silent(String),
    /// The process is gone.
    Died(String),
}

/// What is to be done after a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Look again.
    Look,
    /// All is there: ask who answers, for [`Survival::fate`].
    Ask,
    /// It is certain.
    Known(Fate),
}

/// Watches whether a service survives its reload: looks go in.
#[derive(Debug, Clone)]
pub struct Survival {
    subject: Subject,
    watched: Duration,
    began: Moment,
    /// Something listened before the request.
    listened: bool,
    refused_since: Option<Moment>,
    runs: bool,
}

impl Survival {
    /// Begins when the response has come. `before` are the looks at its addresses from before the request.
    pub fn new(subject: Subject, before: &[Look], response: &Response, began: Moment) -> Self {
        Self {
            subject,
            watched: match response {
                Response::Replied { .. } => AFTER_REPLY,
                _ => AFTER_SIGNAL,
            },
            began,
            listened: before.contains(&Look::Accepted),
            refused_since: None,
            runs: false,
        }
    }

    /// Takes in a look at everything, in the order of the subject.
    pub fn see(&mut self, at: Moment, addresses: &[Look], processes: &[Life]) -> Next {
        self.runs = processes.contains(&Life::Running);
        if !processes.is_empty() && processes.iter().all(|life| *life == Life::Exited) {
            return Next::Known(self.exited(addresses));
        }
        let refused = self.listened
            && addresses.contains(&Look::Refused)
            && addresses
                .iter()
                .all(|look| matches!(look, Look::Refused | Look::Unreachable));
        if refused {
            let since = *self.refused_since.get_or_insert(at);
            return if at.since(since) >= REBOUND {
                Next::Known(self.silent())
            } else {
                Next::Look
            };
        }
        self.refused_since = None;
        if at.since(self.began) < self.watched {
            Next::Look
        } else {
            Next::Ask
        }
    }

    /// What became of it, once it was asked who answers; `None` where nothing answered. What was weighed
    /// comes as `evidence`.
    pub fn fate(&self, who: Option<Who>, evidence: &[String]) -> Fate {
        if self.runs {
            return Fate::GoesOn(format!("{} goes on", list(&self.subject.processes)));
        }
        match who {
            Some(Who::Same) => Fate::GoesOn("the same process answers".to_owned()),
            Some(Who::New) if !self.subject.replicas => {
                let why = evidence.first().map(|why| format!(" ({why})"));
                Fate::Died(format!("a new process answers{}", why.unwrap_or_default()))
            }
            Some(_) => Fate::Unknown("nothing tells which process answers now".to_owned()),
            None => Fate::Unknown("nothing tells whether its process goes on".to_owned()),
        }
    }

    fn exited(&self, addresses: &[Look]) -> Fate {
        let open: Vec<String> = self
            .subject
            .addresses
            .iter()
            .zip(addresses)
            .filter(|(_, look)| **look == Look::Accepted)
            .map(|(address, _)| address.clone())
            .collect();
        let verb = if self.subject.processes.len() == 1 {
            "has"
        } else {
            "have"
        };
        let mut text = format!("{} {verb} exited", list(&self.subject.processes));
        if !open.is_empty() {
            text = format!("{text}; something else listens at {}", list(&open));
        }
        Fate::Died(text)
    }

    fn silent(&self) -> Fate {
        let places = list(&self.subject.addresses);
        if self.runs {
            let processes = list(&self.subject.processes);
            Fate::Silent(format!(
                "{processes} runs, but {places} refuses connections"
            ))
        } else {
            Fate::Died(format!("nothing listens at {places} any more"))
        }
    }
}

/// The verdict on a reload.
pub fn verdict(response: &Response, fate: &Fate) -> (Verdict, String) {
    let known = matches!(fate, Fate::GoesOn(_));
    let there = match fate {
        Fate::Died(text) => {
            return (Verdict::Died, format!("{text}; {}", heard(response)));
        }
        Fate::Silent(text) => {
            return (Verdict::Unverified, format!("{text}; {}", heard(response)));
        }
        Fate::GoesOn(text) | Fate::Unknown(text) => text,
    };
    match response {
        Response::Replied { code, how, reply } => of_reply(*code, how, reply, there),
        Response::Taken(what) if known => (Verdict::Accepted, format!("{what}; {there}")),
        // Nobody has said that it was read, so that it goes on is all that could be proved.
        Response::Taken(what) => (
            Verdict::Unverified,
            format!(
                "{what}; {there}: a `pid_file`, or a start time or an instance in its payload, would"
            ),
        ),
        Response::Failed(how) => (Verdict::ReloadRejected, format!("{how}; {there}")),
        Response::Lost(why) => (Verdict::Unverified, format!("{why}; {there}")),
    }
}

fn of_reply(code: u16, how: &str, reply: &ReloadReply, there: &str) -> (Verdict, String) {
    let parts = summary(reply);
    // What the service says of it, its parts, or the bare answer: whichever tells most.
    let told = |lead: &str| match (&reply.message, parts.is_empty()) {
        (_, false) => parts.clone(),
        (Some(message), true) => format!("{lead}{message}"),
        (None, true) => format!("it {how}"),
    };
    match classify(code, reply) {
        Class::Reloaded if parts.is_empty() => (Verdict::Reloaded, format!("it {how}; {there}")),
        Class::Reloaded => (Verdict::Reloaded, format!("{parts}; {there}")),
        Class::Partial => (Verdict::ReloadPartial, format!("{}; {there}", told(""))),
        Class::Rejected => {
            let mut why = told("");
            // The service often says of the whole what it says of the part that is to blame.
            let repeated = |message: &String| {
                let mut said = reply.parts.iter().filter_map(|part| part.message.as_ref());
                said.any(|of_part| message.contains(of_part.as_str()) || of_part.contains(message))
            };
            if let Some(message) = reply.message.as_ref().filter(|message| !repeated(message))
                && !parts.is_empty()
            {
                why = format!("{message}; {why}");
            }
            (
                Verdict::ReloadRejected,
                format!("it keeps its old configuration: {why}; {there}"),
            )
        }
        Class::NotTaken => (
            Verdict::ReloadRejected,
            format!(
                "it does not take the request, and keeps its old configuration: it {how}; {there}"
            ),
        ),
        Class::Accepted => (Verdict::Accepted, format!("it {how}; {there}")),
        Class::Unclear => {
            let parts = if parts.is_empty() {
                String::new()
            } else {
                format!("; {parts}")
            };
            (
                Verdict::Unverified,
                format!("it {how}, which does not tell whether it was reloaded{parts}; {there}"),
            )
        }
    }
}

/// What came back, as a clause.
fn heard(response: &Response) -> String {
    match response {
        Response::Replied { how, .. } => format!("it had {how}"),
        Response::Taken(text) | Response::Failed(text) | Response::Lost(text) => text.clone(),
    }
}
