//! `syncer`: a Kubernetes syncer whose replicas share a lease at the control plane.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use healthctl_service::lease::{ApiServer, LeaseHolder, LeaseSettings};
use healthctl_service::{CheckResult, Need, Service, Settings, ShutdownCause, kcp_syncer};
use tokio::sync::Mutex;

use super::leases;
use crate::demo::Error;
use crate::demo::fleet::{CHECKS, HOLDER, LEASE};
use crate::demo::simulation::{FaultSwitch, Simulation};

/// The path of the lease at the control plane.
#[cfg(test)]
pub(in crate::demo) const LEASE_PATH: &str =
    "/apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";
/// The file with the token for the control plane, in the directory of the demo.
const TOKEN_FILE: &str = "syncer.token";
const LIMIT: Duration = Duration::from_secs(1);

/// Takes the lease, or finds out why it cannot, and returns the health routes.
pub(super) async fn open(
    simulation: &Simulation,
    control_plane: SocketAddr,
) -> Result<Router, Error> {
    let service = &simulation.service;
    let mut renewal = simulation.switch(LEASE);
    write_token(renewal.is_broken())?;
    let api = ApiServer {
        address: format!("http://{control_plane}"),
        ca: None,
        token: Some(TOKEN_FILE.into()),
    };
    let mut holder = simulation.switch(HOLDER);
    let other = OtherReplica::default();
    if holder.is_broken() {
        other.start(&api).await?;
    }
    let lease = service
        .hold_lease(&api, settings("syncer-0"))
        .map_err(failed)?;
    lease.attempted().await;
    let check = unless_disabled(simulation.switch(CHECKS), lease.check());
    service
        .register_check(LEASE, Need::Required, LIMIT, check)
        .run()
        .await;

    service.background(async move {
        while renewal.changed().await {
            if let Err(error) = write_token(renewal.is_broken()) {
                tracing::error!(%error, "the token stays as it was");
            }
        }
    });
    let ending = other.clone();
    service.on_shutdown("other replica", move || async move {
        ending.stop().await;
        Ok::<(), Error>(())
    });
    service.background(async move {
        while holder.changed().await {
            if !holder.is_broken() {
                other.stop().await;
            } else if let Err(error) = hand_over(&lease, &other, &api).await {
                tracing::error!(%error, "the lease is not handed over");
            }
        }
    });
    Ok(kcp_syncer::routes(service, stats))
}

/// Returns the settings of a replica, which are a tenth of the usual times.
fn settings(holder: &str) -> LeaseSettings {
    LeaseSettings {
        interval: Duration::from_secs(1),
        duration: Duration::from_secs(3),
        timeout: LIMIT,
        ..LeaseSettings::new("kcp-system", "syncer", holder)
    }
}

/// Writes the token, or one that the control plane refuses.
fn write_token(is_revoked: bool) -> Result<(), Error> {
    let token = if is_revoked { "revoked" } else { leases::TOKEN };
    let path = Path::new(TOKEN_FILE);
    std::fs::write(path, token).map_err(|error| Error::file("write", path, &error))
}

/// Steps down, so that another replica takes over at once.
async fn hand_over(
    lease: &LeaseHolder,
    other: &OtherReplica,
    api: &ApiServer,
) -> Result<(), Error> {
    lease.step_down().await.map_err(failed)?;
    other.start(api).await
}

/// Another replica, which does nothing but hold the lease; it is a service of its own in this process.
#[derive(Debug, Clone, Default)]
struct OtherReplica(Arc<Mutex<Option<Service>>>);

impl OtherReplica {
    async fn start(&self, api: &ApiServer) -> Result<(), Error> {
        let mut running = self.0.lock().await;
        if running.is_some() {
            return Ok(());
        }
        let settings_of_service = Settings {
            handle_signals: false,
            ..Settings::default()
        };
        let service = Service::new("kcp-syncer", "v1alpha1", settings_of_service);
        let lease = service
            .hold_lease(api, settings("syncer-1"))
            .map_err(failed)?;
        lease.attempted().await;
        *running = Some(service);
        Ok(())
    }

    /// Stops the replica, which steps down.
    async fn stop(&self) {
        if let Some(service) = self.0.lock().await.take() {
            service.shut_down(ShutdownCause::Program);
            // Without signal handlers it cannot fail.
            let _ = service.run().await;
        }
    }
}

/// Has a check find nothing out while the checks are switched off.
fn unless_disabled(
    checks: FaultSwitch,
    check: impl Fn() -> Ready<CheckResult>,
) -> impl Fn() -> Ready<CheckResult> {
    move || {
        if checks.is_broken() {
            ready(CheckResult::unknown("not checked"))
        } else {
            check()
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}

/// Returns invented statistics that are the same in every report.
fn stats() -> kcp_syncer::SyncStats {
    kcp_syncer::SyncStats {
        sync_rate: 12.5,
        error_rate: 0.01,
        queue_depth: 3,
        latency: Duration::from_millis(42),
        memory_usage: 48 << 20,
        cpu_usage: 0.07,
        tasks: 64,
    }
}
