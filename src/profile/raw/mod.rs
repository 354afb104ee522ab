//! Probes and actions as written, each value with its place: what profiles and inventories have in common.
//!
//! Nothing here has a default, and a value that was not written is `None`: the inventory lays what several
//! places say over each other. Each value is checked where it is read; what can only be judged once all is laid
//! together (a body expected of HEAD) is judged there.

mod action;
mod exec;
mod expect;
mod http;
mod options;
mod probe;
mod secret;
mod way;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::text::shorten;
use crate::yaml::{Node, Place, Problem, Problems};

use super::{
    Auth, Connection, Decode, HostPort, Proxy, ReplyDecode, Secret, Signal, StatusRange, Target,
};

pub(crate) use exec::env as exec_env;
pub use options::Scope;
pub(crate) use options::read_target;
pub use way::Way;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> At<T> {
    /// A value that stands where the node does.
    pub fn new(value: T, node: &Node) -> Self {
        Self {
            value,
            place: node.place.clone(),
        }
    }
}

/// What `defaults`, a profile, a service and a probe may all say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Time between two probes.
    pub interval: Option<At<Duration>>,
    /// One deadline around all of a probe.
    pub timeout: Option<At<Duration>>,
    /// `failure_threshold`, also called `retries`.
    pub failure_threshold: Option<At<u32>>,
    /// Successes in a row that turn a probe back.
    pub success_threshold: Option<At<u32>>,
    /// Not for a single probe.
    pub start_period: Option<At<Duration>>,
    /// Largest body, decoded bytes.
    pub max_body: Option<At<u64>>,
    /// How requests are made.
    pub request: Request,
    /// What the answer has to be.
    pub expect: Expect,
}

/// How requests are made.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Headers, in the order written, each name once.
    pub headers: Vec<Header>,
    /// Credentials; `none` takes away what an outer layer gives.
    pub auth: Option<At<Option<Auth>>>,
    /// TLS settings.
    pub tls: Tls,
    /// Which proxy.
    pub proxy: Option<At<Proxy>>,
    /// Whether redirects may be followed.
    pub follow_redirects: Option<At<bool>>,
    /// A fresh connection each time, or a kept one.
    pub connection: Option<At<Connection>>,
}

/// One header of a request.
#[derive(Debug, Clone)]
pub struct Header {
    /// Its name as written.
    pub name: At<String>,
    /// Its value.
    pub value: At<Secret>,
}

/// TLS settings.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file with the certificates to trust.
    pub ca: Option<At<PathBuf>>,
    /// PEM file with our certificate chain.
    pub cert: Option<At<PathBuf>>,
    /// PEM file with our key.
    pub key: Option<At<PathBuf>>,
    /// The name to ask for and to verify.
    pub server_name: Option<At<String>>,
    /// Verify nothing.
    pub insecure: Option<At<bool>>,
}

/// Expectations, by key.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Accepted codes.
    pub status: Option<At<Vec<StatusRange>>>,
    /// Text that the body has to contain.
    pub body: Option<At<Vec<String>>>,
    /// JSON pointers with the value that has to stand there.
    pub json: Vec<(At<String>, serde_json::Value)>,
    /// Headers with the value they have to carry.
    pub headers: Vec<(At<String>, String)>,
}

/// A probe as written: laid over another one, or switched off.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Its name.
    pub name: At<String>,
    /// `off`: takes away the profile's probe of this name.
    pub off: bool,
    /// The HTTP request.
    pub http: Option<Http>,
    /// The TCP connection.
    pub tcp: Option<At<HostPort>>,
    /// The command.
    pub exec: Option<Exec>,
    /// Added to the environment of the command.
    pub env: Vec<Variable>,
    /// Where the command runs.
    pub cwd: Option<At<PathBuf>>,
    /// The keys that only some ways of asking give a meaning to.
    pub particular: Vec<At<String>>,
    /// It says what to ask in a way that could not be read: told already.
    pub broken: bool,
    /// Interval, thresholds, expectations and the rest.
    pub options: Options,
    /// A named probe's failure makes the service unhealthy.
    pub required: Option<At<bool>>,
    /// How its payload is read.
    pub decode: Option<At<Arc<Decode>>>,
    /// `decode` as it was written, for showing it again.
    pub decode_written: Option<serde_json::Value>,
}

/// A command as written.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Program and arguments.
    pub command: At<Vec<String>>,
    /// The same words, with what was written where a variable's value is in them.
    pub shown: Vec<String>,
    /// What stands in the words and is not to be told, each with what is told in its place.
    pub hidden: Vec<(String, String)>,
}

/// A variable of a command's environment as written.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: At<String>,
    /// Its value, or where that comes from.
    pub value: At<Secret>,
    /// What stands in the value and is not to be told, each with what is told in its place.
    pub hidden: Vec<(String, String)>,
}

