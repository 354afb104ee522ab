//! Configuration that is reloaded while the service runs: when its file changes, on SIGHUP, by a
//! route, or by the program.
//!
//! Reloads run one after the other. A new configuration is parsed and validated before any of it is
//! used. On any error, also when applying it, the old one is kept as a whole. A part that cannot
//! change while the service runs keeps its old value and is reported as `needs-restart`. The file can
//! be validated without being used. The last ten versions are kept, and the service can go back to
//! each of them; so are the results of the last twenty reloads.
//!
//! | route | answer |
//! | --- | --- |
//! | `POST path` | reloads: the result of each part; 422 when the old configuration was kept |
//! | `POST path?dry_run=true` | only validates: what a reload would do, with `"dry_run": true` |
//! | `GET versions` | the versions, each with its number, time, cause and changed parts, and the last reloads |
//! | `POST versions/NUMBER/rollback` | goes back to a version; 404 when it is not kept |
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
//! let health = configuration
//!     .routes("/api/v1/config/reload")
//!     .merge(configuration.version_routes("/api/v1/config/versions"));
//!
//! # std::fs::write(&path, r#"{"adapters": ["a", "b"], "database_url": "postgres://two"}"#)?;
//! assert_eq!(configuration.validate().await.parts["database_url"], PartResult::NeedsRestart);
//! let answer = configuration.reload(ReloadTrigger::Program).await;
//! assert_eq!(answer.parts["adapters"], PartResult::Reloaded(2.into()));
//! assert_eq!(answer.parts["database_url"], PartResult::NeedsRestart);
//! assert_eq!(configuration.current().database_url, "postgres://one");
//! # let _: axum::Router = health;
//! # Ok(())
//! # }
//! ```

mod configuration;
mod part;
mod routes;

pub use configuration::{ConfigError, ConfigVersion, Configuration};
pub(crate) use part::ReloadCounts;
pub use part::{ConfigPart, PartResult, ReloadRecord, ReloadResult, ReloadStatus, ReloadTrigger};
