//! Actions as written.

use std::sync::Arc;
use std::time::Duration;

use crate::text::nearest;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, Value};

use super::super::kind::RawKind;
use super::super::kind::http::RawHttp;
use super::super::setting::Spanned;
use super::super::{ReplyDecode, Signal, SignalAfterReply};
use super::command::{RawExec, RawExecSettings, split};
use super::read::{boolean, check_keys, check_single, is_off, keys_where, positive_duration};
use super::request::{self, RawRequest};

/// The actions of a profile or a service as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawActions(pub(crate) Vec<RawAction>);

/// An action as written: laid over another one, or switched off.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawAction {
    pub(crate) name: Spanned<String>,
    /// `off`: takes away the profile's action.
    pub(crate) off: bool,
    /// `None`: as the profile says.
    pub(crate) means: Option<RawMeans>,
    /// Set where the reply comes only when the work is done.
    pub(crate) waits: Option<Spanned<bool>>,
    /// The signal that follows the reply; `Some(None)`: none, whatever the profile says.
    pub(crate) then: Option<Spanned<Option<SignalAfterReply>>>,
    pub(crate) timeout: Option<Spanned<Duration>>,
    pub(crate) exec_settings: RawExecSettings,
    /// The keys to which only some means give a meaning.
    means_keys: Vec<Spanned<String>>,
    pub(crate) request: RawRequest,
    pub(crate) reply: Option<Spanned<Arc<ReplyDecode>>>,
    /// `reply` as it was written, for showing it again.
    pub(crate) reply_written: Option<serde_json::Value>,
}

/// The means of an action as written.
#[derive(Debug, Clone)]
pub(crate) enum RawMeans {
    Http(Box<RawHttp>),
    Signal(Spanned<Signal>),
    Exec(RawExec),
}

impl RawMeans {
    /// Returns the key of the means.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Signal(_) => "signal",
            Self::Exec(_) => "exec",
        }
    }
}

impl RawActions {
    pub(crate) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let expected = "a map of actions: `shutdown`, `schedule`, `reload`, `restart`";
        let mut fields = Fields::read(&entry.value, expected, problems)?;
        let mut actions = Vec::new();
        for key in ["shutdown", "schedule", "reload", "restart"] {
            actions.extend(fields.read_key(key, problems, RawAction::read));
        }
        fields.finish_with(problems, |key| match key {
            "stop" | "quit" | "terminate" | "kill" => Some("did you mean `shutdown`?".to_owned()),
            "start" => Some(
                "how it is started stands beside `actions`: `start: {command: […]}`".to_owned(),
            ),
            "refresh" | "hup" => Some("did you mean `reload`?".to_owned()),
            _ => None,
        });
        Some(Self(actions))
    }

    /// Returns the action of this name, if it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&RawAction> {
        self.0.iter().find(|action| action.name.value == name)
    }
}

impl RawAction {
    pub(crate) fn http(&self) -> Option<&RawHttp> {
        match &self.means {
            Some(RawMeans::Http(http)) => Some(http),
            _ => None,
        }
    }

