//! `ingestor`: a service whose configuration, log level and checks change while it runs.
//!
//! It reloads on SIGHUP and by a route, validates before it, tells its versions and goes back to one; requests change single
//! checks.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use healthctl_service::reload::{ConfigPart, Configuration};
use healthctl_service::{CheckConfig, scry_ingestor};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::demo::fleet::CONFIG;
use crate::demo::simulation::Simulation;
use crate::demo::{Error, config_file};

/// The configuration file, in the directory of the demo, in which every service runs.
const FILE: &str = "ingestor.json";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    adapters: Vec<String>,
    feature_flags: BTreeMap<String, bool>,
    log_level: String,
    /// The settings of checks that are not as they were registered.
    #[serde(default)]
    checks: IndexMap<String, CheckConfig>,
    database_url: String,
    redis_url: String,
    port: u16,
}

/// Writes the configuration file unless there is a valid one, and returns the health routes. An invalid
/// configuration ends the start.
pub(super) fn open(simulation: &Simulation) -> Result<Router, Error> {
    let service = &simulation.service;
    let path = Path::new(FILE);
    let mut fault = simulation.switch(CONFIG);
    let written = if fault.is_broken() {
        config_file::write(path, &config(0, true))
    } else {
        let config = config(0, false);
        config_file::write_unless_valid(path, &config, |config| validate(config).is_ok())
    };
    written.map_err(config_file::error)?;
    // What it answers lies in the database.
    if let Some(api) = service.check("api") {
        api.dependency().set_depends_on(["database"]);
    }
    let parse = |text: &str| serde_json::from_str::<Config>(text);
    let parts = vec![
        ConfigPart::new("adapters", |config: &Config| &config.adapters)
            .summarize_with(|config| config.adapters.len())
            .validate_with(validate),
        ConfigPart::new("feature_flags", |config: &Config| &config.feature_flags)
            .summarize_with(|config| config.feature_flags.len()),
        ConfigPart::log_level(
            "environment",
            |config: &Config| &config.log_level,
            simulation.log_level.clone(),
        )
        .summarize_with(|_| true),
        ConfigPart::checks("checks", |config: &Config| &config.checks, service),
        ConfigPart::fixed("database_url", |config: &mut Config| {
            &mut config.database_url
        }),
        ConfigPart::fixed("redis_url", |config: &mut Config| &mut config.redis_url),
        ConfigPart::fixed("port", |config: &mut Config| &mut config.port),
    ];
    let configuration =
        Configuration::open(service, path, parse, parts).map_err(config_file::error)?;
    configuration
        .reload_on_hangup()
        .map_err(config_file::error)?;

    service.background(async move {
        let mut mended = 0_usize;
        while fault.changed().await {
            let is_broken = fault.is_broken();
            mended = mended.saturating_add(usize::from(!is_broken));
            // If the file cannot be written it stays as it was, which the next reload reports.
            let _ = config_file::write(path, &config(mended, is_broken));
        }
    });
    Ok(scry_ingestor::routes(service)
        .merge(configuration.routes("/api/v1/config/reload"))
        .merge(configuration.version_routes("/api/v1/config/versions"))
        .merge(service.check_routes("/api/v1/checks")))
}

fn validate(config: &Config) -> Result<(), &'static str> {
    if config.adapters.is_empty() {
        Err("at least one is needed")
    } else {
        Ok(())
    }
}

/// Returns a configuration with two adapters and `extra` ones, so that each mended file has something to reload; a
/// broken one has no adapters.
fn config(extra: usize, is_broken: bool) -> Config {
    let extra = (1..=extra).map(|number| format!("partner-{number}"));
    let adapters = ["rest", "kafka"]
        .map(str::to_owned)
        .into_iter()
        .chain(extra);
    Config {
        adapters: adapters.filter(|_| !is_broken).collect(),
        feature_flags: BTreeMap::from([("dead_letters".to_owned(), true)]),
        log_level: "info".to_owned(),
        checks: IndexMap::new(),
        database_url: "postgres://ingest@db.internal/ingest".to_owned(),
        redis_url: "redis://cache.internal/0".to_owned(),
        port: 8080,
    }
}
