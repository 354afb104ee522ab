//! `syncer`: a Kubernetes syncer whose replicas share a lease; the one of this process holds it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;

use super::Part;
use super::leases::{Lease, Spec};
use crate::demo::Error;
use crate::demo::exchange;
use crate::demo::fleet::{HOLDER, LEASE};
use crate::demo::inventory::LEASE_ROUTE;
use crate::demo::stage::Stage;
use crate::service::{Beat, Pace, Sign, kcp_syncer};

/// How often the lease is renewed; the convention has ten seconds, a demo is less patient.
const INTERVAL: Duration = Duration::from_secs(1);
/// For how long it is good.
const LEASE_SECONDS: u64 = 3;

/// Takes the lease, and renews it from then on.
pub(super) async fn open(stage: &Stage, control_plane: SocketAddr) -> Result<Part, Error> {
    renew(control_plane, "syncer-0", LEASE_SECONDS)
        .await
        .map_err(|error| Error::new(format!("cannot take the lease: {error}")))?;
    let (stuck, relieved) = (stage.switch(LEASE), stage.switch(HOLDER));
    let send = move |beat: Beat| {
        let stuck = *stuck.borrow();
        // Its stand-by is no process of its own: all that is seen of it is its name in the lease.
        let holder = match (beat.sign, *relieved.borrow()) {
            // As Kubernetes' own client lets go.
            (Sign::Final, _) => ("", 1),
            (_, false) => ("syncer-0", LEASE_SECONDS),
            (_, true) => ("syncer-1", LEASE_SECONDS),
        };
        async move {
            if stuck {
                return Err(std::io::Error::other("the API server refuses the renewal"));
            }
            renew(control_plane, holder.0, holder.1).await
        }
    };
    stage.service.heartbeat(LEASE, Pace::every(INTERVAL), send);
    let health = kcp_syncer::routes(&stage.service, figures);
    Ok(Part {
        routes: Some((health, Router::new())),
        tasks: BTreeMap::new(),
        is_busy: false,
    })
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
fn figures() -> kcp_syncer::Figures {
    kcp_syncer::Figures {
        sync_rate: 12.5,
        error_rate: 0.01,
        queue_depth: 3,
        latency: Duration::from_millis(42),
        memory_usage: 48 << 20,
        cpu_usage: 0.07,
        tasks: 64,
    }
}
