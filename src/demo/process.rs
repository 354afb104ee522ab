//! One service of the fleet, in a process of its own.
//!
//! The process exits at once when its connection to the demo closes, so that no end of the demo, however sudden,
//! leaves it behind.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use healthctl_service::{Service, Settings, WhileDraining, log, metrics};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use super::fleet::{self, AUTH, Convention};
use super::simulation::{FaultSwitch, Simulation};
use super::{Error, http, load, protocol, services};

/// Runs one service of the demo in whose directory this process runs, until it has shut down or that demo ends.
pub(crate) async fn run(name: &str) -> Result<(), Error> {
    let definition =
        fleet::find(name).ok_or_else(|| Error::new(format!("the demo has no service `{name}`")))?;
    let log_level = init_log()?;
    let (mut connection, assignment) = protocol::attach(name).await?;
    // It answers requests that take up to three seconds, and lets some in while it drains.
    let is_ingestor = definition.convention == Convention::ScryIngestor;
    let settings = Settings {
        check_result_ttl: Duration::from_millis(200),
        drain_timeout: is_ingestor.then_some(Duration::from_secs(5)),
        initial_rejection: if is_ingestor { 0.5 } else { 1.0 },
        while_draining: match definition.convention {
            Convention::ControlPlane => WhileDraining::Refuse,
            _ => WhileDraining::Answer,
        },
        ..Settings::default()
    };
    let service = Service::new(definition.reported_name, definition.version, settings);
    let simulation = Simulation::new(definition, &service, &assignment, log_level).await;

    let failed = |error: std::io::Error| Error::new(error.to_string());
    let opening = async {
        let (routes, mut endpoints) = services::open(&simulation, &assignment).await?;
        let Some((health, work)) = routes else {
            return Ok((None, endpoints));
        };
        let before = assignment.endpoints.get(name);
        let port = before.map_or(0, SocketAddr::port);
        let listener = http::listen(port).await.map_err(failed)?;
        endpoints.insert(name.to_owned(), listener.local_addr().map_err(failed)?);
        let listener = listener.tap_io(|stream| {
            // Without it, small replies may wait for the client's acknowledgement.
            let _ = stream.set_nodelay(true);
        });
        let health = health.merge(metrics::routes(&service));
        let auth = simulation.switch(AUTH);
        let health = health.layer(from_fn_with_state(auth, require_credentials));
        // The signal handlers are installed from here on: others may learn the address.
        let server = service.server(listener, health, work).map_err(failed)?;
        Ok::<_, Error>((Some(server), endpoints))
    };
    let (server, endpoints) = tokio::select! {
        opened = opening => opened?,
        () = connection.closed() => return Ok(()),
    };
    let failed = |error| Error::new(format!("cannot serve: {error}"));
    connection.send(&endpoints).await.map_err(failed)?;
    let address = endpoints.get(name).copied();
    tracing::info!(
        service = service.name(),
        version = service.version(),
        address = address.map(tracing::field::display),
        "started"
    );
    if let Some(address) = address.filter(|_| definition.convention.has_load()) {
        load::start(&service, address);
    }
    let running = async {
        match server {
            Some(server) => Ok(server.run().await),
            None => service.run().await,
        }
    };
    tokio::select! {
        ended = running => drop(ended.map_err(failed)?),
        () = simulation.apply_faults(connection) => tracing::warn!("the demo has ended"),
    }
    Ok(())
}

/// Writes events to stderr, which is the log of the service; a line for each request would fill it. Returns the handle
/// of the level.
fn init_log() -> Result<log::LevelHandle, Error> {
    let wanted = filter_fn(|metadata| metadata.target() != log::REQUEST_TARGET);
    let layer = log::LogLayer::new(log::Format::Text, log::Level::INFO, std::io::stderr());
    let level = layer.level_handle();
    let subscriber = Registry::default().with(layer.with_filter(wanted));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::new(format!("cannot write a log: {error}")))?;
    Ok(level)
}

/// Guards every health and shutdown route.
async fn require_credentials(
    State(auth): State<FaultSwitch>,
    request: Request,
    next: Next,
) -> Response {
    if !auth.is_broken() {
        return next.run(request).await;
    }
    let scheme = [(header::WWW_AUTHENTICATE, "Bearer realm=\"demo\"")];
    (StatusCode::UNAUTHORIZED, scheme, "credentials needed\n").into_response()
}
