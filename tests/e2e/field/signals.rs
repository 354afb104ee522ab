//! In which order processes are signalled, and which signals healthctl itself takes.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::acting::Acting;
use crate::support::process::{Running, wait_for_port};
use crate::support::started::MARK;
use crate::support::waiting::wait_until;

/// Drains until the file `gate` is there, and says so where it is told twice.
const WEB: &str = r#"
import http.server, os, signal, sys, threading, time
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
told = 0
def drain():
    while not os.path.exists("gate"): time.sleep(0.01)
    os._exit(0)
def term(*_):
    global told
    told += 1
    if told > 1:
        open("aborted", "w").close(); os._exit(1)
    open("told", "w").close()
    threading.Thread(target=drain, daemon=True).start()
signal.signal(signal.SIGTERM, term)
s.serve_forever()
"#;

/// Passes SIGTERM on and leaves.
const FORWARDER: &str = r#"
import os, signal, subprocess, sys
p = subprocess.Popen([sys.executable, "web.py", sys.argv[1]])
def term(*_): p.terminate(); os._exit(0)
signal.signal(signal.SIGTERM, term)
while True: signal.pause()
"#;

#[test]
fn b4_what_a_leader_has_passed_on_is_not_sent_twice() {
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{url: \"http://127.0.0.1:{port}\", profile: http, start: {{command: [python3, fwd.py, \"{port}\"]}}}}\n"
    ));
    scene.write("web.py", WEB);
    scene.write("fwd.py", FORWARDER);
    let stage = Stage::of(scene);
    let mut command = Command::new("python3");
    command
        .args(["fwd.py", &port.to_string()])
        .current_dir(stage.scene().path())
        .env(MARK, stage.scene().path());
    let mut forwarder = Running::start(&mut command).expect("it can be run");
    wait_for_port(port);
    let words = ["shutdown", "--yes", "--timeout", "60s", "api"];
    let mut acting = Acting::start(stage.scene().command(&words));
    acting.until("delivered");
    forwarder.wait();
    let file = |name: &str| stage.scene().path().join(name);
    wait_until("the service is told", || file("told").exists());
    // It was told twice a second later, when anybody told it twice.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) && !file("aborted").exists() {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert!(acting.goes_on());
    stage.scene().write("gate", "");
    assert_ended(&acting.end(), "stopped", 0);
    assert!(!file("aborted").exists());
    assert_eq!(stage.running(), [0; 0]);
}

#[test]
fn b4_neighbour_what_a_leader_without_a_handler_leaves_is_told_at_once() {
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{url: \"http://127.0.0.1:{port}\", profile: http, start: {{command: [sh, -c, \"python3 web.py {port}; true\"]}}}}\n"
    ));
    scene.write("web.py", WEB);
    scene.write("gate", "");
    let stage = Stage::of(scene);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("python3 web.py {port}; true")])
        .current_dir(stage.scene().path())
        .env(MARK, stage.scene().path());
    let mut shell = Running::start(&mut command).expect("it can be run");
    wait_for_port(port);
    let ran = run(stage.scene(), "shutdown --yes --timeout 1h api");
    assert_ended(&ran, "stopped", 0);
    shell.wait();
    assert_eq!(stage.running(), [0; 0]);
}

#[test]
fn b9_a_signal_that_was_ignored_at_the_start_stays_ignored() {
    for signal in [Signal::INT, Signal::HUP] {
        let gate = tempfile::tempdir().expect("a folder can be made");
        let file = gate.path().join("open");
        let words = format!("shutdown=gate gate={}", file.display());
        let faulty = FaultyService::start(SERVICE, &words);
        let scene = scene(
            &faulty,
            "    actions: {shutdown: {http: {method: POST, path: /health/shutdown}, timeout: 40s}}\n",
        );
        let inner = scene.command(&["shutdown", "--yes", "api"]);
        let program = inner.get_program().to_owned();
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!(
                    "trap '' INT HUP; exec '{}' shutdown --yes api",
                    program.display()
                ),
            ])
            .current_dir(scene.path());
        for (key, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        let mut acting = Acting::start(command);
        acting.until("draining");
        let pid = i32::try_from(acting.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid is small"), signal).expect("it can be signalled");
        assert!(acting.goes_on());
        std::fs::write(&file, "").expect("the gate can be opened");
        let ran = acting.end();
        assert_ended(&ran, "stopped", 0);
    }
}

#[test]
fn k12_a_server_is_compared_with_a_server() {
    let entry = Startable::new("api", "shutdown=exit").under_a_shell();
    let stage = Stage::new(SERVICE, &[&entry]);
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    let shell = stage.record("api").expect("it was recorded")["process"]["pid"].clone();
    let ran = run(stage.scene(), "restart --yes -o json api");
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report is JSON");
    let (before, after) = (&report[0]["before"]["pid"], &report[0]["after"]["pid"]);
    assert_ne!(before, &shell, "{report:#}");
    let shell = stage.record("api").expect("it was recorded")["process"]["pid"].clone();
    assert_ne!(after, &shell, "{report:#}");
    assert!(before.is_u64() && after.is_u64(), "{report:#}");
}
