//! What became of each service of an action: a line each for people, an array for machines.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::action::{Action, Goal, Proposal, ProposedAction, START_COMMAND, Verdict};
use crate::event::{ActionResult, InstanceInfo};
use crate::health::{Part, ReloadStatus};
use crate::text::Table;

/// One service of an action: what was offered, and how it ended where it was carried out or refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    service: String,
    action: Action,
    means: Option<String>,
    request: Option<String>,
    /// The start command that follows, where the request is only the first half of a restart.
    then: Option<String>,
    target: Option<String>,
    /// What would be done to it, in the order of the whole plan.
    steps: Vec<Step>,
    verdict: Option<Verdict>,
    exit_code: Option<u8>,
    text: Option<String>,
    evidence: Vec<String>,
    /// What a reload did with each part of the configuration.
    parts: Vec<PartAccount>,
    /// Who answered before, and after.
    before: Option<InstanceInfo>,
    after: Option<InstanceInfo>,
    /// From the request until its end was proved, until its program listened, and until it was ready.
    drain_seconds: Option<f64>,
    start_seconds: Option<f64>,
    ready_seconds: Option<f64>,
    /// The first and the last lines that a service wrote that did not come up.
    log: Vec<String>,
    elapsed_seconds: Option<f64>,
    at: Option<Timestamp>,
}

/// One part of what would be done.
#[derive(Debug, Clone, Serialize)]
struct Step {
    /// Its place among all that would be done, from 1.
    number: usize,
    does: &'static str,
}

/// One part of a configuration that was read again.
#[derive(Debug, Clone, Serialize)]
struct PartAccount {
    name: String,
    status: ReloadStatus,
    word: Option<String>,
    message: Option<String>,
}

impl PartAccount {
    fn of(part: &Part) -> Self {
        Self {
            name: part.name.clone(),
            status: part.status,
            word: part.word.clone(),
            message: part.message.clone(),
        }
    }
}

impl Account {
    /// How it ended.
    pub(crate) fn ended(done: &ActionResult, offer: Option<&ProposedAction>) -> Self {
        Self {
            verdict: Some(done.verdict),
            exit_code: Some(done.verdict.exit_code()),
            text: Some(done.text.clone()),
            evidence: done.evidence.clone(),
            parts: done.parts.iter().map(PartAccount::of).collect(),
            before: done.details.before.clone(),
            after: done.details.after.clone(),
            drain_seconds: done.details.times.drain.map(seconds),
            start_seconds: done.details.times.start.map(seconds),
            ready_seconds: done.details.times.ready.map(seconds),
            log: done.details.log.clone(),
            elapsed_seconds: Some(seconds(done.elapsed)),
            at: Some(done.at.wall),
            ..Self::new(&done.service, done.action, offer)
        }
    }

    /// What would be done, in the order in which it begins.
    pub(crate) fn offered(proposal: &Proposal) -> Vec<Self> {
        let step = |(number, goal): (usize, Goal)| Step {
            number,
            does: goal.as_str(),
        };
        let offers = proposal.offers.iter();
        offers
            .map(|offer| Self {
                steps: proposal.steps_of(&offer.service).map(step).collect(),
                ..Self::new(&offer.service, offer.action, Some(offer))
            })
            .collect()
    }

    fn new(service: &str, action: Action, offer: Option<&ProposedAction>) -> Self {
        Self {
            service: service.to_owned(),
            action,
            means: offer.map(|offer| offer.means.clone()),
            request: offer.map(|offer| offer.request.clone()),
            then: offer.and_then(|offer| offer.then.clone()),
            target: offer.map(|offer| offer.target.clone()),
            steps: Vec::new(),
            verdict: None,
            exit_code: None,
            text: None,
            evidence: Vec::new(),
            parts: Vec::new(),
            before: None,
            after: None,
            drain_seconds: None,
            start_seconds: None,
            ready_seconds: None,
            log: Vec::new(),
            elapsed_seconds: None,
            at: None,
        }
    }

    /// The array for machines, one service a line.
    pub(crate) fn json(accounts: &[Self]) -> String {
        let lines: Vec<String> = accounts
            .iter()
            .filter_map(|account| serde_json::to_string(account).ok())
            .collect();
        if lines.is_empty() {
            return "[]\n".to_owned();
        }
        format!("[\n  {}\n]\n", lines.join(",\n  "))
    }

    /// A line each for people; below them, where several were started or restarted, a table of how long it took.
    pub(crate) fn lines(accounts: &[Self], color: bool) -> String {
        let mut out = String::new();
        for account in accounts {
            let _ = writeln!(out, "{}", account.line(color));
        }
        let comes_up = |account: &Self| {
            account.verdict.is_some() && matches!(account.action, Action::Start | Action::Restart)
        };
        if accounts.len() > 1 && accounts.iter().all(comes_up) {
            out.push('\n');
            out.push_str(&Self::table(accounts));
        }
        out
    }

