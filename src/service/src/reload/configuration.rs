//! The configuration in force, its earlier versions, and how a reload replaces it.

use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::part::{
    ConfigPart, PartResult, ReloadCounts, ReloadRecord, ReloadResult, ReloadStatus, ReloadTrigger,
};
use crate::Service;

/// The number of versions that are kept.
const MAX_VERSIONS: usize = 10;
/// The number of reloads whose results are kept.
const MAX_RECORDS: usize = 20;
/// The time without events after which a change counts as complete: one save is several events.
const QUIET: Duration = Duration::from_millis(150);
/// The time after which the file is read even if events go on.
const MAX_UNQUIET: Duration = Duration::from_secs(2);
/// The interval at which the file is read without an event, since some file systems report none.
const POLL_WATCHED: Duration = Duration::from_secs(30);
/// The same interval where the directory of the file cannot be watched.
const POLL_UNWATCHED: Duration = Duration::from_secs(2);

/// Why a service has no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the read.
        source: io::Error,
    },
    /// The file cannot be parsed, or a part of it is not valid.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// A description of the mistake.
        message: String,
    },
}

/// A version of the configuration that was or is in force.
#[derive(Debug, Clone)]
pub struct ConfigVersion<C> {
    /// The number of the version; the service starts with 1.
    pub number: u64,
    /// The wall-clock time since which the version has been in force.
    pub since: Timestamp,
    /// The source of the request that brought the version.
    pub trigger: ReloadTrigger,
    /// The names of the parts in which the version differs from the one before it; none of the first.
    pub changed: Vec<String>,
    /// The content of the version.
    pub config: Arc<C>,
}

/// The configuration of a service, which can be reloaded while the service runs. Clones refer to
/// the same configuration. See the [module](super) for an example.
#[derive(Clone)]
pub struct Configuration<C> {
    inner: Arc<ConfigurationInner<C>>,
}

type Parse<C> = dyn Fn(&str) -> Result<C, String> + Send + Sync;

