//! The monitor: the one loop that looks at addresses and processes while an action is under way, until its proof is
//! complete, for stop, start, reload and kill alike.
//!
//! The request, the looks and the questions to the service go on at once. None waits for another, so that a service that
//! hangs in its shutdown hides nothing.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::address::connect_all;
use super::result::{ActionEnd, Flow};
use super::send::Delivery;
use crate::action::{
    ChildExit, ConnectOutcome, LOOKS_APART, Observation, ProcessState, ProofLook, Prover,
    StopStage, Verdict,
};
use crate::health::{Moment, Process};
use crate::host::{Clock, Endpoint, alive};

/// The time between two looks.
const TICK: Duration = Duration::from_millis(25);
/// The shortest time between the end of a question to the service and the next one.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);
/// The furthest deadline: a later one might overflow the clock.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// An answer so young says as much of the address as a look.
const YOUNG: Duration = Duration::from_millis(150);
/// The time between two looks is the time for which nothing has changed, divided by this: a service that accepts connections
/// and takes none off its queue must not be flooded with them. Likewise that between two questions, each of which may be a
/// line in its log, is the time that the action has taken, divided by this.
const WAIT_DIVISOR: u32 = 8;
/// The longest time between two looks or two questions, however long nothing has changed.
const RAREST: Duration = Duration::from_millis(500);

pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A proof, and the endpoints and processes that are looked at for it.
pub(super) struct MonitorSubject<P> {
    pub(super) proof: P,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) processes: Vec<Process>,
    /// The result of the look at the endpoints from before the action.
    pub(super) first_look: Vec<ConnectOutcome>,
    /// Set where the service is behind a proxy, so that only its answers show whether anything listens.
    pub(super) is_proxied: bool,
    /// The text of the end where the action is interrupted before the proof is complete: what was done and what was not.
    pub(super) interrupted: String,
    pub(super) clock: Clock,
    /// Interrupts the action when it is cancelled.
    pub(super) cancel: CancellationToken,
    /// Ends the time that the action has when it is cancelled.
    pub(super) time_out: CancellationToken,
}

impl<P> MonitorSubject<P> {
    /// Looks at each of the processes.
    pub(super) fn process_states(&self) -> Vec<ProcessState> {
        let state = |process: &Process| match alive(*process) {
            Some(true) => ProcessState::Running,
            Some(false) => ProcessState::Exited,
            None => ProcessState::Unknown,
        };
        self.processes.iter().map(state).collect()
    }
}

/// A part of an action that the monitor watches, and the hooks by which it takes in what is observed.
pub(super) trait Monitored {
    type Proof: Prover;
    /// The answer to a question to the service.
    type Answer: Send;

    fn subject(&mut self) -> &mut MonitorSubject<Self::Proof>;

    /// Looks at its processes.
    fn process_states(&mut self) -> Vec<ProcessState> {
        self.subject().process_states()
    }

    /// Looks whether the process that was started here has exited.
    fn child_exit(&mut self) -> Option<ChildExit> {
        None
    }

    /// Begins to send the request.
    fn request(&self) -> Option<Pending<Delivery>> {
        None
    }

    /// Takes in how far the request got; `deadline` may be moved.
    fn sent(&mut self, _delivery: Delivery, _deadline: &mut Instant) -> Flow<Option<Observation>> {
        Flow::Continue(None)
    }

    /// Begins to ask the service.
    fn ask(&mut self, _looks: &[ConnectOutcome]) -> Option<Pending<Self::Answer>> {
        None
    }

    /// Takes in what was answered.
    fn answered(&mut self, answer: Self::Answer) -> Observation;

    /// Takes in what a look at the addresses has found.
    fn looked(&mut self, _looks: &[ConnectOutcome]) {}

    /// Takes in a stage that the proof has reached.
    fn reached(&mut self, _stage: StopStage, _text: &str) {}

    /// Says how it ends, where an observation decides more than its proof.
    fn observed(&mut self) -> Flow {
        Flow::Continue(())
    }
}

