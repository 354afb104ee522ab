//! A part of a configuration: how its change is noticed, validated and applied.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// How long applying one part may take.
const APPLY_LIMIT: Duration = Duration::from_secs(30);

type Show<C> = dyn Fn(&C) -> Value + Send + Sync;
type Validate<C> = dyn Fn(&C) -> Result<(), String> + Send + Sync;
type Apply<C> = dyn Fn(Arc<C>) -> Pending + Send + Sync;
type Differ<C> = dyn Fn(&C, &C) -> bool + Send + Sync;
type HoldBack<C> = dyn Fn(&C, &mut C) -> bool + Send + Sync;
type Pending = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A part of the configuration that is reloaded, or kept, as one.
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
///     // Not called for what the service starts with, only for what changes afterwards.
///     .apply_with(|config: Arc<Config>| async move {
///         let _ = config.workers; // resize the pool here
///         Ok::<(), std::io::Error>(())
///     })
///     .summarize_with(|config| config.workers);
/// let port = ConfigPart::fixed("port", |config: &mut Config| &mut config.port);
/// let parts: Vec<ConfigPart<Config>> = vec![workers, port];
/// ```
pub struct ConfigPart<C> {
    name: String,
    kind: Kind<C>,
    shown: Box<Show<C>>,
    valid: Option<Box<Validate<C>>>,
    apply: Option<Arc<Apply<C>>>,
}

enum Kind<C> {
    /// It can change while the service runs; tells whether it differs between two versions.
    Hot(Box<Differ<C>>),
    /// It cannot; gives the new version the old one's value and tells whether it wanted another.
    Fixed(Box<HoldBack<C>>),
}

impl<C: Clone + Send + Sync + 'static> ConfigPart<C> {
    /// A part that can change while the service runs.
    pub fn new<P: PartialEq>(
        name: impl Into<String>,
        get: impl Fn(&C) -> &P + Send + Sync + 'static,
    ) -> Self {
        let differs = move |old: &C, new: &C| get(old) != get(new);
        Self::of(name.into(), Kind::Hot(Box::new(differs)))
    }

    /// A part that cannot: a port, a database's address. It keeps its value until the restart.
    pub fn fixed<P: PartialEq>(
        name: impl Into<String>,
        get: impl Fn(&mut C) -> &mut P + Send + Sync + 'static,
    ) -> Self {
        let hold_back = move |old: &C, new: &mut C| {
            let mut old = old.clone();
            let (kept, wanted) = (get(&mut old), get(new));
            let differs = kept != wanted;
            std::mem::swap(kept, wanted);
            differs
        };
        Self::of(name.into(), Kind::Fixed(Box::new(hold_back)))
    }

    fn of(name: String, kind: Kind<C>) -> Self {
        Self {
            name,
            kind,
            shown: Box::new(|_| Value::Bool(true)),
            valid: None,
            apply: None,
        }
    }

    /// What is told of it where it was reloaded, such as how many it holds; else `true`.
    #[must_use]
    pub fn summarize_with<V: Into<Value>>(
        mut self,
        shown: impl Fn(&C) -> V + Send + Sync + 'static,
    ) -> Self {
        self.shown = Box::new(move |config| shown(config).into());
        self
    }

    /// What it has to satisfy before any of the new configuration is used.
    #[must_use]
    pub fn validate_with<E: Display>(
        mut self,
        valid: impl Fn(&C) -> Result<(), E> + Send + Sync + 'static,
    ) -> Self {
        self.valid = Some(Box::new(move |config| {
            valid(config).map_err(|error| error.to_string())
        }));
        self
    }

    /// What has to be done with the new configuration where this part has changed, which is never
    /// for the one that the service starts with. When it fails, the parts before it are applied
    /// again with the old one.
    #[must_use]
    pub fn apply_with<F, E>(mut self, apply: impl Fn(Arc<C>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.apply = Some(Arc::new(move |config| {
            let pending = apply(config);
            Box::pin(async move { pending.await.map_err(|error| error.to_string()) })
        }));
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shown(&self, config: &C) -> Value {
        (self.shown)(config)
    }

    pub(super) fn validate(&self, config: &C) -> Result<(), String> {
        self.valid.as_ref().map_or(Ok(()), |valid| valid(config))
    }

    /// Whether it can change and has changed.
    pub(super) fn has_changed(&self, old: &C, new: &C) -> bool {
        match &self.kind {
            Kind::Hot(differs) => differs(old, new),
            Kind::Fixed(_) => false,
        }
    }

    /// Gives the new version the old one's value where it cannot change; tells whether it would have.
    pub(super) fn hold_back(&self, old: &C, new: &mut C) -> bool {
        match &self.kind {
            Kind::Hot(_) => false,
            Kind::Fixed(hold_back) => hold_back(old, new),
        }
    }

    /// Puts a version into force, isolated and bounded in time.
    pub(super) async fn apply(&self, config: Arc<C>) -> Result<(), String> {
        let Some(apply) = self.apply.clone() else {
            return Ok(());
        };
        // In a task of its own, so that a panic is an error like any other.
        let mut task = tokio::spawn(async move { apply(config).await });
        match tokio::time::timeout(APPLY_LIMIT, &mut task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("panicked".to_owned()),
            Err(_) => {
                task.abort();
                Err(format!("not applied within {APPLY_LIMIT:?}"))
            }
        }
    }
}

impl<C> fmt::Debug for ConfigPart<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConfigPart")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
