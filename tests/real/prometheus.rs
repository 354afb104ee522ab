//! Prometheus, mostly with `--web.enable-lifecycle`: checked, reloaded, and shut down by its route, which replies before
//! it exits.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;

/// A Prometheus that can be reloaded and shut down by its routes.
fn prometheus() -> (Scene, Running) {
    with(&["--web.enable-lifecycle"])
}

/// A Prometheus of its own with an inventory that names it.
fn with(flags: &[&str]) -> (Scene, Running) {
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        "services:\n  metrics:\n    profile: prometheus\n    url: http://127.0.0.1:{port}\n    timeout: 20s\n"
    ));
    scene.write("prometheus.yml", "global: {}\n");
    let server = Running::start(
        Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                scene.path().join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                scene.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .expect("prometheus is installed");
    wait_for_port(port);
    (scene, server)
}

fn services(text: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(text).expect("the report is JSON");
    report["services"]
        .as_array()
        .expect("services is a list")
        .clone()
}

#[test]
#[ignore = "needs the Debian package prometheus"]
fn a_live_prometheus_is_healthy_with_version_and_start() {
    let (scene, _server) = prometheus();
    let ran = scene.run(&["check", "--wait", "60s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // The version comes from a route that answers only once the server is ready, which may be after its own turn.
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let service = services(&ran.stdout).remove(0);
    assert_eq!(service["state"], "healthy");
    assert_eq!(service["ready"], true);
    assert!(service["version"].is_string(), "{service}");
    assert!(service["started_at"].is_string(), "{service}");
}

#[test]
#[ignore = "needs the Debian package prometheus"]
fn a_scheduled_shutdown_is_accepted_and_the_process_ends() {
    let (scene, mut server) = prometheus();
    assert_eq!(scene.run(&["check", "--wait", "60s"]).code, 0);
    let ran = scene.run(&["shutdown", "--schedule", "--yes", "metrics"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("accepted"), "{ran:?}");
    assert!(server.wait().success());
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("connection refused"), "{ran:?}");
}

#[test]
#[ignore = "needs the Debian package prometheus"]
fn a_waiting_shutdown_proves_that_the_process_is_gone() {
    let (scene, mut server) = prometheus();
    assert_eq!(scene.run(&["check", "--wait", "60s"]).code, 0);
    // Somebody has to reap it, or its zombie would be all that is left to see.
    let pid = server.pid();
    let reaper = std::thread::spawn(move || server.wait());
    let ran = scene.run(&["shutdown", "--yes", "metrics"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("stopped"), "{ran:?}");
    assert!(
        ran.stdout.contains(&pid.to_string()) || ran.stderr.contains(&pid.to_string()),
        "{ran:?}"
    );
    assert!(reaper.join().expect("the reaper ends").success());
}

#[test]
#[ignore = "needs the Debian package prometheus"]
fn a_reload_is_proved_or_told_in_its_own_words() {
    let (scene, mut server) = prometheus();
    assert_eq!(scene.run(&["check", "--wait", "60s"]).code, 0);
    let ran = scene.run(&["reload", "--yes", "metrics"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let goes_on = format!("pid {} (prometheus) goes on", server.pid());
    assert!(ran.stdout.starts_with("metrics: reloaded: "), "{ran:?}");
    assert!(ran.stdout.contains(&goes_on), "{ran:?}");

    scene.write("prometheus.yml", "global: {\n");
    let ran = scene.run(&["reload", "--yes", "metrics"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.stdout.starts_with(
            "metrics: reload-rejected: it keeps its old configuration: failed to reload config: "
        ),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("parsing YAML file"), "{ran:?}");
    assert!(ran.stdout.contains(&goes_on), "{ran:?}");
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("runs on its old configuration"),
        "{ran:?}"
    );

    scene.write("prometheus.yml", "global: {}\n");
    assert_eq!(scene.run(&["reload", "--yes", "metrics"]).code, 0);
    assert_eq!(scene.run(&["check", "--exit-code"]).code, 0);

    // The same by its signal.
    let inventory = std::fs::read_to_string(scene.path().join("healthctl.yaml"))
        .expect("the inventory is there");
    scene.write(
        "healthctl.yaml",
        &format!("{inventory}    actions: {{reload: {{signal: HUP}}}}\n"),
    );
    let ran = scene.run(&["reload", "--yes", "metrics"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.starts_with("metrics: accepted: SIGHUP"),
        "{ran:?}"
    );
    assert!(server.ended().is_none());
}

#[test]
#[ignore = "needs the Debian package prometheus"]
fn a_reload_that_is_switched_off_is_called_so() {
    let (scene, _server) = with(&[]);
    assert_eq!(scene.run(&["check", "--wait", "60s"]).code, 0);
    let ran = scene.run(&["reload", "--yes", "metrics"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        ran.stdout
            .contains("403 Forbidden: Lifecycle API is not enabled."),
        "{ran:?}"
    );
}
