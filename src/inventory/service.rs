//! The resolved inventory: what will be probed and what may be done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use crate::health::{DegradedPolicy, ProbeRule, RestartCause, Role, Rules};
use crate::profile::{Auth, Connection, Expect, Proxy, Secret, Signal, Target, Tls};

/// All services of one inventory, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// By name.
    pub services: IndexMap<String, Arc<Service>>,
    /// The files that it was read from, the first one given first.
    pub files: Vec<PathBuf>,
}

impl Inventory {
    /// The file that tells its services from those of other inventories with the same names: the first one given.
    pub fn file(&self) -> PathBuf {
        self.files.first().cloned().unwrap_or_default()
    }
}

/// One service, every default applied.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
    pub name: String,
    /// A sentence for people.
    pub description: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The name of its profile.
    pub profile: Option<String>,
    /// Its base address, where it has one.
    pub url: Option<Target>,
    /// What a degraded state means to `check`.
    pub degraded: DegradedPolicy,
    /// Dependencies whose error makes it unhealthy.
    pub required: BTreeSet<String>,
    /// For the flag `success-age`.
    pub max_success_age: Option<Duration>,
    /// Services it depends on; all exist, without cycles.
    pub depends_on: Vec<String>,
    /// Failures do not count for this long after a known start.
    pub start_period: Duration,
    /// At least one; `startup` first, then `live`, `ready`, `status`, then the user's in file order.
    pub probes: Vec<Probe>,
    /// What may be done to it.
    pub actions: ServiceActions,
    /// How it is started, where healthctl may start it.
    pub start: Option<StartSpec>,
    /// What its code is made of; a process older than the newest of these files is stale.
    pub sources: Option<Sources>,
    /// What an automatic restart may react to, where one is switched on.
    pub restart_on: BTreeSet<RestartCause>,
    /// What is run when its state turns.
    pub on_change: Option<Hook>,
    /// Where it writes its pid.
    pub pid_file: Option<PathBuf>,
    /// Something else starts it again.
    pub supervised: bool,
    /// Several processes answer at its address.
    pub replicas: bool,
    /// An action needs its name typed.
    pub protected: bool,
}

/// One question, every default applied.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// What it asks about.
    pub role: Role,
    /// How it asks.
    pub kind: ProbeKind,
    /// Time between two of it; never zero.
    pub interval: Duration,
    /// One deadline around all of it; never zero.
    pub timeout: Duration,
    /// Non-successes in a row that turn it.
    pub failure_threshold: u32,
    /// Successes in a row that turn it back.
    pub success_threshold: u32,
    /// A named probe's failure makes the service unhealthy.
    pub required: bool,
    /// Largest body, decoded bytes.
    pub max_body: u64,
    /// What the answer has to be.
    pub expect: Expect,
    /// How its payload is read.
    pub decode: Option<Arc<crate::profile::Decode>>,
}

/// How a probe asks.
#[derive(Debug, Clone)]
pub enum ProbeKind {
    /// An HTTP request.
    Http(Box<HttpRequest>),
    /// A TCP connection is enough.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A command; exit status 0 is good.
    Exec(Exec),
}

/// A command with all that it needs.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// Program and arguments, no shell.
    pub command: Vec<String>,
    /// The same for people: with what was written where a variable's value is in it, which may be a secret.
    pub shown: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, Secret>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// The values that were put in for variables, each with what was written for it: what the command writes may repeat
    /// them.
    pub hidden: Vec<(String, String)>,
}

/// An HTTP request with everything that it needs.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Where it goes, path included.
    pub target: Target,
    /// GET, POST, …
    pub method: String,
    /// Names as written, values; a later one of the same name replaced an earlier one.
    pub headers: Vec<(String, Secret)>,
    /// The body.
    pub body: Option<String>,
    /// Credentials.
    pub auth: Option<Auth>,
    /// TLS settings.
    pub tls: Tls,
    /// Which proxy.
    pub proxy: Proxy,
    /// Whether redirects may be followed (never to another scheme, never with credentials to another host).
    pub follow_redirects: bool,
    /// A fresh connection each time, or a kept one.
    pub connection: Connection,
}

/// What may be done to a service.
#[derive(Debug, Clone, Default)]
pub struct ServiceActions {
    /// Ask and wait.
    pub shutdown: Option<ActionSpec>,
    /// Ask and return.
    pub schedule: Option<ActionSpec>,
    /// Read the configuration again.
    pub reload: Option<ActionSpec>,
    /// For what others supervise.
    pub restart: Option<ActionSpec>,
}

