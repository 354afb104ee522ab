//! Tests of healthctl on a program that uses the kit alone, `tests/kit/orders.rs`.

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::demo::{Answer, ask, send};
use crate::support::example::example;
use crate::support::fake::Fake;
use crate::support::process::{Running, free_port};
use crate::support::scene::Scene;
use crate::support::waiting::{Lines, ask_until};

/// The program with its database, its configuration and an inventory that names it.
struct Orders {
    scene: Scene,
    running: Running,
    log: Lines,
    address: SocketAddr,
    database: Fake,
}

impl Orders {
    fn start() -> Self {
        let scene = Scene::new();
        let database = Fake::tcp(drop);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        scene.write(
            "healthctl.yaml",
            &format!(
                "defaults: {{timeout: 20s}}
services:
  orders:
    profile: hephaestus
    url: http://{address}
    required: [database]
    actions: {{reload: {{http: {{method: POST, path: /config/reload}}, reply: {{parts: {{at: /parts, status: /status}}}}}}}}
"
            ),
        );
        let configuration = configuration(&database, free_port(), true);
        let file = scene.write("orders.json", &configuration);
        let mut command = Command::new(example("orders"));
        let (running, log) = Running::with_log(command.arg(file).arg(address.to_string()));
        let mut orders = Self {
            scene,
            running,
            log,
            address,
            database,
        };
        orders.until("listening");
        orders
    }

    /// Waits for the log line with this message and returns it.
    fn until(&mut self, message: &str) -> Value {
        let parse = |line: &str| -> Value {
            serde_json::from_str(line).expect("a line of the log is JSON")
        };
        parse(
            &self
                .log
                .until(message, |line| parse(line)["message"] == message),
        )
    }

    fn request(&self, request: &str) -> Answer {
        ask(self.address, request).expect("it answers")
    }

    fn check(&self) -> Value {
        let ran = self.scene.run(&["check", "-o", "json"]);
        let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
        report["services"][0].clone()
    }

    fn dependency(&self, name: &str) -> Value {
        let found = self.check();
        let all = found["dependencies"].as_array().expect("a list");
        let dependency = all.iter().find(|dependency| dependency["name"] == name);
        dependency.expect("it is there").clone()
    }

    fn write(&self, supplier: u16, watch_disk: bool) {
        let text = configuration(&self.database, supplier, watch_disk);
        self.scene.write("orders.json", &text);
    }

    fn reload(&self) -> (i32, String) {
        let ran = self.scene.run(&["reload", "--yes", "orders"]);
        (ran.code, ran.stdout)
    }
}

fn configuration(database: &Fake, supplier: u16, watch_disk: bool) -> String {
    let (database, supplier) = (
        format!("127.0.0.1:{}", database.port()),
        format!("127.0.0.1:{supplier}"),
    );
    json!({"database": database, "supplier": supplier, "watch_disk": watch_disk}).to_string()
}

#[test]
fn a_service_on_the_kit_is_checked_and_stopped_with_proof() {
    let mut orders = Orders::start();
    let found = ask_until(|| orders.check(), |found| found["state"] == "healthy");
    assert_eq!(found["service"], "orders-api");
    let disk = ask_until(
        || orders.dependency("disk"),
        |disk| disk["status"] == "working",
    );
    assert!(disk["details"]["entries"].is_number(), "{disk}");
    orders.database = Fake::tcp(drop);
    orders.until("component is unhealthy");
    let found = orders.check();
    assert_eq!(found["state"], "unhealthy", "{found}");
    let reason = found["reasons"][0].as_str().expect("a reason");
    assert!(
        reason.starts_with("dependency database: error: Connection refused"),
        "{reason}"
    );

    let pid = orders.running.pid();
    let Orders {
        scene, mut running, ..
    } = orders;
    let reaper = std::thread::spawn(move || running.wait());
    let ran = scene.run(&["shutdown", "--yes", "orders"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains(&format!("pid {pid} (orders) has exited")),
        "{ran:?}"
    );
    assert!(reaper.join().expect("the reaper ends").success());
}

/// The circuit opens after three failures in a row.
#[test]
fn an_open_circuit_is_visible_in_the_payload_and_the_metrics() {
    let orders = Orders::start();
    for _ in 0..3 {
        assert_eq!(orders.request("GET /orders").status, 502);
    }
    let refused = orders.request("GET /orders");
    assert_eq!(refused.status, 503);
    assert!(
        refused.body.starts_with("the circuit is open for another "),
        "{}",
        refused.body
    );
    let supplier = orders.dependency("supplier");
    assert_eq!(supplier["details"]["circuit_breaker"], "open");
    let error = supplier["error"].as_str().expect("an error");
    assert!(error.ends_with(" (circuit open)"), "{error}");
    let metrics = orders.request("GET /metrics").body;
    assert!(
        metrics.contains("service_circuit_state{component=\"supplier\",state=\"open\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("service_component_failures_total{component=\"supplier\"} 3\n"),
        "{metrics}"
    );
}

#[test]
fn the_configuration_is_reloaded_by_file_by_signal_and_by_route() {
    let mut orders = Orders::start();
    // The new content of the file disables a check.
    orders.write(1, false);
    let line = orders.until("configuration reloaded");
    assert_eq!(
        (&line["trigger"], &line["version"]),
        (&json!("file"), &json!(2))
    );
    ask_until(
        || orders.dependency("disk"),
        |disk| disk["status"] == "not_used",
    );

    // Either the watch of the file or the signal causes the reload.
    orders.write(2, false);
    orders.running.signal(Signal::HUP);
    let line = orders.until("configuration reloaded");
    assert_eq!(line["version"], 3, "{line}");

    let supplier = free_port();
    orders.scene.write("orders.json", "{");
    orders.until("configuration rejected");
    let (code, stdout) = orders.reload();
    assert_eq!(code, 5, "{stdout}");
    assert!(
        stdout.starts_with("orders: reload-rejected: it keeps its old configuration: "),
        "{stdout}"
    );
    assert!(stdout.contains("EOF while parsing"), "{stdout}");
    let other = Fake::tcp(drop);
    orders
        .scene
        .write("orders.json", &configuration(&other, supplier, true));
    orders.until("configuration reloaded");
    let (code, stdout) = orders.reload();
    assert_eq!(code, 5, "{stdout}");
    assert!(
        stdout.starts_with("orders: reload-partial: needs a restart: database"),
        "{stdout}"
    );
    ask_until(
        || orders.dependency("disk"),
        |disk| disk["status"] == "working",
    );
    let metrics = orders.request("GET /metrics").body;
    assert!(
        metrics.contains("service_configuration_version 4\n"),
        "{metrics}"
    );
}

#[test]
fn the_log_lines_of_a_request_share_its_correlation_id() {
    let mut orders = Orders::start();
    let request = "GET /orders HTTP/1.1\r\nX-Correlation-ID: order-7\r\nX-Rest: of";
    let mut answer = String::new();
    let mut reader = send(orders.address, request).expect("it listens");
    reader.read_to_string(&mut answer).expect("it answers");
    assert!(answer.contains("x-correlation-id: order-7\r\n"), "{answer}");
    let line = orders.until("request answered");
    assert_eq!(line["correlation_id"], "order-7", "{line}");
    assert_eq!(
        (&line["path"], &line["status"]),
        (&json!("/orders"), &json!(502))
    );
}
