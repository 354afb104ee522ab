//! The report of an action: a line a service for people, an array for programs.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::action::{Action, Proposal, ProposedAction, START_COMMAND, Verdict};
use crate::event::{ActionResult, InstanceInfo};
use crate::health::Part;
use crate::text::TextTable;

/// The report of an action on one service: what was proposed, and the result where the action was carried out or refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ActionReport<'a> {
    service: &'a str,
    action: Action,
    means: Option<&'a str>,
    request: Option<&'a str>,
    /// The start command that follows, where the request is only the first phase of a restart.
    then: Option<&'a str>,
    target: Option<&'a str>,
    /// The steps of a proposal, in the order of the whole plan.
    steps: Vec<NumberedStep>,
    verdict: Option<Verdict>,
    exit_code: Option<u8>,
    text: Option<&'a str>,
    evidence: &'a [String],
    parts: &'a [Part],
    before: Option<&'a InstanceInfo>,
    after: Option<&'a InstanceInfo>,
    drain_seconds: Option<f64>,
    start_seconds: Option<f64>,
    ready_seconds: Option<f64>,
    log: &'a [String],
    elapsed_seconds: Option<f64>,
    at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize)]
struct NumberedStep {
    /// The place of the step among all steps, from 1.
    number: usize,
    does: &'static str,
}

impl<'a> ActionReport<'a> {
    /// Reports the result of an action, and what had been proposed.
    pub(crate) fn of_result(
        result: &'a ActionResult,
        proposed: Option<&'a ProposedAction>,
    ) -> Self {
        Self::new((&result.service, result.action), proposed, Some(result))
    }

    /// Reports what would be done, in the order in which it begins.
    pub(crate) fn of_proposal(proposal: &'a Proposal) -> Vec<Self> {
        let offers = proposal.offers.iter();
        offers
            .map(|offer| {
                let steps = proposal.steps_of(&offer.service);
                Self {
                    steps: steps
                        .map(|(number, goal)| NumberedStep {
                            number,
                            does: goal.as_str(),
                        })
                        .collect(),
                    ..Self::new((&offer.service, offer.action), Some(offer), None)
                }
            })
            .collect()
    }

    fn new(
        (service, action): (&'a str, Action),
        proposed: Option<&'a ProposedAction>,
        result: Option<&'a ActionResult>,
    ) -> Self {
        let details = result.map(|result| &result.details);
        let times = details.map(|details| details.times).unwrap_or_default();
        Self {
            service,
            action,
            means: proposed.map(|it| it.means.as_str()),
            request: proposed.map(|it| it.request.as_str()),
            then: proposed.and_then(|it| it.then.as_deref()),
            target: proposed.map(|it| it.target.as_str()),
            steps: Vec::new(),
            verdict: result.map(|it| it.verdict),
            exit_code: result.map(|it| it.verdict.exit_code()),
            text: result.map(|it| it.text.as_str()),
            evidence: result.map(|it| it.evidence.as_slice()).unwrap_or_default(),
            parts: result.map(|it| it.parts.as_slice()).unwrap_or_default(),
            before: details.and_then(|it| it.before.as_ref()),
            after: details.and_then(|it| it.after.as_ref()),
            drain_seconds: times.drain.map(seconds),
            start_seconds: times.start.map(seconds),
            ready_seconds: times.ready.map(seconds),
            log: details.map(|it| it.log.as_slice()).unwrap_or_default(),
            elapsed_seconds: result.map(|it| seconds(it.elapsed)),
            at: result.map(|it| it.at.wall),
        }
    }

    /// Formats the array for programs, a service a line.
    pub(crate) fn json(reports: &[Self]) -> String {
        let lines: Vec<String> = reports
            .iter()
            .filter_map(|report| serde_json::to_string(report).ok())
            .collect();
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
            report.verdict.is_some() && matches!(report.action, Action::Start | Action::Restart)
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
        let time = |seconds: Option<f64>| {
            seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}s"))
        };
        for report in reports {
            table.add_row([
                report.service.to_owned(),
                report.verdict.map(|it| it.to_string()).unwrap_or_default(),
                time(report.drain_seconds),
                time(report.start_seconds),
                time(report.ready_seconds),
                time(report.elapsed_seconds),
            ]);
        }
        table
    }

    fn line(&self, color: bool) -> String {
        let Some(verdict) = self.verdict else {
            return self.conditional();
        };
        let verdict = match (color, verdict.exit_code()) {
            (false, _) => verdict.to_string(),
            (true, 0) => format!("\u{1b}[32m{verdict}\u{1b}[0m"),
            (true, _) => format!("\u{1b}[31m{verdict}\u{1b}[0m"),
        };
        let text = self.text.unwrap_or_default();
        let took = match self.elapsed_seconds {
            Some(seconds) if seconds > 0.0 => format!(" ({seconds:.1}s)"),
            _ => String::new(),
        };
        format!("{}: {verdict}: {text}{took}", self.service)
    }

    fn conditional(&self) -> String {
        let means = self.means.unwrap_or("-");
        let verb = if means == START_COMMAND {
            "run"
        } else {
            "send"
        };
        let then = match self.then {
            Some(then) => format!(", then run {then}"),
            None => String::new(),
        };
        format!(
            "{}: {} would {verb} {}{then}; target: {}; means: {means}",
            self.service,
            self.action,
            self.request.unwrap_or("-"),
            self.target.unwrap_or("-"),
        )
    }
}

/// Converts to seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Goal, PlanStep};
    use crate::event::{ActionDetails, PhaseTimes};
    use crate::health::{Moment, ReloadStatus};

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
