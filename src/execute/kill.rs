//! Kills a service that has not stopped otherwise, where that was asked for; and ends the processes that a started service
//! has left in its session when its own process has exited.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use super::PlannedRequest;
use super::facts::{Circumstances, ProcessFacts};
use super::force::AFTER_TERM;
use super::monitor::{MonitorSubject, Monitored, monitor};
use super::ownership::ProcessProof;
use super::phases::TargetRun;
use super::result::{ActionEnd, Flow};
use super::signal::{ProvenTarget, send_to_all, signal_name, target_names};
use crate::action::{ExitProof, Goal, LOOKS_APART, Observation, Verdict};
use crate::event::StepKind;
use crate::health::Process;
use crate::host::pid_file::PidFile;
use crate::text;

/// The time that a process has to end after SIGKILL; only one that is stuck in the kernel needs longer.
const AFTER_KILL: Duration = Duration::from_secs(5);
/// The time that a leftover of the session has where the time of the stop is up already.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// Watches until processes have gone.
struct ExitWatch {
    subject: MonitorSubject<ExitProof>,
}

impl Monitored for ExitWatch {
    type Proof = ExitProof;
    type Answer = Observation;

    fn subject(&mut self) -> &mut MonitorSubject<ExitProof> {
        &mut self.subject
    }

    fn answered(&mut self, answer: Observation) -> Observation {
        answer
    }
}

