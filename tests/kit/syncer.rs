//! A syncer on the kit, with all that its convention asks for: components of which each reads its state from a file, a
//! connection, an engine that is told of its syncs by requests, the resources of the process, a lease that replicas share,
//! trends and a hook on each change of status.
//!
//! ```sh
//! echo '{"components": ["rbac"]}' > syncer.json; echo degraded slow > rbac
//! cargo run -p healthctl-service --features lease --example syncer -- syncer.json 127.0.0.1:8000
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::routing::post;
use healthctl_service::lease::{ApiServer, LeaseHolder, LeaseSettings};
use healthctl_service::log::{self, Format, Level};
use healthctl_service::ready_made::{self, EngineLimits, Limit, ResourceLimits, SyncEngine};
use healthctl_service::{CheckResult, Need, Service, Settings, StatusChange, kcp_syncer, metrics};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

/// The time between two checks, and between two values of a figure.
const INTERVAL: Duration = Duration::from_millis(50);

/// The content of the configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The names of components, each with a file of its name beside the configuration.
    #[serde(default)]
    components: Vec<String>,
    upstream: Option<SocketAddr>,
    /// Says that the engine and the resources are components too, the latter with a limit of tasks.
    most_tasks: Option<f64>,
    lease: Option<LeaseConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseConfig {
    api: String,
    ca: Option<PathBuf>,
    token: PathBuf,
    holder: String,
    interval_ms: u64,
    duration_ms: u64,
    failure_threshold: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    log::init(Format::Json, Level::INFO)?;
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: syncer CONFIG ADDRESS".into());
    };
    let path = PathBuf::from(path);
    let config: Config = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let service = Service::new("kcp-syncer", "0.1.0", Settings::default());
    service.on_status_change(|change: StatusChange| async move {
        tracing::info!(%change, "status changed");
        Ok::<(), Infallible>(())
    });

    let lease = hold_lease(&service, config.lease)?;
    for name in &config.components {
        let file = folder.join(name);
        let check = move || read_state(file.clone());
        service.register_check(name, Need::Required, kcp_syncer::CHECK_TIMEOUT, check);
    }
    if let Some(address) = config.upstream {
        let connect = move || async move { TcpStream::connect(address).await.map(drop) };
        let check = ready_made::connection(connect);
        service.register_check("upstream", Need::Required, kcp_syncer::CHECK_TIMEOUT, check);
    }
    let engine = SyncEngine::new(&service);
    if let Some(most_tasks) = config.most_tasks {
        register_figures(&service, &engine, most_tasks);
    }
    service.check_every(INTERVAL);
    service.collect_figures(INTERVAL);

    let health = kcp_syncer::routes(&service, &engine).merge(metrics::routes(&service));
    let server = service.server(
        TcpListener::bind(address).await?,
        health,
        work(engine, lease),
    )?;
    tracing::info!(address = %server.address()?, "listening");
    let ended = server.run().await;
    tracing::info!("{ended}");
    Ok(())
}

fn hold_lease(
    service: &Service,
    config: Option<LeaseConfig>,
) -> Result<Option<LeaseHolder>, Box<dyn Error>> {
    let Some(config) = config else {
        return Ok(None);
    };
    let api = ApiServer {
        address: config.api,
        ca: config.ca,
        token: Some(config.token),
    };
    let settings = LeaseSettings {
        interval: Duration::from_millis(config.interval_ms),
        duration: Duration::from_millis(config.duration_ms),
        failure_threshold: config.failure_threshold,
        ..LeaseSettings::new("kcp-system", "syncer", config.holder)
    };
    let lease = service.hold_lease(&api, settings)?;
    service.register_check(
        "lease",
        Need::Required,
        kcp_syncer::CHECK_TIMEOUT,
        lease.check(),
    );
    Ok(Some(lease))
}

fn register_figures(service: &Service, engine: &SyncEngine, most_tasks: f64) {
    let limits = EngineLimits {
        queue_depth: Limit::new(100.0, 1_000.0),
        error_rate: Limit::new(0.2, 0.9),
        least_rate: None,
    };
    let check = engine.check(limits);
    service.register_check("engine", Need::Required, kcp_syncer::CHECK_TIMEOUT, check);
    let limits = ResourceLimits {
        tasks: Limit::new(most_tasks, most_tasks * 10.0),
        ..ResourceLimits::default()
    };
    let check = ready_made::resources(service, limits);
    service.register_check(
        "resources",
        Need::Required,
        kcp_syncer::CHECK_TIMEOUT,
        check,
    );
}

/// Reads what is to be said of a component: a word, and after it the message.
async fn read_state(file: PathBuf) -> Result<CheckResult, std::io::Error> {
    let text = std::fs::read_to_string(file)?;
    let (word, message) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    Ok(match word {
        "healthy" => CheckResult::healthy()
            .with_detail("objects", 3)
            .with_detail("mode", "fast"),
        "degraded" => CheckResult::degraded(message),
        "unhealthy" => CheckResult::unhealthy(message),
        "hangs" => std::future::pending().await,
        _ => CheckResult::unknown(message),
    })
}

/// Returns the routes by which the engine is told of its work, and the lease given up.
fn work(engine: SyncEngine, lease: Option<LeaseHolder>) -> Router {
    let queue = |State((engine, _)): State<Work>, UrlPath(depth): UrlPath<u64>| async move {
        engine.set_queue_depth(depth);
    };
    let sync = |State((engine, _)): State<Work>,
                UrlPath((millis, succeeds)): UrlPath<(u64, bool)>| async move {
        engine.record(Duration::from_millis(millis), succeeds);
    };
    let step_down = |State((_, lease)): State<Work>| async move {
        match lease {
            Some(lease) => lease.step_down().await.map_err(|error| error.to_string()),
            None => Err("there is no lease".to_owned()),
        }
    };
    Router::new()
        .route("/queue/{depth}", post(queue))
        .route("/sync/{millis}/{succeeds}", post(sync))
        .route("/step-down", post(step_down))
        .with_state((engine, lease))
}

type Work = (SyncEngine, Option<LeaseHolder>);
