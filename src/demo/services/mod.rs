//! The work of each service of the fleet beside reporting on its components, one file per service.

mod control_plane;
pub(super) mod edge;
mod ingestor;
mod leases;
pub(super) mod syncer;
pub(super) mod warren;

use std::time::Duration;

use axum::Router;
use healthctl_service::{Service, hephaestus};

use super::fleet::{CONTROL_PLANE, Convention};
use super::protocol::{Assignment, Endpoints};
use super::simulation::Simulation;
use super::{Error, load};

/// The health routes of a service and those of its work; `None` for a service without a port.
pub(super) type Routes = Option<(Router, Router)>;

/// Prepares the service and returns its routes, and the endpoints of the tasks that it has started.
pub(super) async fn open(
    simulation: &Simulation,
    assignment: &Assignment,
) -> Result<(Routes, Endpoints), Error> {
    let service = &simulation.service;
    let convention = simulation.definition.convention;
    if convention.has_load() {
        register_clean_up(service);
    }
    let control_plane = || {
        let address = assignment.endpoints.get(CONTROL_PLANE).copied();
        address.ok_or_else(|| Error::new("the control plane is missing"))
    };
    let mut tasks = Endpoints::new();
    let (health, mut work) = match convention {
        Convention::Hephaestus => {
            let unprefixed = hephaestus::unprefixed_routes(service);
            (hephaestus::routes(service).merge(unprefixed), Router::new())
        }
        Convention::ControlPlane => control_plane::open(simulation)?,
        Convention::EdgeAgent => {
            edge::open(simulation, control_plane()?).await;
            return Ok((None, tasks));
        }
        Convention::ScryIngestor => (ingestor::open(simulation)?, Router::new()),
        Convention::KcpSyncer => (
            syncer::open(simulation, control_plane()?).await?,
            Router::new(),
        ),
        Convention::Warren => {
            let health = warren::open(simulation, &assignment.endpoints, &mut tasks).await?;
            (health, Router::new())
        }
    };
    if convention.has_load() {
        work = work.merge(load::routes());
    }
    Ok((Some((health, work)), tasks))
}

/// Registers clean-up that takes a moment, as closing a connection pool does.
fn register_clean_up(service: &Service) {
    for (name, millis) in [("database", 200), ("buffers", 100)] {
        service.on_shutdown(name, move || async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<(), String>(())
        });
    }
}
