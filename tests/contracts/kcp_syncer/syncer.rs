//! The example `syncer` of the kit as a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::REPORT;
use crate::support::demo::{Answer, ask};
use crate::support::example::example;
use crate::support::process::{Running, free_port};
use crate::support::scene::Scene;
use crate::support::waiting::{LIMIT, ask_until};

/// The example `syncer` of the kit with an inventory that names it.
pub(super) struct Syncer {
    pub(super) scene: Scene,
    pub(super) running: Running,
    /// The changes that its hook was told of; its log is read all the time, since a full pipe would hold it up.
    pub(super) changes: Receiver<String>,
    pub(super) address: SocketAddr,
}

impl Syncer {
    /// Starts it with components that are healthy.
    pub(super) fn with_components(names: &[&str]) -> Self {
        Self::start(&json!({ "components": names }), names)
    }

    pub(super) fn start(config: &Value, healthy: &[&str]) -> Self {
        let scene = Scene::new();
        for name in healthy {
            scene.write(name, "healthy");
        }
        Self::start_in(scene, config)
    }

    pub(super) fn start_in(scene: Scene, config: &Value) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        scene.write(
            "healthctl.yaml",
            &format!(
                "defaults: {{timeout: 20s}}\nservices: {{syncer: {{profile: kcp-syncer, url: 'http://{address}'}}}}\n"
            ),
        );
        let file = scene.write("syncer.json", &config.to_string());
        let mut command = Command::new(example("syncer"));
        command.arg(file).arg(address.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command).expect("the example can be run");
        let log = running.child().stderr.take().expect("stderr is piped");
        let ((is_up, up), (sender, changes)) = (channel(), channel());
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).expect("the log is JSON");
                // Nobody may be interested in either.
                if line["message"] == "listening" {
                    let _ = is_up.send(());
                }
                if let Some(change) = line["change"].as_str() {
                    let _ = sender.send(change.to_owned());
                }
            }
        });
        up.recv_timeout(LIMIT).expect("it listens");
        Self {
            scene,
            running,
            changes,
            address,
        }
    }

    /// Sets what the check of a component finds, such as `degraded slow`.
    pub(super) fn set(&self, component: &str, state: &str) {
        // A file that is half written would be another state.
        let new = self.scene.write("new", state);
        std::fs::rename(new, self.scene.path().join(component)).expect("it can be renamed");
    }

    pub(super) fn ask(&self, request: &str) -> Answer {
        ask(self.address, request).expect("it answers")
    }

    pub(super) fn report(&self) -> Value {
        self.ask(REPORT).json()
    }

    /// Asks for the report until it is as `holds` says.
    #[track_caller]
    pub(super) fn until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        ask_until(|| self.report(), holds)
    }

    pub(super) fn until_status(&self, status: &str) -> Value {
        self.until(|report| report["Status"] == status)
    }

    /// Returns the codes of liveness and readiness.
    pub(super) fn probes(&self) -> [u16; 2] {
        ["GET /livez", "GET /readyz"].map(|request| self.ask(request).status)
    }

    /// Returns the service as `healthctl check` reports it.
    pub(super) fn check(&self) -> Value {
        let ran = self.scene.run(&["check", "-o", "json"]);
        let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
        report["services"][0].clone()
    }

    /// Returns the value of a metric, given with its labels as Prometheus writes it.
    pub(super) fn metric(&self, name: &str) -> Option<f64> {
        let text = self.ask("GET /metrics").body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// Returns the number of checks of a component that have ended or timed out.
    pub(super) fn attempts(&self, component: &str) -> f64 {
        let name = format!("service_check_duration_seconds_count{{component=\"{component}\"}}");
        self.metric(&name).unwrap_or(0.0)
    }

    /// Waits for the next changes of status that its hook is told of.
    #[track_caller]
    pub(super) fn expect_changes(&self, expected: &[&str]) {
        for line in expected {
            let change = self.changes.recv_timeout(LIMIT);
            assert_eq!(change.as_deref(), Ok(*line));
        }
    }
}
