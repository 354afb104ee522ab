//! The two halves of what is done to a service: it goes down, it comes up. Each sends at most once, and tells how it
//! ended where nothing more follows.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::amount::{
    accepting, already_running, came_up, changed, gone_then_back, has_stopped, not_made_room,
    ready_unseen, renewed_by, running,
};
use super::audit::{About, Audit, party};
use super::choose::{choose, offer_to_start};
use super::come_up::Up;
use super::ending::{Ending, absent};
use super::identify::Found;
use super::look::look_at;
use super::prepare::runs;
use super::run::Teller;
use super::{Operator, Sending, Target, Todo};
use crate::action::{Action, Course, Known, Look, Then, Verdict, course};
use crate::event::{Facts, StepKind, Times};
use crate::health::{Identity, Moment};
use crate::host::alive;
use crate::host::records::Lock;
use crate::inventory::Means;

/// A plan older than this is looked at again before anything is sent.
const FRESH: Duration = Duration::from_millis(500);
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
    pub(super) times: Times,
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
            times: Times::default(),
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
    pub(super) fn facts(&mut self, ending: &mut Ending) -> Facts {
        let mut evidence = std::mem::take(&mut self.evidence);
        evidence.append(&mut ending.evidence);
        ending.evidence = evidence;
        let known =
            |identity: &Identity| (*identity != Identity::default()).then(|| party(identity));
        Facts {
            before: known(&self.before()),
            after: ending.after.as_deref().and_then(known),
            times: self.times,
            log: std::mem::take(&mut ending.log),
            busy: false,
        }
    }
}

