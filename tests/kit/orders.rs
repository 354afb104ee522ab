//! A small service that uses the kit: checks, a readiness gate, a circuit breaker, a configuration that is reloaded on a
//! change of its file, on SIGHUP and by a route, metrics, and a log of JSON lines.
//!
//! ```sh
//! echo '{"database": "127.0.0.1:5432", "supplier": "127.0.0.1:9000", "watch_disk": true}' > orders.json
//! cargo run --example orders -- orders.json 127.0.0.1:8000
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use healthctl_service::log::{self, Format, Level};
use healthctl_service::reload::{ConfigPart, Configuration};
use healthctl_service::{
    CallError, Check, CheckResult, CircuitBreaker, Need, Service, Settings, hephaestus, metrics,
};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

/// The time that one check may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The content of the configuration file.
#[derive(Clone, Deserialize)]
struct Config {
    database: SocketAddr,
    supplier: SocketAddr,
    watch_disk: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    log::init(Format::Json, Level::INFO)?;
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: orders CONFIG ADDRESS".into());
    };
    let service = Service::new("orders-api", "2.4.1", Settings::default());

    let disk = service.register_blocking_check("disk", Need::Optional, LIMIT, entries);
    let configuration = configuration(&service, &path, disk)?;
    let database = configuration.current().database;
    service
        .register_check("database", Need::Required, LIMIT, move || connect(database))
        .gate_readiness(&service);
    service.check_every(Duration::from_secs(1));
    service.on_shutdown("database", || async {
        // Close the connection pool here.
        Ok::<(), io::Error>(())
    });

    let health = hephaestus::routes(&service)
        .merge(metrics::routes(&service))
        .merge(configuration.routes("/config/reload"));
    let supplier = service.circuit_breaker("supplier", 3, Duration::from_secs(30));
    let orders = move || order(supplier.clone(), configuration.current().supplier);
    let work = Router::new().route("/orders", get(orders));
    let server = service.server(TcpListener::bind(address).await?, health, work)?;
    // The signal handlers are installed, so from here on SIGTERM shuts the service down.
    tracing::info!(address = %server.address()?, "listening");
    let ended = server.run().await;
    tracing::info!("{ended}");
    Ok(())
}

/// Reads the configuration, and sets up what reloads it.
fn configuration(
    service: &Service,
    path: &str,
    disk: Check,
) -> Result<Configuration<Config>, Box<dyn Error>> {
    let watched = disk.clone();
    let parts = vec![
        ConfigPart::new("supplier", |config: &Config| &config.supplier)
            .summarize_with(|config| config.supplier.to_string()),
        ConfigPart::new("watch_disk", |config: &Config| &config.watch_disk).apply_with(
            move |config: Arc<Config>| {
                disk.set_enabled(config.watch_disk);
                async { Ok::<(), Infallible>(()) }
            },
        ),
        ConfigPart::fixed("database", |config: &mut Config| &mut config.database),
    ];
    let parse = |text: &str| serde_json::from_str(text);
    let configuration = Configuration::open(service, path, parse, parts)?;
    watched.set_enabled(configuration.current().watch_disk);
    configuration.reload_on_change();
    configuration.reload_on_hangup()?;
    Ok(configuration)
}

async fn connect(address: SocketAddr) -> io::Result<()> {
    TcpStream::connect(address).await.map(drop)
}

/// Counts the files here, which blocks the thread.
fn entries() -> io::Result<CheckResult> {
    let entries = std::fs::read_dir(".")?.count();
    Ok(CheckResult::healthy().with_detail("entries", entries))
}

/// Answers a request, for which the supplier is called.
async fn order(supplier: CircuitBreaker, address: SocketAddr) -> (StatusCode, String) {
    match supplier.call(connect(address)).await {
        Ok(()) => (StatusCode::OK, "ordered\n".to_owned()),
        Err(refused @ CallError::Open { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{refused}\n"))
        }
        Err(CallError::Failed(error)) => (StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}
