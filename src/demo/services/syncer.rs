//! `syncer`: a Kubernetes syncer whose replicas share a lease; the one of this process holds it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::sync::watch;

use super::Part;
use super::leases::{Lease, Spec};
use crate::demo::exchange;
use crate::demo::fleet::{CHECKS, HOLDER, LEASE};
use crate::demo::inventory::LEASE_ROUTE;
use crate::demo::stage::Stage;
use healthctl_service::{CheckResult, Dependency, kcp_syncer};

/// How often the lease is renewed; the convention has ten seconds, a demo is less patient.
const INTERVAL: Duration = Duration::from_secs(1);
/// For how long it is good.
const LEASE_SECONDS: u64 = 3;

/// So many renewals missed in a row are a failure.
const FATAL: u32 = 3;

/// Takes the lease, and renews it from then on; without the control plane it says that it cannot.
pub(super) async fn open(stage: &Stage, control_plane: SocketAddr) -> Part {
    let service = &stage.service;
    let mut holder = Holder {
        control_plane,
        component: service.dependency(LEASE),
        missed: 0,
        stuck: stage.switch(LEASE),
        relieved: stage.switch(HOLDER),
        blind: stage.switch(CHECKS),
    };
    holder.turn().await;
    service.background(holder.hold());
    // As Kubernetes' own client lets go.
    service.on_shutdown(LEASE, move || renew(control_plane, "", 1));
    let health = kcp_syncer::routes(service, figures);
    Part {
        routes: Some((health, Router::new())),
        tasks: BTreeMap::new(),
        is_busy: false,
    }
}

/// The replica that renews the lease, or sees another one do so.
struct Holder {
    control_plane: SocketAddr,
    component: Dependency,
    missed: u32,
    stuck: watch::Receiver<bool>,
    relieved: watch::Receiver<bool>,
    blind: watch::Receiver<bool>,
}

impl Holder {
    async fn hold(mut self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        let (mut relieved, mut blind) = (self.relieved.clone(), self.blind.clone());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = relieved.changed() => {}
                Ok(()) = blind.changed() => {}
            }
            self.turn().await;
        }
    }

    /// One renewal, and what is to be said of it.
    async fn turn(&mut self) {
        let result = self.renew().await;
        self.missed = if result.is_ok() {
            0
        } else {
            self.missed.saturating_add(1)
        };
        self.component.record(match result {
            _ if *self.blind.borrow() => CheckResult::unknown("nobody has looked"),
            Ok(()) => CheckResult::healthy(),
            Err(error) if self.missed < FATAL => CheckResult::degraded(error),
            Err(error) => CheckResult::unhealthy(error),
        });
    }

    async fn renew(&self) -> std::io::Result<()> {
        if *self.stuck.borrow() {
            return Err(std::io::Error::other("the API server refuses the renewal"));
        }
        // The stand-by is no process of its own: all that is seen of it is its name in the lease.
        let holder = if *self.relieved.borrow() {
            "syncer-1"
        } else {
            "syncer-0"
        };
        renew(self.control_plane, holder, LEASE_SECONDS).await
    }
}

async fn renew(control_plane: SocketAddr, holder: &str, seconds: u64) -> std::io::Result<()> {
    let lease = Lease {
        spec: Spec {
            holder_identity: holder.to_owned(),
            lease_duration_seconds: seconds,
            renew_time: Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
                .to_string(),
            acquire_time: None,
            lease_transitions: 0,
        },
    };
    let request = format!("PUT {LEASE_ROUTE}");
    exchange::tell(control_plane, &request, &serde_json::to_string(&lease)?).await
}

/// Made up, but steady: who looks twice sees the same.
fn figures() -> kcp_syncer::SyncStats {
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
