//! A data ingestor on the kit, with all that its convention asks for: required and optional components, one that depends
//! on another, a circuit breaker, the health of another service, checks that a file and requests change, a configuration
//! that is validated, reloaded and rolled back, and a drain that refuses more and more.
//!
//! ```sh
//! echo '{"adapters": ["rest"], "database": "127.0.0.1:5432", "supplier": "127.0.0.1:9000"}' > ingestor.json
//! cargo run -p healthctl-service --features upstream --example ingestor -- ingestor.json 127.0.0.1:8000
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use healthctl_service::log::{self, Format, Level, LevelHandle};
use healthctl_service::reload::{ConfigPart, Configuration};
use healthctl_service::{
    CallError, CheckConfig, CheckResult, CircuitBreaker, Need, Service, Settings, TerminationEvent,
    TerminationEvents, metrics, scry_ingestor,
};
use indexmap::IndexMap;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

/// The time that one check may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The content of the configuration file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    adapters: Vec<String>,
    database: SocketAddr,
    supplier: SocketAddr,
    /// A health route of another service.
    #[serde(default)]
    upstream: Option<String>,
    #[serde(default = "info")]
    log_level: String,
    #[serde(default)]
    checks: IndexMap<String, CheckConfig>,
    #[serde(default)]
    shutdown: ShutdownConfig,
}

/// The times and shares of the shutdown.
#[derive(Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShutdownConfig {
    drain_seconds: Option<f64>,
    initial_rejection: Option<f64>,
}

fn info() -> String {
    "info".to_owned()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let level = log::init(Format::Json, Level::INFO)?;
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ingestor CONFIG ADDRESS".into());
    };
    // The settings of the shutdown and the addresses hold until the end, so they are read first.
    let config: Config = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let drain_seconds = config.shutdown.drain_seconds;
    let settings = Settings {
        drain_timeout: drain_seconds.map(Duration::try_from_secs_f64).transpose()?,
        initial_rejection: config.shutdown.initial_rejection.unwrap_or(1.0),
        ..Settings::default()
    };
    let service = Service::new("scry-ingestor", "3.2.0", settings);
    register_components(&service, &config)?;
    let configuration = configuration(&service, &path, level)?;
    service.check_every(Duration::from_secs(1));
    // The last one runs first.
    service.on_shutdown("database", async || Ok::<(), Infallible>(()));
    service.on_shutdown("adapters", async || Err("an adapter does not answer"));
    service.on_shutdown("buffers", async || Ok::<(), Infallible>(()));
    let events = tokio::spawn(tell(service.termination_events()));

    let supplier = service.circuit_breaker("supplier", 2, Duration::from_secs(1));
    let ingest = move || ingest(supplier.clone(), config.supplier);
    let work = Router::new()
        .route("/ingest", get(ingest))
        .route("/now", get(async || "done\n"))
        .route("/endless", get(endless));
    let health = scry_ingestor::routes(&service)
        .merge(metrics::routes(&service))
        .merge(configuration.routes("/api/v1/config/reload"))
        .merge(configuration.version_routes("/api/v1/config/versions"))
        .merge(service.check_routes("/api/v1/checks"));
    let server = service.server(TcpListener::bind(address).await?, health, work)?;
    // The signal handlers are installed, so from here on SIGTERM shuts the service down.
    tracing::info!(address = %server.address()?, "listening");
    server.run().await;
    events.await?;
    Ok(())
}

fn register_components(service: &Service, config: &Config) -> Result<(), Box<dyn Error>> {
    let database = config.database;
    let reached = move || async move { TcpStream::connect(database).await.map(drop) };
    service.register_check("database", Need::Required, LIMIT, reached);
    // Its data lies in the database.
    let api = service.register_check("api", Need::Required, LIMIT, move || async move {
        let reached = TcpStream::connect(database).await;
        reached.map(|_| CheckResult::healthy().with_message("running"))
    });
    api.dependency().set_depends_on(["database"]);
    if let Some(url) = &config.upstream {
        service.register_upstream("catalogue", Need::Optional, LIMIT, url)?;
    }
    service.dependency("supplier").set_need(Need::Optional);
    Ok(())
}

/// Reads the configuration, and sets up what reloads it.
fn configuration(
    service: &Service,
    path: &str,
    level: LevelHandle,
) -> Result<Configuration<Config>, Box<dyn Error>> {
    let parts = vec![
        ConfigPart::new("adapters", |config: &Config| &config.adapters)
            .summarize_with(|config| config.adapters.len())
            .validate_with(|config| {
                let first = config.adapters.first();
                first.map(drop).ok_or("at least one is needed")
            }),
        ConfigPart::log_level("log_level", |config: &Config| &config.log_level, level),
        ConfigPart::checks("checks", |config: &Config| &config.checks, service),
        ConfigPart::fixed("database", |config: &mut Config| &mut config.database),
        ConfigPart::fixed("supplier", |config: &mut Config| &mut config.supplier),
        ConfigPart::fixed("upstream", |config: &mut Config| &mut config.upstream),
        ConfigPart::fixed("shutdown", |config: &mut Config| &mut config.shutdown),
    ];
    let parse = |text: &str| serde_json::from_str(text);
    let configuration = Configuration::open(service, path, parse, parts)?;
    configuration.reload_on_hangup()?;
    Ok(configuration)
}

/// Answers a request, for which the supplier is called.
async fn ingest(supplier: CircuitBreaker, address: SocketAddr) -> (StatusCode, String) {
    let call = async { TcpStream::connect(address).await.map(drop) };
    match supplier.call(call).await {
        Ok(()) => (StatusCode::OK, "ingested\n".to_owned()),
        Err(refused @ CallError::Open { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{refused}\n"))
        }
        Err(CallError::Failed(error)) => (StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}

/// Answers nothing until its client has gone.
async fn endless() -> Infallible {
    tracing::info!("endless request begins");
    std::future::pending().await
}

/// Tells each step of the shutdown, as a program does that hands it to others.
async fn tell(mut events: TerminationEvents) {
    while let Some(event) = events.next().await {
        let step = match event {
            TerminationEvent::Requested(cause) => format!("requested by {cause}"),
            TerminationEvent::Draining { timeout, .. } => format!("drains at most {timeout:?}"),
            TerminationEvent::Drained(_) => "drained".to_owned(),
            TerminationEvent::DrainTimedOut(aborted) => format!("aborted {aborted}"),
            TerminationEvent::CleanedUp(result) => match result.outcome {
                Ok(()) => format!("cleaned up {}", result.name),
                Err(error) => format!("did not clean up {}: {error}", result.name),
            },
            TerminationEvent::Finished(_) => "finished".to_owned(),
        };
        tracing::info!(step, "termination event");
    }
}
