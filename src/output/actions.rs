//! The report of an action: a line a service for people, an array for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::action::{Action, Goal, Proposal, ProposedAction, START_COMMAND};
use crate::event::ActionResult;
use crate::text::TextTable;

/// The report of an action on one service: what was proposed, and the result where the action was carried out or refused.
#[derive(Debug, Clone)]
pub(crate) struct ActionReport<'a> {
    service: &'a str,
    action: Action,
    proposed: Option<&'a ProposedAction>,
    /// The steps of a proposal, with the place of each in the whole plan, from 1.
    steps: Vec<(usize, Goal)>,
    result: Option<&'a ActionResult>,
}

impl<'a> ActionReport<'a> {
    /// Reports the result of an action, and what had been proposed.
    pub(crate) fn of_result(
        result: &'a ActionResult,
        proposed: Option<&'a ProposedAction>,
    ) -> Self {
        Self {
            service: &result.service,
            action: result.action,
            proposed,
            steps: Vec::new(),
            result: Some(result),
        }
    }

    /// Reports what would be done, in the order in which it begins.
    pub(crate) fn of_proposal(proposal: &'a Proposal) -> Vec<Self> {
        let offers = proposal.offers.iter();
        offers
            .map(|offer| Self {
                service: &offer.service,
                action: offer.action,
                proposed: Some(offer),
                steps: proposal.steps_of(&offer.service).collect(),
                result: None,
            })
            .collect()
    }

    fn json_one(&self) -> Value {
        let (offer, result) = (self.proposed, self.result);
        let details = result.map(|result| &result.details);
        let times = details.map(|details| details.times).unwrap_or_default();
        let steps = self.steps.iter();
        let steps = steps.map(|(number, goal)| json!({"number": number, "does": goal.as_str()}));
        json!({
            "service": self.service,
            "action": self.action,
            "means": offer.map(|it| &it.means),
            "request": offer.map(|it| &it.request),
            "after_reply": offer.and_then(|it| it.after_reply.as_ref()),
            "otherwise": offer.and_then(|it| it.otherwise.as_ref()),
            "then": offer.and_then(|it| it.then.as_ref()),
            "target": offer.map(|it| &it.target),
            "steps": steps.collect::<Vec<_>>(),
            "verdict": result.map(|it| it.verdict),
            "exit_code": result.map(|it| it.verdict.exit_code()),
            "text": result.map(|it| &it.text),
            "evidence": result.map(|it| it.evidence.as_slice()).unwrap_or_default(),
            "parts": result.map(|it| it.parts.as_slice()).unwrap_or_default(),
            "before": details.and_then(|it| it.before.as_ref()),
            "after": details.and_then(|it| it.after.as_ref()),
            "drain_seconds": times.drain.map(seconds),
            "start_seconds": times.start.map(seconds),
            "ready_seconds": times.ready.map(seconds),
            "log": details.map(|it| it.log.as_slice()).unwrap_or_default(),
            "elapsed_seconds": result.map(|it| seconds(it.elapsed)),
            "at": result.map(|it| it.at.wall),
        })
    }

    /// Formats the array for programs, a service a line.
    pub(crate) fn json(reports: &[Self]) -> String {
        let lines = reports.iter().map(|report| report.json_one().to_string());
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() {
            return "[]\n".to_owned();
        }
        format!("[\n  {}\n]\n", lines.join(",\n  "))
    }

    /// Formats a line a service for people. Where several were started or restarted, a table of the times follows.
    pub(crate) fn text(reports: &[Self], color: bool) -> String {
        let mut out = String::new();
        for report in reports {
            let _ = writeln!(out, "{}", report.line(color));
        }
        let starts = |report: &Self| {
            report.result.is_some() && matches!(report.action, Action::Start | Action::Restart)
        };
        if reports.len() > 1 && reports.iter().all(starts) {
            let _ = write!(out, "\n{}", Self::table(reports));
        }
        out
    }

    /// Formats what would be done: a line a service, then, for several, the order.
    pub(crate) fn plan(proposal: &Proposal, color: bool) -> String {
        let mut out = ActionReport::text(&ActionReport::of_proposal(proposal), color);
        if proposal.offers.len() > 1 {
            let _ = writeln!(out, "\nin this order: {}", proposal.sequence());
        }
        out
    }

    fn table(reports: &[Self]) -> TextTable {
        let titles = ["SERVICE", "VERDICT", "DRAIN", "START", "READY", "IN ALL"];
        let mut table = TextTable::new(&titles, false);
        let time = |span: Option<Duration>| Some(format!("{:.1}s", seconds(span?)));
        for result in reports.iter().filter_map(|report| report.result) {
            let times = result.details.times;
            table.add_texts([
                Some(result.service.clone()),
                Some(result.verdict.to_string()),
                time(times.drain),
                time(times.start),
                time(times.ready),
                time(Some(result.elapsed)),
            ]);
        }
        table
    }

    fn line(&self, color: bool) -> String {
        let Some(result) = self.result else {
            return self.proposed.map(conditional).unwrap_or_default();
        };
        let verdict = result.verdict;
        let verdict = match (color, verdict.exit_code()) {
            (false, _) => verdict.to_string(),
            (true, 0) => format!("\u{1b}[32m{verdict}\u{1b}[0m"),
            (true, _) => format!("\u{1b}[31m{verdict}\u{1b}[0m"),
        };
        let took = match seconds(result.elapsed) {
            seconds if seconds > 0.0 => format!(" ({seconds:.1}s)"),
            _ => String::new(),
        };
        format!("{}: {verdict}: {}{took}", self.service, result.text)
    }
}