/// Watches until the proof is complete, `limit` is up or the action is interrupted.
pub(super) async fn monitor<W: Monitored>(
    watch: &mut W,
    limit: Duration,
) -> Flow<(Verdict, String)> {
    let (clock, cancel) = (watch.subject().clock, watch.subject().cancel.clone());
    let time_out = watch.subject().time_out.clone();
    let mut is_timed = true;
    let mut request = OptionFuture::from(watch.request());
    let mut sending = true;
    let began = Instant::now();
    let mut deadline = began + limit.min(FURTHEST);
    let mut look: OptionFuture<Pending<Vec<ConnectOutcome>>> = None.into();
    let mut question: OptionFuture<Pending<W::Answer>> = None.into();
    let (mut looking, mut asking) = (false, false);
    let mut next_question = Instant::now();
    let mut looks = Looks {
        latest: watch.subject().first_look.clone(),
        ..Looks::default()
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let observation = select! {
            biased;
            () = cancel.cancelled() => {
                let text = watch.subject().interrupted.clone();
                return Flow::Break(ActionEnd::new(Verdict::Unverified, text));
            }
            () = time_out.cancelled(), if is_timed => {
                is_timed = false;
                deadline = Instant::now();
                continue;
            }
            delivery = &mut request, if sending => {
                sending = false;
                match delivery {
                    Some(delivery) => watch.sent(delivery, &mut deadline)?,
                    None => None,
                }
            }
            Some(addresses) = &mut look, if looking => {
                looking = false;
                looks.taken(clock.now(), addresses);
                watch.looked(&looks.latest);
                // Last, so that a process seen alive was alive when its addresses were looked at.
                Some(Observation::Look(ProofLook {
                    addresses: looks.latest.clone(),
                    processes: watch.process_states(),
                    child: watch.child_exit(),
                }))
            }
            Some(answer) = &mut question, if asking => {
                asking = false;
                let wait = (began.elapsed() / WAIT_DIVISOR).clamp(BETWEEN_QUESTIONS, RAREST);
                next_question = Instant::now() + wait;
                let observation = watch.answered(answer);
                looks.heard(clock.now(), &observation);
                Some(observation)
            }
            () = sleep_until(deadline) => {
                // Where this ends nothing, one more look decides, and it is on its way.
                deadline = Instant::now() + LOOKS_APART;
                Some(Observation::TimeUp)
            }
            _ = ticks.tick() => {
                if !looking {
                    look = Some(looks.next(watch.subject(), clock.now())).into();
                    looking = true;
                }
                if !asking
                    && Instant::now() >= next_question
                    && watch.subject().proof.wants_answer()
                    && let Some(asked) = watch.ask(&looks.latest)
                {
                    question = Some(asked).into();
                    asking = true;
                }
                continue;
            }
        };
        let Some(observation) = observation else {
            continue;
        };
        let progress = watch.subject().proof.observe(clock.now(), observation);
        if let Some((stage, text)) = progress.stage {
            watch.reached(stage, &text);
        }
        watch.observed()?;
        if let Some(end) = progress.end {
            return Flow::Continue(end);
        }
    }
}

/// The latest look at the addresses, and when the next one may be left out.
#[derive(Default)]
struct Looks {
    latest: Vec<ConnectOutcome>,
    /// When the addresses were connected to last.
    taken: Option<Moment>,
    /// Since when every look has found the same, and that something accepts.
    accepts_since: Option<Moment>,
    /// When the service answered last.
    answered: Option<Moment>,
    /// Set where the look under way takes the latest one for its result.
    left_out: bool,
}

impl Looks {
    fn next(
        &mut self,
        subject: &MonitorSubject<impl Prover>,
        now: Moment,
    ) -> Pending<Vec<ConnectOutcome>> {
        let is_young = self.answered.is_some_and(|at| now.since(at) < YOUNG);
        let wait = |since| (now.since(since) / WAIT_DIVISOR).min(RAREST);
        let times = self.taken.zip(self.accepts_since);
        let is_rare = times.is_some_and(|(taken, since)| now.since(taken) < wait(since));
        let is_known = (is_young || is_rare) && may_be_left_out(&subject.proof, &self.latest);
        let known = if subject.is_proxied {
            // Nobody can look past a proxy: an answer is all that there is.
            let outcome = if is_young {
                ConnectOutcome::Accepted
            } else {
                ConnectOutcome::TimedOut
            };
            Some(vec![outcome])
        } else {
            is_known.then(|| self.latest.clone())
        };
        self.left_out = known.is_some();
        let endpoints = subject.endpoints.clone();
        Box::pin(async move {
            match known {
                Some(known) => known,
                None => connect_all(&endpoints).await,
            }
        })
    }

    fn taken(&mut self, at: Moment, addresses: Vec<ConnectOutcome>) {
        if !self.left_out {
            self.taken = Some(at);
            let accepts = addresses.contains(&ConnectOutcome::Accepted) && addresses == self.latest;
            self.accepts_since = accepts.then(|| self.accepts_since.unwrap_or(at));
        }
        self.latest = addresses;
    }

    fn heard(&mut self, at: Moment, observation: &Observation) {
        // Without an answer the next look has to go out and see.
        self.answered = matches!(
            observation,
            Observation::Answer { .. } | Observation::GatewayError(_)
        )
        .then_some(at);
    }
}

/// Returns whether the next look may be left out: never one that would prove an end.
fn may_be_left_out(prover: &impl Prover, latest: &[ConnectOutcome]) -> bool {
    latest.contains(&ConnectOutcome::Accepted) && !prover.nears_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{ProofSubject, StopProof};

    /// Returns whether a look that found this leaves the end out of sight, so that an answer may stand for the next look.
    fn check(address: ConnectOutcome, process: Option<ProcessState>, expected: bool) {
        let subject = ProofSubject {
            addresses: vec!["10.0.0.5:80".to_owned()],
            processes: process.map(|_| "pid 7".to_owned()).into_iter().collect(),
            replicas: false,
        };
        let at = Moment::at_seconds(1.0);
        let mut proof = StopProof::new(subject, at);
        let look = Observation::Look(ProofLook {
            addresses: vec![address],
            processes: process.into_iter().collect(),
            child: None,
        });
        proof.observe(at, look);
        let left_out = may_be_left_out(&proof, &[address]);
        assert_eq!(left_out, expected, "{address:?}, {process:?}");
    }

    #[test]
    fn an_answer_never_stands_for_the_look_that_would_prove_an_end() {
        check(ConnectOutcome::Accepted, Some(ProcessState::Running), true);
        check(ConnectOutcome::Accepted, None, true);
        check(ConnectOutcome::Accepted, Some(ProcessState::Exited), false);
        check(ConnectOutcome::Refused, Some(ProcessState::Running), false);
        check(ConnectOutcome::Refused, Some(ProcessState::Exited), false);
        check(ConnectOutcome::Refused, None, false);
        check(ConnectOutcome::TimedOut, None, false);
    }
}
