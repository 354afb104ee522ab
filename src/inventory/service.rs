//! Services: what one can say, declared key by key, and the resolved inventory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::health::{HotFiles, ProbeInfo, RestartCause, ServiceInfo, VerdictPolicy};
use crate::profile::raw::command::Exec;
use crate::profile::raw::options::Probe;
use crate::profile::raw::read::{
    bad_address, boolean, check_name, line, names, path, positive_duration, target, warn_password,
    word,
};
use crate::profile::raw::request::HttpRequest;
use crate::profile::setting::{NamedTexts, Spanned, settings};
use crate::profile::{ReplyDecode, Signal, SignalAfterReply, Target};
use crate::yaml::{Entry, Problem, Problems, Value};

use super::start::{RawHook, RawStart, Sources, hot_reload, on_change, restart_on, sources, start};

/// All services of one inventory, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inventory {
    pub(crate) services: IndexMap<String, Arc<Service>>,
    /// The files that it was read from, the first one given first.
    pub(crate) files: Vec<PathBuf>,
}

impl Inventory {
    /// Returns the first file given.
    pub(crate) fn file(&self) -> PathBuf {
        self.files.first().cloned().unwrap_or_default()
    }

    /// Returns the file that tells a service from those of other inventories with the same name: the one that declares it,
    /// in whatever order the files are given.
    pub(crate) fn declares(&self, service: &str) -> PathBuf {
        let service = self.services.get(service);
        let declared = service.map(|service| service.declared_in.clone());
        let declared = declared.filter(|file| !file.as_os_str().is_empty());
        declared.unwrap_or_else(|| self.file())
    }
}

settings! {
    /// The flat settings of a service as written.
    raw RawServiceSettings;
    /// A service of the inventory, every default applied.
    #[derive(Debug, Clone)]
    resolved Service {
        name: String = String::new(),
        /// The file that says how it is started; without a start, the first one that names it.
        declared_in: PathBuf = PathBuf::new(),
        /// Time after a known start in which failures do not count.
        start_period: Duration = Duration::ZERO,
        /// At least one: `startup` first, then `live`, `ready`, `status`, then the user's in file order.
        probes: Vec<Probe> = Vec::new(),
        actions: ServiceActions = ServiceActions::default(),
    }

    /// A sentence for people.
    description: String, optional, "text", since "0.1", description;
    /// The group that the service belongs to, for selectors.
    group: String, optional, "text", since "0.1", line("the name of a group");
    /// Names with values, for selectors.
    labels: NamedTexts, or_empty, "map of text", since "0.1", labels;
    /// The convention that the service follows: its probes, its actions, how its payload is read.
    profile: String, optional, "text", since "0.1", line("the name of a profile");
    /// The base address, `http://`, `https://` or `unix://`.
    url: Target, optional, "URL", since "0.1", target;
    /// The verdict of `check` on a degraded service: `fail`, `warn` or `pass`.
    degraded: VerdictPolicy, default(VerdictPolicy::Fail), "word", since "0.1", verdict_policy;
    /// The same for a service that was stopped on purpose or never started.
    stopped: VerdictPolicy, default(VerdictPolicy::Fail), "word", since "0.1", verdict_policy;
    /// Dependencies whose error makes the service unhealthy, not only degraded; one that is not reported makes it unknown.
    required: Vec<Spanned<String>>, or_empty, "list of text", since "0.1", required;
    /// Age of the last success of a required dependency from which on the flag `success-age` is raised.
    max_success_age: Duration, optional, "duration", since "0.1", positive_duration;
    /// Services that this one needs: while one is down, this one is `blocked`; it starts after them.
    depends_on: Vec<Spanned<String>>, or_empty, "list of services", since "0.1", names("a list of services");
    /// Pages about the service: a runbook, a dashboard. A name and an absolute `http` or `https` URL each.
    links: NamedTexts, or_empty, "map of URLs", since "0.1", links;
    /// The command with which healthctl starts the service.
    start: RawStart, optional, "map, see below", since "0.1", start;
    /// The files that the code is made of; a process that is older than the newest of them is `stale`.
    sources: Sources, optional, "list of patterns", since "0.1", sources;
    /// The files that its configuration is made of: a change raises `stale` too, and a reload clears that where there is one.
    config_files: Sources, optional, "list of patterns", since "0.1", sources;
    /// `true`, or which of `sources` and `config_files` the process reads again by itself: a change of them is shown, and
    /// never makes it `stale`.
    hot_reload: Vec<Spanned<HotFiles>>, default(Vec::new()), "`true` or list of words", since "0.1", hot_reload;
    /// systemd, docker or another supervisor runs the service: its start command may end, nothing is put on record, healthctl waits for the proof.
    supervised: bool, default(false), "`true` or `false`", since "0.1", boolean;
    /// The causes that automatic restart may react to, where it is switched on: `stale`, `unhealthy`.
    restart_on: Vec<Spanned<RestartCause>>, default(Vec::new()), "list of words", since "0.1", restart_on;
    /// A command that is run when the state changes, as long as something watches.
    on_change: RawHook, optional, "map, see below", since "0.1", on_change;
    /// The file that the service writes its pid to.
    pid_file: PathBuf, optional, "path", since "0.1", path("the path of a pid file");
    /// Several processes answer at the address, so that alternating identities are normal.
    replicas: bool, default(false), "`true` or `false`", since "0.1", boolean;
    /// An action needs the name typed, or `--confirm NAME`.
    protected: bool, default(false), "`true` or `false`", since "0.1", boolean;
}

