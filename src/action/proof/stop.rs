//! The proof that a service has stopped.

use std::time::Duration;

use super::{
    ConnectOutcome, LOOKS_APART, LatestLook, Observation, ProofProgress, ProofSubject, Prover,
    ResponderKind, StopStage, list,
};
use crate::action::Verdict;
use crate::health::Moment;

#[cfg(test)]
mod tests;

/// Explains why nothing can be proved of a service of which neither an address nor a process is known.
pub(crate) const NOTHING_TO_LOOK_AT: &str = "neither an address nor a process is known to look at";
/// Explains how it would be proved.
pub(crate) const WOULD_SHOW: &str =
    "a `url`, a probe by HTTP or TCP, or a `pid_file` would show what becomes of it";

/// A service that rejected the request and still answers this much later has not taken it.
const REJECTED_FOR: Duration = Duration::from_secs(1);
/// A service counts as back after answering for this long, where answers tell nothing of the process.
const BACK_FOR: Duration = Duration::from_secs(1);
/// A new process has to answer this often, and for this long, where the old one cannot be looked at: a load balancer may
/// send a single request to another instance.
const NEW_ANSWERS: u32 = 3;
const NEW_FOR: Duration = Duration::from_millis(300);
/// An answer older than this says nothing about now.
const FRESH: Duration = Duration::from_secs(3);

/// Proves that a service has stopped: [`Verdict::Stopped`], or [`Verdict::NotListening`] where no process is known.
#[derive(Debug, Clone)]
pub(crate) struct StopProof {
    look: LatestLook,
    began: Moment,
    /// The first of an unbroken row of looks that found nothing.
    gone_since: Option<Moment>,
    /// When something listened again after all was gone.
    back_since: Option<Moment>,
    /// When nothing listened for the first time while a process ran.
    silent_since: Option<Moment>,
    /// The latest answer: when it came, whether it said that the service drains, and who gave it.
    answer: Option<(Moment, bool, ResponderKind)>,
    drained: bool,
    gateway_error: Option<u16>,
    /// Since when, and how often, a new process has answered.
    new_answers: Option<(Moment, u32)>,
    rejected: Option<(Moment, String)>,
}

impl Prover for StopProof {
    fn observe(&mut self, at: Moment, observation: Observation) -> ProofProgress {
        let mut stage = None;
        match observation {
            Observation::Look(look) => {
                self.look.take(look);
                stage = self.looked(at);
            }
            Observation::Answer {
                draining,
                responder,
                ..
            } => {
                self.gateway_error = None;
                stage = self.answered(at, draining, responder);
            }
            Observation::GatewayError(code) => self.gateway_error = Some(code),
            Observation::Rejected(how) => self.rejected = Some((at, how)),
            Observation::TimeUp if self.gone_since.is_none() => {
                return Some(self.time_up(at)).into();
            }
            Observation::TimeUp | Observation::NoAnswer | Observation::Readiness { .. } => {
                return ProofProgress::default();
            }
        }
        let end = self
            .stopped(at)
            .or_else(|| self.replaced(at))
            .or_else(|| self.not_taken(at));
        ProofProgress { stage, end }
    }

    fn nears_end(&self) -> bool {
        self.look.exited() || self.gone_since.is_some()
    }
}

impl StopProof {
    /// Begins a proof when the request is sent.
    pub(crate) fn new(subject: ProofSubject, began: Moment) -> Self {
        Self {
            look: LatestLook::at(subject),
            began,
            gone_since: None,
            back_since: None,
            silent_since: None,
            answer: None,
            drained: false,
            gateway_error: None,
            new_answers: None,
            rejected: None,
        }
    }

    /// Returns whether neither an address nor a process is known: no look will ever show anything.
    pub(crate) const fn is_blind(&self) -> bool {
        self.look.is_blind()
    }

    /// Returns whether any known process ran at the latest look.
    pub(crate) fn runs(&self) -> bool {
        self.look.runs()
    }

    /// Returns whether the latest answer says that the service is draining.
    pub(crate) fn drains(&self) -> bool {
        self.answer
            .is_some_and(|(_, draining, responder)| draining && !responder.is_new())
    }

