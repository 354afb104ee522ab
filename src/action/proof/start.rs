//! The proof that an instance that was started, or a successor that is waited for, is ready.
//!
//! An answer alone does not prove it: the process that listens has to be the one that was started.

use std::time::Duration;

use super::{
    ConnectOutcome, Observation, ProofProgress, ProofSubject, Prover, ResponderKind, all_exited,
    list,
};
use crate::action::Verdict;
use crate::health::Moment;
use crate::text::format_duration;

#[cfg(test)]
mod tests;

/// A program that hands over to another one exits this long, at most, before its pid file names that.
const HANDS_OVER_WITHIN: Duration = Duration::from_secs(5);

/// A process without an address has to stay up for this long: what passes before may be a trace of its predecessor, such as
/// a heartbeat in a file. The same as `startsecs` of supervisord.
const STAYS_UP: Duration = Duration::from_secs(1);

/// The exit of a process that was started here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChildExit {
    /// Set where its status was one of the service's `success_codes`.
    pub(crate) success: bool,
    /// The status in words: `exit status: 1`.
    pub(crate) how: String,
    pub(crate) handover: Handover,
}

/// Who runs the service once the process that was started has exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handover {
    /// A process that it has left behind, or the one that its pid file names.
    Running,
    /// Nobody yet; its pid file may name somebody in a moment.
    Pending,
    /// Nobody.
    Nothing,
}

/// The process that listens at the address of a service that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddressHolder {
    /// The process that was started, one that it has started, or the one that its pid file names.
    Expected,
    /// Another process: `pid 4711 (other)`.
    Stranger(String),
    /// A process that cannot be told.
    Unknown,
}

/// Returns the verdict on the instance that is ready in place of one that was there before. `is_ours` says that it is the
/// process that was started after the old one was proved gone, whatever it says of itself.
pub(crate) const fn restart_verdict(responder: ResponderKind, is_ours: bool) -> Verdict {
    match responder {
        ResponderKind::New | ResponderKind::Reborn => Verdict::Restarted,
        _ if is_ours => Verdict::Restarted,
        ResponderKind::Same => Verdict::SameProcess,
        ResponderKind::Other | ResponderKind::Unknown => Verdict::Unverified,
    }
}

/// Proves that an instance is ready: [`Verdict::Started`]. The first process of its subject is the one that was started;
/// there is none where something else starts it.
#[derive(Debug, Clone)]
pub(crate) struct StartProof {
    subject: ProofSubject,
    began: Moment,
    /// When it was looked at last.
    looked: Option<Moment>,
    /// Set where something listens; `None` without an address.
    listens: Option<bool>,
    exited: Option<(Moment, ChildExit)>,
    missing: Vec<String>,
    stranger: Option<String>,
}

impl StartProof {
    /// Begins a proof when the service is started.
    pub(crate) const fn new(subject: ProofSubject, began: Moment) -> Self {
        Self {
            subject,
            began,
            looked: None,
            listens: None,
            exited: None,
            missing: Vec::new(),
            stranger: None,
        }
    }

    /// Returns whether it runs, or has left a process in the background.
    fn is_alive(&self) -> bool {
        let exited = self.exited.as_ref();
        exited.is_none_or(|(_, exit)| exit.success && exit.handover == Handover::Running)
    }

    /// Returns whether a process that has no address was still there a while after its start.
    fn has_stayed_up(&self) -> bool {
        let has_address = !self.subject.addresses.is_empty() || self.subject.processes.is_empty();
        let stayed = |looked: Moment| looked.since(self.began) >= STAYS_UP;
        has_address || self.looked.is_some_and(stayed)
    }

    fn died(&self, at: Moment) -> Option<(Verdict, String)> {
        let (since, exit) = self.exited.as_ref()?;
        let process = self.subject.processes.first()?;
        let goes_on = exit.success
            && match exit.handover {
                Handover::Running => true,
                Handover::Pending => at.since(*since) < HANDS_OVER_WITHIN,
                Handover::Nothing => false,
            };
        if goes_on {
            return None;
        }
        let stranger = match &self.stranger {
            Some(stranger) => format!("; {stranger} listens at its address"),
            None if self.listens == Some(true) => {
                let addresses = list(&self.subject.addresses);
                format!("; somebody else listens at {addresses}")
            }
            None => String::new(),
        };
        let how = &exit.how;
        let hint = if exit.success {
            ", and nothing that it has started runs; where it hands over to something else, as `docker compose up -d` and `systemctl start` do, `supervised: true` says so"
        } else {
            ""
        };
        let text = format!(
            "{process} was started and has ended before it was ready ({how}){hint}{stranger}"
        );
        Some((Verdict::Died, text))
    }

