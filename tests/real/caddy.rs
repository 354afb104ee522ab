//! Caddy, whose `POST /stop` really waits, shut down through an inventory entry with the profile `http`.

use std::process::{Command, Stdio};

use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;

/// A Caddy of its own with an inventory that names its admin endpoint.
fn caddy() -> (Scene, Running) {
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        r"services:
  web:
    profile: http
    url: http://127.0.0.1:{port}
    timeout: 20s
    probes:
      live: {{http: /config/}}
    actions:
      shutdown: {{http: {{method: POST, path: /stop}}, waits: true, timeout: 20s}}
"
    ));
    scene.write(
        "caddy.json",
        &format!(r#"{{"admin": {{"listen": "127.0.0.1:{port}"}}}}"#),
    );
    let server = Running::start(
        Command::new("caddy")
            .arg("run")
            .arg("--config")
            .arg(scene.path().join("caddy.json"))
            .env("HOME", scene.path())
            .env("XDG_CONFIG_HOME", scene.path())
            .env("XDG_DATA_HOME", scene.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .expect("caddy is installed");
    wait_for_port(port);
    (scene, server)
}

#[test]
#[ignore = "needs the Debian package caddy"]
fn a_waiting_shutdown_is_proved() {
    let (scene, mut server) = caddy();
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let reaper = std::thread::spawn(move || server.wait());
    let ran = scene.run(&["shutdown", "--yes", "web"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("stopped"), "{ran:?}");
    assert!(reaper.join().expect("the reaper ends").success());
}

#[test]
#[ignore = "needs the Debian package caddy"]
fn a_route_that_only_waits_is_not_scheduled() {
    let (scene, mut server) = caddy();
    let ran = scene.run(&["shutdown", "--schedule", "--yes", "web"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(server.ended().is_none(), "nothing was sent");
    assert_eq!(scene.run(&["check", "--exit-code"]).code, 0);
}
