//! `hephaestus`: MinIO-style routes, two ways to shut down, and a status that is never worse than healthy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Fleet, assert_is, assert_stopped, dependency};
use crate::support::demo::{Demo, ask, send};
use crate::support::example::example_with;
use crate::support::fake::Fake;
use crate::support::process::{Running, free_port, output, wait_for_port};
use crate::support::scene::Scene;
use crate::support::waiting::{until, wait_until};
use crate::support::watching::Watching;

const REFUSED: &str = "dependency database: error: connection refused";
const BAD_GATEWAY: &str = "dependency payments: error: the gateway answered 502";

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::with("  orders: {max_success_age: 5s}\n");
    let mut watching = fleet.watch("orders");
    let well = watching.until_state("orders", "healthy");
    assert_eq!(
        (&well["service"], &well["version"]),
        (&json!("orders-api"), &json!("2.4.1"))
    );

    fleet.inject_fault("orders", "payments");
    watching.until_state("orders", "degraded");
    assert_is(&fleet.check("orders"), "degraded", &[BAD_GATEWAY], &[]);
    fleet.inject_fault("orders", "database");
    let stale = watching.until(|change| change["flags"] == json!(["success-age"]));
    assert_is(
        stale.last().unwrap(),
        "unhealthy",
        &[REFUSED, BAD_GATEWAY],
        &["success-age"],
    );
    for component in ["payments", "database"] {
        fleet.mend("orders", component);
    }
    watching.until(|change| change["state"] == "healthy" && change["flags"] == json!([]));

    let ran = fleet.run("reload --yes orders");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    let pid = fleet.demo.pid("orders");
    let work = fleet.work("orders", 60_000);
    let acting = fleet.begin("shutdown --yes orders");
    watching.until_state("orders", "draining");
    drop(work);
    let ran = acting.end();
    assert_stopped(&ran, "orders", pid);
    assert!(
        ran.stderr
            .contains("answered 200 OK: {\"status\":\"shutdown_complete\""),
        "{ran:?}"
    );
    watching.until_stopped();
}

#[test]
fn a_scheduled_shutdown_is_accepted_and_watched_until_it_is_done() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("search");
    watching.until_state("search", "healthy");
    let work = fleet.work("search", 60_000);
    let ran = fleet.run("shutdown --schedule --yes search");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("search: accepted: "), "{ran:?}");
    watching.until_state("search", "draining");
    drop(work);
    watching.until_stopped();
}

/// The service reports `healthy` or `shutting_down`, whatever the state of its dependencies.
#[test]
fn the_state_is_derived_from_the_dependencies() {
    let fleet = Fleet::start();
    fleet.inject_fault("orders", "payments");
    let status = fleet.demo.ask("orders", "GET /health/status");
    assert_eq!(
        (status.status, &status.json()["status"]),
        (200, &json!("healthy"))
    );
    assert_is(&fleet.check("orders"), "degraded", &[BAD_GATEWAY], &[]);
    assert_eq!(fleet.run("check --exit-code orders").code, 1);
}

