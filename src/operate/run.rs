//! Carries a plan out, one service after the other: the dependents first, and nothing more once one has not stopped.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::audit::{About, Audit};
use super::choose::choose;
use super::ending::{Ending, absent};
use super::identify::Found;
use super::{Operator, Prepared, Sending, Target};
use crate::action::{Action, Verdict};
use crate::event::{Done, Event, Step, StepKind};
use crate::health::{Identity, Moment, Sameness, text};
use crate::host::alive;
use crate::inventory::Means;

/// A plan older than this is looked at again before anything is sent.
const FRESH: Duration = Duration::from_millis(500);

/// Where the account of one action goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) events: &'a UnboundedSender<Event>,
    pub(super) service: &'a str,
    pub(super) action: Action,
    pub(super) began: Moment,
}

impl Teller<'_> {
    pub(super) fn step(&self, at: Moment, kind: StepKind, what: &str) {
        // Nobody may be listening any more; the action goes on.
        let _ = self.events.send(Event::Step(Step {
            service: self.service.to_owned(),
            action: self.action,
            kind,
            text: text::clean(what, 300),
            elapsed: at.since(self.began),
            at,
        }));
    }
}

impl Operator {
    /// Carries the plan out and gives the end of each of its services, in the order of the plan. When `stop` is
    /// cancelled, nothing more is sent, and what is under way is no longer watched: the account says so.
    pub(crate) async fn run(
        &self,
        prepared: Prepared,
        events: &UnboundedSender<Event>,
        stop: &CancellationToken,
    ) -> Vec<Done> {
        let mut ended: Vec<Done> = Vec::new();
        let audit = Audit::open(self.policy.audit.as_deref(), &self.policy.command);
        let mut failed: Option<String> = None;
        for mut target in prepared.targets {
            let done = match (&audit, &failed) {
                (Err(reason), _) | (Ok(_), Some(reason)) => {
                    self.unsent(&target, prepared.action, reason)
                }
                (Ok(audit), None) => {
                    self.one(prepared.action, &mut target, audit, events, stop)
                        .await
                }
            };
            if failed.is_none() {
                failed = if stop.is_cancelled() {
                    Some("nothing was sent: interrupted before".to_owned())
                } else if done.verdict.exit_code() == 0 {
                    None
                } else {
                    Some(format!(
                        "nothing was sent: {} before it ended as {}",
                        done.service, done.verdict
                    ))
                };
            } else if let Ok(audit) = &audit {
                let before = target.identity();
                // Nothing was sent, so a line that cannot be written hides nothing.
                let _ = audit.after(
                    about(&target, prepared.action, &before),
                    None,
                    done.verdict,
                    &done.text,
                );
            }
            let _ = events.send(Event::Done(done.clone()));
            ended.push(done);
        }
        ended
    }

    fn unsent(&self, target: &Target, action: Action, reason: &str) -> Done {
        self.done(
            &target.service.name,
            action,
            Verdict::Refused,
            reason.to_owned(),
        )
    }

    /// One service: audit, send, watch, audit.
    async fn one(
        &self,
        action: Action,
        target: &mut Target,
        audit: &Audit,
        events: &UnboundedSender<Event>,
        stop: &CancellationToken,
    ) -> Done {
        let began = self.clock.now();
        let name = target.service.name.clone();
        let teller = Teller {
            events,
            service: &name,
            action,
            began,
        };
        let ending = match self.ready(action, target, audit, teller, stop).await {
            Err(ending) => ending,
            Ok(sending) => {
                teller.step(
                    self.clock.now(),
                    StepKind::Sending,
                    &match sending.way.means {
                        Means::Exec(_) => format!("running `{}`", sending.offer.request),
                        Means::Http(_) | Means::Signal(_) => {
                            format!("sending {}", sending.offer.request)
                        }
                    },
                );
                let (service, found) = (&target.service, &target.found);
                if action == Action::Reload {
                    self.reload(service, found, &sending, teller, stop).await
                } else {
                    self.watch(service, found, &sending, teller, stop).await
                }
            }
        };
        let before = target.identity();
        let mut text = text::clean(&ending.text, 400);
        let recorded = audit.after(
            about(target, action, &before),
            ending.after.as_ref(),
            ending.verdict,
            &text,
        );
        if let Err(error) = recorded {
            text = format!("{text} (the audit file could not be written: {error})");
        }
        let at = self.clock.now();
        Done {
            service: name,
            action,
            verdict: ending.verdict,
            text,
            evidence: ending
                .evidence
                .iter()
                .map(|line| text::clean(line, 300))
                .collect(),
            parts: ending.parts,
            elapsed: at.since(began),
            at,
        }
    }

    /// What is to be sent now, or why nothing is.
    async fn ready(
        &self,
        action: Action,
        target: &mut Target,
        audit: &Audit,
        teller: Teller<'_>,
        stop: &CancellationToken,
    ) -> Result<Sending, Ending> {
        if stop.is_cancelled() {
            return Err(Ending::unsent("nothing was sent: interrupted before"));
        }
        let Some(mut sending) = target.sending.clone() else {
            return Err(Ending::already_stopped(&target.found));
        };
        let age = target
            .found
            .read_at
            .map_or(Duration::MAX, |at| self.clock.now().since(at));
        let one_has_gone = target
            .found
            .processes()
            .iter()
            .any(|running| alive(running.process) != Some(true));
        if age > FRESH || one_has_gone {
            teller.step(
                self.clock.now(),
                StepKind::Identifying,
                "looking again who answers",
            );
            let found = Found::of(&target.service, &sending.way.means, &self.asker, self.clock)
                .await
                .map_err(|reason| Ending::unsent(&format!("nothing was sent: {reason}")))?;
            if found.nothing_there() && action == Action::Reload {
                return Err(Ending::unsent(&format!(
                    "nothing was sent: it has ended, {}",
                    absent(&found)
                )));
            }
            if found.nothing_there() {
                return Err(Ending::already_stopped(&found));
            }
            if let Some(change) = changed(&target.found, &found, target.service.replicas) {
                return Err(Ending::unsent(&format!(
                    "nothing was sent: it is not the process that was shown any more ({change})"
                )));
            }
            let choice = choose(&target.service, action, &sending.way, &found)
                .map_err(|no| Ending::unsent(&format!("nothing was sent: {}", no.reason)))?;
            sending.signalled = choice.signalled;
            target.found = found;
        }
        let before = target.identity();
        audit
            .before(about(target, action, &before))
            .map_err(|error| {
                Ending::unsent(&format!(
                    "nothing was sent: the audit file cannot be written: {error}"
                ))
            })?;
        Ok(sending)
    }
}

fn about<'a>(target: &'a Target, action: Action, before: &'a Identity) -> About<'a> {
    About {
        service: &target.service.name,
        action,
        request: target.request(),
        before: Some(before),
    }
}

/// Why whoever answers now is not who was shown when somebody agreed; `None` where nothing says so.
fn changed(shown: &Found, now: &Found, replicas: bool) -> Option<String> {
    let known = shown.processes();
    if !known.is_empty()
        && known
            .iter()
            .all(|running| alive(running.process) == Some(false))
    {
        return Some(format!("pid {} has exited", known.first()?.process.pid));
    }
    if replicas {
        return None;
    }
    let now = now.identities.first()?;
    let mut evidence = None;
    for before in &shown.identities {
        let comparison = Identity::compare(before, now);
        if comparison.sameness != Sameness::New {
            return None;
        }
        evidence = comparison.evidence.into_iter().next();
    }
    evidence
}
