//! `edge`: an agent without a port. It beats to the control plane, and at its end stops its virtual
//! machines one by one and sends a final heartbeat.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Part;
use super::agents::{Sign, Status, Vms};
use crate::demo::exchange;
use crate::demo::fleet::HEARTBEAT;
use crate::demo::stage::Stage;
use healthctl_service::{DependencyStatus, Heartbeat, HeartbeatSchedule, HeartbeatStatus, Service};

/// Its name in the control plane's list.
pub(in crate::demo) const ID: &str = "edge-1";
/// What it promises; it beats twice as often, so that one that is late is not missed.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long a virtual machine takes to stop.
const VM_STOP: Duration = Duration::from_millis(400);

/// Reports for the first time, and from then on, whether the control plane is there or not.
pub(super) async fn open(stage: &Stage, control_plane: SocketAddr) -> Part {
    let agent = Arc::new(Agent {
        service: stage.service.clone(),
        control_plane,
        stopped: AtomicUsize::new(0),
    });
    let silent = stage.switch(HEARTBEAT);
    if !*silent.borrow() {
        // One that does not arrive is missed like any other.
        let _ = agent.report(Status::Running).await;
    }

    let reporter = Arc::clone(&agent);
    let send = move |beat: Heartbeat| {
        let (agent, silent) = (Arc::clone(&reporter), *silent.borrow());
        async move {
            let status = match beat.status {
                HeartbeatStatus::Running => Status::Running,
                HeartbeatStatus::ShuttingDown | HeartbeatStatus::Final => Status::ShuttingDown,
            };
            if silent {
                return Err(std::io::Error::other("the uplink is cut"));
            }
            agent.report(status).await
        }
    };
    let pace = HeartbeatSchedule::every(INTERVAL / 2);
    stage.service.heartbeat("control-plane", pace, send);
    // Registered after the heartbeat, so that the final one goes out when all have stopped.
    for component in stage.member.dependencies {
        let agent = Arc::clone(&agent);
        stage
            .service
            .on_shutdown(component.name, move || async move {
                tokio::time::sleep(VM_STOP).await;
                agent.stopped.fetch_add(1, Ordering::SeqCst);
                agent.report(Status::ShuttingDown).await
            });
    }
    Part {
        routes: None,
        tasks: BTreeMap::new(),
        is_busy: false,
    }
}

struct Agent {
    service: Service,
    control_plane: SocketAddr,
    /// How many of its virtual machines it has stopped on purpose.
    stopped: AtomicUsize,
}

impl Agent {
    async fn report(&self, status: Status) -> std::io::Result<()> {
        let sign = Sign {
            status,
            heartbeat_interval_seconds: INTERVAL.as_secs_f64(),
            vms: self.vms(),
        };
        let request = format!("POST /api/v1/agents/{ID}/heartbeat");
        exchange::tell(self.control_plane, &request, &serde_json::to_string(&sign)?).await
    }

    fn vms(&self) -> Vms {
        let vms: Vec<_> = self
            .service
            .dependencies()
            .into_iter()
            .filter(|snapshot| snapshot.name.starts_with("vm-"))
            .collect();
        let alive = vms
            .iter()
            .filter(|snapshot| snapshot.status == DependencyStatus::Working)
            .count();
        Vms {
            running: alive.saturating_sub(self.stopped.load(Ordering::SeqCst)),
            total: vms.len(),
        }
    }
}
