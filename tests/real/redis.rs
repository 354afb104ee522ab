//! Redis, which has no health route: asked by TCP and by `redis-cli`, stopped and started again, and shut down.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;
use crate::support::watching::Watching;

fn start(scene: &Scene, port: u16) -> Running {
    let server = Running::start(
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--pidfile",
                "redis.pid",
                "--dir",
            ])
            .arg(scene.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    let server = server.expect("redis-server is installed");
    wait_for_port(port);
    server
}

fn scene(port: u16) -> Scene {
    Scene::with_inventory(&format!(
        "defaults: {{interval: 200ms, timeout: 20s}}
services:
  redis:
    pid_file: redis.pid
    probes:
      live: {{tcp: 127.0.0.1:{port}}}
      ready: {{exec: [redis-cli, -e, -p, '{port}', ping]}}
"
    ))
}

#[test]
#[ignore = "needs the Debian package redis-server"]
fn it_is_seen_down_up_stopped_and_up_again() {
    let port = free_port();
    let scene = scene(port);
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for reason in [
        format!("live: connection refused (127.0.0.1:{port})"),
        "ready: exit status 1: Could not connect to Redis".to_owned(),
    ] {
        assert!(ran.stdout.contains(&reason), "{reason}: {ran:?}");
    }
    let mut server = start(&scene, port);
    let ran = scene.run(&["check", "--wait", "60s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut watching = Watching::start(&scene, &[]);
    watching.until_state("redis", "healthy");
    assert!(server.stop(Signal::TERM).success());
    watching.until_state("redis", "unhealthy");
    let _server = start(&scene, port);
    watching.until_state("redis", "healthy");
    assert_eq!(watching.end(Signal::TERM), Some(143));
}

/// It has no route to stop it: SIGTERM goes to the process that owns the port that is probed.
#[test]
#[ignore = "needs the Debian package redis-server"]
fn a_shutdown_is_proved_without_a_route() {
    let port = free_port();
    let scene = scene(port);
    let mut server = start(&scene, port);
    assert_eq!(scene.run(&["check", "--wait", "60s"]).code, 0);
    let pid = server.pid();
    let reaper = std::thread::spawn(move || server.wait());
    let ran = scene.run(&["shutdown", "--yes", "redis"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("stopped"), "{ran:?}");
    let delivered = format!("SIGTERM delivered to pid {pid}");
    assert!(ran.stderr.contains(&delivered), "{ran:?}");
    assert!(reaper.join().expect("the reaper ends").success());
}