impl Operator {
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
                sending.way.timeout.saturating_sub(took),
                with,
            )
            .await;
        }
        if case.target.then == Then::End {
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
        if case.target.then == Then::End
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
            .watch(
                &target.service,
                &target.found,
                sending,
                with.teller,
                with.stop,
            )
            .await;
        let stays = matches!(
            ending.verdict,
            // Also one whose queue is full, that could not be asked.
            Verdict::StillAnswering
                | Verdict::StillDraining
                | Verdict::Unverified
                | Verdict::Refused
        );
        if stays && self.policy.force && !with.stop.is_cancelled() {
            let left = sending.way.timeout.saturating_sub(began.elapsed());
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
            .end_session(
                record,
                target.found.led,
                patience,
                &mut ending.evidence,
                with.teller,
            )
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
        match case.target.then {
            Then::Successor => self.replaced(case, with).await,
            Then::Start | Then::End | Then::GoesOn => self.started(case, with).await,
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

    /// Nobody may have come in between, and the record has to be written before anything is started.
    async fn may_start(
        &self,
        case: &mut Case,
        stopped_before: bool,
        with: With<'_>,
    ) -> Result<(), Ending> {
        if with.stop.is_cancelled() {
            return Err(Ending::unsent("nothing was started: interrupted before"));
        }
        let target = &mut case.target;
        if stopped_before {
            let looks = look_at(&target.found.endpoints).await;
            if looks.contains(&Look::Accepted) {
                return Err(gone_then_back(&format!(
                    "it stopped, and something listens at {} again before it was started here",
                    accepting(&target.found, &looks)
                )));
            }
            return Ok(());
        }
        let ran = matches!(target.todo, Todo::Nothing);
        let fresh = self.is_fresh(&target.found);
        if ran && fresh {
            return Err(already_running(&target.found));
        }
        if !fresh {
            let record = self
                .record(&target.key)
                .map_err(|why| Ending::unsent(&format!("nothing was started: {why}")))?;
            let found = Found::of(&target.service, None, &self.asker, self.clock, record)
                .await
                .map_err(|why| Ending::unsent(&format!("nothing was started: {why}")))?;
            if !found.nothing_there() {
                runs(&target.service, &found)
                    .map_err(|no| Ending::unsent(&format!("nothing was started: {}", no.reason)))?;
                let ending = already_running(&found);
                target.found = found;
                return Err(ending);
            }
            if ran {
                return Err(Ending::unsent(&format!(
                    "nothing was started: it ran when the plan was made and has ended since, {}",
                    absent(&found)
                )));
            }
            target.found = found;
        }
        record_before(target, with)
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
        let left = sending.way.timeout.saturating_sub(took);
        let means = &sending.way.means;
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
        let what = match sending.way.means {
            Means::Exec(ref exec) if exec.cwd == Path::new("") => {
                format!("running `{}`", sending.offer.request)
            }
            Means::Exec(_) => format!("running {}", sending.offer.request),
            Means::Http(_) | Means::Signal(_) => format!("sending {}", sending.offer.request),
        };
        with.teller.step(self.clock.now(), StepKind::Sending, &what);
    }

    /// What is to be sent now, or why nothing is.
    async fn ready(&self, target: &mut Target, with: With<'_>) -> Result<Sending, Ending> {
        if with.stop.is_cancelled() {
            return Err(Ending::unsent("nothing was sent: interrupted before"));
        }
        let Todo::Send(mut sending) = target.todo.clone() else {
            return Err(self.still_stopped(target).await);
        };
        let known = target.found.processes();
        let known = known.iter().map(|running| running.process);
        let one_has_gone = known
            .chain(sending.signalled)
            .any(|process| alive(process) != Some(true));
        if !self.is_fresh(&target.found) || one_has_gone {
            self.look_again(target, &mut sending, with).await?;
        }
        if target.then == Then::Start {
            let startable = self.startable(&target.service, &target.key).await;
            startable.map_err(|why| {
                Ending::unsent(&format!(
                    "nothing was sent: it could not be started again: {why}"
                ))
            })?;
        }
        record_before(target, with)?;
        Ok(sending)
    }

    fn is_fresh(&self, found: &Found) -> bool {
        let read_at = found.read_at;
        read_at.is_some_and(|at| self.clock.now().since(at) <= FRESH)
    }

    /// Of one that had stopped when the plan was made.
    async fn still_stopped(&self, target: &Target) -> Ending {
        let unsent = |reason: &str| Ending::unsent(&format!("nothing was sent: {reason}"));
        let record = match self.record(&target.key) {
            Ok(record) => record,
            Err(why) => return unsent(&why),
        };
        match Found::of(&target.service, None, &self.asker, self.clock, record).await {
            Ok(found) if found.nothing_there() => Ending::already_stopped(&found),
            Ok(found) => unsent(&format!(
                "it had stopped when the plan was made and was started since: {}",
                running(&found)
            )),
            Err(why) => unsent(&why),
        }
    }

    async fn look_again(
        &self,
        target: &mut Target,
        sending: &mut Sending,
        with: With<'_>,
    ) -> Result<(), Ending> {
        with.teller.step(
            self.clock.now(),
            StepKind::Identifying,
            "looking again who answers",
        );
        let unsent = |reason: &str| Ending::unsent(&format!("nothing was sent: {reason}"));
        let record = self.record(&target.key).map_err(|why| unsent(&why))?;
        let means = Some(&sending.way.means);
        let was_there = !target.found.nothing_there();
        let found = Found::of(&target.service, means, &self.asker, self.clock, record)
            .await
            .map_err(|reason| unsent(&reason))?;
        if found.nothing_there() {
            match target.then {
                Then::GoesOn => return Err(unsent(&format!("it has ended, {}", absent(&found)))),
                Then::End | Then::Start => {
                    let ending = Ending::already_stopped(&found);
                    target.found = found;
                    return Err(ending);
                }
                Then::Successor if was_there => {
                    return Err(unsent(&format!("it has ended, {}", absent(&found))));
                }
                Then::Successor => {}
            }
        }
        if let Some(change) = changed(&target.found, &found, target.service.replicas) {
            return Err(unsent(&format!(
                "it is not the process that was shown any more ({change})"
            )));
        }
        let course: Course =
            course(&target.service, with.action).map_err(|no| unsent(&no.reason))?;
        let choice = choose(&target.service, with.action, &course, &sending.way, &found)
            .map_err(|no| unsent(&no.reason))?;
        if let (Some(shown), Some(now)) = (sending.signalled, choice.signalled)
            && shown != now
        {
            return Err(unsent(&format!(
                "the signal was to go to pid {}, and now it would go to pid {}",
                shown.pid, now.pid
            )));
        }
        sending.offer = choice.offer;
        sending.signalled = choice.signalled;
        target.todo = Todo::Send(sending.clone());
        target.found = found;
        Ok(())
    }
}

/// A restart of one that has stopped by itself has its first half behind it.
fn begun(target: &Target, verdict: Verdict) -> bool {
    target.then == Then::Start && verdict == Verdict::AlreadyStopped
}

/// Nothing is sent that is not on record.
fn record_before(target: &Target, with: With<'_>) -> Result<(), Ending> {
    let before = target.identity();
    let request = target.request();
    with.audit
        .before(About {
            service: &target.service.name,
            action: with.action,
            request: request.as_deref(),
            before: Some(&before),
        })
        .map_err(|error| {
            Ending::unsent(&format!(
                "nothing was sent: the audit file cannot be written: {error}"
            ))
        })
}
