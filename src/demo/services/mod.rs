//! What each service of the fleet does beside reporting on its dependencies, one file per service.

mod agents;
pub(super) mod edge;
mod file;
mod hub;
mod ingestor;
mod leases;
mod syncer;
pub(super) mod warren;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;

use super::attachment::Assignment;
use super::fleet::Convention;
use super::stage::Stage;
use super::{Error, traffic};
use healthctl_service::{Service, hephaestus};

/// The part of one service.
pub(super) struct Part {
    /// Its health routes and those of its work; nothing for who has no port.
    pub(super) routes: Option<(Router, Router)>,
    /// Where the tasks listen that it runs.
    pub(super) tasks: BTreeMap<String, SocketAddr>,
    /// Whether there is always work in flight.
    pub(super) is_busy: bool,
}

impl Part {
    fn busy(health: Router, work: Router) -> Self {
        Self {
            routes: Some((health, traffic::routes().merge(work))),
            tasks: BTreeMap::new(),
            is_busy: true,
        }
    }
}

/// Prepares the part.
pub(super) async fn open(stage: &Stage, assignment: &Assignment) -> Result<Part, Error> {
    let service = &stage.service;
    let hub = || {
        let address = assignment.control_plane;
        address.ok_or_else(|| Error::new("the control plane is missing"))
    };
    match stage.member.convention {
        Convention::Hephaestus => {
            register_clean_up(service);
            Ok(Part::busy(hephaestus::routes(service), Router::new()))
        }
        Convention::ControlPlane => {
            register_clean_up(service);
            hub::open(stage)
        }
        Convention::EdgeAgent => Ok(edge::open(stage, hub()?).await),
        Convention::ScryIngestor => {
            register_clean_up(service);
            ingestor::open(stage)
        }
        Convention::KcpSyncer => Ok(syncer::open(stage, hub()?).await),
        Convention::Warren => warren::open(stage, &assignment.before.tasks).await,
    }
}

/// Takes a moment, as closing a pool does.
fn register_clean_up(service: &Service) {
    for (name, millis) in [("database", 200), ("buffers", 100)] {
        service.on_shutdown(name, move || async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<(), String>(())
        });
    }
}
