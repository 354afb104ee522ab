//! One service of the fleet, in a process of its own.
//!
//! Its connection to the demo is its life line: when that closes the process ends at once, so that no
//! end of the demo, however sudden, leaves it behind.

use std::pin::Pin;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use tokio::sync::watch;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use super::announcement::Announcement;
use super::attachment::{Assignment, attach};
use super::fleet::{AUTH, Convention, member};
use super::services::{self, Part};
use super::stage::Stage;
use super::{Error, port, traffic};
use healthctl_service::{Service, Settings, ShutdownReport, WhileDraining, log, metrics};

/// A service that can be found, and is still to be run.
type Play = Pin<Box<dyn Future<Output = std::io::Result<ShutdownReport>>>>;

/// Runs one service of the demo in whose directory this process runs, until it has shut down, or
/// until that demo is gone.
pub(crate) async fn run(name: &str) -> Result<(), Error> {
    let member = member(name).ok_or_else(|| Error::new(format!("there is no `{name}`")))?;
    keep_log()?;
    let (mut line, assignment) = attach(member).await?;
    let service = Service::new(member.service, member.version, settings(member.convention));
    let stage = Stage::new(member, &service, &assignment).await;
    let opened = tokio::select! {
        opened = open(&stage, &assignment) => Some(opened?),
        () = line.closed() => None,
    };
    let Some((announcement, play)) = opened else {
        return Ok(());
    };
    let failed = |error| Error::new(format!("cannot serve: {error}"));
    line.say(&announcement).await.map_err(failed)?;
    tracing::info!(
        service = member.service,
        version = member.version,
        address = announcement.address.map(tracing::field::display),
        "started"
    );
    tokio::select! {
        ended = play => drop(ended.map_err(failed)?),
        () = stage.take_orders(line) => tracing::warn!("the demo has ended"),
    }
    Ok(())
}

/// What happens stands in the log; a line for each request would fill it.
fn keep_log() -> Result<(), Error> {
    let wanted = filter_fn(|metadata| metadata.target() != log::REQUEST_TARGET);
    let lines = log::LogLayer::new(log::Format::Text, log::Level::INFO, std::io::stderr());
    let subscriber = Registry::default().with(lines.with_filter(wanted));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::new(format!("cannot write a log: {error}")))
}

/// Goes as far as others can find it.
async fn open(stage: &Stage, assignment: &Assignment) -> Result<(Announcement, Play), Error> {
    let Part {
        routes,
        tasks,
        is_busy,
    } = services::open(stage, assignment).await?;
    let service = stage.service.clone();
    let Some((health, work)) = routes else {
        let play = async move { service.run().await };
        return Ok((Announcement::default(), Box::pin(play)));
    };
    let failed = |error: std::io::Error| Error::new(error.to_string());
    let before = assignment.before.address;
    let port = before.map_or(0, |address| address.port());
    let listener = port::listen(port).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let listener = listener.tap_io(|stream| {
        // Without it small answers may wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let health = health.merge(metrics::routes(&service));
    let health = health.layer(from_fn_with_state(stage.switch(AUTH), ask_for_credentials));
    // The signal handlers stand from here on: others may know the address.
    let server = service.server(listener, health, work).map_err(failed)?;
    let announcement = Announcement {
        address: Some(address),
        tasks,
    };
    let member = stage.member;
    let play = async move {
        if is_busy {
            traffic::start(&service, member, address);
        }
        Ok(server.run().await)
    };
    Ok((announcement, Box::pin(play)))
}

fn settings(convention: Convention) -> Settings {
    Settings {
        check_result_ttl: Duration::from_millis(200),
        while_draining: match convention {
            Convention::ControlPlane => WhileDraining::Refuse,
            _ => WhileDraining::Answer,
        },
        ..Settings::default()
    }
}

/// In front of every health and shutdown route.
async fn ask_for_credentials(
    State(locked): State<watch::Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    if !*locked.borrow() {
        return next.run(request).await;
    }
    let mut response = (StatusCode::UNAUTHORIZED, "credentials needed\n").into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"demo\""),
    );
    response
}
