//! `edge`: an agent without a port. It sends heartbeats to the control plane. At its shutdown it stops its virtual
//! machines one by one and sends a final heartbeat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use healthctl_service::{
    DependencySnapshot, Health, Heartbeat, HeartbeatSchedule, HeartbeatStatus, Service,
};
use parking_lot::Mutex;
use serde_json::json;

use crate::demo::fleet::HEARTBEAT;
use crate::demo::http;
use crate::demo::simulation::Simulation;

/// The name of the agent in the control plane's list.
pub(in crate::demo) const AGENT_ID: &str = "edge-1";
/// The interval that the agent promises. It sends twice as often, so that a late heartbeat is not missed.
const INTERVAL: Duration = Duration::from_secs(2);
/// The statuses that the control plane knows.
const RUNNING: &str = "running";
const SHUTTING_DOWN: &str = "shutting_down";
/// The time that a virtual machine takes to stop: long enough for a watcher to see each of them.
const VM_STOP_TIME: Duration = Duration::from_millis(1_200);

/// Sends the first heartbeat, and others from then on, whether the control plane is running or not.
pub(super) async fn open(simulation: &Simulation, control_plane: SocketAddr) {
    let service = &simulation.service;
    let agent = Arc::new(EdgeAgent {
        service: service.clone(),
        control_plane,
        stopped: AtomicUsize::new(0),
        progress: Mutex::default(),
    });
    let uplink = simulation.switch(HEARTBEAT);
    if !uplink.is_broken() {
        // If it does not arrive, the control plane counts it as missed.
        let _ = agent.report(RUNNING).await;
    }

    let reporter = Arc::clone(&agent);
    let send = move |heartbeat: Heartbeat| {
        let (agent, is_cut) = (Arc::clone(&reporter), uplink.is_broken());
        async move {
            let status = match heartbeat.status {
                HeartbeatStatus::Running => RUNNING,
                HeartbeatStatus::ShuttingDown => SHUTTING_DOWN,
                HeartbeatStatus::Final => {
                    agent.say("all VMs are stopped".to_owned());
                    SHUTTING_DOWN
                }
            };
            if is_cut {
                return Err(std::io::Error::other("the uplink is cut"));
            }
            agent.report(status).await
        }
    };
    service.send_heartbeats(
        "control-plane",
        HeartbeatSchedule::every(INTERVAL / 2),
        send,
    );
    // Registered after the heartbeat, so that the final one is sent when all have stopped.
    for component in simulation.definition.components {
        let agent = Arc::clone(&agent);
        service.on_shutdown(component.name, move || async move {
            agent.stop(component.name).await
        });
    }
}

struct EdgeAgent {
    service: Service,
    control_plane: SocketAddr,
    /// The number of virtual machines that the agent has stopped.
    stopped: AtomicUsize,
    /// The progress of the shutdown, in words.
    progress: Mutex<Option<String>>,
}

impl EdgeAgent {
    /// Stops a virtual machine. The report that it does so may get lost; the next one says the same.
    async fn stop(&self, vm: &str) -> std::io::Result<()> {
        let number = self.stopped.load(Ordering::SeqCst) + 1;
        self.say(format!(
            "Stopping VM {vm} ({number} of {})",
            self.vms().len()
        ));
        let (reported, ()) =
            tokio::join!(self.report(SHUTTING_DOWN), tokio::time::sleep(VM_STOP_TIME));
        self.stopped.fetch_add(1, Ordering::SeqCst);
        reported
    }

    /// Tells the log, and the control plane with the next heartbeat.
    fn say(&self, progress: String) {
        tracing::info!("{progress}");
        *self.progress.lock() = Some(progress);
    }

    fn vms(&self) -> Vec<DependencySnapshot> {
        let mut vms = self.service.dependencies();
        vms.retain(|vm| vm.name.starts_with("vm-"));
        vms
    }

    async fn report(&self, status: &str) -> std::io::Result<()> {
        let vms = self.vms();
        let is_working = |vm: &&DependencySnapshot| vm.health == Some(Health::Healthy);
        let working = vms.iter().filter(is_working).count();
        let running = working.saturating_sub(self.stopped.load(Ordering::SeqCst));
        let report = json!({
            "status": status,
            "heartbeat_interval_seconds": INTERVAL.as_secs_f64(),
            "vms": {"running": running, "total": vms.len()},
            "message": *self.progress.lock(),
        });
        let request = format!("POST /api/v1/agents/{AGENT_ID}/heartbeat");
        http::submit(self.control_plane, &request, &report.to_string()).await
    }
}
