//! Sends, and looks until the end is proved or the time is up.
//!
//! Three things go on at once: the request itself, looks at addresses and processes, and questions to the
//! service. None of them waits for another, so that a service that hangs in its shutdown hides nothing.

mod looks;
mod sent;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use self::looks::Glance;
use super::ending::Ending;
use super::halves::With;
use super::identify::Found;
use super::question::Heard;
use super::run::Teller;
use super::send::{Sent, send};
use super::{Executor, Sending};
use crate::action::{APART, Goal, Known, Look, Proof, Seen, Stage, Verdict, Who};
use crate::event::StepKind;
use crate::health::{Identity, Moment, Process};
use crate::inventory::Service;

/// Between two looks.
const TICK: Duration = Duration::from_millis(25);
/// Between the beginnings of two questions to the service.
const QUESTION: Duration = Duration::from_millis(50);
/// No deadline is further away: a longer one must not overflow the clock.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

type Pending<T> = OptionFuture<Pin<Box<dyn Future<Output = T> + Send>>>;

/// All that is watched of one action, and what has been seen.
struct Watch<'a> {
    executor: &'a Executor,
    service: &'a Service,
    found: &'a Found,
    teller: Teller<'a>,
    processes: Vec<Process>,
    known: Known,
    proof: Proof,
    looks: Vec<Look>,
    /// When its addresses were last looked at, and since when all that was seen there is that something accepts.
    looked: Option<Moment>,
    accepts_since: Option<Moment>,
    /// The latest answer of the service and where it came from.
    answered: Option<Moment>,
    /// How far the request has got.
    sent: Option<Sent>,
    after: Option<Identity>,
    /// Whose the latest answer is.
    who: Option<Who>,
    evidence: Vec<String>,
    /// What told who answers.
    weighed: Vec<String>,
    /// What is known of those that a started service leaves behind.
    leftover: Leftover,
    signalled: Vec<Process>,
}

/// Those that a started service leaves behind in its session when its own process goes: a shell's or npm's child, which
/// goes on listening, and which the signal to its parent has not reached.
#[derive(Debug, Clone, Copy)]
enum Leftover {
    /// Its own process is not seen to have gone.
    None,
    /// It has gone, first seen at this time.
    Since(Moment),
    /// They were signalled.
    Signalled,
    /// One of them may be who is waited for.
    Awaited,
}

impl Executor {
    /// Sends the request and watches what becomes of the service.
    pub(super) async fn watch(
        &self,
        service: &Service,
        found: &Found,
        sending: &Sending,
        goal: Goal,
        with: With<'_>,
    ) -> Ending {
        let With { teller, stop, .. } = with;
        let began = self.clock.now();
        let known = found.known(began);
        let subject = found.subject(service, &found.processes());
        let mut watch = Watch {
            executor: self,
            service,
            found,
            teller,
            processes: known.processes.clone(),
            known,
            proof: Proof::new(subject, began),
            looks: found.looks.clone(),
            looked: None,
            accepts_since: None,
            answered: None,
            sent: None,
            after: None,
            who: None,
            evidence: Vec::new(),
            weighed: Vec::new(),
            // A successor may be a child of the one that goes.
            leftover: if goal == Goal::Replace {
                Leftover::Awaited
            } else {
                Leftover::None
            },
            signalled: Vec::new(),
        };
        let mut ending = watch.until_the_end(sending, stop).await;
        ending.evidence.append(&mut watch.evidence);
        ending.after = ending.after.or(watch.after.map(Box::new));
        ending.who = watch.who;
        ending.signalled = watch.signalled.into_boxed_slice();
        ending
    }
}

impl Watch<'_> {
    async fn until_the_end(&mut self, sending: &Sending, stop: &CancellationToken) -> Ending {
        let asker = self.executor.asker.clone();
        let pin = self.found.pin_for(&sending.method.means);
        let mut request = Box::pin(send(&asker, &sending.method, pin, sending.signalled));
        let mut deadline = Instant::now() + sending.method.timeout.min(FURTHEST);
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
                went = &mut request, if self.sent.is_none() => {
                    let sent = Sent::from(went);
                    if let Some(ending) = self.after_sending(&sent, sending, &mut deadline) {
                        return ending;
                    }
                    let turn = self.note_sent(sent, sending);
                    if self.proof.is_blind() {
                        return self.unseen();
                    }
                    turn
                }
                Some(seen) = &mut glance, if looking => {
                    looking = false;
                    self.end_leftover();
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
                    let at = self.executor.clock.now();
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
            }
            if self.in_doubt() && self.proof.drains() {
                return Ending::new(Verdict::Accepted, "it is draining".to_owned());
            }
            if let Some((verdict, text)) = turn.end {
                return self.concluded(verdict, text);
            }
        }
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
        self.teller.step(self.executor.clock.now(), kind, text);
    }
}
