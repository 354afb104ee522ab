//! The two halves of what is done to a service: it goes down, it comes up. Each sends at most once, and tells how it
//! ended where nothing more follows.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::amount::{came_up, has_stopped, not_made_room, ready_unseen, renewed_by};
use super::audit::{Audit, party};
use super::choose::offer_to_start;
use super::come_up::Up;
use super::ending::Ending;
use super::run::Teller;
use super::{Executor, Sending, Target, Todo};
use crate::action::{Action, Goal, Known, Verdict};
use crate::event::{ActionDetails, PhaseTimes, StepKind};
use crate::health::{Identity, Moment};
use crate::host::records::Lock;
use crate::inventory::Means;

/// What a started service left behind is waited for so long, where its own time is up already.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// One service while its plan is carried out.
pub(super) struct Case {
    pub(super) target: Target,
    pub(super) began: Option<Moment>,
    /// What was known when its stop was sent, and on its way to be compared with who comes up.
    pub(super) known: Option<Known>,
    before: Option<Identity>,
    pub(super) evidence: Vec<String>,
    pub(super) times: PhaseTimes,
    /// Nobody else acts on it while this is held.
    pub(super) lock: Option<Lock>,
}

/// What a half is carried out with.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    pub(super) action: Action,
    pub(super) audit: &'a Audit,
    pub(super) stop: &'a CancellationToken,
    pub(super) teller: Teller<'a>,
}

impl Case {
    pub(super) fn new(target: Target, lock: Option<Lock>) -> Self {
        Self {
            target,
            began: None,
            known: None,
            before: None,
            evidence: Vec::new(),
            times: PhaseTimes::default(),
            lock,
        }
    }

    /// Who was there before, as far as anybody was.
    pub(super) fn before(&self) -> Identity {
        self.before
            .clone()
            .unwrap_or_else(|| self.target.identity())
    }

    /// What else is known of its end; what was weighed before goes to the ending.
    pub(super) fn details(&mut self, ending: &mut Ending) -> ActionDetails {
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.append(&mut ending.evidence);
        ending.evidence = evidence;
        let known =
            |identity: &Identity| (*identity != Identity::default()).then(|| party(identity));
        ActionDetails {
            before: known(&self.before()),
            after: ending.after.as_deref().and_then(known),
            times: self.times,
            log: std::mem::take(&mut ending.log).into_vec(),
            busy: false,
        }
    }
}

impl Executor {
    /// Stops it. Nothing comes back where it has stopped and is to be started again.
    pub(super) async fn down(&self, case: &mut Case, with: With<'_>) -> Option<Ending> {
        let sending = match self.ready(&mut case.target, with).await {
            Err(ending) if begun(&case.target, ending.verdict) && self.policy.only_running => {
                return Some(Ending::unsent(&format!(
                    "nothing was started: it has ended meanwhile: {}",
                    ending.text
                )));
            }
            // It has ended by itself meanwhile; what remains is to start it.
            Err(ending) if begun(&case.target, ending.verdict) => {
                case.evidence.push(ending.text);
                let target = &mut case.target;
                let timeout = self.ready_timeout(&target.service);
                target.todo = Todo::Start(offer_to_start(
                    &target.service,
                    with.action,
                    &target.found,
                    timeout,
                ));
                return None;
            }
            Err(ending) => {
                if ending.verdict == Verdict::AlreadyStopped {
                    self.put_down(case);
                }
                return Some(ending);
            }
            Ok(sending) => sending,
        };
        self.put_down(case);
        self.tell_sending(&sending, with);
        let sent = self.clock.now();
        case.known = Some(case.target.found.known(sent));
        case.before = Some(case.target.identity());
        let mut ending = self.stopping(&case.target, &sending, with).await;
        let stopped = has_stopped(ending.verdict);
        if stopped {
            case.times.drain = Some(self.clock.now().since(sent));
            let took = self.clock.now().since(sent);
            self.leave_nothing(
                &case.target,
                &mut ending,
                sending.method.timeout.saturating_sub(took),
                with,
            )
            .await;
        }
        if case.target.goal == Goal::Stop {
            if matches!(
                ending.verdict,
                Verdict::Refused | Verdict::StillAnswering | Verdict::GoneThenBack
            ) {
                self.lift(case);
            }
            return Some(ending);
        }
        if has_stopped(ending.verdict) {
            case.evidence.append(&mut ending.evidence);
            case.evidence.push(ending.text);
            return None;
        }
        Some(not_made_room(ending, &case.target))
    }

    /// Notes that the service is to be down, where that is what was asked for: a dashboard that restarts what is unhealthy
    /// by itself must not undo it.
    fn put_down(&self, case: &mut Case) {
        let Some(records) = self.policy.records.as_ref() else {
            return;
        };
        if case.target.goal == Goal::Stop
            && let Err(why) = records.put_down(&case.target.key)
        {
            let what = "that it is to be down could not be noted";
            case.evidence.push(format!("{what}: {why}"));
        }
    }

    /// Notes that the service is to run.
    fn lift(&self, case: &mut Case) {
        let Some(records) = self.policy.records.as_ref() else {
            return;
        };
        if let Err(why) = records.lift(&case.target.key) {
            let what = "the note that it is to be down is still there";
            case.evidence.push(format!("{what}: {why}"));
        }
    }

    /// Sends, watches, and kills where that was asked for.
    async fn stopping(&self, target: &Target, sending: &Sending, with: With<'_>) -> Ending {
        let began = Instant::now();
        let ending = self
            .watch(&target.service, &target.found, sending, target.goal, with)
            .await;
        let stays = ending.unreached
            || matches!(
                ending.verdict,
                Verdict::StillAnswering | Verdict::StillDraining | Verdict::Unverified
            );
        if stays && self.policy.force && !with.stop.is_cancelled() {
            let left = sending.method.timeout.saturating_sub(began.elapsed());
            return self.force(&target.found, sending, left, ending, with).await;
        }
        ending
    }

