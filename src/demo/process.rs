//! One service of the fleet, in a process of its own.
//!
//! Its standard input is its life line: orders come in on it, and when it closes the process ends,
//! so that no end of the demo, however sudden, leaves it behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::announcement::Announcement;
use super::fleet::{AUTH, Convention, member};
use super::services::{self, Part};
use super::stage::Stage;
use super::{Error, traffic};
use crate::service::{Ended, Service, Settings, WhileDraining};

/// Runs one service until it has shut down, or until the demo that started it is gone (`None`).
/// `control_plane` is where the others report to.
pub(crate) async fn run(
    name: &str,
    calm: bool,
    control_plane: Option<SocketAddr>,
) -> Result<Option<Ended>, Error> {
    let member = member(name).ok_or_else(|| Error::new(format!("there is no `{name}`")))?;
    let service = Service::new(member.service, member.version, settings(member.convention));
    let stage = Stage::new(member, &service, calm).await;
    let part = services::open(&stage, control_plane).await?;
    tokio::select! {
        ended = play(&stage, part) => {
            ended.map(Some).map_err(|error| Error::new(format!("cannot serve: {error}")))
        }
        () = stage.take_orders() => Ok(None),
    }
}

async fn play(stage: &Stage, part: Part) -> std::io::Result<Ended> {
    let Part {
        routes,
        tasks,
        is_busy,
    } = part;
    let service = &stage.service;
    let Some((health, work)) = routes else {
        Announcement::default().make()?;
        return service.run().await;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // Without it small answers may wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let health = health.layer(from_fn_with_state(stage.switch(AUTH), ask_for_credentials));
    let server = service.server(listener, health, work)?;
    // The signal handlers stand: now others may know the address.
    let announcement = Announcement {
        address: Some(address),
        tasks,
    };
    announcement.make()?;
    if is_busy {
        traffic::start(service, stage.member, address);
    }
    Ok(server.run().await)
}

fn settings(convention: Convention) -> Settings {
    Settings {
        check_cache: Duration::from_millis(200),
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