    /// What would be done, a line each for people; below them, where it is several, in which order.
    pub(crate) fn plan(proposal: &Proposal, color: bool) -> String {
        let mut out = Self::lines(&Self::offered(proposal), color);
        if proposal.offers.len() > 1 {
            let _ = writeln!(out, "\nin this order: {}", proposal.sequence());
        }
        out
    }

    /// `SERVICE  VERDICT  DRAIN  START  READY  IN ALL`
    fn table(accounts: &[Self]) -> String {
        let titles = ["SERVICE", "VERDICT", "DRAIN", "START", "READY", "IN ALL"];
        let mut table = Table::new(&titles, false);
        let time = |seconds: Option<f64>| {
            seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}s"))
        };
        for account in accounts {
            table.add_row([
                account.service.clone(),
                account.verdict.map(|it| it.to_string()).unwrap_or_default(),
                time(account.drain_seconds),
                time(account.start_seconds),
                time(account.ready_seconds),
                time(account.elapsed_seconds),
            ]);
        }
        table.to_string()
    }

    /// What would be done, in the conditional.
    fn conditional(&self) -> String {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let request = or_dash(&self.request);
        let starts = self.means.as_deref() == Some(START_COMMAND);
        let verb = if starts { "run" } else { "send" };
        let then = match &self.then {
            Some(then) => format!(", then run {then}"),
            None => String::new(),
        };
        format!(
            "{}: {} would {verb} {request}{then}; target: {}; means: {}",
            self.service,
            self.action,
            or_dash(&self.target),
            or_dash(&self.means)
        )
    }

    fn line(&self, color: bool) -> String {
        let Some(verdict) = self.verdict else {
            return self.conditional();
        };
        let word = colored(verdict, color);
        let text = self.text.as_deref().unwrap_or_default();
        let took = self
            .elapsed_seconds
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| format!(" ({seconds:.1}s)"))
            .unwrap_or_default();
        format!("{}: {word}: {text}{took}", self.service)
    }
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn colored(verdict: Verdict, color: bool) -> String {
    if !color {
        return verdict.to_string();
    }
    let code = if verdict.exit_code() == 0 { 32 } else { 31 };
    format!("\u{1b}[{code}m{verdict}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::PlanStep;
    use crate::event::{ActionDetails, PhaseTimes};
    use crate::health::Moment;

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
    fn people_get_a_line() {
        let ended = [Account::ended(&done(), Some(&offer()))];
        assert_eq!(
            Account::lines(&ended, false),
            "api: stopped: 127.0.0.1:8000 refuses connections and pid 4711 (api) has exited (2.1s)\n"
        );
        assert!(Account::lines(&ended, true).contains("\u{1b}[32mstopped\u{1b}[0m"));
        assert_eq!(
            Account::plan(&proposal(), false),
            "api: shutdown would send POST http://localhost:8000/health/shutdown; target: 127.0.0.1:8000, pid 4711 (api); means: shutdown route (waits for the end)\n"
        );
    }

    #[test]
    fn several_that_were_restarted_get_a_table() {
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
        let accounts = [&first, &second].map(|done| Account::ended(done, None));
        let text = Account::lines(&accounts, false);
        let (_, table) = text.split_once("\n\n").unwrap();
        assert_eq!(
            table,
            "SERVICE   VERDICT    DRAIN  START  READY  IN ALL\n\
             api       restarted  1.2s   0.3s   0.6s   2.1s\n\
             database  refused    -      -      -      0.0s\n"
        );
    }

    #[test]
    fn machines_get_an_array() {
        let mut reloaded = done();
        reloaded.parts = vec![Part {
            name: "port".to_owned(),
            status: ReloadStatus::NeedsRestart,
            word: Some("restart_required".to_owned()),
            message: None,
        }];
        let json: serde_json::Value =
            serde_json::from_str(&Account::json(&[Account::ended(&reloaded, None)])).unwrap();
        assert_eq!(
            json[0]["parts"],
            serde_json::json!([{"name": "port", "status": "needs-restart", "word": "restart_required", "message": null}])
        );
        let ended = Account::ended(&done(), Some(&offer()));
        let accounts = [vec![ended], Account::offered(&proposal())].concat();
        let json: serde_json::Value = serde_json::from_str(&Account::json(&accounts)).unwrap();
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
        assert_eq!(Account::json(&[]), "[]\n");
    }
}