    pub(crate) fn exec(&self) -> Option<&RawExec> {
        match &self.means {
            Some(RawMeans::Exec(exec)) => Some(exec),
            _ => None,
        }
    }

    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a map with `http`, `signal` or `exec`";
        let node = &entry.value;
        let mut action = Self {
            name: Spanned::key(entry),
            off: is_off(node),
            ..Self::default()
        };
        if action.off {
            return Some(action);
        }
        if node.value == Value::Null {
            return entry
                .problem("says nothing: null is no action")
                .label("expected a map with `http`, `signal` or `exec`, or `off`")
                .hint(format!(
                    "`{}: off` takes the profile's action away",
                    entry.key
                ))
                .reject(problems);
        }
        if let Value::Text(text) = &node.value {
            let hint = if text.starts_with('/') || text.contains("://") {
                format!("did you mean `{{http: {text}}}`?")
            } else if matches!(text.as_str(), "none" | "no" | "disabled" | "disable") {
                format!("did you mean `{}: off`?", entry.key)
            } else if Signal::parse(text).is_some() {
                format!("did you mean `{{signal: {text}}}`?")
            } else {
                format!("did you mean `{{exec: [{}]}}`?", split(text))
            };
            return node.wrong(EXPECTED).hint(hint).reject(problems);
        }
        let mut fields = Fields::read(node, EXPECTED, problems)?;
        let http = fields.take("http");
        let signal = fields.take("signal");
        let command = fields.take("exec");
        let given: Vec<&Entry> = [http, signal, command].into_iter().flatten().collect();
        check_single(&given, "an action is done in one way", problems);
        action.means = if let Some(entry) = http {
            RawHttp::read(entry, problems).map(|http| RawMeans::Http(Box::new(http)))
        } else if let Some(entry) = signal {
            read_signal(&entry.value, problems).map(RawMeans::Signal)
        } else {
            command.and_then(|entry| RawExec::read(entry, problems).map(RawMeans::Exec))
        };
        action.exec_settings = RawExecSettings::take(&mut fields, problems);
        let reloads = entry.key == "reload";
        if reloads {
            action.read_reply(fields.take("reply"), given.first(), problems);
            action.check_reload_signal(problems);
        } else {
            action.waits = fields.read_key("waits", problems, boolean);
        }
        if entry.key == "shutdown" {
            action.then = fields.read_key("then", problems, read_then);
        }
        action.timeout = fields.read_key("timeout", problems, positive_duration);
        action.request = RawRequest::take(&mut fields, problems);
        action.means_keys = keys_where(node, |key| owner(key).is_some());
        if let Some(means) = &action.means {
            action.check_keys(means.name(), problems);
        }
        fields.finish_with(problems, |key| match key {
            "path" | "url" | "method" | "body" => {
                Some(format!("it stands inside `http`: `http: {{{key}: …}}`"))
            }
            "command" => Some("did you mean `exec`?".to_owned()),
            "environment" => Some("did you mean `env`?".to_owned()),
            "waits" if reloads => {
                Some("take it out: the reply to a reload is always waited for".to_owned())
            }
            "reply" => Some("only the reply to a `reload` is read".to_owned()),
            "then" => Some("only a `shutdown` has one".to_owned()),
            "parts" if reloads => {
                Some("it stands inside `reply`: `reply: {parts: {at: …}}`".to_owned())
            }
            _ => None,
        });
        // Means that were written and could not be read are reported already.
        (given.is_empty() || action.means.is_some()).then_some(action)
    }

    /// Reports keys that mean nothing to an action by these means.
    pub(crate) fn check_keys(&self, means: &str, problems: &mut Problems) {
        let owners = |key: &str| owner(key).into_iter().collect();
        check_keys(&self.means_keys, "an action", means, owners, problems);
    }

    /// Reads `reply`; only a route has one.
    fn read_reply(
        &mut self,
        entry: Option<&Entry>,
        means: Option<&&Entry>,
        problems: &mut Problems,
    ) {
        let Some(entry) = entry else { return };
        if let Some(means) = means.filter(|means| means.key != "http") {
            let message = format!("`{}` gives no reply that could be read", means.key);
            Problem::at(&entry.key_place, message)
                .label("has a meaning only beside `http`")
                .related(&means.key_place, "what is done")
                .hint("take `reply` out")
                .report(problems);
        }
        if let Some(decode) = ReplyDecode::parse(&entry.value, problems) {
            self.reply = Some(Spanned::new(Arc::new(decode), &entry.value));
            self.reply_written = Some(entry.value.to_json());
        }
    }

    /// Reports a reload by a signal that asks the process to end.
    fn check_reload_signal(&self, problems: &mut Problems) {
        if let Some(RawMeans::Signal(signal)) = &self.means
            && matches!(signal.value, Signal::Term | Signal::Int | Signal::Quit)
        {
            let message = format!("SIG{} asks a process to end", signal.value.as_str());
            Problem::at(&signal.place, message)
                .label("expected `HUP`, `USR1` or `USR2`")
                .hint("did you mean `HUP`?")
                .report(problems);
        }
    }
}

/// Returns the means that gives a key its meaning, where not every one does.
fn owner(key: &str) -> Option<&'static str> {
    match key {
        "env" | "cwd" => Some("exec"),
        "then" => Some("http"),
        key if request::keys().any(|known| known == key) => Some("http"),
        _ => None,
    }
}

/// Reads `then`.
fn read_then(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Option<SignalAfterReply>>> {
    const EXPECTED: &str = "a map such as `{signal: TERM, after: 2s}`, or `off`";
    let node = &entry.value;
    if is_off(node) {
        return Some(Spanned::new(None, node));
    }
    let mut fields = Fields::read(node, EXPECTED, problems)?;
    let signal = fields.read_key("signal", problems, |entry, problems| {
        read_signal(&entry.value, problems)
    });
    let after = fields.read_key("after", problems, positive_duration);
    fields.finish_with(problems, |key| match key {
        "delay" | "wait" | "timeout" => Some("did you mean `after`?".to_owned()),
        "http" | "exec" => Some("only a signal can follow a reply".to_owned()),
        _ => None,
    });
    match (signal, after) {
        (Some(signal), Some(after)) => {
            let then = SignalAfterReply {
                signal: signal.value,
                after: after.value,
            };
            Some(Spanned::new(Some(then), node))
        }
        _ if node.get("signal").is_some() && node.get("after").is_some() => None,
        _ => node
            .problem("says either no signal or no time")
            .expected(EXPECTED)
            .reject(problems),
    }
}

fn read_signal(node: &Node, problems: &mut Problems) -> Option<Spanned<Signal>> {
    let expected = format!(
        "one of {}",
        Signal::ALL.map(|(name, _)| format!("`{name}`")).join(", ")
    );
    let text = node.line(&expected, problems)?;
    if let Some(signal) = Signal::parse(&text) {
        return Some(Spanned::new(signal, node));
    }
    let name = text.to_ascii_uppercase();
    let hint = match name.trim_start_matches("SIG") {
        "KILL" | "9" => Some(
            "SIGKILL leaves no chance to clean up; it is never sent first, only by `--force`"
                .to_owned(),
        ),
        "1" => Some("did you mean `HUP`?".to_owned()),
        "2" => Some("did you mean `INT`?".to_owned()),
        "3" => Some("did you mean `QUIT`?".to_owned()),
        "15" => Some("did you mean `TERM`?".to_owned()),
        other => nearest(other, Signal::ALL.iter().map(|(name, _)| *name))
            .map(|near| format!("did you mean `{near}`?")),
    };
    node.problem("is no signal that an action sends")
        .expected(expected)
        .maybe_hint(hint)
        .reject(problems)
}
