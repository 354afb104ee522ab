//! What the steps and the end of an action explain to the engine, so that a service that is being stopped or started by
//! us looks neither broken nor like a mystery.

use crate::action::{Action, Verdict};
use crate::engine::Input;
use crate::event::{Done, Event, Step, StepKind};
use crate::health::Awaiting;

/// What an event of an action explains to the engine about the service's silence.
pub(super) fn explains(event: &Event) -> Vec<Input> {
    match event {
        Event::Step(step) if step.action != Action::Reload => step_explains(step),
        Event::Done(done) if done.verdict != Verdict::Refused => end_explains(done),
        _ => Vec::new(),
    }
}

fn step_explains(step: &Step) -> Vec<Input> {
    let service = || step.service.clone();
    let accepted = || Input::ShutdownAccepted { service: service() };
    let lingers = |runs_on| Input::Lingers {
        service: service(),
        runs_on,
    };
    match step.kind {
        StepKind::Accepted => vec![accepted()],
        StepKind::Silent => vec![lingers(true)],
        // It may have gone without a reply: then this is the first that is known of its taking the request.
        StepKind::Gone => vec![accepted(), lingers(false)],
        StepKind::Started => vec![
            Input::Started { service: service() },
            Input::Awaited {
                service: service(),
                awaiting: Awaiting::Begun,
            },
        ],
        _ => Vec::new(),
    }
}

fn end_explains(done: &Done) -> Vec<Input> {
    let service = || done.service.clone();
    let good = done.verdict.exit_code() == 0;
    let mut inputs = Vec::new();
    if good {
        inputs.push(Input::Lingers {
            service: service(),
            runs_on: false,
        });
    }
    if matches!(done.action, Action::Start | Action::Restart) {
        let failed = matches!(done.verdict, Verdict::Died | Verdict::NotReady);
        let awaiting = match done.verdict {
            _ if good => Awaiting::Proved,
            _ if failed => Awaiting::Failed,
            _ => Awaiting::Over,
        };
        inputs.push(Input::Awaited {
            service: service(),
            awaiting,
        });
        if failed {
            inputs.push(Input::ProbeNow {
                service: Some(service()),
            });
        }
    }
    inputs
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Facts;
    use crate::health::Moment;

    /// What is said to the engine of a step, or of an end, in short.
    fn step(action: Action, kind: StepKind) -> String {
        said(&Event::Step(Step {
            service: "api".to_owned(),
            action,
            kind,
            text: String::new(),
            elapsed: Duration::ZERO,
            at: Moment::at_seconds(0.0),
        }))
    }

    fn end(action: Action, verdict: Verdict) -> String {
        said(&Event::Done(Box::new(Done {
            service: "api".to_owned(),
            action,
            verdict,
            text: String::new(),
            evidence: Vec::new(),
            parts: Vec::new(),
            facts: Facts::default(),
            elapsed: Duration::ZERO,
            at: Moment::at_seconds(0.0),
        })))
    }

    fn said(event: &Event) -> String {
        let inputs = explains(event);
        let words: Vec<String> = inputs
            .iter()
            .map(|input| match input {
                Input::ShutdownAccepted { .. } => "accepted".to_owned(),
                Input::Lingers { runs_on, .. } => format!("runs on {runs_on}"),
                Input::Started { .. } => "started".to_owned(),
                Input::Awaited { awaiting, .. } => format!("{awaiting:?}"),
                Input::ProbeNow { .. } => "ask now".to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        words.join(", ")
    }

    #[test]
    fn the_engine_is_told_what_explains_a_silence() {
        for action in [Action::Shutdown, Action::Schedule, Action::Restart] {
            assert_eq!(step(action, StepKind::Sending), "");
            assert_eq!(step(action, StepKind::Accepted), "accepted");
            assert_eq!(step(action, StepKind::Silent), "runs on true");
            assert_eq!(step(action, StepKind::Gone), "accepted, runs on false");
        }
        assert_eq!(step(Action::Reload, StepKind::Accepted), "");
        assert_eq!(end(Action::Shutdown, Verdict::Stopped), "runs on false");
        assert_eq!(end(Action::Shutdown, Verdict::StillAnswering), "");
    }

    #[test]
    fn what_is_started_is_waited_for_until_its_end_is_told() {
        for action in [Action::Start, Action::Restart] {
            assert_eq!(step(action, StepKind::Started), "started, Begun");
            assert_eq!(step(action, StepKind::Ready), "");
            assert_eq!(end(action, Verdict::Died), "Failed, ask now");
            assert_eq!(end(action, Verdict::NotReady), "Failed, ask now");
            assert_eq!(end(action, Verdict::SameProcess), "Over");
            assert_eq!(end(action, Verdict::Refused), "", "it may be another's");
        }
        let proved = "runs on false, Proved";
        assert_eq!(end(Action::Restart, Verdict::Restarted), proved);
        assert_eq!(end(Action::Start, Verdict::Started), proved);
    }
}
