//! A part of a configuration: how a change of it is noticed, validated and applied, and the result of
//! a reload, as the reload route and the metrics report it.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::Service;
use crate::check_config::CheckConfig;
use crate::log::{LevelHandle, parse_level};
use crate::task::{BoxFuture, boxed, run_isolated};

/// The time that applying one part may take.
const APPLY_TIMEOUT: Duration = Duration::from_secs(30);

type Differs<C> = dyn Fn(&C, &mut C) -> bool + Send + Sync;
type Validate<C> = dyn Fn(&C) -> Result<(), String> + Send + Sync;
type Set<C> = dyn Fn(&C) + Send + Sync;
type Apply<C> = dyn Fn(Arc<C>) -> BoxFuture<Result<(), String>> + Send + Sync;

/// A part of the configuration that is reloaded, or kept, as a whole.
///
/// ```
/// use std::sync::Arc;
/// use healthctl_service::reload::ConfigPart;
///
/// #[derive(Clone)]
/// struct Config {
///     workers: usize,
///     port: u16,
/// }
///
/// let workers = ConfigPart::new("workers", |config: &Config| &config.workers)
///     .validate_with(|config| match config.workers {
///         0 => Err("at least one is needed"),
///         _ => Ok(()),
///     })
///     // Called for later changes, not for the value with which the service starts.
///     .apply_with(|config: Arc<Config>| async move {
///         let _ = config.workers; // resize the pool here
///         Ok::<(), std::io::Error>(())
///     })
///     .summarize_with(|config| config.workers);
/// let port = ConfigPart::fixed("port", |config: &mut Config| &mut config.port);
/// let parts: Vec<ConfigPart<Config>> = vec![workers, port];
/// ```
pub struct ConfigPart<C> {
    pub(super) name: String,
    pub(super) is_fixed: bool,
    /// Returns whether the part differs between the old and the new version. A fixed part also gives
    /// the new version the old value.
    pub(super) differs: Box<Differs<C>>,
    pub(super) summarize: Box<dyn Fn(&C) -> Value + Send + Sync>,
    pub(super) validate: Box<Validate<C>>,
    pub(super) set: Arc<Set<C>>,
    apply: Option<Arc<Apply<C>>>,
}

impl<C: Clone + Send + Sync + 'static> ConfigPart<C> {
    /// Creates a part that can change while the service runs.
    pub fn new<P: PartialEq + ?Sized>(
        name: impl Into<String>,
        get: impl Fn(&C) -> &P + Send + Sync + 'static,
    ) -> Self {
        Self::with(name.into(), false, move |old, new| get(old) != get(new))
    }

    /// Creates a part that is the name of a log level: the level of the log follows it, from the
    /// configuration with which the service starts on. A name that is no level is refused.
    ///
    /// ```
    /// use healthctl_service::log::{Format, Level, LogLayer};
    /// use healthctl_service::reload::ConfigPart;
    ///
    /// #[derive(Clone)]
    /// struct Config {
    ///     log_level: String,
    /// }
    ///
    /// // Or the handle that `log::init` returns:
    /// let level = LogLayer::new(Format::Text, Level::INFO, std::io::stderr()).level_handle();
    /// let part = ConfigPart::log_level("log_level", |config: &Config| &config.log_level, level);
    /// ```
    pub fn log_level(name: impl Into<String>, get: fn(&C) -> &str, level: LevelHandle) -> Self {
        Self::new(name, get)
            .validate_with(move |config| parse_level(get(config)).map(drop))
            .summarize_with(move |config| get(config).to_owned())
            .set_with(move |config| {
                // It is validated by now.
                if let Ok(wanted) = parse_level(get(config)) {
                    level.set(wanted);
                }
            })
    }

    /// Creates a part that holds the settings of checks by their names, which follow it from the
    /// configuration with which the service starts on. What it does not set is as it was registered,
    /// also where [a request](Service::check_routes) has changed it. A name that no check has, and a
    /// value that cannot be, are refused.
    ///
    /// The checks are to be registered before the configuration is opened, and that within a runtime
    /// of Tokio.
    ///
    /// ```
    /// use healthctl_service::reload::ConfigPart;
    /// use healthctl_service::{CheckConfig, Service, Settings};
    /// use indexmap::IndexMap;
    ///
    /// #[derive(Clone)]
    /// struct Config {
    ///     checks: IndexMap<String, CheckConfig>,
    /// }
    ///
    /// let service = Service::new("ingestor", "1.0", Settings::default());
    /// let part = ConfigPart::checks("checks", |config: &Config| &config.checks, &service);
    /// ```
    pub fn checks(
        name: impl Into<String>,
        get: fn(&C) -> &IndexMap<String, CheckConfig>,
        service: &Service,
    ) -> Self {
        let (validated, configured) = (service.clone(), service.clone());
        Self::new(name, get)
            .summarize_with(move |config| get(config).len())
            .validate_with(move |config| validated.validate_checks(get(config)))
            .set_with(move |config| configured.configure_checks(get(config)))
    }

    /// Creates a part that cannot change while the service runs, such as a port or the address of a
    /// database. It keeps its value until the restart.
    pub fn fixed<P: PartialEq>(
        name: impl Into<String>,
        get: impl Fn(&mut C) -> &mut P + Send + Sync + 'static,
    ) -> Self {
        Self::with(name.into(), true, move |old, new| {
            let mut old = old.clone();
            let (kept, wanted) = (get(&mut old), get(new));
            let differs = kept != wanted;
            std::mem::swap(kept, wanted);
            differs
        })
    }

    fn with(
        name: String,
        is_fixed: bool,
        differs: impl Fn(&C, &mut C) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            is_fixed,
            differs: Box::new(differs),
            summarize: Box::new(|_| Value::Bool(true)),
            validate: Box::new(|_| Ok(())),
            set: Arc::new(|_| ()),
            apply: None,
        }
    }

    /// Sets what a [`ReloadResult`] says of the new value, such as the number of
    /// its entries; `true` by default.
    #[must_use]
    pub fn summarize_with<V: Into<Value>>(
        mut self,
        summarize: impl Fn(&C) -> V + Send + Sync + 'static,
    ) -> Self {
        self.summarize = Box::new(move |config| summarize(config).into());
        self
    }

    /// Sets a condition that the new value must meet before anything of the configuration is used.
    #[must_use]
    pub fn validate_with<E: Display>(
        mut self,
        validate: impl Fn(&C) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.validate = Box::new(move |config| validate(config).map_err(|error| error.to_string()));
        self
    }

    /// Sets what takes the value over: it is called with the configuration with which the service
    /// starts, and with each new one in which this part has changed. What could be wrong with a value
    /// is to be found by [`ConfigPart::validate_with`].
    #[must_use]
    pub fn set_with(mut self, set: impl Fn(&C) + Send + Sync + 'static) -> Self {
        self.set = Arc::new(set);
        self
    }

    /// Sets what to do with the new configuration when this part has changed. It is not called for
    /// the configuration with which the service starts.
    ///
    /// When it fails, it is called again with the old configuration, and so are the parts before it.
    #[must_use]
    pub fn apply_with<F, E>(mut self, apply: impl Fn(Arc<C>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.apply = Some(Arc::new(move |config| boxed(apply(config))));
        self
    }

    pub(super) async fn apply(&self, config: &Arc<C>) -> Result<(), String> {
        let (set, apply) = (Arc::clone(&self.set), self.apply.clone());
        let config = Arc::clone(config);
        let run = move || -> BoxFuture<Result<(), String>> {
            set(&config);
            match apply {
                Some(apply) => apply(config),
                None => Box::pin(async { Ok(()) }),
            }
        };
        run_isolated(APPLY_TIMEOUT, run)
            .await
            .map_err(|error| error.to_string())
    }
}