struct ConfigurationInner<C> {
    service: Service,
    path: PathBuf,
    parse: Box<Parse<C>>,
    parts: Vec<ConfigPart<C>>,
    current: watch::Sender<Arc<C>>,
    versions: Mutex<VecDeque<ConfigVersion<C>>>,
    history: Mutex<VecDeque<ReloadRecord>>,
    /// The fingerprint of what was last read; `None` when the file could not be read.
    fingerprint: Mutex<Option<u64>>,
    /// Held by the reload that runs; the others wait for it.
    reloading: tokio::sync::Mutex<()>,
}

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// Reads the file for the first time.
    ///
    /// Fields that belong to no part are taken from each new version and not reported.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`] when the file cannot be read, [`ConfigError::Invalid`] when it cannot
    /// be parsed or a part is not valid.
    pub fn open<E: Display>(
        service: &Service,
        path: impl AsRef<Path>,
        parse: impl Fn(&str) -> Result<C, E> + Send + Sync + 'static,
        parts: Vec<ConfigPart<C>>,
    ) -> Result<Self, ConfigError> {
        let path = path.as_ref().to_owned();
        let text = match read_file(&path) {
            Ok(text) => text,
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let parse = move |text: &str| parse(text).map_err(|error| error.to_string());
        let valid = parse(&text).and_then(|config| {
            for part in &parts {
                (part.validate)(&config).map_err(|error| format!("{}: {error}", part.name))?;
            }
            Ok(Arc::new(config))
        });
        let config = match valid {
            Ok(config) => config,
            Err(message) => return Err(ConfigError::Invalid { path, message }),
        };
        for part in &parts {
            (part.set)(&config);
        }
        let first = ReloadCounts {
            counts: [0; 3],
            version: 1,
        };
        service.inner.reloads.lock().get_or_insert(first);
        let first = ConfigVersion {
            number: 1,
            since: Timestamp::now(),
            trigger: ReloadTrigger::Start,
            changed: Vec::new(),
            config: Arc::clone(&config),
        };
        Ok(Self {
            inner: Arc::new(ConfigurationInner {
                service: service.clone(),
                path,
                parse: Box::new(parse),
                parts,
                current: watch::Sender::new(config),
                versions: Mutex::new(VecDeque::from([first])),
                history: Mutex::default(),
                fingerprint: Mutex::new(Some(fingerprint(&text))),
                reloading: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns the configuration in force.
    pub fn current(&self) -> Arc<C> {
        Arc::clone(&self.inner.current.borrow())
    }

    /// Returns a channel that receives each new configuration when it comes into force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<C>> {
        self.inner.current.subscribe()
    }

    /// Returns the last ten versions that were in force, the present one last.
    pub fn versions(&self) -> Vec<ConfigVersion<C>> {
        self.inner.versions.lock().iter().cloned().collect()
    }

    /// Returns the last twenty reloads, refused ones and roll-backs included, the latest last.
    pub fn history(&self) -> Vec<ReloadRecord> {
        self.inner.history.lock().iter().cloned().collect()
    }

    /// Reads the file and returns what a reload would do, without doing it: nothing is applied and
    /// nothing is kept. An error that only applying finds is not found.
    pub async fn validate(&self) -> ReloadResult {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            let _reloading = inner.reloading.lock().await;
            let next = match inner.read_text().await {
                Ok(text) => (inner.parse)(&text),
                Err(error) => Err(inner.unreadable(&error)),
            };
            let mut next = match next {
                Ok(next) => next,
                Err(reason) => return inner.reject(&reason),
            };
            let old = Arc::clone(&inner.current.borrow());
            match inner.plan(&old, &mut next) {
                Ok(plan) => inner.done(plan.status, plan.parts),
                Err(refused) => refused,
            }
        });
        task.await.unwrap_or_else(|_| self.inner.reject("panicked"))
    }

    /// Reads the file again and puts its content into force.
    ///
    /// Reloads run one after the other. A reload goes on when the caller drops the future.
    pub async fn reload(&self, trigger: ReloadTrigger) -> ReloadResult {
        let inner = Arc::clone(&self.inner);
        self.replace(trigger, async move { inner.read().await })
            .await
    }

    /// Puts an earlier version into force again, as a new version.
    ///
    /// ```
    /// use healthctl_service::{Service, Settings};
    /// use healthctl_service::reload::{ConfigPart, Configuration, ReloadTrigger};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("level");
    /// # std::fs::write(&path, "info")?;
    /// let service = Service::new("ingestor", "1.0", Settings::default());
    /// let parse = |text: &str| Ok::<String, String>(text.trim().to_owned());
    /// let parts = vec![ConfigPart::new("level", |level: &String| level)];
    /// let configuration = Configuration::open(&service, &path, parse, parts)?;
    /// # std::fs::write(&path, "debug")?;
    /// configuration.reload(ReloadTrigger::Program).await;
    ///
    /// let first = &configuration.versions()[0];
    /// assert_eq!(configuration.roll_back(first.number).await.version, 3);
    /// assert_eq!(*configuration.current(), "info");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn roll_back(&self, version: u64) -> ReloadResult {
        let inner = Arc::clone(&self.inner);
        let earlier = async move {
            let versions = inner.versions.lock();
            let found = versions.iter().find(|earlier| earlier.number == version);
            found
                .map(|found| (*found.config).clone())
                .ok_or_else(|| format!("version {version} is not kept any more"))
        };
        self.replace(ReloadTrigger::RollBack(version), earlier)
            .await
    }

    /// Replaces the configuration, once it is the turn of this reload. It runs in a task of its own,
    /// so that neither a panic nor a caller that gives up leaves a part of it done.
    async fn replace(
        &self,
        trigger: ReloadTrigger,
        next: impl Future<Output = Result<C, String>> + Send + 'static,
    ) -> ReloadResult {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            let _reloading = inner.reloading.lock().await;
            let _reported = inner.service.report_reload();
            let result = match next.await {
                _ if inner.service.is_shutting_down() => {
                    inner.reject("the service is shutting down")
                }
                Ok(next) => inner.adopt(next, trigger).await,
                Err(reason) => inner.reject(&reason),
            };
            inner.report(&result, trigger);
            result
        });
        task.await.unwrap_or_else(|_| {
            // Parsing, validating, comparing or summarizing has panicked; nothing was in force by then.
            let result = self.inner.reject("panicked");
            self.inner.report(&result, trigger);
            result
        })
    }

    /// Reloads on SIGHUP, until the shutdown. The signal handler is installed on return.
    ///
    /// # Errors
    ///
    /// When the signal handler cannot be installed.
    pub fn reload_on_hangup(&self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let configuration = self.clone();
        self.inner.service.background(async move {
            while hangup.recv().await.is_some() {
                configuration.reload(ReloadTrigger::Hangup).await;
            }
        });
        Ok(())
    }

    /// Reloads when the content of the file changes, until the shutdown. A file that is replaced, as
    /// editors and Kubernetes do it, counts as changed.
    pub fn reload_on_change(&self) {
        let events = Arc::new(Notify::new());
        let watcher = watch_directory(self.path(), &events);
        let interval = match &watcher {
            Ok(_) => POLL_WATCHED,
            Err(error) => {
                tracing::warn!(reason = %error, "the configuration's directory cannot be watched");
                POLL_UNWATCHED
            }
        };
        let configuration = self.clone();
        self.inner.service.background(async move {
            // Dropping the watcher would end the watch.
            let _watcher = watcher;
            loop {
                tokio::select! {
                    () = events.notified() => quiet(&events).await,
                    () = sleep(interval) => {}
                }
                if configuration.has_changed().await {
                    configuration.reload(ReloadTrigger::File).await;
                }
            }
        });
    }

    /// Returns whether the file holds something else than when it was last read.
    async fn has_changed(&self) -> bool {
        let text = self.inner.read_text().await;
        *self.inner.fingerprint.lock() != text.as_deref().ok().map(fingerprint)
    }
}