/// An HTTP request as written.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where `http` itself stands.
    pub place: Place,
    /// Where it goes; nothing written: to the address of the service itself.
    pub to: Option<At<To>>,
    /// GET, POST, …
    pub method: Option<At<String>>,
    /// Headers of this request alone.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Option<At<String>>,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// Behind the path of the service's `url`.
    Path(String),
    /// Somewhere of its own.
    Address(Target),
}

/// The actions as written.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    /// Ask and wait.
    pub shutdown: Option<Action>,
    /// Ask and return.
    pub schedule: Option<Action>,
    /// Have it read its configuration again.
    pub reload: Option<Action>,
    /// Have what supervises it replace its process.
    pub restart: Option<Action>,
}

/// One action as written: laid over another one, or switched off.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name, where it stands.
    pub name: At<String>,
    /// `off`: takes away the profile's action.
    pub off: bool,
    /// How it is done; nothing written: as the profile says.
    pub means: Option<Means>,
    /// Whether its reply comes only when the work is done.
    pub waits: Option<At<bool>>,
    /// How long it may take.
    pub timeout: Option<At<Duration>>,
    /// Added to the environment of the command.
    pub env: Vec<Variable>,
    /// Where the command runs.
    pub cwd: Option<At<PathBuf>>,
    /// The keys that only some means give a meaning to.
    pub particular: Vec<At<String>>,
    /// How its request is made.
    pub request: Request,
    /// How its reply is read.
    pub reply: Option<At<Arc<ReplyDecode>>>,
    /// `reply` as it was written, for showing it again.
    pub reply_written: Option<serde_json::Value>,
}

/// How an action is done.
#[derive(Debug, Clone)]
pub enum Means {
    /// An HTTP request.
    Http(Box<Http>),
    /// A signal.
    Signal(At<Signal>),
    /// A command without a shell.
    Exec(Exec),
}

impl Action {
    /// The HTTP request, where it is one.
    pub fn http(&self) -> Option<&Http> {
        match &self.means {
            Some(Means::Http(http)) => Some(http),
            _ => None,
        }
    }

    /// The command, where it is one.
    pub fn exec(&self) -> Option<&Exec> {
        match &self.means {
            Some(Means::Exec(exec)) => Some(exec),
            _ => None,
        }
    }
}

impl Means {
    /// The key that stands for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Signal(_) => "signal",
            Self::Exec(_) => "exec",
        }
    }
}

/// Whether a text can name a service, a probe or a profile.
pub fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Tells a key that cannot be a name.
pub fn check_name(what: &str, text: &str, place: &Place, problems: &mut Problems) -> bool {
    if is_name(text) {
        return true;
    }
    let meant: String = text
        .chars()
        .map(|c| match c {
            '.' | '_' | '-' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        })
        .collect();
    let meant: String = meant
        .trim_start_matches(['.', '_', '-'])
        .chars()
        .take(63)
        .collect();
    let hint = if meant.is_empty() {
        "for example `api-1`".to_owned()
    } else {
        format!("did you mean `{meant}`?")
    };
    problems.push(
        Problem::at(place, format!("`{}` cannot name {what}", shorten(text, 80)))
            .label(
                "expected letters, digits, `.`, `_` and `-`, at most 63, a letter or digit first",
            )
            .hint(hint),
    );
    false
}

/// A path that was written in a file: relative to that file.
pub fn beside(place: &Place, path: &str) -> PathBuf {
    place.file.path.parent().unwrap_or(Path::new("")).join(path)
}

/// Reads a path.
pub(crate) fn read_path(node: &Node, what: &str, problems: &mut Problems) -> Option<At<PathBuf>> {
    let text = node.line(what, problems)?;
    Some(At::new(beside(&node.place, &text), node))
}

/// `off`, in any form in which YAML tools hand it on.
fn is_off(node: &Node) -> bool {
    match &node.value {
        crate::yaml::Value::Bool(value) => !value,
        crate::yaml::Value::Text(text) => text.eq_ignore_ascii_case("off"),
        _ => false,
    }
}

/// The problem with an address; its hint repeats the text, which may hold a variable's value.
fn bad_address(node: &Node, bad: super::target::BadAddress, expected: &str) -> Problem {
    let hint = (node.style != crate::yaml::Style::Interpolated).then_some(bad.hint);
    Problem::at(&node.place, format!("{} {}", node.shown(), bad.reason))
        .label(format!("expected {expected}"))
        .maybe_hint(hint)
}

/// The problem that a probe does not say what to ask.
pub fn asks_nothing(name: &At<String>) -> Problem {
    Problem::at(
        &name.place,
        format!("the probe `{}` does not say what to ask", name.value),
    )
    .label("expected `http`, `tcp` or `exec`")
    .hint("for example `{http: /health}` or `{tcp: \"localhost:6379\"}`")
}