    fn looked(&mut self, at: Moment) -> Option<(StopStage, String)> {
        let look = &self.look;
        if look.refuses() && !look.runs() && !look.is_blind() {
            self.back_since = None;
            if self.gone_since.is_none() {
                self.gone_since = Some(at);
                return Some((StopStage::Gone, self.nothing_left()));
            }
            return None;
        }
        if self.gone_since.take().is_some() && look.accepts() {
            self.back_since = Some(at);
            let text = format!("{} accepts connections again", look.accepting());
            return Some((StopStage::Back, text));
        }
        if look.refuses() && self.silent_since.is_none() && !look.addresses.is_empty() {
            self.silent_since = Some(at);
            let text = format!("{}, {}", look.refusing(), look.running());
            return Some((StopStage::Silent, text));
        }
        if look.accepts() {
            self.silent_since = None;
        }
        None
    }

    fn answered(
        &mut self,
        at: Moment,
        draining: bool,
        responder: ResponderKind,
    ) -> Option<(StopStage, String)> {
        self.answer = Some((at, draining, responder));
        match responder {
            ResponderKind::New | ResponderKind::Reborn => {
                let (since, times) = self.new_answers.unwrap_or((at, 0));
                self.new_answers = Some((since, times.saturating_add(1)));
            }
            ResponderKind::Same => {
                self.new_answers = None;
                // Its listener was closed for a moment; the process never was.
                self.back_since = None;
            }
            ResponderKind::Other => self.new_answers = None,
            ResponderKind::Unknown => {}
        }
        if draining && !self.drained && !responder.is_new() {
            self.drained = true;
            // An answer may arrive after its sender has gone.
            let is_news = self.gone_since.is_none();
            return is_news.then(|| (StopStage::Draining, "draining".to_owned()));
        }
        None
    }

    /// Two looks, apart from each other and with nothing else between them, have found nothing.
    fn stopped(&self, at: Moment) -> Option<(Verdict, String)> {
        if at.since(self.gone_since?) < LOOKS_APART {
            return None;
        }
        let verdict = if self.look.exited() {
            Verdict::Stopped
        } else {
            Verdict::NotListening
        };
        Some((verdict, self.nothing_left()))
    }

    /// The old process is gone and another has taken its place.
    fn replaced(&self, at: Moment) -> Option<(Verdict, String)> {
        let look = &self.look;
        let responder = self.answer.map(|(_, _, responder)| responder);
        let is_new = responder.is_some_and(ResponderKind::is_new);
        let steady = || {
            self.new_answers
                .filter(|(since, times)| *times >= NEW_ANSWERS && at.since(*since) >= NEW_FOR)
        };
        let text = if look.exited() {
            // Its address was free in between, or the process that answers is proved to be new.
            let back = self.back_since.is_some();
            (back || (is_new && look.accepts())).then(|| {
                let (exits, accepting) = (look.exits(), look.accepting());
                format!("{exits}, but a new process answers at {accepting}")
            })
        } else if responder == Some(ResponderKind::Reborn) {
            steady().map(|_| format!("{} and has replaced itself", look.running()))
        } else if look.runs() || look.subject.replicas {
            None
        } else if let Some(since) = self.back_since {
            let settled = at.since(since) >= BACK_FOR
                && self.answer.is_some_and(|(heard, _, responder)| {
                    heard.mono >= since.mono && responder == ResponderKind::Unknown
                });
            (is_new || settled).then(|| {
                let accepting = look.accepting();
                format!("nothing listened any more, but {accepting} answers again")
            })
        } else {
            steady().map(|_| "the process was replaced: a new one answers".to_owned())
        };
        text.map(|text| (Verdict::GoneThenBack, text))
    }

    /// The service rejected the request, and goes on.
    fn not_taken(&self, at: Moment) -> Option<(Verdict, String)> {
        let (since, how) = self.rejected.as_ref()?;
        let goes_on = match self.answer {
            Some((heard, draining, _)) if heard.mono > since.mono => !draining,
            _ => self.look.accepts(),
        };
        let is_certain = goes_on && !self.drained && at.since(*since) >= REJECTED_FOR;
        is_certain.then(|| {
            let text = format!("it {how} and goes on answering");
            (Verdict::StillAnswering, text)
        })
    }

