//! Services that others than the demo have restarted: they listen where they did, and they end
//! with the demo.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use super::{open_process, pid, refuses, wait_for_exit};
use crate::support::demo::Demo;
use crate::support::process::Running;
use crate::support::scene::Scene;
use crate::support::terminal::Pty;
use crate::support::waiting::wait_until;

/// Ends a service and waits until the demo has noticed.
fn end(demo: &mut Demo, service: &str) {
    let process = open_process(demo, service);
    rustix::process::kill_process(pid(demo.pid(service)), Signal::TERM).expect("it runs");
    wait_for_exit(&process);
    let said = demo.next_event();
    assert!(said.starts_with(&format!("{service} exited")), "{said:?}");
}

/// Starts a service again and waits until the demo has noticed.
fn start(demo: &mut Demo, service: &str) -> Running {
    let running = Running::start(&mut demo.start_command(service)).expect("the binary can be run");
    let own = running.pid();
    let expected = format!("{service} was restarted, pid {own}");
    assert_eq!(demo.next_event(), expected);
    assert_eq!(
        demo.pid(service),
        i32::try_from(own).expect("an id is small")
    );
    running
}

pub(super) fn restart(demo: &mut Demo, service: &str) -> Running {
    end(demo, service);
    start(demo, service)
}

/// Starts a service that fails to start; returns its exit code and the error in its log.
fn fail_to_start(demo: &Demo, service: &str) -> (Option<i32>, String) {
    let before = demo.log(service).len();
    let status = demo.start_command(service).status().expect("it can be run");
    let written = demo.log(service).split_off(before);
    let error = written.find("error: ").expect("it says why");
    (status.code(), written[error..].to_owned())
}

fn status(demo: &Demo, service: &str) -> Value {
    demo.ask(service, "GET /health/status").json()
}

fn state_of_database(demo: &Demo) -> Value {
    status(demo, "orders")["dependencies"]["database"]["status"].take()
}

#[test]
fn a_restarted_service_listens_where_it_did_and_accepts_fault_commands() {
    let mut demo = Demo::start(&["--calm"]);
    let before = status(&demo, "orders")["start_time"].take();
    let mut running = restart(&mut demo, "orders");
    assert_ne!(status(&demo, "orders")["start_time"], before);
    assert_eq!(state_of_database(&demo), "working");

    let broken = demo.run(&["demo", "break", "orders", "database"]);
    assert_eq!((broken.code, broken.stderr.as_str()), (0, ""));
    assert_eq!(state_of_database(&demo), "error");
    assert_eq!(demo.run(&["demo", "mend", "orders", "database"]).code, 0);
    assert_eq!(state_of_database(&demo), "working");

    assert_eq!(demo.run(&["demo", "break", "orders", "process"]).code, 0);
    assert_eq!(running.wait().code(), None, "it was killed");
    assert_eq!(demo.next_event(), "orders exited");
    start(&mut demo, "orders");
}

#[test]
fn a_fault_outlives_a_restart_until_it_is_mended() {
    let mut demo = Demo::start(&["--calm"]);
    assert_eq!(demo.run(&["demo", "break", "orders", "database"]).code, 0);
    let _first = restart(&mut demo, "orders");
    assert_eq!(state_of_database(&demo), "error");

    end(&mut demo, "orders");
    let mended = demo.run(&["demo", "mend", "orders", "database"]);
    assert_eq!(mended.code, 0);
    assert_eq!(mended.stdout, "orders: database is mended\n");
    let note = "note: orders is not running; this applies when it starts\n";
    assert_eq!(mended.stderr, note);
    let _second = start(&mut demo, "orders");
    assert_eq!(state_of_database(&demo), "working");
}

#[test]
fn an_invalid_configuration_fails_the_start_with_a_reason() {
    let mut demo = Demo::start(&["--calm"]);
    assert_eq!(demo.run(&["demo", "break", "ingestor", "config"]).code, 0);
    end(&mut demo, "ingestor");
    let (code, error) = fail_to_start(&demo, "ingestor");
    assert_eq!(code, Some(2));
    assert_eq!(
        error,
        "error: cannot configure: ingestor.json: adapters: at least one is needed\n"
    );
    assert_eq!(demo.next_event(), "ingestor did not start");
    demo.run(&["demo", "mend", "ingestor", "config"]);
    let _running = start(&mut demo, "ingestor");
    assert_eq!(demo.ask("ingestor", "GET /ready").status, 200);
}

/// A change that needs a restart takes effect at the restart.
#[test]
fn a_changed_configuration_is_read_by_the_next_process() {
    let mut demo = Demo::start(&["--calm"]);
    let file = demo.inventory().with_file_name("ingestor.json");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("8080", "9090")).expect("it is ours");
    let parts =
        |demo: &Demo| demo.ask("ingestor", "POST /api/v1/config/reload").json()["parts"].take();
    assert_eq!(parts(&demo)["port"]["status"], "needs-restart");
    let _running = restart(&mut demo, "ingestor");
    assert_eq!(parts(&demo)["port"]["status"], "unchanged");
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert!(text.contains("9090"), "{text}");
}

#[test]
fn a_service_has_one_process_at_a_time() {
    let mut demo = Demo::start(&["--calm"]);
    let first = demo.pid("orders");
    let (code, error) = fail_to_start(&demo, "orders");
    assert_eq!(code, Some(2));
    assert_eq!(
        error,
        format!(
            "error: orders is already running, pid {first}\nhint: it may still be draining; a service has one process at a time\n"
        )
    );
    assert_eq!(demo.pid("orders"), first);
    assert_eq!(demo.ask("orders", "GET /health/live").status, 200);
    let _running = restart(&mut demo, "orders");
}

