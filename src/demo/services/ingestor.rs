//! `ingestor`: its configuration can be reloaded, by SIGHUP and by its route.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use serde::{Deserialize, Serialize};

use super::{Part as Role, file};
use crate::demo::Error;
use crate::demo::fleet::CONFIG;
use crate::demo::stage::Stage;
use healthctl_service::reload::{ConfigPart, Configuration};
use healthctl_service::scry_ingestor;

/// Its configuration, relative to the demo's directory, in which every service runs.
const FILE: &str = "ingestor.json";

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    adapters: Vec<String>,
    feature_flags: BTreeMap<String, bool>,
    log_level: String,
    database_url: String,
    redis_url: String,
    port: u16,
}

/// Sees to it that there is a file, and reads it; a bad one ends the start.
pub(super) fn open(stage: &Stage) -> Result<Role, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("cannot configure: {error}"));
    let path = Path::new(FILE);
    let mut broken = stage.switch(CONFIG);
    let written = if *broken.borrow() {
        file::write(path, &bad(0))
    } else {
        file::keep_or_write(path, &good(0), |config| valid(config).is_ok())
    };
    written.map_err(|error| failed(&error))?;
    let parse = |text: &str| serde_json::from_str::<Config>(text);
    let configuration = Configuration::open(&stage.service, path, parse, parts())
        .map_err(|error| failed(&error))?;
    configuration
        .reload_on_hangup()
        .map_err(|error| failed(&error))?;

    stage.service.background(async move {
        let mut mended = 0_usize;
        while broken.changed().await.is_ok() {
            let config = if *broken.borrow_and_update() {
                bad(mended)
            } else {
                mended = mended.saturating_add(1);
                good(mended)
            };
            // A file that cannot be written is as it was, which a reload tells.
            let _ = file::write(path, &config);
        }
    });
    let health =
        scry_ingestor::routes(&stage.service).merge(configuration.routes("/api/v1/config/reload"));
    Ok(Role::busy(health, Router::new()))
}

fn parts() -> Vec<ConfigPart<Config>> {
    vec![
        ConfigPart::new("adapters", |config: &Config| &config.adapters)
            .summarize_with(|config| config.adapters.len())
            .validate_with(valid),
        ConfigPart::new("feature_flags", |config: &Config| &config.feature_flags)
            .summarize_with(|config| config.feature_flags.len()),
        ConfigPart::new("environment", |config: &Config| &config.log_level),
        ConfigPart::fixed("database_url", |config: &mut Config| {
            &mut config.database_url
        }),
        ConfigPart::fixed("redis_url", |config: &mut Config| &mut config.redis_url),
        ConfigPart::fixed("port", |config: &mut Config| &mut config.port),
    ]
}

fn valid(config: &Config) -> Result<(), &'static str> {
    if config.adapters.is_empty() {
        Err("at least one is needed")
    } else {
        Ok(())
    }
}

/// A good one; each has one adapter more than the one before, so that a reload has something to do.
fn good(number: usize) -> Config {
    let more = (1..=number).map(|number| format!("partner-{number}"));
    let adapters = ["rest", "kafka"].map(str::to_owned).into_iter().chain(more);
    Config {
        adapters: adapters.collect(),
        feature_flags: BTreeMap::from([("dead_letters".to_owned(), true)]),
        log_level: "info".to_owned(),
        database_url: "postgres://ingest@db.internal/ingest".to_owned(),
        redis_url: "redis://cache.internal/0".to_owned(),
        port: 8080,
    }
}

fn bad(number: usize) -> Config {
    Config {
        adapters: Vec::new(),
        ..good(number)
    }
}