/// Formats what would be done to a service.
fn conditional(offer: &ProposedAction) -> String {
    let ProposedAction {
        service,
        action,
        means,
        target,
        ..
    } = offer;
    let request = offer.request_in_full();
    let verb = if means == START_COMMAND {
        "run"
    } else {
        "send"
    };
    let then = match &offer.then {
        Some(then) => format!(", then run {then}"),
        None => String::new(),
    };
    format!("{service}: {action} would {verb} {request}{then}; target: {target}; means: {means}")
}

/// Converts to seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{PlanStep, Verdict};
    use crate::event::{ActionDetails, PhaseTimes};
    use crate::health::{Moment, Part, ReloadStatus};

    fn done() -> ActionResult {
        ActionResult {
            service: "api".to_owned(),
            action: Action::Shutdown,
            verdict: Verdict::Stopped,
            text: "127.0.0.1:8000 refuses connections and pid 4711 (api) has exited".to_owned(),
            evidence: vec!["reply: answered 200 OK".to_owned()],
            parts: Vec::new(),
            details: ActionDetails::default(),
            elapsed: Duration::from_millis(2125),
            at: Moment::at_seconds(0.0),
        }
    }

    fn proposal() -> Proposal {
        Proposal {
            offers: vec![offer()],
            order: vec![PlanStep {
                service: "api".to_owned(),
                goal: Goal::Stop,
            }],
        }
    }

    fn offer() -> ProposedAction {
        ProposedAction {
            service: "api".to_owned(),
            action: Action::Shutdown,
            means: "shutdown route (waits for the end)".to_owned(),
            request: "POST http://localhost:8000/health/shutdown".to_owned(),
            after_reply: None,
            otherwise: None,
            then: None,
            target: "127.0.0.1:8000, pid 4711 (api)".to_owned(),
            timeout: Duration::from_secs(40),
            protected: false,
        }
    }

    #[test]
    fn a_result_is_a_line_for_people() {
        let (done, offer) = (done(), offer());
        let ended = [ActionReport::of_result(&done, Some(&offer))];
        assert_eq!(
            ActionReport::text(&ended, false),
            "api: stopped: 127.0.0.1:8000 refuses connections and pid 4711 (api) has exited (2.1s)\n"
        );
        assert!(ActionReport::text(&ended, true).contains("\u{1b}[32mstopped\u{1b}[0m"));
        assert_eq!(
            ActionReport::plan(&proposal(), false),
            "api: shutdown would send POST http://localhost:8000/health/shutdown; target: 127.0.0.1:8000, pid 4711 (api); means: shutdown route (waits for the end)\n"
        );
    }

    #[test]
    fn several_restarts_get_a_table_of_their_times() {
        let mut first = done();
        first.action = Action::Restart;
        first.verdict = Verdict::Restarted;
        first.details.times = PhaseTimes {
            drain: Some(Duration::from_millis(1_240)),
            start: Some(Duration::from_millis(310)),
            ready: Some(Duration::from_millis(575)),
        };
        let mut second = done();
        second.action = Action::Restart;
        second.verdict = Verdict::Refused;
        second.service = "database".to_owned();
        second.elapsed = Duration::ZERO;
        let reports = [&first, &second].map(|done| ActionReport::of_result(done, None));
        let text = ActionReport::text(&reports, false);
        let (_, table) = text.split_once("\n\n").unwrap();
        assert_eq!(
            table,
            "SERVICE   VERDICT    DRAIN  START  READY  IN ALL\n\
             api       restarted  1.2s   0.3s   0.6s   2.1s\n\
             database  refused    -      -      -      0.0s\n"
        );
    }

    #[test]
    fn results_are_an_array_for_programs() {
        let mut reloaded = done();
        reloaded.parts = vec![Part {
            name: "port".to_owned(),
            status: ReloadStatus::NeedsRestart,
            word: Some("restart_required".to_owned()),
            message: None,
        }];
        let json: serde_json::Value =
            serde_json::from_str(&ActionReport::json(&[ActionReport::of_result(
                &reloaded, None,
            )]))
            .unwrap();
        assert_eq!(
            json[0]["parts"],
            serde_json::json!([{"name": "port", "status": "needs-restart", "word": "restart_required", "message": null}])
        );
        let (done, offer) = (done(), offer());
        let ended = ActionReport::of_result(&done, Some(&offer));
        let proposal = proposal();
        let reports = [vec![ended], ActionReport::of_proposal(&proposal)].concat();
        let json: serde_json::Value = serde_json::from_str(&ActionReport::json(&reports)).unwrap();
        assert_eq!(json[0]["verdict"], "stopped");
        assert_eq!(json[0]["exit_code"], 0);
        assert_eq!(json[0]["elapsed_seconds"], 2.125);
        assert_eq!(json[0]["at"], "2026-11-22T10:00:00Z");
        assert_eq!(json[1]["verdict"], serde_json::Value::Null);
        assert_eq!(
            json[1]["request"],
            "POST http://localhost:8000/health/shutdown"
        );
        assert_eq!(json[0]["steps"], serde_json::json!([]));
        assert_eq!(
            json[1]["steps"],
            serde_json::json!([{"number": 1, "does": "stop"}])
        );
        assert_eq!(ActionReport::json(&[]), "[]\n");
    }
}