#[test]
fn all_services_recover_when_the_control_plane_is_restarted() {
    let mut demo = Demo::start(&["--calm"]);
    end(&mut demo, "control-plane");
    // Services that report to it can start without it.
    let _others = [restart(&mut demo, "edge"), restart(&mut demo, "syncer")];
    assert_eq!(demo.ask("syncer", "GET /readyz").status, 503);
    let _running = start(&mut demo, "control-plane");
    let lease = "GET /apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";
    for (service, request) in [("control-plane", lease), ("syncer", "GET /readyz")] {
        wait_until(request, || demo.ask(service, request).status == 200);
    }
    let agents = || demo.ask("control-plane", "GET /api/v1/agents").json();
    wait_until("the agent", || {
        agents()["agents"][0]["agent_id"] == "edge-1"
    });
    assert_eq!(agents()["agents"][0]["status"], "running");
}

#[test]
fn an_agent_without_a_port_and_a_supervisor_of_tasks_can_be_restarted() {
    let mut demo = Demo::start(&["--calm"]);
    end(&mut demo, "edge");
    let agent =
        |demo: &Demo| demo.ask("control-plane", "GET /api/v1/agents").json()["agents"][0].take();
    assert_eq!(agent(&demo)["status"], "shutting_down");
    let _edge = start(&mut demo, "edge");
    wait_until("the agent", || agent(&demo)["status"] == "running");
    let _syncer = restart(&mut demo, "syncer");
    wait_until("the syncer", || {
        demo.ask("syncer", "GET /readyz").status == 200
    });

    // Killed, it leaves it to its tasks to notice.
    let process = open_process(&demo, "warren");
    assert_eq!(demo.run(&["demo", "break", "warren", "process"]).code, 0);
    wait_for_exit(&process);
    assert!(demo.next_event().starts_with("warren exited: signal: 9"));
    let _warren = start(&mut demo, "warren");
    let body = demo.ask("warren", "GET /").body;
    assert!(body.starts_with("Health: 3/3 healthy\n"), "{body}");
    let file = demo.inventory().to_str().expect("the demo's path is text");
    let checked = demo.run(&["check", "--wait=60s", "-f", file, "warren"]);
    assert_eq!(
        checked.code, 0,
        "its tasks are where they were: {checked:?}"
    );
}

#[test]
fn a_restarted_service_ends_with_the_demo_however_that_ends() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut demo = Demo::start(&["--calm"]);
        let mut running = restart(&mut demo, "orders");
        let address = demo.address("orders");
        let _work = demo.work("orders", 60_000);
        demo.process().stop(signal);
        if signal == Signal::TERM {
            assert!(refuses(address), "the demo waits for it");
        }
        running.wait();
        assert!(refuses(address));
    }
}

#[test]
fn a_service_does_not_start_without_a_running_demo() {
    let mut demo = Demo::start(&["--calm"]);
    let old = open_process(&demo, "orders");
    demo.process().stop(Signal::KILL);
    // It writes to the log until it ends.
    wait_for_exit(&old);
    let (code, error) = fail_to_start(&demo, "orders");
    assert_eq!(code, Some(2));
    let folder = demo.inventory().parent().unwrap();
    let expected = format!(
        "error: orders needs a running demo, and none is running in {}: Connection refused (os error 111)\nhint: start one: `healthctl demo`\n",
        folder.display()
    );
    assert_eq!(error, expected);
}

#[test]
fn the_dashboard_shows_that_a_service_was_restarted() {
    let scene = Scene::new();
    let mut pty = Pty::start(&scene.command(&["demo", "--calm"]), 80, 24);
    pty.wait_for("✓ 8 healthy");
    let folder = scene.path().join("runtime/healthctl/demo-1");
    assert_eq!(scene.run(&["demo", "break", "orders", "process"]).code, 0);
    pty.wait_for_line(&["✗ unhealthy", "orders"]);
    let mut command = scene.command(&["demo", "service", "orders"]);
    command.current_dir(folder).stderr(Stdio::null());
    let mut running = Running::start(&mut command).expect("the binary can be run");
    pty.wait_for(&format!("orders was restarted, pid {}", running.pid()));
    pty.wait_for("✓ 8 healthy");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
    let ended = running.wait();
    // The demo kills what takes too long.
    assert!(
        ended.success() || ended.code().is_none(),
        "it ended with the demo: {ended}"
    );
}

#[test]
fn healthctl_restarts_a_service_of_the_demo_with_proof() {
    let mut demo = Demo::start(&["--calm"]);
    let file = demo.inventory().to_str().expect("the demo's path is text");
    let old = demo.pid("orders");
    let ran = demo.run(&["restart", "--yes", "-o", "json", "-f", file, "orders"]);
    let accounts: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let account = &accounts[0];
    assert_eq!(
        (ran.code, &account["verdict"]),
        (0, &"restarted".into()),
        "{ran:?}"
    );
    let new = demo.pid("orders");
    assert_ne!(old, new);
    let (before, after) = (&account["before"], &account["after"]);
    assert_eq!(
        (&before["pid"], &after["pid"]),
        (&old.into(), &new.into()),
        "{account}"
    );
    assert_ne!(before["started_at"], after["started_at"], "{account}");
    assert_eq!(demo.next_event(), "orders exited: exit status: 0");
    let expected = format!("orders was restarted, pid {new}");
    assert_eq!(demo.next_event(), expected);
}
