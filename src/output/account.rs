//! What became of each service of an action: a line each for people, an array for machines.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::action::{Action, Offer, Verdict};
use crate::event::Done;
use crate::health::{Part, ReloadStatus};

/// One service of an action: what was offered, and how it ended where it was carried out or refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    service: String,
    action: Action,
    means: Option<String>,
    request: Option<String>,
    target: Option<String>,
    verdict: Option<Verdict>,
    exit_code: Option<u8>,
    text: Option<String>,
    evidence: Vec<String>,
    /// What a reload did with each part of the configuration.
    parts: Vec<PartAccount>,
    elapsed_seconds: Option<f64>,
    at: Option<Timestamp>,
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
    pub(crate) fn ended(done: &Done, offer: Option<&Offer>) -> Self {
        Self {
            verdict: Some(done.verdict),
            exit_code: Some(done.verdict.exit_code()),
            text: Some(done.text.clone()),
            evidence: done.evidence.clone(),
            parts: done.parts.iter().map(PartAccount::of).collect(),
            elapsed_seconds: Some((done.elapsed.as_secs_f64() * 1000.0).round() / 1000.0),
            at: Some(done.at.wall),
            ..Self::new(&done.service, done.action, offer)
        }
    }

    /// What would be done.
    pub(crate) fn offered(offer: &Offer) -> Self {
        Self::new(&offer.service, offer.action, Some(offer))
    }

    fn new(service: &str, action: Action, offer: Option<&Offer>) -> Self {
        Self {
            service: service.to_owned(),
            action,
            means: offer.map(|offer| offer.means.clone()),
            request: offer.map(|offer| offer.request.clone()),
            target: offer.map(|offer| offer.target.clone()),
            verdict: None,
            exit_code: None,
            text: None,
            evidence: Vec::new(),
            parts: Vec::new(),
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

    /// A line each for people.
    pub(crate) fn lines(accounts: &[Self], color: bool) -> String {
        let mut out = String::new();
        for account in accounts {
            let _ = writeln!(out, "{}", account.line(color));
        }
        out
    }

    fn line(&self, color: bool) -> String {
        let Some(verdict) = self.verdict else {
            return format!(
                "{}: {} would send {} to {}; means: {}",
                self.service,
                self.action,
                self.request.as_deref().unwrap_or("-"),
                self.target.as_deref().unwrap_or("-"),
                self.means.as_deref().unwrap_or("-"),
            );
        };
        let word = if color {
            let code = if verdict.exit_code() == 0 { 32 } else { 31 };
            format!("\u{1b}[{code}m{verdict}\u{1b}[0m")
        } else {
            verdict.to_string()
        };
        let text = self.text.as_deref().unwrap_or_default();
        let took = self
            .elapsed_seconds
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| format!(" ({seconds:.1}s)"))
            .unwrap_or_default();
        format!("{}: {word}: {text}{took}", self.service)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::health::Moment;

    fn done() -> Done {
        Done {
            service: "api".to_owned(),
            action: Action::Shutdown,
            verdict: Verdict::Stopped,
            text: "127.0.0.1:8000 refuses connections and pid 4711 (api) has exited".to_owned(),
            evidence: vec!["reply: answered 200 OK".to_owned()],
            parts: Vec::new(),
            elapsed: Duration::from_millis(2125),
            at: Moment::at_seconds(0.0),
        }
    }

    fn offer() -> Offer {
        Offer {
            service: "api".to_owned(),
            action: Action::Shutdown,
            means: "shutdown route (waits for the end)".to_owned(),
            request: "POST http://localhost:8000/health/shutdown".to_owned(),
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
            Account::lines(&[Account::offered(&offer())], false),
            "api: shutdown would send POST http://localhost:8000/health/shutdown to 127.0.0.1:8000, pid 4711 (api); means: shutdown route (waits for the end)\n"
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
        let accounts = [
            Account::ended(&done(), Some(&offer())),
            Account::offered(&offer()),
        ];
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
        assert_eq!(Account::json(&[]), "[]\n");
    }
}
