//! The last look before anything is sent or started: a plan may be old, and somebody may have acted since. What has changed
//! is told, and what was agreed to is done to nobody else; and nothing is done that is not on record.

use std::time::Duration;

use super::amount::{accepting, already_running, changed, gone_then_back, running};
use super::audit::About;
use super::choose::choose;
use super::ending::{Ending, absent};
use super::halves::{Case, With};
use super::identify::Found;
use super::look::look_at;
use super::prepare::runs;
use super::{Executor, Sending, Target, Todo};
use crate::action::{ActionPlan, Goal, Look, plan_action};
use crate::event::StepKind;
use crate::host::alive;

/// A plan older than this is looked at again before anything is sent.
const FRESH: Duration = Duration::from_millis(500);

impl Executor {
    /// Nobody may have come in between, and the record has to be written before anything is started.
    pub(super) async fn may_start(
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
            let trace = self
                .trace(&target.key)
                .map_err(|why| Ending::unsent(&format!("nothing was started: {why}")))?;
            let found = Found::of(&target.service, None, &self.asker, self.clock, trace)
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

    /// What is to be sent now, or why nothing is.
    pub(super) async fn ready(
        &self,
        target: &mut Target,
        with: With<'_>,
    ) -> Result<Sending, Ending> {
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
        if target.goal == Goal::Start {
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
        let trace = match self.trace(&target.key) {
            Ok(trace) => trace,
            Err(why) => return unsent(&why),
        };
        match Found::of(&target.service, None, &self.asker, self.clock, trace).await {
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
        let trace = self.trace(&target.key).map_err(|why| unsent(&why))?;
        let means = Some(&sending.method.means);
        let was_there = !target.found.nothing_there();
        let found = Found::of(&target.service, means, &self.asker, self.clock, trace)
            .await
            .map_err(|reason| unsent(&reason))?;
        if found.nothing_there() {
            match target.goal {
                Goal::Reload => return Err(unsent(&format!("it has ended, {}", absent(&found)))),
                Goal::Stop | Goal::Start => {
                    let ending = Ending::already_stopped(&found);
                    target.found = found;
                    return Err(ending);
                }
                Goal::Replace if was_there => {
                    return Err(unsent(&format!("it has ended, {}", absent(&found))));
                }
                Goal::Replace => {}
            }
        }
        if let Some(change) = changed(&target.found, &found, target.service.replicas) {
            return Err(unsent(&format!(
                "it is not the process that was shown any more ({change})"
            )));
        }
        let plan: ActionPlan =
            plan_action(&target.service, with.action).map_err(|no| unsent(&no.reason))?;
        let choice = choose(&target.service, with.action, &plan, &sending.method, &found)
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
