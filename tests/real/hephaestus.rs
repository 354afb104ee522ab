//! A service of the hephaestus contract by another hand: `hephaestus.py`, of FastAPI and uvicorn, which knows nothing of
//! healthctl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::acting::Acting;
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;
use crate::support::terminal::{ENTER, Pty};
use crate::support::waiting::wait_until;
use crate::support::watching::Watching;

/// The service, and an inventory that names it.
struct Hephaestus {
    scene: Scene,
    server: Running,
    port: u16,
}

impl Hephaestus {
    fn start(flags: &[&str]) -> Self {
        let port = free_port();
        let scene = Scene::with_inventory(&format!(
            "defaults: {{interval: 200ms, timeout: 20s}}
services:
  mcp: {{profile: hephaestus, url: 'http://127.0.0.1:{port}'}}
"
        ));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let server = Running::start(
            Command::new(root.join("target/python/bin/python"))
                .arg(root.join("tests/real/hephaestus.py"))
                .arg(port.to_string())
                .arg(scene.write("service.db", ""))
                .args(flags)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        let server = server.expect("python is installed with its packages: .ci/run does it");
        wait_for_port(port);
        Self {
            scene,
            server,
            port,
        }
    }

    fn database(&self) -> PathBuf {
        self.scene.path().join("service.db")
    }

    /// A request for work that takes so long, under way when this returns.
    fn work(&self, seconds: f64) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let request = format!(
            "GET /work?seconds={seconds} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        );
        stream
            .write_all(request.as_bytes())
            .expect("it takes requests");
        // It says itself how many it is working on.
        wait_until("one open connection", || {
            let ran = self.scene.run(&["check", "-o", "json"]);
            let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
            report["services"][0]["resources"]["open_connections"] == 1
        });
        stream
    }
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn all_that_it_says_of_itself_is_in_the_report() {
    let service = Hephaestus::start(&[]);
    let ran = service.scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    let found = &report["services"][0];
    assert_eq!(found["state"], "healthy");
    assert_eq!(found["service"], "hephaestus-mcp");
    assert_eq!(found["version"], "0.9.1");
    assert!(found["uptime_seconds"].is_f64(), "{found}");
    assert_eq!(found["resources"]["open_connections"], 0);
    assert_eq!(found["resources"]["background_tasks"], 0);
    let [database, groq] = found["dependencies"].as_array().unwrap().as_slice() else {
        panic!("two dependencies: {found}");
    };
    assert_eq!(database["name"], "database");
    assert_eq!(database["status"], "working");
    assert_eq!(database["details"]["pool_size"], 5);
    assert_eq!(database["failure_count"], 0);
    assert_eq!(database["last_failure_seconds"], Value::Null);
    assert_eq!(groq["status"], "not_used");
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn a_dependency_that_breaks_is_seen_with_its_reason() {
    let service = Hephaestus::start(&[]);
    let mut watching = Watching::start(&service.scene, &[]);
    watching.until_state("mcp", "healthy");
    std::fs::remove_file(service.database()).expect("the database is a file");
    let degraded = watching.until_state("mcp", "degraded");
    let reason = "dependency database: error: unable to open database file";
    assert_eq!(degraded["reasons"][0], reason, "{degraded}");
    let ran = service.scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains(reason), "{ran:?}");
    service.scene.write("service.db", "");
    watching.until_state("mcp", "healthy");
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn a_scheduled_shutdown_drains_and_the_process_ends_well() {
    let mut service = Hephaestus::start(&[]);
    let mut worked = service.work(10.0);
    let mut watching = Watching::start(&service.scene, &[]);
    watching.until_state("mcp", "healthy");
    let ran = service
        .scene
        .run(&["shutdown", "--schedule", "--yes", "mcp"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("mcp: accepted: "), "{ran:?}");
    watching.until_state("mcp", "draining");
    let mut reply = String::new();
    worked
        .read_to_string(&mut reply)
        .expect("its work is finished");
    assert!(reply.contains(r#"{"worked":10.0}"#), "{reply}");
    watching.until_state("mcp", "stopped");
    assert!(service.server.wait().success());
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn a_blocking_shutdown_is_proved_by_the_end_of_the_process() {
    let service = Hephaestus::start(&[]);
    let _worked = service.work(10.0);
    let mut acting = Acting::start(service.scene.command(&["shutdown", "--yes", "mcp"]));
    acting.until("draining");
    // Somebody has to reap it, or its zombie would be all that is left to see.
    let mut server = service.server;
    let pid = server.pid();
    let reaper = std::thread::spawn(move || server.wait());
    let ran = acting.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    let proof = format!(
        "mcp: stopped: 127.0.0.1:{} refuses connections and pid {pid}",
        service.port
    );
    assert!(ran.stdout.starts_with(&proof), "{ran:?}");
    assert!(ran.stderr.contains("shutdown_complete"), "{ran:?}");
    assert!(reaper.join().expect("the reaper ends").success());
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn it_is_stopped_from_the_keyboard() {
    let service = Hephaestus::start(&[]);
    let command = service.scene.command(&["watch"]);
    let mut pty = Pty::start(&command, 120, 40);
    pty.wait_for("✓ 1 healthy");
    pty.keys(ENTER);
    pty.wait_for("hephaestus-mcp");
    pty.keys("X");
    pty.wait_for(">[ Cancel ]");
    let mut server = service.server;
    let reaper = std::thread::spawn(move || server.wait());
    pty.keys("y");
    pty.wait_for("shutdown: stopped after");
    assert!(reaper.join().expect("the reaper ends").success());
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

/// It answers 500 and goes on serving, which is what became of the first such handler that anybody saw.
#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn a_handler_that_calls_exit_inside_the_request_has_stopped_nothing() {
    let mut service = Hephaestus::start(&["--naive"]);
    let mut watching = Watching::start(&service.scene, &[]);
    watching.until_state("mcp", "healthy");
    let ran = service
        .scene
        .run(&["shutdown", "--yes", "--timeout", "2s", "mcp"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.starts_with("mcp: still-answering: "), "{ran:?}");
    assert!(ran.stdout.contains("500 Internal Server Error"), "{ran:?}");
    assert!(service.server.ended().is_none());
    let ran = service.scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 0, "it serves as before: {ran:?}");
    // Its other route leaves the exit to a task of its own, after the work in flight: long enough to be seen draining.
    let _working = service.work(10.0);
    let ran = service
        .scene
        .run(&["shutdown", "--schedule", "--yes", "mcp"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("mcp: accepted: "), "{ran:?}");
    let ends = watching.until(|change| change["state"] == "stopped");
    assert!(
        ends.iter().all(|change| change["state"] != "unhealthy"),
        "it was well until it was asked to end: {ends:?}"
    );
    assert!(service.server.wait().success());
}
