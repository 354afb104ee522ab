//! The checkout of a small web service, of FastAPI and uvicorn, while somebody works on it: what healthctl was made for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::process::free_port;
use crate::support::scene::Scene;
use crate::support::started::{MARK, Stage};
use crate::support::terminal::Pty;
use crate::support::waiting::wait_until;

/// The checkout, its service started.
struct Checkout {
    stage: Stage,
    port: u16,
}

impl Checkout {
    fn new() -> Self {
        Self::started_with("")
    }

    /// With more arguments of uvicorn.
    fn started_with(arguments: &str) -> Self {
        let port = free_port();
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
        let scene = Scene::new();
        let inventory = format!(
            "services:
  shop:
    url: http://127.0.0.1:{port}
    interval: 500ms
    timeout: 5s
    probes: {{live: {{http: /health}}}}
    start:
      command: [{python}, -m, uvicorn, \"app:app\", --port, \"{port}\"{arguments}]
      cwd: shop
      env: {{{MARK}: \"{scene}\"}}
      log: shop.log
    sources: [\"shop/**/*.py\"]
    restart_on: [stale, unhealthy]
",
            python = python.display(),
            scene = scene.path().display(),
        );
        scene.write("healthctl.yaml", &inventory);
        // What Python writes beside its sources is no source.
        scene.write(".gitignore", "__pycache__/\n");
        let checkout = Self {
            stage: Stage::of(scene),
            port,
        };
        checkout.save("WORD = 'first'");
        let ran = checkout.stage.scene().run(&["start", "--yes", "shop"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.starts_with("shop: started: "), "{ran:?}");
        checkout
    }

    /// Saves the source with this line in it.
    fn save(&self, line: &str) {
        let text = format!(
            "from fastapi import FastAPI\n\napp = FastAPI()\n{line}\n\n\n@app.get('/health')\ndef health():\n    return {{'word': WORD}}\n"
        );
        self.stage.scene().write("shop/app.py", &text);
    }

    /// What the process that runs answers.
    fn word(&self) -> String {
        self.word_if_any().expect("it answers")
    }

    fn word_if_any(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (_, word) = reply.split_once("\"word\":\"")?;
        Some(word.split('"').next().unwrap_or_default().to_owned())
    }

    fn watch(&self) -> Pty {
        let pty = Pty::start(&self.stage.scene().command(&["watch"]), 120, 40);
        pty.wait_for("✓ 1 healthy");
        pty
    }
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn a_source_that_is_saved_makes_it_stale_and_a_restart_mends_that() {
    let checkout = Checkout::new();
    let mut pty = checkout.watch();
    let old = checkout.stage.running();
    checkout.save("WORD = 'second'");
    let screen = pty.wait_for("stale: shop/app.py changed");
    assert!(screen.contains("flags: stale"), "{screen}");
    assert_eq!(checkout.word(), "first", "the old process runs on");
    pty.keys("a");
    pty.wait_for("automatic restart on");
    pty.wait_for("restart: restarted after");
    assert_eq!(checkout.word(), "second");
    let new = checkout.stage.running();
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_ne!(old, new);
    pty.wait_without("flags: stale");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
    assert_eq!(checkout.stage.running(), new, "it outlives the dashboard");
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn what_was_saved_with_a_mistake_is_down_until_the_next_save() {
    let checkout = Checkout::new();
    let mut pty = checkout.watch();
    pty.keys("a");
    pty.wait_for("automatic restart on");
    checkout.save("WORD = two words");
    pty.wait_for("restart: died after");
    checkout.save("WORD = 'mended'");
    pty.wait_for("restart: started after");
    assert_eq!(checkout.word(), "mended");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn one_that_was_killed_is_replaced() {
    let checkout = Checkout::new();
    let mut pty = checkout.watch();
    pty.keys("a");
    pty.wait_for("automatic restart on");
    let old = checkout.stage.running();
    let pid = i32::try_from(old[0])
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::KILL)
        .expect("it can be killed");
    pty.wait_for("restart: started after");
    assert_eq!(checkout.word(), "first");
    assert_ne!(checkout.stage.running(), old);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
#[ignore = "needs FastAPI and uvicorn under target/python"]
fn one_that_reads_its_code_again_by_itself_is_not_stale() {
    let checkout = Checkout::started_with(", --reload");
    let scene = checkout.stage.scene();
    let reloader = checkout.stage.record("shop").expect("it was recorded")["process"].clone();
    checkout.save("WORD = 'second'");
    let (mut saved, mut saved_again, mut served_since) = (Instant::now(), false, None);
    wait_until("the second word", || {
        if checkout.word_if_any().as_deref() == Some("second") {
            let since = *served_since.get_or_insert_with(Instant::now);
            // After another save, a second reload may be under way.
            return !saved_again || since.elapsed() >= Duration::from_secs(5);
        }
        served_since = None;
        if saved.elapsed() >= Duration::from_secs(10) {
            // A reloader takes the files that it sees first for those that run.
            checkout.save("WORD = 'second'");
            (saved, saved_again) = (Instant::now(), true);
        }
        false
    });
    let ran = scene.run(&["check", "--fail-on", "stale"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let record = checkout.stage.record("shop").expect("it is recorded");
    assert_eq!(record["process"], reloader, "nobody has restarted it");
    let ran = scene.run(&["shutdown", "--yes", "shop"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(checkout.stage.running().is_empty(), "{ran:?}");
}