/// The time-out of an action: the founding services drain for 30 s at most.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(40);

/// The actions that a service offers.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceActions {
    /// Asks the service to stop and waits until it has.
    pub(crate) shutdown: Option<ActionSpec>,
    /// Asks the service to stop and returns.
    pub(crate) schedule: Option<ActionSpec>,
    /// Has the service read its configuration again.
    pub(crate) reload: Option<ActionSpec>,
    /// Has what supervises the service replace its process.
    pub(crate) restart: Option<ActionSpec>,
}

/// An action of a service, every default applied.
#[derive(Debug, Clone)]
pub(crate) struct ActionSpec {
    pub(crate) means: Means,
    /// Set where the reply comes only when the work is done.
    pub(crate) waits: bool,
    /// The signal that follows a good reply where the process still runs.
    pub(crate) then: Option<SignalAfterReply>,
    /// The time-out, the proof included.
    pub(crate) timeout: Duration,
    /// The decoding of the reply to a reload by a route.
    pub(crate) reply: Option<Arc<ReplyDecode>>,
}

impl ActionSpec {
    /// Returns a request by these means whose reply tells nothing.
    pub(crate) const fn plain(means: Means, timeout: Duration) -> Self {
        Self {
            means,
            waits: false,
            then: None,
            timeout,
            reply: None,
        }
    }
}

/// The means by which an action is done.
#[derive(Debug, Clone)]
pub(crate) enum Means {
    Http(Box<HttpRequest>),
    /// A signal to the process that is proved to be the service's.
    Signal(Signal),
    Exec(Exec),
}

impl ServiceActions {
    /// Returns the actions by name, in the order in which they are shown.
    pub(crate) fn named(&self) -> [(&'static str, Option<&ActionSpec>); 4] {
        [
            ("shutdown", self.shutdown.as_ref()),
            ("schedule", self.schedule.as_ref()),
            ("reload", self.reload.as_ref()),
            ("restart", self.restart.as_ref()),
        ]
    }
}

impl Service {
    /// Returns what the state machine has to know.
    pub(crate) fn info(&self) -> ServiceInfo {
        ServiceInfo {
            name: self.name.clone(),
            group: self.group.clone(),
            labels: self.labels.clone(),
            profile: self.profile.clone(),
            url: self.url.as_ref().map(ToString::to_string),
            probes: self
                .probes
                .iter()
                .map(|probe| ProbeInfo {
                    name: probe.name.clone(),
                    role: probe.role,
                    kind: probe.kind.name(),
                    target: probe.kind.target(),
                    failure_threshold: probe.failure_threshold,
                    success_threshold: probe.success_threshold,
                    required: probe.required,
                    interval: probe.interval,
                    reports_dependencies: probe.reports_dependencies(),
                })
                .collect(),
            required: self.required.iter().cloned().collect(),
            degraded: self.degraded,
            stopped: self.stopped,
            max_success_age: self.max_success_age,
            start_period: self.start_period,
            shutdown_timeout: self.shutdown_timeout(),
            depends_on: self.depends_on.clone(),
            replicas: self.replicas,
            rows: self
                .links
                .iter()
                .map(|(name, url)| ("link".to_owned(), format!("{name}: {url}")))
                .collect(),
        }
    }

