//! `syncer`: a Kubernetes syncer whose replicas share a lease. Its check of the lease renews it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use healthctl_service::{CheckResult, Need, kcp_syncer};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::demo::fleet::{CHECKS, HOLDER, LEASE};
use crate::demo::http;
use crate::demo::simulation::{FaultSwitch, Simulation};

/// The path of the lease at the control plane.
pub(in crate::demo) const LEASE_PATH: &str =
    "/apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";
const LEASE_DURATION: Duration = Duration::from_secs(3);

/// Takes the lease, renews it from then on, and returns the health routes. Without the control plane the lease is
/// reported as degraded, and as unhealthy once it has expired.
pub(super) async fn open(simulation: &Simulation, control_plane: SocketAddr) -> Router {
    let service = &simulation.service;
    let replica = Arc::new(LeaseHolder {
        control_plane,
        renewed: Mutex::new(Instant::now()),
        renewal: simulation.switch(LEASE),
        holder: simulation.switch(HOLDER),
        checks: simulation.switch(CHECKS),
    });
    let renew = move || Arc::clone(&replica).check();
    service
        .register_check(LEASE, Need::Required, Duration::from_secs(1), renew)
        .run()
        .await;
    // The client library of Kubernetes releases a lease like this.
    service.on_shutdown(LEASE, move || write_lease(control_plane, "", 1));
    kcp_syncer::routes(service, stats)
}

/// The replica that renews the lease, or stands by while another one does.
struct LeaseHolder {
    control_plane: SocketAddr,
    renewed: Mutex<Instant>,
    renewal: FaultSwitch,
    holder: FaultSwitch,
    checks: FaultSwitch,
}

impl LeaseHolder {
    async fn check(self: Arc<Self>) -> CheckResult {
        let result = self.renew().await;
        let mut renewed = self.renewed.lock().await;
        if result.is_ok() {
            *renewed = Instant::now();
        }
        match result {
            _ if self.checks.is_broken() => CheckResult::unknown("not checked"),
            Ok(()) => CheckResult::healthy(),
            Err(error) if renewed.elapsed() < LEASE_DURATION => CheckResult::degraded(error),
            Err(error) => CheckResult::unhealthy(error),
        }
    }

    async fn renew(&self) -> std::io::Result<()> {
        if self.renewal.is_broken() {
            return Err(std::io::Error::other("the API server refuses the renewal"));
        }
        // The other replica is not a process: only its name in the lease can be seen.
        let holder = if self.holder.is_broken() {
            "syncer-1"
        } else {
            "syncer-0"
        };
        write_lease(self.control_plane, holder, LEASE_DURATION.as_secs()).await
    }
}

async fn write_lease(control_plane: SocketAddr, holder: &str, seconds: u64) -> std::io::Result<()> {
    let renew_time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
    let lease = json!({"spec": {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "renewTime": renew_time.to_string(),
    }});
    http::submit(
        control_plane,
        &format!("PUT {LEASE_PATH}"),
        &lease.to_string(),
    )
    .await
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
