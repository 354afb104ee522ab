//! Sends, and looks until the end is proved or the time is up.
//!
//! Three things go on at once: the request itself, looks at addresses and processes, and questions to the
//! service. None of them waits for another, so that a service that hangs in its shutdown hides nothing.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::choose::name;
use super::ending::Ending;
use super::identify::Found;
use super::look::{lives, look_at};
use super::place::Place;
use super::question::{Heard, Question};
use super::run::Teller;
use super::send::{Sent, send};
use super::{Operator, Sending};
use crate::action::{APART, Action, Known, Life, Look, Proof, Seen, Stage, Subject, Turn, Verdict};
use crate::event::StepKind;
use crate::health::{Identity, Moment, Process};
use crate::host::{Endpoint, Owners, is_local, ticks_now};
use crate::inventory::{Means, Service};

/// Between two looks.
const TICK: Duration = Duration::from_millis(25);
/// Between the beginnings of two questions to the service.
const QUESTION: Duration = Duration::from_millis(50);
/// An answer so young says as much of its address as a look.
const YOUNG: Duration = Duration::from_millis(150);
/// A scheduled request of which nobody knows whether it was taken is watched for so long.
const DOUBT: Duration = Duration::from_secs(2);
/// No deadline is further away: a longer one must not overflow the clock.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Lines of evidence that anybody wants to read.
const MOST_EVIDENCE: usize = 12;

/// A look at everything.
struct Glance {
    addresses: Vec<Look>,
    processes: Vec<Life>,
}

type Pending<T> = OptionFuture<Pin<Box<dyn Future<Output = T> + Send>>>;

/// All that is watched of one action, and what has been seen.
struct Watch<'a> {
    operator: &'a Operator,
    service: &'a Service,
    found: &'a Found,
    teller: Teller<'a>,
    processes: Vec<Process>,
    known: Known,
    proof: Proof,
    looks: Vec<Look>,
    /// The latest answer of the service and where it came from.
    answered: Option<Moment>,
    /// How far the request has got.
    sent: Option<Sent>,
    after: Option<Identity>,
    evidence: Vec<String>,
}

impl Operator {
    /// Sends the request and watches what becomes of the service.
    pub(super) async fn watch(
        &self,
        service: &Service,
        found: &Found,
        sending: &Sending,
        teller: Teller<'_>,
        stop: &CancellationToken,
    ) -> Ending {
        let began = self.clock.now();
        let running = found.processes();
        let processes: Vec<Process> = running.iter().map(|one| one.process).collect();
        let addresses = match &found.place {
            Place::Proxied(url) => vec![url.clone()],
            _ => found.endpoints.iter().map(ToString::to_string).collect(),
        };
        let subject = Subject {
            addresses,
            processes: running.iter().map(name).collect(),
            replicas: service.replicas,
        };
        let mut watch = Watch {
            operator: self,
            service,
            found,
            teller,
            known: Known {
                identities: found.identities.clone(),
                processes: processes.clone(),
                all_owners: matches!(found.owners, Some(Owners::Known { complete: true, .. })),
                sent: began,
                sent_ticks: ticks_now(),
            },
            processes,
            proof: Proof::new(subject, began),
            looks: found.looks.clone(),
            answered: None,
            sent: None,
            after: None,
            evidence: Vec::new(),
        };
        let mut ending = watch.until_the_end(sending, stop).await;
        ending.evidence.append(&mut watch.evidence);
        ending.after = ending.after.or(watch.after);
        ending
    }
}