/// What a valid new configuration changes.
struct ReloadPlan<'a, C> {
    status: ReloadStatus,
    parts: IndexMap<String, PartResult>,
    changed: Vec<&'a ConfigPart<C>>,
}

impl<C: Clone + Send + Sync + 'static> ConfigurationInner<C> {
    async fn read_text(&self) -> io::Result<String> {
        let path = self.path.clone();
        let text = tokio::task::spawn_blocking(move || read_file(&path)).await;
        text.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    async fn read(&self) -> Result<C, String> {
        let text = self.read_text().await;
        *self.fingerprint.lock() = text.as_deref().ok().map(fingerprint);
        let text = text.map_err(|error| self.unreadable(&error))?;
        (self.parse)(&text)
    }

    fn unreadable(&self, error: &io::Error) -> String {
        format!("cannot read {}: {error}", self.path.display())
    }

    /// Validates a configuration and finds out what it changes. Parts that cannot change are given
    /// their old values.
    ///
    /// # Errors
    ///
    /// The result of a reload that keeps the old configuration, since a part is not valid.
    fn plan(&self, old: &C, next: &mut C) -> Result<ReloadPlan<'_, C>, ReloadResult> {
        let mut parts = self.unchanged_parts();
        let mut reasons = Vec::new();
        for part in &self.parts {
            if let Err(reason) = (part.validate)(next) {
                reasons.push(format!("{}: {reason}", part.name));
                parts.insert(part.name.clone(), PartResult::Rejected(reason));
            }
        }
        if !reasons.is_empty() {
            return Err(self.failed(parts, reasons.join("; ")));
        }

        let mut status = ReloadStatus::Success;
        for part in self.parts.iter().filter(|part| part.is_fixed) {
            if (part.differs)(old, next) {
                status = ReloadStatus::Partial;
                parts.insert(part.name.clone(), PartResult::NeedsRestart);
            }
        }
        let mut changed = Vec::new();
        for part in self.parts.iter().filter(|part| !part.is_fixed) {
            if (part.differs)(old, next) {
                changed.push(part);
                // A summary may panic, so it is made before anything is applied.
                let reloaded = PartResult::Reloaded((part.summarize)(next));
                parts.insert(part.name.clone(), reloaded);
            }
        }
        Ok(ReloadPlan {
            status,
            parts,
            changed,
        })
    }

    /// Puts a configuration into force, or keeps the old one if a part of it cannot be.
    async fn adopt(&self, mut next: C, trigger: ReloadTrigger) -> ReloadResult {
        let old = Arc::clone(&self.current.borrow());
        let ReloadPlan {
            status,
            parts,
            changed,
        } = match self.plan(&old, &mut next) {
            Ok(plan) => plan,
            Err(refused) => return refused,
        };
        let next = Arc::new(next);
        if let Err((part, reason)) = apply(&changed, &old, &next).await {
            let error = format!("{part}: {reason}");
            let mut parts = self.unchanged_parts();
            parts.insert(part, PartResult::Rejected(reason));
            return self.failed(parts, error);
        }
        if !changed.is_empty() {
            let mut versions = self.versions.lock();
            let number = latest(&versions).saturating_add(1);
            versions.push_back(ConfigVersion {
                number,
                since: Timestamp::now(),
                trigger,
                changed: changed.iter().map(|part| part.name.clone()).collect(),
                config: Arc::clone(&next),
            });
            if versions.len() > MAX_VERSIONS {
                versions.pop_front();
            }
        }
        self.current.send_if_modified(|current| {
            *current = next;
            // A change outside of all parts is taken without notifying the subscribers.
            !changed.is_empty()
        });
        self.done(status, parts)
    }

    fn done(&self, status: ReloadStatus, parts: IndexMap<String, PartResult>) -> ReloadResult {
        ReloadResult {
            status,
            version: latest(&self.versions.lock()),
            error: None,
            parts,
        }
    }

    /// Keeps the old configuration for a reason that concerns no single part.
    fn reject(&self, reason: &str) -> ReloadResult {
        let rejected = PartResult::Rejected(reason.to_owned());
        let mut parts = IndexMap::from([("configuration".to_owned(), rejected)]);
        parts.extend(self.unchanged_parts());
        self.failed(parts, reason.to_owned())
    }

    fn failed(&self, parts: IndexMap<String, PartResult>, error: String) -> ReloadResult {
        ReloadResult {
            status: ReloadStatus::Failed,
            version: latest(&self.versions.lock()),
            error: Some(error),
            parts,
        }
    }

    fn unchanged_parts(&self) -> IndexMap<String, PartResult> {
        let names = self.parts.iter().map(|part| part.name.clone());
        names.map(|name| (name, PartResult::Unchanged)).collect()
    }

    /// Keeps, counts and logs the result.
    fn report(&self, result: &ReloadResult, trigger: ReloadTrigger) {
        let mut history = self.history.lock();
        history.push_back(ReloadRecord {
            at: Timestamp::now(),
            trigger,
            result: result.clone(),
        });
        if history.len() > MAX_RECORDS {
            history.pop_front();
        }
        drop(history);
        if let Some(counts) = self.service.inner.reloads.lock().as_mut() {
            counts.counts[result.status as usize] += 1;
            counts.version = result.version;
        }
        let (trigger, version) = (trigger.to_string(), result.version);
        if let Some(reason) = &result.error {
            tracing::error!(trigger, version, reason, "configuration rejected");
        } else {
            let status = result.status.as_str();
            tracing::info!(trigger, version, status, "configuration reloaded");
        }
    }
}