    /// Ends what a started service left of its session, and forgets its record.
    async fn leave_nothing(
        &self,
        target: &Target,
        ending: &mut Ending,
        left: Duration,
        with: With<'_>,
    ) {
        let (Some(records), Some(record)) = (&self.policy.records, &target.found.record) else {
            return;
        };
        if record.leader().is_some() {
            return;
        }
        let patience = left.max(LEFT_BEHIND);
        let stay = self
            .end_session(record, target.found.led, patience, ending, with.teller)
            .await;
        if !stay.is_empty() {
            let evidence = std::mem::take(&mut ending.evidence);
            *ending = Ending::new(
                Verdict::StillDraining,
                format!(
                    "{}, but {} still run, which it left behind",
                    ending.text,
                    stay.join(", ")
                ),
            );
            ending.evidence = evidence;
            return;
        }
        if let Err(why) = records.forget(&target.key) {
            ending.evidence.push(format!("its record stays: {why}"));
        }
    }

    /// Starts it or replaces it.
    pub(super) async fn up(&self, case: &mut Case, with: With<'_>) -> Ending {
        if !with.stop.is_cancelled() {
            self.lift(case);
        }
        match case.target.goal {
            Goal::Replace => self.replaced(case, with).await,
            Goal::Start | Goal::Stop | Goal::Reload => self.started(case, with).await,
        }
    }

    /// Has it read its configuration again: the one half that leaves it up.
    pub(super) async fn reloaded(&self, case: &mut Case, with: With<'_>) -> Ending {
        match self.ready(&mut case.target, with).await {
            Err(ending) => ending,
            Ok(sending) => {
                self.tell_sending(&sending, with);
                let target = &case.target;
                self.reload(
                    &target.service,
                    &target.found,
                    &sending,
                    with.teller,
                    with.stop,
                )
                .await
            }
        }
    }

    async fn started(&self, case: &mut Case, with: With<'_>) -> Ending {
        let stopped_before = case.times.drain.is_some();
        match self.may_start(case, stopped_before, with).await {
            Ok(()) => {}
            Err(ending) if ending.verdict == Verdict::AlreadyRunning => {
                return self.ready_already(&case.target, ending, with).await;
            }
            Err(ending) => return ending,
        }
        if case.known.is_none() {
            case.known = Some(case.target.found.known(self.clock.now()));
        }
        match self.start(&case.target, with.teller, with.stop).await {
            Err(ending) if stopped_before => Ending {
                text: format!("it was stopped; {}", ending.text),
                ..ending
            },
            Err(ending) => ending,
            Ok(up) => {
                case.times.start = Some(up.start);
                case.times.ready = Some(up.ready);
                if stopped_before {
                    self.compared(case, &up, with)
                } else {
                    came_up(&up)
                }
            }
        }
    }

    async fn replaced(&self, case: &mut Case, with: With<'_>) -> Ending {
        let sending = match self.ready(&mut case.target, with).await {
            Err(ending) => return ending,
            Ok(sending) => sending,
        };
        self.tell_sending(&sending, with);
        let sent = self.clock.now();
        let ran_before = !case.target.found.nothing_there();
        case.known = Some(case.target.found.known(sent));
        case.before = ran_before.then(|| case.target.identity());
        let mut ending = self.stopping(&case.target, &sending, with).await;
        let stopped = has_stopped(ending.verdict);
        if stopped {
            case.times.drain = Some(self.clock.now().since(sent));
        }
        let unseen = ending.unseen;
        if !stopped && !unseen && ending.verdict != Verdict::GoneThenBack {
            return not_made_room(ending, &case.target);
        }
        let proved_gone = ending.verdict == Verdict::Stopped;
        case.evidence.append(&mut ending.evidence);
        case.evidence.push(ending.text);
        let took = self.clock.now().since(sent);
        let left = sending.method.timeout.saturating_sub(took);
        let means = &sending.method.means;
        match self
            .succeed(&case.target, means, left, with.teller, with.stop)
            .await
        {
            Err(ending) => ending,
            Ok(up) => {
                case.times.start = Some(up.start);
                case.times.ready = Some(up.ready);
                if unseen {
                    ready_unseen(&up)
                } else if ran_before {
                    let up = Up {
                        is_ours: proved_gone,
                        ..up
                    };
                    self.compared(case, &up, with)
                } else {
                    came_up(&up)
                }
            }
        }
    }

    /// Compares who has come up with who was there before, and tells what proves that it is another one.
    fn compared(&self, case: &mut Case, up: &Up, with: With<'_>) -> Ending {
        let weighed = case.evidence.len();
        let ending = renewed_by(case, up);
        let proof = case.evidence.get(weighed..).unwrap_or_default();
        if ending.verdict == Verdict::Restarted && !proof.is_empty() {
            let what = format!("proved new: {}", proof.join("; "));
            with.teller.step(self.clock.now(), StepKind::Proved, &what);
        }
        ending
    }

    fn tell_sending(&self, sending: &Sending, with: With<'_>) {
        let does = match sending.method.means {
            Means::Exec(_) => "running",
            Means::Http(_) | Means::Signal(_) => "sending",
        };
        let what = format!("{does} {}", sending.offer.request);
        with.teller.step(self.clock.now(), StepKind::Sending, &what);
    }
}

/// A restart of one that has stopped by itself has its first half behind it.
fn begun(target: &Target, verdict: Verdict) -> bool {
    target.goal == Goal::Start && verdict == Verdict::AlreadyStopped
}