impl TargetRun<'_> {
    /// Ends a service that has not stopped by other means, and watches whether it is gone: a process that has had no signal
    /// gets SIGTERM first, with what is `left` of the time for that; then comes SIGKILL.
    pub(super) async fn kill(
        &self,
        request: &PlannedRequest,
        left: Duration,
        mut result: ActionEnd,
    ) -> ActionEnd {
        let first = self.killable(request).await;
        if first.is_empty() {
            result.text += "; no process is known that could be killed";
            return result;
        }
        let mut evidence = result.evidence;
        evidence.push(format!("before it was forced: {}", result.text));
        let mut why = result.text;
        let asked = request.first().map(ProvenTarget::process);
        let mut unasked = first.clone();
        unasked.retain(|one| {
            Some(one.process()) != asked && !result.signalled.contains(&one.process())
        });
        if !unasked.is_empty() {
            let patience = left.max(AFTER_TERM.min(request.method.timeout));
            if self.target.force.asked().is_cancelled() {
                let after = text::format_duration(Duration::from_secs(patience.as_secs()));
                why = format!("{why}; SIGKILL was agreed to and follows after {after}");
            }
            self.send_to(&unasked, Signal::TERM, &why, &mut evidence);
            match self.watch_exit(&first, patience, self.context.cancel).await {
                Verdict::Unverified => {
                    let text = format!(
                        "interrupted: SIGTERM was sent to {}; whether it ends was not waited for",
                        target_names(&unasked)
                    );
                    return ActionEnd::new(Verdict::Unverified, text).with_evidence(evidence);
                }
                Verdict::Stopped => return self.killed(&first, "was ended by SIGTERM", evidence),
                _ => "SIGTERM has not ended it".clone_into(&mut why),
            }
        }
        let mut killed = self.killable(request).await;
        if killed.is_empty() {
            let text = format!(
                "{} was ended by SIGTERM, and something listens at its address all the same",
                target_names(&first)
            );
            return ActionEnd::new(Verdict::GoneThenBack, text).with_evidence(evidence);
        }
        if let Err(why) = self.record_kill(&killed) {
            let text = format!("{why}, so SIGKILL was not sent");
            return ActionEnd::new(Verdict::StillAnswering, text).with_evidence(evidence);
        }
        self.send_to(&killed, Signal::KILL, &why, &mut evidence);
        // A process of the first ones that went by itself has to be gone as well.
        killed.extend(first);
        let uncancelled = CancellationToken::new();
        if self.watch_exit(&killed, AFTER_KILL, &uncancelled).await == Verdict::Stopped {
            killed.sort_by_key(|one| one.process().pid);
            killed.dedup_by_key(|one| one.process());
            return self.killed(&killed, "did not stop and was killed", evidence);
        }
        let text = "SIGKILL was sent, and it is still there";
        ActionEnd::new(Verdict::StillAnswering, text).with_evidence(evidence)
    }

    /// Writes a line of the audit where a person has asked for SIGKILL after the action had begun.
    ///
    /// # Errors
    /// The audit file cannot be written.
    fn record_kill(&self, targets: &[ProvenTarget]) -> Result<(), String> {
        if !self.target.force.asked().is_cancelled() {
            return Ok(());
        }
        let before = self.before();
        let mut subject = self.audit_subject(&before);
        let names = target_names(targets);
        subject.request = Some(format!(
            "SIGKILL to {names}, asked for while it was stopping"
        ));
        let written = self.context.audit.write(&subject, None);
        written.map_err(|error| format!("the audit file cannot be written: {error}"))
    }

    fn send_to(
        &self,
        targets: &[ProvenTarget],
        signal: Signal,
        why: &str,
        evidence: &mut Vec<String>,
    ) {
        let (sent, names) = (signal_name(signal), target_names(targets));
        self.tell(
            StepKind::Remark,
            &format!("{why}; sending {sent} to {names}"),
        );
        evidence.extend(send_to_all(targets, signal));
    }

    fn killed(&self, targets: &[ProvenTarget], how: &str, evidence: Vec<String>) -> ActionEnd {
        self.tell(StepKind::Gone, "it is gone");
        let text = format!("{} {how}", target_names(targets));
        ActionEnd::new(Verdict::Stopped, text).with_evidence(evidence)
    }

    /// Watches until the processes have gone and nothing accepts at the address: [`Verdict::Stopped`].
    async fn watch_exit(
        &self,
        targets: &[ProvenTarget],
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Verdict {
        let processes = targets.iter().map(ProvenTarget::process).collect();
        let subject = MonitorSubject {
            cancel: cancel.clone(),
            ..self.subject(ExitProof::new(LOOKS_APART), processes, String::new())
        };
        verdict_of(ExitWatch { subject }, limit).await
    }

    /// Watches until a service that was asked to stop before has ended: [`Verdict::Stopped`].
    pub(super) async fn watch_end(&self, processes: Vec<Process>, limit: Duration) -> Verdict {
        let subject = self.subject(ExitProof::new(LOOKS_APART), processes, String::new());
        verdict_of(ExitWatch { subject }, limit).await
    }

    /// Ends the processes that a started service has left behind after it has stopped, and removes its record.
    pub(super) async fn end_session(&self, result: &mut ActionEnd, left: Duration) {
        let facts = &self.target.facts.processes;
        let records = self.context.executor.policy.records.as_ref();
        let (Some(records), Some(record)) = (records, &facts.record) else {
            return;
        };
        // Exactly the process that the person has named is signalled, so that nothing is known of what else runs.
        if record.may_run() || self.target.facts.named.is_some() {
            return;
        }
        let remaining = match self.end_leftovers(left.max(LEFT_BEHIND), result).await {
            Ok(remaining) => remaining,
            Err(why) => {
                result.evidence.push(format!("its record stays: {why}"));
                return;
            }
        };
        if !remaining.is_empty() {
            result.verdict = Verdict::StillDraining;
            let names: Vec<String> = remaining.iter().map(ProvenTarget::described).collect();
            result.text = format!(
                "{}, but {} still run, which it left behind",
                result.text,
                names.join("; ")
            );
            result.after = None;
            result.responder = None;
            result.unseen = false;
        } else if let Err(why) = records.forget(&self.target.key) {
            result.evidence.push(format!("its record stays: {why}"));
        }
    }

    /// Signals what is left behind, and returns the processes that remain.
    async fn end_leftovers(
        &self,
        patience: Duration,
        result: &mut ActionEnd,
    ) -> Result<Vec<ProvenTarget>, String> {
        let all = self.left_behind().await?;
        if all.is_empty() {
            return Ok(all);
        }
        let signalled = std::mem::take(&mut result.signalled);
        let mut unasked = all.clone();
        unasked.retain(|one| !signalled.contains(&one.process()));
        if !unasked.is_empty() {
            let what = format!(
                "SIGTERM to {}, which it left behind",
                target_names(&unasked)
            );
            self.tell(StepKind::Remark, &format!("sending {what}"));
            result.evidence.push(format!("sent {what}"));
            result.evidence.extend(send_to_all(&unasked, Signal::TERM));
        }
        self.target
            .force
            .stopping(&all, self.target.goal == Goal::Start);
        let watch = |limit, time_out: CancellationToken| {
            let proof = ExitProof::new(Duration::ZERO);
            let processes = all.iter().map(ProvenTarget::process).collect();
            let subject = MonitorSubject {
                endpoints: Vec::new(),
                cancel: CancellationToken::new(),
                time_out,
                ..self.subject(proof, processes, String::new())
            };
            verdict_of(ExitWatch { subject }, limit)
        };
        let asked = self.target.force.asked();
        // Force that was asked for before takes no time from those that get SIGTERM only now.
        let time_out = if asked.is_cancelled() {
            CancellationToken::new()
        } else {
            asked.clone()
        };
        let remain = watch(patience, time_out).await != Verdict::Stopped;
        self.target.force.stop_ended();
        if remain && self.is_forced() {
            let mut remaining = all.clone();
            remaining.retain(|one| one.accepts_signals().is_ok());
            if !remaining.is_empty() {
                self.record_kill(&remaining)?;
                let names = target_names(&remaining);
                let what = format!("SIGTERM has not ended them; sending SIGKILL to {names}");
                self.tell(StepKind::Remark, &what);
                let what = format!("SIGKILL was sent to {names}, which it left behind");
                result.evidence.push(what);
                result
                    .evidence
                    .extend(send_to_all(&remaining, Signal::KILL));
                watch(AFTER_KILL, CancellationToken::new()).await;
            }
        }
        self.left_behind().await
    }

    /// Decides anew which processes are the service's own, now that nothing of it listens: what its start has left behind.
    async fn left_behind(&self) -> Result<Vec<ProvenTarget>, String> {
        let mut left = self.proved_now().await?;
        let from_start =
            |one: &ProvenTarget| matches!(one.proof(), ProcessProof::Keeper | ProcessProof::Record);
        left.retain(from_start);
        Ok(left)
    }

    /// Decides anew which processes are the service's own, by its record and its pid file.
    ///
    /// # Errors
    /// A process cannot be held open, so that none may be signalled.
    async fn proved_now(&self) -> Result<Vec<ProvenTarget>, String> {
        let target = &self.target;
        let service = Arc::clone(&target.service);
        let record = target.facts.processes.record.clone();
        // Who listens is not looked at here, so that a pid file proves no more than it did before anything was sent.
        let own = target.facts.processes.ownership.own.iter();
        let by_file = own.filter(|one| one.proof == ProcessProof::PidFile);
        let by_file: Vec<Process> = by_file.map(|one| one.running.process).collect();
        let other_processes = target.other_services.look().await;
        let circumstances = Circumstances {
            named: target.facts.named,
            ..Circumstances::default()
        };
        let deciding = tokio::task::spawn_blocking(move || {
            let mut facts = ProcessFacts::read(&service, record);
            let is_proved = |file: &PidFile| matches!(file, PidFile::Names(it) if by_file.contains(&it.running.process));
            facts.pid_file = facts.pid_file.filter(is_proved);
            facts.decide(&service, &[], &other_processes, circumstances);
            ProvenTarget::all(&facts)
        });
        deciding.await.map_err(|error| error.to_string())?
    }

    /// Returns every process that is proved to be the service's own and can be signalled: who is left of the list from before
    /// anything was sent, and who was proved since.
    async fn killable(&self, request: &PlannedRequest) -> Vec<ProvenTarget> {
        let mut targets = request.list.clone();
        // Where newcomers cannot be held open, those of the list still are.
        for one in self.proved_now().await.unwrap_or_default() {
            if targets.iter().all(|it| it.process() != one.process()) {
                targets.push(one);
            }
        }
        targets.retain(|target| target.accepts_signals().is_ok());
        targets
    }
}

async fn verdict_of(mut watch: ExitWatch, limit: Duration) -> Verdict {
    match monitor(&mut watch, limit).await {
        Flow::Continue((verdict, _)) => verdict,
        Flow::Break(end) => end.verdict,
    }
}