/// Applies the parts one after the other. If one fails, it and those before it, which may have done
/// something, are applied again with the old configuration.
///
/// # Errors
///
/// The name of the part that failed, and the reason.
async fn apply<C: Clone + Send + Sync + 'static>(
    changed: &[&ConfigPart<C>],
    old: &Arc<C>,
    next: &Arc<C>,
) -> Result<(), (String, String)> {
    for (index, part) in changed.iter().enumerate() {
        let Err(reason) = part.apply(next).await else {
            continue;
        };
        for applied in changed.iter().take(index.saturating_add(1)).rev() {
            if let Err(reason) = applied.apply(old).await {
                let part = &applied.name;
                tracing::error!(part, reason, "cannot apply the old configuration");
            }
        }
        return Err((part.name.clone(), reason));
    }
    Ok(())
}

/// Returns the number of the last version.
fn latest<C>(versions: &VecDeque<ConfigVersion<C>>) -> u64 {
    versions.back().map_or(0, |version| version.number)
}

/// Reads a regular file. Reading from a pipe could block this reload, and all others, without end.
fn read_file(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.is_file() {
        std::fs::read_to_string(path)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Returns a hash by which two contents of a file differ, valid while the program runs.
fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl<C> fmt::Debug for Configuration<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content may hold secrets.
        formatter
            .debug_struct("Configuration")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// Watches the directory of the file, since a watch of the file itself would end when it is replaced.
fn watch_directory(file: &Path, events: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let events = Arc::clone(events);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file causes an event too.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            events.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Waits until there has been no event for a while.
async fn quiet(events: &Notify) {
    let begin = Instant::now();
    while begin.elapsed() < MAX_UNQUIET && timeout(QUIET, events.notified()).await.is_ok() {}
}