impl Watch<'_> {
    async fn until_the_end(&mut self, sending: &Sending, stop: &CancellationToken) -> Ending {
        let asker = self.operator.asker.clone();
        let pin = self.pin_for(sending);
        let mut request = Box::pin(send(&asker, &sending.way, pin, sending.signalled));
        let mut deadline = Instant::now() + sending.way.timeout.min(FURTHEST);
        let mut glance: Pending<Glance> = None.into();
        let mut question: Pending<Heard> = None.into();
        let (mut looking, mut asking) = (false, false);
        let mut next_question = Instant::now();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let turn = select! {
                biased;
                () = stop.cancelled() => return self.interrupted(sending),
                sent = &mut request, if self.sent.is_none() => {
                    if let Some(ending) = self.after_sending(&sent, sending, &mut deadline) {
                        return ending;
                    }
                    self.note_sent(sent)
                }
                Some(seen) = &mut glance, if looking => {
                    looking = false;
                    self.look_done(seen)
                }
                Some(heard) = &mut question, if asking => {
                    asking = false;
                    self.heard(heard)
                }
                () = sleep_until(deadline) => {
                    if self.proof.almost() {
                        // One more look decides; it is on its way.
                        deadline = Instant::now() + APART;
                        continue;
                    }
                    let at = self.operator.clock.now();
                    self.proof.see(at, Seen::TimeUp)
                }
                _ = ticks.tick() => {
                    if !looking {
                        glance = Some(self.glance()).into();
                        looking = true;
                    }
                    if !asking && Instant::now() >= next_question && !self.found.tellers.is_empty() {
                        question = Some(self.question()).into();
                        asking = true;
                        next_question = Instant::now() + QUESTION;
                    }
                    continue;
                }
            };
            if let Some((stage, text)) = turn.stage {
                self.tell(stage, &text);
                if stage == Stage::Draining && self.teller.action == Action::Schedule {
                    return Ending::new(Verdict::Accepted, "it is draining".to_owned());
                }
            }
            if let Some((verdict, text)) = turn.end {
                return self.concluded(verdict, text);
            }
        }
    }

    /// The action goes to the very address whose identity was read, where it goes to the same place at all.
    fn pin_for(&self, sending: &Sending) -> Option<SocketAddr> {
        match &sending.way.means {
            Means::Http(request) => self.found.place.pinned(request, self.found.pin),
            Means::Signal(_) | Means::Exec(_) => None,
        }
    }

    /// Ends at once what is decided by the sending alone; moves the deadline where doubt is all that is left.
    fn after_sending(
        &mut self,
        sent: &Sent,
        sending: &Sending,
        deadline: &mut Instant,
    ) -> Option<Ending> {
        let scheduled = self.teller.action == Action::Schedule;
        match sent {
            Sent::Unsent(why) => Some(Ending::unsent(&format!("nothing was sent: {why}"))),
            Sent::Taken(what) if scheduled => {
                let what = what.clone();
                self.tell_step(StepKind::Accepted, &what);
                Some(Ending::new(Verdict::Accepted, what))
            }
            Sent::Unclear(_) | Sent::NobodyThere(_) if scheduled => {
                let doubt = DOUBT.min(sending.way.timeout);
                *deadline = Instant::now() + doubt;
                None
            }
            _ => None,
        }
    }

    /// Remembers how far the request has got.
    fn note_sent(&mut self, sent: Sent) -> Turn {
        let at = self.operator.clock.now();
        let turn = match &sent {
            Sent::Taken(what) => {
                self.tell_step(StepKind::Accepted, what);
                Turn::default()
            }
            Sent::TurnedDown(how) => {
                self.tell_step(StepKind::Remark, &format!("it {how}"));
                self.proof.see(at, Seen::TurnedDown(how.clone()))
            }
            Sent::NobodyThere(why) => {
                self.tell_step(StepKind::Remark, &format!("nothing was sent: {why}"));
                self.proof
                    .see(at, Seen::TurnedDown(format!("could not be asked ({why})")))
            }
            Sent::Unclear(what) | Sent::Unsent(what) => {
                self.tell_step(StepKind::Remark, what);
                Turn::default()
            }
        };
        self.evidence.push(match &sent {
            Sent::Taken(text) | Sent::TurnedDown(text) | Sent::Unclear(text) => {
                format!("reply: {text}")
            }
            Sent::NobodyThere(text) | Sent::Unsent(text) => format!("not sent: {text}"),
        });
        self.sent = Some(sent);
        turn
    }

    /// Looks at all processes, and at all addresses unless one has just answered and nothing else is in question.
    fn glance(&self) -> Pin<Box<dyn Future<Output = Glance> + Send>> {
        let now = self.operator.clock.now();
        let young = self
            .answered
            .is_some_and(|at| now.since(at) < YOUNG && !self.proof.exited());
        let endpoints = self.found.endpoints.clone();
        let processes = self.processes.clone();
        let known = if matches!(self.found.place, Place::Proxied(_)) {
            // Nobody can look past a proxy: an answer is all that there is.
            let look = if young { Look::Accepted } else { Look::Silent };
            Some(vec![look])
        } else {
            young.then(|| self.looks.clone())
        };
        Box::pin(async move {
            let addresses = match known {
                Some(known) => known,
                None => look_at(&endpoints).await,
            };
            // Last, so that a process seen alive was alive when its addresses were looked at.
            let processes = lives(&processes);
            Glance {
                addresses,
                processes,
            }
        })
    }

    fn look_done(&mut self, glance: Glance) -> Turn {
        self.looks.clone_from(&glance.addresses);
        let at = self.operator.clock.now();
        self.proof.see(
            at,
            Seen::Glance {
                addresses: glance.addresses,
                processes: glance.processes,
            },
        )
    }

    /// Asks the service about itself, at the address that was asked before or, where that has closed, at
    /// one that still accepts.
    fn question(&self) -> Pin<Box<dyn Future<Output = Heard> + Send>> {
        let pin = self.open_address();
        // Who owns the socket is worth the search only when the process that did has exited.
        let endpoint = match (&self.found.place, pin) {
            _ if self.processes.is_empty() || self.proof.runs() => None,
            (Place::Socket(path), _) => Some(Endpoint::Socket(path.clone())),
            (_, Some(address)) if is_local(address.ip()) => Some(Endpoint::Tcp(address)),
            _ => None,
        };
        let question = Question {
            asker: self.operator.asker.clone(),
            service: self.service.clone(),
            tellers: self.found.tellers.clone(),
            known: self.known.clone(),
            pin,
            endpoint,
        };
        Box::pin(question.ask())
    }

    fn open_address(&self) -> Option<SocketAddr> {
        let look_of = |wanted: SocketAddr| {
            let endpoints = self.found.endpoints.iter().zip(&self.looks);
            endpoints
                .into_iter()
                .find(|(endpoint, _)| **endpoint == Endpoint::Tcp(wanted))
                .map(|(_, look)| *look)
        };
        let pinned = self.found.pin?;
        if look_of(pinned) != Some(Look::Refused) {
            return Some(pinned);
        }
        let open = self.found.endpoints.iter().zip(&self.looks);
        open.into_iter()
            .find_map(|(endpoint, look)| match (endpoint, look) {
                (Endpoint::Tcp(address), Look::Accepted) => Some(*address),
                _ => None,
            })
            .or(Some(pinned))
    }

    fn heard(&mut self, heard: Heard) -> Turn {
        let at = self.operator.clock.now();
        let Some(seen) = heard.seen else {
            // No answer: the next look has to go out and see.
            self.answered = None;
            return Turn::default();
        };
        self.answered = Some(at);
        // An answer that broke off tells that somebody is there, but not who.
        let tells = |identity: &Identity| identity.start.is_some() || identity.instance.is_some();
        if self.after.is_none() || heard.identity.as_ref().is_some_and(tells) {
            self.after = heard.identity.or(self.after.take());
        }
        for line in heard.evidence {
            if self.evidence.len() < MOST_EVIDENCE && !self.evidence.contains(&line) {
                self.evidence.push(line);
            }
        }
        self.proof.see(at, seen)
    }

    /// The verdict of the proof, as far as something was sent at all.
    fn concluded(&mut self, verdict: Verdict, text: String) -> Ending {
        let stopped = matches!(verdict, Verdict::Stopped | Verdict::NotListening);
        if stopped {
            self.after = None;
        }
        match &self.sent {
            Some(Sent::NobodyThere(_)) if stopped => Ending::new(
                Verdict::AlreadyStopped,
                format!("{text}; it had ended before anything was sent"),
            ),
            Some(Sent::NobodyThere(why)) => Ending::unsent(&format!("nothing was sent: {why}")),
            Some(Sent::Unclear(what)) if verdict == Verdict::StillAnswering => {
                Ending::new(verdict, format!("{text}; {what}"))
            }
            None if !stopped => Ending::new(verdict, format!("{text}; no reply has come")),
            _ => Ending::new(verdict, text),
        }
    }

    /// What was done and what was not, for somebody who did not want to wait.
    fn interrupted(&mut self, sending: &Sending) -> Ending {
        let request = &sending.offer.request;
        let so_far = match &self.sent {
            Some(Sent::Taken(what)) => format!("{request} was sent and taken ({what})"),
            Some(Sent::TurnedDown(how)) => format!("{request} was sent and it {how}"),
            Some(Sent::Unclear(what)) => format!("{request} was sent ({what})"),
            Some(Sent::NobodyThere(_) | Sent::Unsent(_)) => "nothing was sent".to_owned(),
            None => format!("{request} was on its way and not yet answered"),
        };
        Ending::new(
            Verdict::Unverified,
            format!("interrupted: {so_far}; whether it stops was not waited for"),
        )
    }

    fn tell(&self, stage: Stage, text: &str) {
        let kind = match stage {
            Stage::Draining => StepKind::Draining,
            Stage::Silent => StepKind::Silent,
            Stage::Gone => StepKind::Gone,
            Stage::Back => StepKind::Remark,
        };
        self.tell_step(kind, text);
    }

    fn tell_step(&self, kind: StepKind, text: &str) {
        self.teller.step(self.operator.clock.now(), kind, text);
    }
}
