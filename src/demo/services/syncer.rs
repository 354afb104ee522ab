//! `syncer`: a Kubernetes syncer whose replicas share a lease at the control plane. Its objects and connections are
//! simulated; what it reports of them, and of its resources, is measured by the kit.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use healthctl_service::lease::{ApiServer, LeaseHolder, LeaseSettings};
use healthctl_service::ready_made::{self, EngineLimits, Limit, ResourceLimits, SyncEngine};
use healthctl_service::{
    CheckResult, Need, Service, Settings, ShutdownCause, StatusChange, kcp_syncer,
};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::leases;
use crate::demo::Error;
use crate::demo::fleet::{CHECKS, DOWNSTREAM, HOLDER, LEASE, QUEUE, UPSTREAM};
use crate::demo::simulation::Simulation;

/// The path of the lease at the control plane.
#[cfg(test)]
pub(in crate::demo) const LEASE_PATH: &str =
    "/apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";
/// The file with the token for the control plane, in the directory of the demo.
const TOKEN_FILE: &str = "syncer.token";
/// The time that one check, and one request to the control plane, may take.
const LIMIT: Duration = Duration::from_secs(3);
/// The time between two objects that are to be synced, and the time that it takes.
const SYNC_INTERVAL: Duration = Duration::from_millis(80);
const SYNC_TIME: Duration = Duration::from_millis(40);
/// One sync of so many fails.
const FAILING_SYNC: u64 = 100;

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
    register(simulation, LEASE, lease.check()).await;
    register_connections(simulation).await;
    let engine = start_engine(simulation).await;
    let limits = ResourceLimits {
        memory_bytes: Limit::new(512e6, 1024e6),
        cpu: Limit::new(2.0, 4.0),
        tasks: Limit::new(1_000.0, 10_000.0),
    };
    register(
        simulation,
        "resources",
        ready_made::resources(service, limits),
    )
    .await;
    service.collect_figures(Duration::from_secs(1));
    service.on_status_change(|change: StatusChange| async move {
        tracing::info!(%change, "hook on a change of status");
        Ok::<(), Infallible>(())
    });

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
    Ok(kcp_syncer::routes(service, &engine))
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

/// Registers a check, which finds nothing out while the checks are switched off, and runs it.
async fn register<R: Future<Output = CheckResult> + Send + 'static>(
    simulation: &Simulation,
    name: &str,
    check: impl Fn() -> R + Send + Sync + 'static,
) {
    let checks = simulation.switch(CHECKS);
    let check = move || {
        let found = (!checks.is_broken()).then(&check);
        async move {
            match found {
                Some(found) => found.await,
                None => CheckResult::unknown("not checked"),
            }
        }
    };
    let service = &simulation.service;
    service
        .register_check(name, Need::Required, LIMIT, check)
        .run()
        .await;
}

/// Registers the checks of both connections.
async fn register_connections(simulation: &Simulation) {
    for (name, millis, error) in [
        (UPSTREAM, 9, "connection refused"),
        (DOWNSTREAM, 7, "certificate signed by unknown authority"),
    ] {
        let fault = simulation.switch(name);
        let connect = move || {
            let outcome = if fault.is_broken() {
                Err(error)
            } else {
                Ok(())
            };
            async move {
                sleep(Duration::from_millis(millis)).await;
                outcome
            }
        };
        register(simulation, name, ready_made::connection(connect)).await;
    }
}

/// Starts to sync objects, and registers the check of that.
async fn start_engine(simulation: &Simulation) -> SyncEngine {
    let engine = SyncEngine::new(&simulation.service);
    let limits = EngineLimits {
        queue_depth: Limit::new(100.0, 1_000.0),
        error_rate: Limit::new(0.05, 0.5),
        least_rate: None,
    };
    let (check, checked, backlog) = (
        engine.check(limits),
        engine.clone(),
        simulation.switch(QUEUE),
    );
    let check = move || {
        checked.set_queue_depth(if backlog.is_broken() { 412 } else { 3 });
        check()
    };
    register(simulation, QUEUE, check).await;
    let syncing = engine.clone();
    simulation.service.background(async move {
        let mut objects = interval(SYNC_INTERVAL);
        objects.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for number in 1_u64.. {
            objects.tick().await;
            let sync = async {
                sleep(SYNC_TIME).await;
                if number.is_multiple_of(FAILING_SYNC) {
                    return Err("conflict: the object has been modified");
                }
                Ok(())
            };
            // The engine has counted it.
            let _ = syncing.observe(sync).await;
        }
    });
    engine
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}