    fn time_up(&self, at: Moment) -> (Verdict, String) {
        let took = at.since(self.began) + Duration::from_millis(500);
        let after = format_duration(Duration::from_secs(took.as_secs().max(1)));
        let process = self.subject.processes.first();
        if let Some(stranger) = &self.stranger {
            let own = process.map_or_else(String::new, |it| format!("{it} was started, but "));
            let text = format!("{own}{stranger}, which it has not started, listens at its address");
            return (Verdict::Unverified, text);
        }
        let own = match process {
            Some(process) if self.exited.is_some() => {
                format!("{process} has ended, and what it left behind runs")
            }
            Some(process) => format!("{process} runs"),
            None if self.listens == Some(false) => "nothing has started it again".to_owned(),
            None if self.subject.addresses.is_empty() => {
                "nothing tells whether it runs again".to_owned()
            }
            None => "something answers again".to_owned(),
        };
        let missing = if !self.missing.is_empty() {
            format!("not ready: {}", self.missing.join(", "))
        } else if self.listens == Some(false) {
            format!("nothing listens at {}", list(&self.subject.addresses))
        } else {
            "not ready".to_owned()
        };
        (Verdict::NotReady, format!("{own}, {missing} after {after}"))
    }
}

impl Prover for StartProof {
    fn observe(&mut self, at: Moment, observation: Observation) -> ProofProgress {
        let end = match observation {
            Observation::Look(look) => {
                self.looked = Some(at);
                let accepts = look.addresses.contains(&ConnectOutcome::Accepted);
                self.listens = (!look.addresses.is_empty()).then_some(accepts);
                let since = self.exited.take().map_or(at, |(since, _)| since);
                self.exited = look.child.map(|exit| (since, exit));
                self.died(at)
            }
            Observation::Readiness { missing, holder } => {
                self.stranger = match holder {
                    AddressHolder::Stranger(name) => Some(name),
                    AddressHolder::Expected | AddressHolder::Unknown => None,
                };
                self.missing = missing;
                let ready = self.missing.is_empty()
                    && self.stranger.is_none()
                    && self.is_alive()
                    && self.has_stayed_up();
                ready.then(|| (Verdict::Started, String::new()))
            }
            Observation::TimeUp => Some(self.time_up(at)),
            _ => None,
        };
        end.into()
    }

    /// An instance whose address nobody listens at cannot be ready.
    fn wants_answer(&self) -> bool {
        self.looked.is_some() && self.listens != Some(false)
    }

    fn nears_end(&self) -> bool {
        self.exited.is_some()
    }
}

/// Proves that a service that ran before it was to be started is ready: [`Verdict::AlreadyRunning`].
#[derive(Debug, Clone)]
pub(crate) struct ReadinessProof {
    /// A sentence on how it is known that the service runs.
    running: String,
    limit: Duration,
    exited: bool,
    /// The probes that have not passed, once they were asked.
    missing: Option<Vec<String>>,
    late: bool,
}

impl ReadinessProof {
    /// Begins a proof that has to be complete within `limit`.
    pub(crate) const fn new(running: String, limit: Duration) -> Self {
        Self {
            running,
            limit,
            exited: false,
            missing: None,
            late: false,
        }
    }

    fn not_ready(&self) -> Option<(Verdict, String)> {
        let (running, missing) = (&self.running, self.missing.as_ref()?.join(", "));
        if self.exited {
            let text = "it ran already and has ended before it was ready; nothing was started";
            return Some((Verdict::Died, text.to_owned()));
        }
        self.late.then(|| {
            let after = format_duration(self.limit);
            let text = format!("{running}; it is not ready after {after}: {missing}");
            (Verdict::NotReady, text)
        })
    }
}

impl Prover for ReadinessProof {
    fn observe(&mut self, _at: Moment, observation: Observation) -> ProofProgress {
        let end = match observation {
            Observation::Look(look) => {
                self.exited = !look.processes.is_empty() && all_exited(&look.processes);
                None
            }
            Observation::Readiness { missing, .. } if missing.is_empty() => {
                Some((Verdict::AlreadyRunning, self.running.clone()))
            }
            Observation::Readiness { missing, .. } => {
                self.missing = Some(missing);
                self.not_ready()
            }
            Observation::TimeUp => {
                self.late = true;
                self.not_ready()
            }
            _ => None,
        };
        end.into()
    }
}
