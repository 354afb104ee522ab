//! The two enums between the engine and everything else: [`Event`], which only the engine publishes, and [`Input`],
//! the only way in which anything but a probe changes what the engine knows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::action::{Action, Verdict};
use crate::health::{
    Change, HostFinding, LifecycleEvent, Moment, Part, ServiceSnapshot, StartProgress,
};

/// An event that the engine publishes.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The newest snapshot of a service.
    Snapshot {
        snapshot: Arc<ServiceSnapshot>,
        /// The differences to the snapshot before; empty where only counters, ages and latencies moved.
        changed: Vec<Change>,
    },
    /// The load of the engine, published once a second at the most.
    Load(Load),
    /// An action on one service came a step further.
    ActionStep(ActionStep),
    /// An action on one service ended. The snapshots that show its effect come before it.
    ActionResult(Box<ActionResult>),
    /// A remark for people that belongs to no probe (an inventory was read again, …).
    Notice { at: Moment, text: String },
}

/// A message to the engine. A message about a service that is not watched is ignored.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// Probe now, beside the schedule: all probes of one service, or of all services (`None`).
    ProbeNow {
        /// The name of the service.
        service: Option<String>,
    },
    /// An action on a service came a step further.
    ActionStep(ActionStep),
    /// An action on a service ended.
    ActionResult(Box<ActionResult>),
    /// Something that belongs to no probe and that people should read.
    Notice { text: String },
    /// Stops or resumes the probes of a service.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "no command pauses a service yet")
    )]
    Pause {
        /// The name of the service.
        service: String,
        /// `true` stops them, `false` resumes them.
        on: bool,
    },
    /// Findings about a service on this machine, which no probe can know. They replace the findings before.
    HostFinding {
        /// The name of the service.
        service: String,
        /// All that was found.
        finding: Box<HostFinding>,
    },
    /// Ends the engine. Probes in flight are dropped.
    Stop,
}

/// The load of the engine: does it keep its schedule?
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Load {
    /// Probes asked since the start.
    pub(crate) asked: u64,
    /// Grid points passed over because the probe before was still under way.
    pub(crate) skipped: u64,
    /// Probes under way now.
    pub(crate) in_flight: usize,
    /// The largest lateness of the last minute: from the time a probe was due to its start.
    pub(crate) worst_lateness: Duration,
}

/// A step of an action under way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActionStep {
    pub(crate) service: String,
    pub(crate) action: Action,
    pub(crate) kind: StepKind,
    /// A sentence about it: `draining, 3 in flight`, `gone after 2.1 s`. Cleaned.
    pub(crate) text: String,
    /// Since the action began.
    pub(crate) elapsed: Duration,
    pub(crate) at: Moment,
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// The identity is being read.
    Identifying,
    /// The request or signal is being sent.
    Sending,
    /// The request or signal was accepted.
    Accepted,
    /// The service drains.
    Draining,
    /// Nothing answers any more; the process is being waited for.
    Silent,
    /// The process is gone.
    Gone,
    /// A new process was started.
    Started,
    /// The service answers that it is ready.
    Ready,
    /// The process is proved to be another one than before.
    Proved,
    /// Something worth knowing, without a step forward.
    Remark,
}

/// The process that answered, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InstanceInfo {
    /// The address that it answered at.
    pub(crate) address: Option<String>,
    /// The pid, where the process is on this machine.
    pub(crate) pid: Option<u32>,
    /// When the kernel started that process, RFC 3339, UTC.
    pub(crate) process_started_at: Option<Timestamp>,
    /// The name of the instance, as reported.
    pub(crate) instance: Option<String>,
    /// When it says that it started, RFC 3339, UTC.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) version: Option<String>,
}

/// The duration of each phase of an action, as far as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PhaseTimes {
    /// From the request until its end was proved.
    pub(crate) drain: Option<Duration>,
    /// From its end, or the beginning, until its program ran.
    pub(crate) start: Option<Duration>,
    /// From there until it was ready and proved to be the one.
    pub(crate) ready: Option<Duration>,
}

/// The details of an action that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ActionDetails {
    pub(crate) before: Option<InstanceInfo>,
    pub(crate) after: Option<InstanceInfo>,
    pub(crate) times: PhaseTimes,
    /// The first and the last lines that a service wrote that did not come up. Cleaned.
    pub(crate) log: Vec<String>,
    /// The action was refused because another healthctl was acting on the service.
    pub(crate) busy: bool,
    /// The precheck of the start command failed, so nothing was done.
    pub(crate) code_rejected: bool,
    /// The action was an automatic restart.
    pub(crate) automatic: bool,
}

/// The end of an action on one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActionResult {
    pub(crate) service: String,
    pub(crate) action: Action,
    pub(crate) verdict: Verdict,
    /// Why, with the evidence: one line, cleaned.
    pub(crate) text: String,
    /// Signals that were weighed, a line each.
    pub(crate) evidence: Vec<String>,
    /// The result of a reload for each part of the configuration, as far as the service reports it. Cleaned.
    pub(crate) parts: Vec<Part>,
    pub(crate) details: ActionDetails,
    /// Since the action began.
    pub(crate) elapsed: Duration,
    pub(crate) at: Moment,
}