impl<C> fmt::Debug for ConfigPart<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigPart").field(&self.name).finish()
    }
}

/// The source of the request for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ReloadTrigger {
    /// The start of the service, which reads the first version.
    Start,
    /// A change of the file.
    File,
    /// The signal SIGHUP, for daemons the usual one to reload.
    #[strum(to_string = "SIGHUP")]
    Hangup,
    /// A request to the reload route.
    Request,
    /// The program itself, by [`Configuration::reload`](super::Configuration::reload).
    Program,
    /// The program, which went back to this version.
    #[strum(to_string = "roll-back to version {0}")]
    RollBack(u64),
}

/// A reload that was tried, whatever came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReloadRecord {
    /// The wall-clock time at which the reload ended.
    pub at: Timestamp,
    /// The source of the request.
    pub trigger: ReloadTrigger,
    /// The result.
    pub result: ReloadResult,
}

/// The overall status of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum ReloadStatus {
    /// The new configuration is in force.
    Success,
    /// All of the new configuration that can change is in force; the rest needs a restart.
    Partial,
    /// The old configuration is still in force.
    Failed,
}

impl ReloadStatus {
    /// Every status, in the order in which metrics list them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Partial, Self::Failed];

    /// Returns the name, as the reload route and the metrics write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The result of a reload for one part of the configuration.
#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum PartResult {
    /// The new value is in force; the summary describes it.
    Reloaded(Value),
    /// The value has not changed, or the reload failed because of another part.
    Unchanged,
    /// The reload failed because of this part, for this reason.
    Rejected(String),
    /// The value has changed, but takes effect only after a restart.
    NeedsRestart,
}

impl PartResult {
    /// Returns the name of the variant, as the reload route writes it.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

/// The result of a reload.
///
/// It serializes to what the reload route answers:
///
/// ```json
/// {"status":"success","reloaded":{"adapters":7},"version":2,"error":null,
///  "parts":{"adapters":{"status":"reloaded","message":null}}}
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReloadResult {
    /// The status of the reload as a whole.
    pub status: ReloadStatus,
    /// The number of the version that is now in force.
    pub version: u64,
    /// The reason for a failure, after which the old configuration is still in force as a whole.
    pub error: Option<String>,
    /// The result for each part, in the order in which the parts were declared.
    pub parts: IndexMap<String, PartResult>,
}

impl Serialize for ReloadResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reloaded = IndexMap::new();
        let mut parts = IndexMap::new();
        for (name, result) in &self.parts {
            let mut message = None;
            match result {
                PartResult::Reloaded(summary) => drop(reloaded.insert(name, summary)),
                PartResult::Rejected(reason) => message = Some(reason),
                PartResult::Unchanged | PartResult::NeedsRestart => {}
            }
            let part = json!({"status": result.as_str(), "message": message});
            parts.insert(name, part);
        }
        let payload = json!({
            "status": self.status.as_str(),
            "reloaded": reloaded,
            "version": self.version,
            "error": self.error,
            "parts": parts,
        });
        payload.serialize(serializer)
    }
}

/// The number of reloads by status, in the order of [`ReloadStatus::ALL`], and the version in force.
#[derive(Debug, Clone)]
pub(crate) struct ReloadCounts {
    pub(crate) counts: [u64; 3],
    pub(crate) version: u64,
}