    /// Returns how long the shutdown may take: the longest time-out of its means, 40 s where it has none (the founding
    /// services drain for 30 s at most).
    pub(crate) fn shutdown_timeout(&self) -> Duration {
        [&self.actions.shutdown, &self.actions.schedule]
            .into_iter()
            .flatten()
            .map(|action| action.timeout)
            .max()
            .unwrap_or(DEFAULT_TIMEOUT)
    }
}

fn description(entry: &Entry, problems: &mut Problems) -> Option<Spanned<String>> {
    // A description may be folded over several lines; it is shown on one.
    let mut node = entry.value.clone();
    if let Value::Text(text) = &mut node.value {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    Some(Spanned::new(
        node.line("a sentence for people", problems)?,
        &node,
    ))
}

fn verdict_policy(entry: &Entry, problems: &mut Problems) -> Option<Spanned<VerdictPolicy>> {
    let words = VerdictPolicy::ALL
        .iter()
        .map(|policy| (policy.as_str(), *policy));
    let words: Vec<_> = words.collect();
    word(&words)(entry, problems)
}

fn required(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Vec<Spanned<String>>>> {
    let mut names = names("a list of dependencies")(entry, problems)?;
    names.value.sort_by(|a, b| a.value.cmp(&b.value));
    Some(names)
}

fn labels(entry: &Entry, problems: &mut Problems) -> Option<Spanned<NamedTexts>> {
    const KEY: &str = "a name such as `tier` or `example.com/tier`";
    let entries = entry
        .value
        .map("a map of labels, as in `{tier: web}`", problems)?;
    let mut labels = Vec::with_capacity(entries.len());
    for label in entries {
        let key = &label.key;
        let valid = key.starts_with(|c: char| c.is_alphanumeric())
            && key
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
        if !valid {
            Problem::at(&label.key_place, format!("`{key}` cannot name a label"))
                .expected(KEY)
                .report(problems);
        } else if let Some(value) = label.value.line("the value of a label", problems) {
            labels.push((Spanned::key(label), value));
        }
    }
    Some(Spanned::new(labels, &entry.value))
}

fn links(entry: &Entry, problems: &mut Problems) -> Option<Spanned<NamedTexts>> {
    const EXPECTED: &str = "an address such as `https://wiki.internal/api`";
    let entries = entry
        .value
        .map("a map of links, as in `{runbook: https://…}`", problems)?;
    let mut links = Vec::with_capacity(entries.len());
    for link in entries {
        let node = &link.value;
        let named = check_name("a link", &link.key, &link.key_place, problems);
        let Some(text) = node.line(EXPECTED, problems) else {
            continue;
        };
        // A fragment is never sent, so no other address has one.
        let (address, fragment) = text.find('#').map_or((&*text, ""), |at| text.split_at(at));
        match Target::parse(address) {
            Ok(target) if target.socket.is_none() && !fragment.contains(char::is_whitespace) => {
                warn_password(node, &target, problems);
                if named {
                    links.push((Spanned::key(link), format!("{target}{fragment}")));
                }
            }
            Ok(_) => node
                .problem("is no page")
                .expected(EXPECTED)
                .hint("a link is an `http://` or `https://` URL without spaces")
                .report(problems),
            Err(bad) => problems.push(bad_address(node, bad, EXPECTED)),
        }
    }
    Some(Spanned::new(links, &entry.value))
}