/// -1 means never, a time without a zone is UTC, and an unused dependency has no other field.
#[test]
fn the_payload_is_decoded_as_python_writes_it() {
    let fleet = Fleet::start();
    let status = fleet.demo.ask("orders", "GET /health/status").json();
    let database = &status["dependencies"]["database"];
    assert_eq!(database["last_failure_seconds"], -1);
    let start = status["start_time"].as_str().expect("a time");
    assert!(!start.contains('Z') && !start.contains('+'), "{start}");
    assert_eq!(
        status["dependencies"]["mail"],
        json!({"status": "not_used"})
    );

    let found = fleet.check("orders");
    assert_eq!(
        dependency(&found, "database")["last_failure_seconds"],
        json!(null)
    );
    assert_eq!(dependency(&found, "database")["details"]["pool_size"], 8);
    let started: Timestamp = found["started_at"].as_str().unwrap().parse().unwrap();
    let utc: Timestamp = format!("{start}Z").parse().unwrap();
    assert_eq!(started.as_second(), utc.as_second());
    let mail = dependency(&found, "mail");
    assert_eq!(
        (&mail["status"], &mail["error"], &mail["success_count"]),
        (&json!("not_used"), &json!(null), &json!(null))
    );
    assert_eq!(
        found["state"], "healthy",
        "what is not used counts for nothing"
    );

    // Where the service says never, no look of ours counts in its place.
    let fake = Fake::http(|_, _| {
        let database = json!({"status": "working", "last_success_seconds": -1, "success_count": 0});
        let mail = json!({"status": "error", "last_failure_seconds": -1, "failure_count": 0});
        let status =
            json!({"status": "healthy", "dependencies": {"database": database, "mail": mail}});
        (200, status.to_string())
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services: {{api: {{profile: hephaestus, url: \"{url}\"}}}}\n"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    for (name, age) in [
        ("database", "last_success_seconds"),
        ("mail", "last_failure_seconds"),
    ] {
        let found = dependency(&report["services"][0], name);
        assert_eq!(found[age], json!(null), "{found}");
    }
}

/// The convention was first drafted with routes without a prefix: a variant of the profile, not another profile.
#[test]
fn routes_without_a_prefix_are_configured_in_the_inventory() {
    let fake = Fake::http(|_, path| match path {
        "/health" => {
            let status = json!({"status": "healthy", "version": "1", "should_shutdown": false,
                "dependencies": {"db": {"status": "error", "error": "refused"}}});
            (200, status.to_string())
        }
        _ => (404, String::new()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services:
  api:
    profile: hephaestus
    url: {url}
    probes: {{live: {{http: /health}}, status: {{http: /health}}}}
    actions: {{shutdown: {{http: /shutdown}}}}
"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    let reason = "dependency db: error: refused";
    assert_is(&report["services"][0], "degraded", &[reason], &[]);
    let ran = scene.run(&["shutdown", "--dry-run", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let request = format!("would send POST {url}/shutdown");
    assert!(ran.stdout.contains(&request), "{ran:?}");
}

#[test]
fn live_answers_with_status_uptime_start_version_and_name() {
    let fleet = Fleet::start();
    let live = fleet.demo.ask("orders", "GET /health/live");
    let body = live.json();
    let keys: Vec<_> = body.as_object().expect("a map").keys().collect();
    assert_eq!(
        keys,
        [
            "status",
            "uptime_seconds",
            "start_time",
            "version",
            "service"
        ]
    );
    assert_eq!(
        (live.status, &body["status"], &body["version"]),
        (200, &json!("healthy"), &json!("2.4.1"))
    );
    assert_eq!(body["service"], "orders-api");
    assert!(body["uptime_seconds"].is_f64(), "{body}");
}

#[test]
fn status_answers_the_same_with_should_shutdown_dependencies_and_resources() {
    let fleet = Fleet::start();
    let keys = |path: &str| -> Vec<String> {
        let body = fleet.demo.ask("orders", path).json();
        body.as_object().expect("a map").keys().cloned().collect()
    };
    let mut expected = keys("GET /health/live");
    expected.extend(["should_shutdown", "dependencies", "resources"].map(str::to_owned));
    assert_eq!(keys("GET /health/status"), expected);
    let status = fleet.demo.ask("orders", "GET /health/status").json();
    assert_eq!(status["should_shutdown"], false);
    let resources = status["resources"].as_object().expect("a map");
    let counts: Vec<_> = resources.keys().collect();
    assert_eq!(counts, ["open_connections", "background_tasks"]);
}

#[test]
fn the_blocking_route_drains_and_cleans_up_and_then_replies() {
    let mut fleet = Fleet::start();
    let mut working = fleet.work("orders", 1_500);
    let reply = fleet.demo.ask("orders", "POST /health/shutdown");
    let body = reply.json();
    assert_eq!(
        (reply.status, &body["status"], &body["mode"]),
        (200, &json!("shutdown_complete"), &json!("immediate"))
    );
    assert!(
        body["cleanup_duration_seconds"].as_f64() > Some(0.0),
        "{body}"
    );
    // The work had been finished, and all cleaned up, before the reply came: nothing of either is waited for here.
    let log = fleet.demo.log("orders");
    assert!(log.contains("shutdown done"), "{log}");
    let stream = working.get_ref();
    stream.set_nonblocking(true).expect("it is a socket");
    let mut rest = Vec::new();
    // What has not come by now counts for nothing.
    let _ = working.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("done after"), "{rest}");
    assert_eq!(fleet.demo.next_event(), "orders exited: exit status: 0");
}

#[test]
fn the_schedule_route_replies_at_once_and_shuts_down_in_the_background() {
    let mut fleet = Fleet::start();
    let work = fleet.work("orders", 60_000);
    let reply = fleet.demo.ask("orders", "POST /health/shutdown/schedule");
    let body = reply.json();
    assert_eq!(
        (reply.status, &body["status"], &body["mode"]),
        (200, &json!("shutdown_scheduled"), &json!("scheduled"))
    );
    assert_eq!(body["should_shutdown"], true);
    assert!(body["message"].is_string(), "{body}");
    let live = fleet.demo.ask("orders", "GET /health/live").json();
    assert_eq!(
        live["status"], "shutting_down",
        "it goes on while it drains"
    );
    drop(work);
    assert_eq!(fleet.demo.next_event(), "orders exited: exit status: 0");
}

/// Nobody has asked healthctl for the shutdown: a watcher shows what the routes say. It looks as seldom as the demo's own
/// inventory says, and the drain lasts until it has looked.
#[test]
fn a_shutdown_by_curl_shows_draining_and_then_stopped() {
    for (service, route) in [
        ("orders", "POST /health/shutdown/schedule"),
        ("orders", "POST /health/shutdown"),
        ("search", "POST /shutdown/schedule"),
        ("search", "POST /shutdown"),
    ] {
        let demo = Demo::start(&["--calm"]);
        let patient = demo
            .scene()
            .write("patient.yaml", "defaults: {timeout: 20s}\n");
        let files = [demo.inventory(), &patient].map(|file| file.to_str().expect("it is text"));
        let words = ["-f", files[0], "-f", files[1], service];
        let mut watching = Watching::start(demo.scene(), &words);
        watching.until_state(service, "healthy");
        let address = demo.address(service);
        let work = demo.work(service, 60_000);
        let asking = std::thread::spawn(move || ask(address, route).expect("it answers"));
        let mut changes = watching.until(|change| change["state"] == "draining");
        drop(work);
        changes.extend(watching.until(|change| change["state"] == "stopped"));
        let mut states: Vec<_> = changes.iter().map(|change| &change["state"]).collect();
        states.dedup();
        assert_eq!(states, ["draining", "stopped"], "{route}: {changes:?}");
        assert_eq!(asking.join().expect("it is answered").status, 200);
    }
}

#[test]
fn while_it_drains_health_and_shutdown_routes_answer_and_other_requests_get_503() {
    let fleet = Fleet::start();
    let _work = fleet.work("orders", 60_000);
    fleet.demo.ask("orders", "POST /health/shutdown/schedule");
    for route in ["/health/live", "/health/status", "/health"] {
        let reply = fleet.demo.ask("orders", &format!("GET {route}"));
        assert_eq!(
            (reply.status, &reply.json()["status"]),
            (200, &json!("shutting_down")),
            "{route}"
        );
    }
    let status = fleet.demo.ask("orders", "GET /health/status").json();
    assert_eq!(status["should_shutdown"], true);
    let again = fleet.demo.ask("orders", "POST /health/shutdown/schedule");
    assert_eq!(again.status, 200);
    assert_eq!(fleet.demo.ask("orders", "GET /work/1").status, 503);
}

#[test]
fn health_and_shutdown_requests_are_not_counted_as_in_flight() {
    let fleet = Fleet::start();
    let in_flight = || -> u64 {
        let metrics = fleet.demo.ask("orders", "GET /metrics").body;
        let line = |line: &str| {
            line.strip_prefix("service_requests_in_flight ")?
                .parse()
                .ok()
        };
        metrics.lines().find_map(line).expect("the metric is there")
    };
    let _work = fleet.work("orders", 100_000);
    // A request to shut down waits for the work, and those of the demo's own clients end.
    let _blocking = send(fleet.demo.address("orders"), "POST /health/shutdown");
    let status = || fleet.demo.ask("orders", "GET /health/status").json();
    wait_until("the flag", || status()["should_shutdown"] == true);
    wait_until("one request in flight", || in_flight() == 1);
    for _ in 0..3 {
        status();
        assert_eq!(in_flight(), 1);
    }
    // The one that is in flight is cut short with its client.
}

/// A service that answers `shutdown_complete` and lives on, as the document leaves it open.
const LIVES_ON: &str = r#"
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, body):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply({"status": "healthy", "service": "foreign"})

    def do_POST(self):
        self.reply({"status": "shutdown_complete", "cleanup_duration_seconds": 0.1, "mode": "immediate"})

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn a_foreign_service_that_lives_on_after_its_reply_gets_sigterm() {
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        "services:
  api:
    profile: hephaestus
    url: http://127.0.0.1:{port}
    probes: {{status: off}}
    start: {{command: [python3, foreign.py, \"{port}\"]}}
"
    ));
    scene.write("foreign.py", LIVES_ON);
    let mut command = Command::new("python3");
    command
        .args(["foreign.py", &port.to_string()])
        .current_dir(scene.path())
        .stdin(Stdio::null());
    let mut foreign = Running::start(&mut command).expect("python3 can be run");
    wait_for_port(port);
    let ran = scene.run(&["shutdown", "--yes", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("api: stopped"), "{ran:?}");
    let followed = format!("SIGTERM to pid {}", foreign.pid());
    assert!(ran.stderr.contains(&followed), "{ran:?}");
    assert_eq!(foreign.wait().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn without_a_provable_process_a_service_that_lives_on_is_still_answering() {
    // Who answers is the test itself, which has started healthctl and is never signalled.
    let fake = Fake::http(|method, path| match (method, path) {
        (_, "/health/live") => (200, json!({"status": "healthy"}).to_string()),
        ("POST", "/health/shutdown") => {
            let body = json!({"status": "shutdown_complete", "mode": "immediate"});
            (200, body.to_string())
        }
        _ => (404, String::new()),
    });
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: hephaestus, url: \"{}\", probes: {{status: off}}}}\n",
        fake.url()
    ));
    let ran = scene.run(&["shutdown", "--yes", "api"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.starts_with("api: still-answering"), "{ran:?}");
    assert!(ran.stdout.contains("no signal can follow"), "{ran:?}");
}

#[test]
fn a_500_from_a_handler_that_calls_exit_proves_nothing() {
    let fake = Fake::http(|method, path| match (method, path) {
        (_, "/health/live") => (200, json!({"status": "healthy"}).to_string()),
        ("POST", "/health/shutdown") => (500, "SystemExit: 0".to_owned()),
        _ => (404, String::new()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services:
  api:
    profile: hephaestus
    url: {url}
    probes: {{status: off}}
    actions: {{shutdown: {{timeout: 10s, then: off}}, schedule: off}}
"
    ));
    let ran = scene.run(&["shutdown", "--yes", "api"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.starts_with("api: still-answering"), "{ran:?}");
}

#[test]
fn sigterm_and_sigint_do_the_same_clean_up_and_the_exit_status_is_0() {
    let mut fleet = Fleet::start();
    for (service, signal) in [("orders", Signal::TERM), ("search", Signal::INT)] {
        let pid = Pid::from_raw(fleet.demo.pid(service)).expect("a process");
        kill_process(pid, signal).expect("it runs");
        let event = fleet.demo.next_event();
        assert_eq!(event, format!("{service} exited: exit status: 0"));
        let log = fleet.demo.log(service);
        assert!(log.contains("shutdown done"), "{log}");
    }
}

#[test]
fn sigkill_is_never_the_first_resort() {
    let fleet = Fleet::start();
    for words in ["shutdown --dry-run orders", "restart --dry-run orders"] {
        let ran = fleet.run(words);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("/health/shutdown; then, "), "{ran:?}");
        assert!(ran.stdout.contains("SIGTERM"), "{ran:?}");
        assert!(!ran.stdout.contains("KILL"), "{ran:?}");
    }
}

#[test]
fn a_restart_counts_only_when_the_process_that_answers_is_a_new_one() {
    let fleet = Fleet::start();
    let (before, start) = (
        fleet.demo.pid("orders"),
        fleet.check("orders")["started_at"].clone(),
    );
    let ran = fleet.run("restart --yes orders");
    assert_eq!(ran.code, 0, "{ran:?}");
    let proof = format!("before it was pid {before}");
    assert!(ran.stdout.contains(&proof), "{ran:?}");
    assert_ne!(fleet.demo.pid("orders"), before);
    assert_ne!(fleet.check("orders")["started_at"], start);

    // One that answers as before has not been replaced, whatever its reply says.
    let fake = Fake::http(|_, path| match path {
        "/health/live" | "/health/status" => {
            let status = json!({"status": "healthy", "start_time": "2026-11-04T12:00:00"});
            (200, status.to_string())
        }
        _ => (200, json!({"status": "shutdown_complete"}).to_string()),
    });
    let url = fake.url();
    let scene = Scene::with_inventory(&format!(
        "services:
  api:
    profile: hephaestus
    url: {url}
    actions: {{shutdown: {{timeout: 10s, then: off}}, restart: {{http: {{method: POST, path: /restart}}, timeout: 10s}}}}
"
    ));
    let ran = scene.run(&["restart", "--yes", "api"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.starts_with("api: same-process"), "{ran:?}");
}

#[test]
fn the_routes_without_a_prefix_are_a_variant_of_the_profile() {
    let fleet = Fleet::start();
    let address = fleet.demo.address("search");
    let health = fleet.demo.ask("search", "GET /health").json();
    let status = fleet.demo.ask("search", "GET /health/status").json();
    assert_eq!(health["service"], status["service"]);
    assert!(health["dependencies"].is_object(), "{health}");
    let found = fleet.check("search");
    assert_eq!(
        (&found["profile"], &found["state"], &found["version"]),
        (
            &json!("hephaestus-unprefixed"),
            &json!("healthy"),
            &json!("0.9.1")
        )
    );
    assert_eq!(dependency(&found, "groq")["status"], "not_used");
    let ran = fleet.run("shutdown --dry-run search");
    let request = format!("would send POST http://{address}/shutdown;");
    assert!(ran.stdout.contains(&request), "{ran:?}");
    let ran = fleet.run("shutdown --schedule --dry-run search");
    let request = format!("would send POST http://{address}/shutdown/schedule");
    assert!(ran.stdout.contains(&request), "{ran:?}");
    fleet.stop("search");
}

/// `tests/kit/mcp.rs`, a program on the kit with its feature `tls`.
#[test]
fn a_service_over_tls_is_watched_drained_and_stopped_like_any_other() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        "defaults: {{interval: 100ms, timeout: 20s, tls: {{ca: cert.pem}}}}
services:
  mcp: {{profile: hephaestus, url: \"https://localhost:{port}\", probes: {{work: {{http: /work/5000}}}}}}
"
    ));
    let certificate = scene.write("cert.pem", &cert.pem());
    let key = scene.write("key.pem", &signing_key.serialize_pem());
    let program = example_with("mcp", &["tls"]);
    let mut command = Command::new(&program);
    command.arg(format!("127.0.0.1:{port}")).arg(&certificate);
    // A file that cannot be used is named, and nothing listens.
    let wrong = output(&mut command);
    assert!(!wrong.status.success());
    let mut refused = Command::new(&program);
    refused
        .arg(format!("127.0.0.1:{port}"))
        .args([&certificate, &certificate]);
    let refused = output(&mut refused);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("cert.pem holds no private key"), "{error}");

    command.arg(&key).stderr(Stdio::null());
    let mut running = Running::start(&mut command).expect("it can be run");
    let mut watching = Watching::start(&scene, &[]);
    // A client that says nothing, and one that speaks no TLS, do no harm.
    let silent = until("a listener", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let mut plain = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    plain
        .write_all(b"GET /health HTTP/1.1\r\n\r\n")
        .expect("it listens");
    let well = watching.until_state("mcp", "healthy");
    assert_eq!(well["service"], "orders-mcp");
    let reaper = std::thread::spawn(move || running.wait());
    let ran = scene.run(&["shutdown", "--yes", "mcp"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("shutdown_complete"), "{ran:?}");
    watching.until_stopped();
    assert!(reaper.join().expect("it ends").success());
    drop(silent);
}