    /// The verdict when the time is up: what is known, and no more than that.
    fn time_up(&self, at: Moment) -> (Verdict, String) {
        let look = &self.look;
        let after = format!("{:.1}s", at.since(self.began).as_secs_f64());
        let answer = self
            .answer
            .filter(|(heard, _, _)| at.since(*heard) <= FRESH && look.accepts());
        let rejected = match &self.rejected {
            Some((_, how)) => format!("; it {how}"),
            None => String::new(),
        };
        match answer {
            Some((_, true, responder)) if !responder.is_new() => {
                let text = format!("still draining after {after}");
                return (Verdict::StillDraining, text);
            }
            Some((_, _, responder)) => return self.still_answers(responder, &after, &rejected),
            None => {}
        }
        if look.runs() && look.refuses() {
            let text = if look.addresses.is_empty() {
                format!("{} after {after}", look.running())
            } else {
                format!("{}, but {} after {after}", look.refusing(), look.running())
            };
            return (Verdict::StillDraining, text + &rejected);
        }
        let accepting = look.accepting();
        if look.accepts() && self.drained {
            let text = format!(
                "it said that it drains, and {accepting} still accepts connections after {after}"
            );
            return (Verdict::StillDraining, text);
        }
        if look.accepts() && look.runs() {
            let running = look.running();
            let text = format!(
                "{accepting} still accepts connections and {running} after {after}{rejected}"
            );
            return (Verdict::StillAnswering, text);
        }
        let mut text = format!("{} after {after}{rejected}", self.unanswered());
        if look.is_blind() {
            text = format!("{text}: {WOULD_SHOW}");
        }
        (Verdict::Unverified, text)
    }

    /// The verdict when the time is up and something answered a moment ago.
    fn still_answers(
        &self,
        responder: ResponderKind,
        after: &str,
        rejected: &str,
    ) -> (Verdict, String) {
        let look = &self.look;
        let place = look.accepting();
        let text = match responder {
            ResponderKind::Same => {
                format!("the same process answers at {place} after {after}{rejected}")
            }
            ResponderKind::Other => {
                format!("another process, which was there before, answers at {place} after {after}")
            }
            ResponderKind::New | ResponderKind::Reborn if look.runs() => {
                let running = look.running();
                format!("{running} and another process answers at {place} after {after}")
            }
            _ if look.exited() || look.subject.replicas => {
                let mut text = format!(
                    "something answers at {place} after {after}, and nothing tells whether it is the old process"
                );
                if look.exited() {
                    text = format!("{text} ({})", look.exits());
                }
                return (Verdict::Unverified, text);
            }
            _ => format!("{place} still answers after {after}{rejected}"),
        };
        (Verdict::StillAnswering, text)
    }

    /// Says what is not known, where neither an end nor a running process is.
    fn unanswered(&self) -> String {
        let look = &self.look;
        let place = match look.subject.addresses.as_slice() {
            [] => NOTHING_TO_LOOK_AT.to_owned(),
            _ if look.accepts() => match self.gateway_error {
                Some(code) => format!(
                    "{} answers {code}, which may be a proxy's word for a service that is gone,",
                    look.accepting()
                ),
                None => format!(
                    "{} accepts connections but does not answer",
                    look.accepting()
                ),
            },
            addresses
                if look
                    .addresses
                    .iter()
                    .all(|outcome| *outcome == ConnectOutcome::Unreachable) =>
            {
                format!("{} cannot be looked at from here", list(addresses))
            }
            addresses => format!("{} neither refuses nor answers", list(addresses)),
        };
        if look.exited() {
            format!("{}, but {place}", look.exits())
        } else if look.runs() {
            format!("{place} and {}", look.running())
        } else {
            place
        }
    }

    /// `127.0.0.1:8000 refuses connections and pid 4711 (api) has exited`
    fn nothing_left(&self) -> String {
        let look = &self.look;
        match (look.subject.addresses.is_empty(), look.exited()) {
            (true, _) => look.exits(),
            (false, true) => format!("{} and {}", look.refusing(), look.exits()),
            (false, false) => format!("{}; its process is not known", look.refusing()),
        }
    }
}