/// One action of a service.
#[derive(Debug, Clone)]
pub struct ActionSpec {
    /// How it is done.
    pub means: Means,
    /// Whether its reply comes only when the work is done.
    pub waits: bool,
    /// How long it may take, the proof included.
    pub timeout: Duration,
    /// How its reply is read: that of a reload by a route.
    pub reply: Option<Arc<crate::profile::ReplyDecode>>,
}

/// How an action is done.
#[derive(Debug, Clone)]
pub enum Means {
    /// An HTTP request.
    Http(Box<HttpRequest>),
    /// A signal to the process that is proved to be the service's.
    Signal(Signal),
    /// A command.
    Exec(Exec),
}

/// How healthctl starts a service.
#[derive(Debug, Clone)]
pub struct StartSpec {
    /// What is run.
    pub exec: Exec,
    /// Where its output goes; `None` is a file in the user's state directory, which only an effect can find.
    pub log: Option<PathBuf>,
    /// How long it may take to be ready.
    pub ready_timeout: Duration,
}

/// The files that a service's code is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The directory that the patterns are relative to: that of the file that names them.
    pub root: PathBuf,
    /// Globs, as written: `services/api/**/*.py`.
    pub patterns: Vec<String>,
}

/// A command that is run when something happens to a service.
#[derive(Debug, Clone)]
pub struct Hook {
    /// What is run; what tells of the turn is added to its environment.
    pub exec: Exec,
    /// How long it may take.
    pub timeout: Duration,
}

impl ProbeKind {
    /// `http`, `tcp` or `exec`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp { .. } => "tcp",
            Self::Exec(_) => "exec",
        }
    }

    /// What is asked, for people: no password, no control character.
    pub fn target(&self) -> String {
        let text = match self {
            Self::Http(request) => request.target.to_string(),
            Self::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Exec(exec) => exec.shown.join(" "),
        };
        crate::text::clean(&text, 300)
    }
}

impl Service {
    /// What the state machine has to know.
    pub fn rules(&self) -> Rules {
        Rules {
            name: self.name.clone(),
            group: self.group.clone(),
            labels: self.labels.clone(),
            profile: self.profile.clone(),
            url: self.url.as_ref().map(ToString::to_string),
            probes: self
                .probes
                .iter()
                .map(|probe| ProbeRule {
                    name: probe.name.clone(),
                    role: probe.role,
                    kind: probe.kind.name(),
                    target: probe.kind.target(),
                    failure_threshold: probe.failure_threshold,
                    success_threshold: probe.success_threshold,
                    required: probe.required,
                    interval: probe.interval,
                })
                .collect(),
            required: self.required.clone(),
            degraded: self.degraded,
            max_success_age: self.max_success_age,
            start_period: self.start_period,
            shutdown_timeout: self.shutdown_timeout(),
            depends_on: self.depends_on.clone(),
            replicas: self.replicas,
        }
    }

    /// How long its shutdown may take: the longest of its shutdown means, 40 s where it has none
    /// (the founding services drain for 30 s at most).
    pub fn shutdown_timeout(&self) -> Duration {
        [&self.actions.shutdown, &self.actions.schedule]
            .into_iter()
            .flatten()
            .map(|action| action.timeout)
            .max()
            .unwrap_or(Duration::from_secs(40))
    }
}

impl StartSpec {
    /// Names what is run and how, the same for the same entry in every run of ours: SHA-256, hexadecimal. What only says
    /// where its output goes and how long it may take is left out. A secret counts by where it comes from.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        let mut add = |part: &str, bytes: &[u8]| {
            digest.update(part);
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        for word in &self.exec.command {
            add("word", word.as_bytes());
        }
        add("cwd", self.exec.cwd.as_os_str().as_encoded_bytes());
        for (name, secret) in &self.exec.env {
            add("name", name.as_bytes());
            match secret {
                Secret::Plain(text) => add("plain", text.as_bytes()),
                Secret::Env(name) => add("env", name.as_bytes()),
                Secret::EnvOr { name, otherwise } => {
                    add("env", name.as_bytes());
                    add("otherwise", otherwise.as_bytes());
                }
                Secret::File(path) => add("file", path.as_os_str().as_encoded_bytes()),
            }
        }
        format!("{:x}", digest.finalize())
    }
}