impl ActionStep {
    /// Returns what the step says about the life of the service's process, so that a service that healthctl stops or
    /// starts looks neither broken nor like a mystery.
    pub(crate) fn lifecycle(&self) -> Vec<LifecycleEvent> {
        if self.action == Action::Reload {
            return Vec::new();
        }
        let not_listening = |process_runs| LifecycleEvent::NotListening { process_runs };
        match self.kind {
            StepKind::Accepted => vec![LifecycleEvent::ShutdownAccepted],
            StepKind::Silent => vec![not_listening(true)],
            // The process may have exited without a reply. Then this is the first sign that it took the request.
            StepKind::Gone => vec![LifecycleEvent::ShutdownAccepted, not_listening(false)],
            StepKind::Started => vec![
                LifecycleEvent::Started,
                LifecycleEvent::Start(StartProgress::Begun),
            ],
            _ => Vec::new(),
        }
    }
}

impl ActionResult {
    /// Returns the result as one line for people: `restart of orders: restarted: …`.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} of {}: {}: {}",
            self.action, self.service, self.verdict, self.text
        )
    }

    /// Returns what the result says about the life of the service's process.
    pub(crate) fn lifecycle(&self) -> Vec<LifecycleEvent> {
        if self.verdict == Verdict::Refused {
            return Vec::new();
        }
        let succeeded = self.verdict.exit_code() == 0;
        // Who has only accepted a request goes on, for a while or for good.
        let goes_on = self.action == Action::Reload || self.verdict == Verdict::Accepted;
        let mut events = Vec::new();
        if succeeded && !goes_on {
            events.push(LifecycleEvent::NotListening {
                process_runs: false,
            });
        }
        if matches!(self.action, Action::Start | Action::Restart) {
            events.push(LifecycleEvent::Start(match self.verdict {
                _ if succeeded => StartProgress::Proved,
                Verdict::Died | Verdict::NotReady => StartProgress::Failed,
                _ => StartProgress::Abandoned,
            }));
        }
        events
    }

    /// Returns whether the service is to be probed at once: its process may be another one, or configured differently.
    pub(crate) fn calls_for_probe(&self) -> bool {
        let changes = matches!(
            self.action,
            Action::Reload | Action::Start | Action::Restart
        );
        changes && self.verdict != Verdict::Refused
    }
}

/// The status of automatic restart: whether it is on, and which services it has given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AutoRestartStatus {
    pub(crate) on: bool,
    pub(crate) given_up: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: Action, kind: StepKind) -> String {
        let step = ActionStep {
            service: "api".to_owned(),
            action,
            kind,
            text: String::new(),
            elapsed: Duration::ZERO,
            at: Moment::at_seconds(0.0),
        };
        in_short(&step.lifecycle())
    }

    fn result(action: Action, verdict: Verdict) -> String {
        let result = ActionResult {
            service: "api".to_owned(),
            action,
            verdict,
            text: String::new(),
            evidence: Vec::new(),
            parts: Vec::new(),
            details: ActionDetails::default(),
            elapsed: Duration::ZERO,
            at: Moment::at_seconds(0.0),
        };
        let probe = if result.calls_for_probe() {
            ", probe"
        } else {
            ""
        };
        (in_short(&result.lifecycle()) + probe)
            .trim_start_matches(", ")
            .to_owned()
    }

    fn in_short(events: &[LifecycleEvent]) -> String {
        let words: Vec<String> = events
            .iter()
            .map(|event| match event {
                LifecycleEvent::ShutdownAccepted => "accepted".to_owned(),
                LifecycleEvent::NotListening { process_runs } => format!("runs {process_runs}"),
                LifecycleEvent::Started => "started".to_owned(),
                LifecycleEvent::Start(progress) => format!("{progress:?}"),
            })
            .collect();
        words.join(", ")
    }

    #[test]
    fn the_steps_of_a_shutdown_explain_the_silence_after_it() {
        for action in [Action::Shutdown, Action::Schedule, Action::Restart] {
            assert_eq!(step(action, StepKind::Sending), "");
            assert_eq!(step(action, StepKind::Accepted), "accepted");
            assert_eq!(step(action, StepKind::Silent), "runs true");
            assert_eq!(step(action, StepKind::Gone), "accepted, runs false");
        }
        assert_eq!(step(Action::Reload, StepKind::Accepted), "");
        assert_eq!(result(Action::Shutdown, Verdict::Stopped), "runs false");
        assert_eq!(result(Action::Shutdown, Verdict::StillAnswering), "");
        // Its process drains, and may have closed its port already.
        assert_eq!(result(Action::Schedule, Verdict::Accepted), "");
    }

    #[test]
    fn a_start_is_awaited_until_its_result() {
        for action in [Action::Start, Action::Restart] {
            assert_eq!(step(action, StepKind::Started), "started, Begun");
            assert_eq!(step(action, StepKind::Ready), "");
            assert_eq!(result(action, Verdict::Died), "Failed, probe");
            assert_eq!(result(action, Verdict::NotReady), "Failed, probe");
            assert_eq!(result(action, Verdict::SameProcess), "Abandoned, probe");
            assert_eq!(result(action, Verdict::Refused), "");
        }
        let proved = "runs false, Proved, probe";
        assert_eq!(result(Action::Restart, Verdict::Restarted), proved);
        assert_eq!(result(Action::Start, Verdict::Started), proved);
        assert_eq!(result(Action::Reload, Verdict::Reloaded), "probe");
        assert_eq!(result(Action::Reload, Verdict::ReloadRejected), "probe");
    }
}
