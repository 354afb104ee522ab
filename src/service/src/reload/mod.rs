//! Configuration that is read again while the service runs: by file change, SIGHUP, a route or the
//! program itself.
//!
//! One reload at a time. The new configuration is parsed and validated before anything of it is
//! used; on any error, also of applying it, the old one is kept whole. What cannot change while the
//! service runs keeps its old value and is told as *needs-restart*. The last ten versions are
//! remembered.
//!
//! ```
//! use healthctl_service::{Service, Settings};
//! use healthctl_service::reload::{Configuration, ConfigPart, PartResult, ReloadTrigger};
//! use serde::Deserialize;
//!
//! #[derive(Clone, Deserialize)]
//! struct Config {
//!     adapters: Vec<String>,
//!     database_url: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("config.json");
//! # std::fs::write(&path, r#"{"adapters": ["a"], "database_url": "postgres://one"}"#)?;
//! let service = Service::new("ingestor", "1.0", Settings::default());
//! let parts = vec![
//!     ConfigPart::new("adapters", |config: &Config| &config.adapters)
//!         .summarize_with(|config| config.adapters.len())
//!         .validate_with(|config| match config.adapters.is_empty() {
//!             true => Err("at least one is needed"),
//!             false => Ok(()),
//!         }),
//!     ConfigPart::fixed("database_url", |config: &mut Config| &mut config.database_url),
//! ];
//! let configuration = Configuration::open(
//!     &service,
//!     &path,
//!     |text| serde_json::from_str::<Config>(text),
//!     parts,
//! )?;
//! configuration.reload_on_change();
//! configuration.reload_on_hangup()?;
//! let health = configuration.routes("/api/v1/config/reload");
//!
//! # std::fs::write(&path, r#"{"adapters": ["a", "b"], "database_url": "postgres://two"}"#)?;
//! let answer = configuration.reload(ReloadTrigger::Program).await;
//! assert_eq!(answer.parts["adapters"], PartResult::Reloaded(2.into()));
//! assert_eq!(answer.parts["database_url"], PartResult::NeedsRestart);
//! assert_eq!(configuration.current().database_url, "postgres://one");
//! # let _: axum::Router = health;
//! # Ok(())
//! # }
//! ```

mod answer;
mod history;
mod part;
mod route;
mod triggers;
mod turn;

use std::fmt::{self, Display};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::Service;
use history::History;

pub(super) use answer::ReloadCounts;
pub use answer::{PartResult, ReloadResult, ReloadStatus};
pub use history::ConfigVersion;
pub use part::ConfigPart;

/// What asked for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadTrigger {
    /// The service has just started.
    Start,
    /// The file has changed.
    File,
    /// SIGHUP.
    Hangup,
    /// The route.
    Request,
    /// The program itself.
    Program,
    /// The program went back to this version.
    RollBack(u64),
}

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not valid.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// The configuration of a service. Copies share everything.
pub struct Configuration<C> {
    inner: Arc<Inner<C>>,
}

type Parse<C> = dyn Fn(&str) -> Result<C, String> + Send + Sync;

struct Inner<C> {
    service: Service,
    path: PathBuf,
    parse: Box<Parse<C>>,
    parts: Vec<ConfigPart<C>>,
    current: watch::Sender<Arc<C>>,
    history: Mutex<History<C>>,
    /// What the file held when it was last looked at; nothing where it could not be read.
    seen: Mutex<Option<u64>>,
    /// Held by the reload whose turn it is.
    turn: tokio::sync::Mutex<()>,
}

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// Reads the file for the first time. What belongs to none of the parts is taken over from each
    /// new version without a word.
    ///
    /// # Errors
    ///
    /// When it cannot be read, cannot be parsed, or a part of it is not valid.
    pub fn open<E: Display>(
        service: &Service,
        path: impl AsRef<Path>,
        parse: impl Fn(&str) -> Result<C, E> + Send + Sync + 'static,
        parts: Vec<ConfigPart<C>>,
    ) -> Result<Self, ConfigError> {
        let path = path.as_ref().to_owned();
        let text = match regular(&path).and_then(|()| std::fs::read_to_string(&path)) {
            Ok(text) => text,
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let valid = parse(&text)
            .map_err(|error| error.to_string())
            .and_then(|config| {
                for part in &parts {
                    part.validate(&config)
                        .map_err(|error| format!("{}: {error}", part.name()))?;
                }
                Ok(Arc::new(config))
            });
        let config = match valid {
            Ok(config) => config,
            Err(message) => return Err(ConfigError::Invalid { path, message }),
        };
        service.inner.reloads.start();
        Ok(Self {
            inner: Arc::new(Inner {
                service: service.clone(),
                path,
                parse: Box::new(move |text| parse(text).map_err(|error| error.to_string())),
                parts,
                history: Mutex::new(History::new(Arc::clone(&config), Timestamp::now())),
                current: watch::Sender::new(config),
                seen: Mutex::new(Some(fingerprint(&text))),
                turn: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// The file that it is read from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The configuration that is in force.
    pub fn current(&self) -> Arc<C> {
        Arc::clone(&self.inner.current.borrow())
    }

    /// Tells of each new configuration that comes into force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<C>> {
        self.inner.current.subscribe()
    }

    /// The last ten versions that were in force, the present one last.
    pub fn versions(&self) -> Vec<ConfigVersion<C>> {
        self.inner.history().versions()
    }
}

impl<C> Inner<C> {
    /// What the file holds now.
    async fn text(&self) -> io::Result<String> {
        let path = self.path.clone();
        let read = move || regular(&path).and_then(|()| std::fs::read_to_string(&path));
        let text = tokio::task::spawn_blocking(read).await;
        text.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    fn history(&self) -> MutexGuard<'_, History<C>> {
        // It is whole at every point, so a panic elsewhere does not spoil it.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Option<u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe would be waited for without end, and every other reload with it.
fn regular(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_file() {
        Ok(())
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Enough to tell two contents of one file apart while the program runs.
fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for ReloadTrigger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => formatter.write_str("start"),
            Self::File => formatter.write_str("file"),
            Self::Hangup => formatter.write_str("SIGHUP"),
            Self::Request => formatter.write_str("request"),
            Self::Program => formatter.write_str("program"),
            Self::RollBack(version) => write!(formatter, "roll-back to version {version}"),
        }
    }
}

impl<C> Clone for Configuration<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C> fmt::Debug for Configuration<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its content may hold secrets.
        formatter
            .debug_struct("Configuration")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}
