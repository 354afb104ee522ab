//! `control-plane`: a Go service that is stopped by a signal only, and refuses connections while it drains; and its edge
//! agent, which has no port and is seen by its heartbeats alone.

use std::io::Read;

use healthctl_service::{Service, Settings, control_plane};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{Fleet, assert_is, dependency};
use crate::support::demo::ask;
use crate::support::process::Running;
use crate::support::terminal::{ENTER, Pty};
use crate::support::waiting::wait_until;

const ON_PURPOSE: &str = "on purpose: the last beat said that it was shutting down";

/// Returns whether the third heartbeat is missing, and perhaps more of them.
fn is_lost(change: &Value) -> bool {
    let reason = change["reasons"][0].as_str().unwrap_or_default();
    let missed = reason
        .strip_prefix("dependency edge-1: error: missed ")
        .and_then(|rest| rest.split_once(", no beat since 20"))
        .and_then(|(missed, _)| missed.parse().ok());
    change["state"] == "unhealthy" && missed >= Some(3)
}

const UNREADY: &str =
    "ready: answered 503 Service Unavailable, which means unready; reports `degraded`";
const EXPIRED: &str = "dependency ca_certificate: error: certificate expired";

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("control-plane");
    let well = watching.until_state("control-plane", "healthy");
    assert_eq!(
        (&well["ready"], &well["version"]),
        (&json!(true), &json!("1.4.2"))
    );

    fleet.inject_fault("control-plane", "ca_certificate");
    let unready = watching.until_state("control-plane", "unready");
    assert_eq!(unready["ready"], false);
    let found = fleet.check("control-plane");
    assert_is(&found, "unready", &[UNREADY, EXPIRED], &[]);
    assert_eq!(dependency(&found, "database")["status"], "working");
    fleet.mend("control-plane", "ca_certificate");
    watching.until_state("control-plane", "healthy");

    // It reads its file by itself: nobody can ask it to.
    let ran = fleet.run("reload --yes control-plane");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    fleet.stop("control-plane");
    let stopped = watching.until_state("control-plane", "stopped");
    let reason = stopped["reasons"][0].as_str().unwrap_or_default();
    assert!(reason.starts_with("shut down on purpose"), "{stopped}");
}

/// `latency_ms` is a Go duration.
#[test]
fn latency_ms_is_in_nanoseconds() {
    let fleet = Fleet::start();
    let ready = fleet.demo.ask("control-plane", "GET /readyz").json();
    assert_eq!(ready["checks"]["database"]["latency_ms"], 2_000_000);
    let found = fleet.check("control-plane");
    assert_eq!(dependency(&found, "database")["latency_ms"], 2.0);
    assert_eq!(dependency(&found, "crl_manager")["latency_ms"], 0.04);
}

/// The service reports no counts and no last success.
#[test]
fn counts_that_it_does_not_report_are_counted_from_its_replies() {
    let fleet = Fleet::start();
    let ready = fleet.demo.ask("control-plane", "GET /readyz").json();
    let keys: Vec<_> = ready["checks"]["ca_certificate"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(keys, ["status", "latency_ms"]);
    let mut watching = fleet.watch("control-plane");
    watching.until_state("control-plane", "healthy");
    fleet.inject_fault("control-plane", "ca_certificate");
    watching.until_state("control-plane", "unready");
    fleet.mend("control-plane", "ca_certificate");
    let well = watching.until_state("control-plane", "healthy");
    let seen = dependency(&well, "ca_certificate");
    assert!(seen["success_total"].as_u64() >= Some(2), "{seen}");
    assert!(seen["failure_total"].as_u64() >= Some(1), "{seen}");
    assert!(seen["last_failure_seconds"].is_f64(), "{seen}");
    assert_eq!(dependency(&well, "database")["failure_total"], 0);
    assert_eq!(
        dependency(&well, "database")["last_failure_seconds"],
        json!(null)
    );
}

/// SIGTERM closes the listener at once; requests in flight may finish.
#[test]
fn the_port_refuses_before_the_process_is_gone() {
    let fleet = Fleet::start();
    let address = fleet.demo.address("control-plane");
    let pid = fleet.demo.pid("control-plane");
    // Its end ends the drain.
    let mut working = fleet.work("control-plane", 10_000);
    let mut acting = fleet.begin("shutdown --yes control-plane");
    acting.until(&format!(
        "{address} refuses connections, pid {pid} (healthctl) still runs"
    ));
    assert!(ask(address, "GET /healthz").is_err());
    assert!(acting.goes_on(), "no verdict while the process is there");
    let mut rest = String::new();
    working
        .read_to_string(&mut rest)
        .expect("the work is finished");
    assert!(rest.contains("done after 10s"), "{rest}");
    let ran = acting.end();
    assert_eq!(ran.code, 0, "{ran:?}");
    let proof = format!(
        "control-plane: stopped: {address} refuses connections and pid {pid} (healthctl) has exited"
    );
    assert!(ran.stdout.starts_with(&proof), "{ran:?}");
}

/// The named event is the end of its process, which takes the whole 30 seconds of the contract.
#[test]
fn requests_in_flight_get_30_s_then_connections_are_cut_then_the_database_is_closed() {
    let mut fleet = Fleet::start();
    let mut working = fleet.work("control-plane", 60_000);
    let pid = Pid::from_raw(fleet.demo.pid("control-plane")).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    let mut rest = String::new();
    // It is cut before its time, so that nothing more comes.
    let _ = working.read_to_string(&mut rest);
    assert!(!rest.contains("done after"), "{rest}");
    let event = fleet.demo.next_event();
    assert_eq!(event, "control-plane exited: exit status: 0");
    let log = fleet.demo.log("control-plane");
    let at = |text: &str| {
        log.find(text)
            .unwrap_or_else(|| panic!("no {text:?}: {log}"))
    };
    let (begins, cut) = (at("drain begins"), at("drain timed out"));
    let (database, done) = (at("handler=database"), at("shutdown done"));
    assert!(begins < cut && cut < database && database < done, "{log}");
}

/// There is no route and no signal to reload: the service watches its file.
#[test]
fn a_changed_file_is_reloaded_and_an_invalid_one_changes_nothing() {
    let fleet = Fleet::start();
    let write = |text: &str| {
        let file = fleet.demo.inventory().with_file_name("control-plane.json");
        std::fs::write(file, text).expect("it is ours");
    };
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    write(r#"{"refused_agents": ["edge-1"]}"#);
    watching.until_state("edge", "unhealthy");
    // What is refused is kept as it was: the agent stays out until the file is good again.
    write(r#"{"refused_agents": 7}"#);
    let log = fleet
        .demo
        .inventory()
        .with_file_name("logs/control-plane.log");
    let log = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_until("the refusal", || log().contains("configuration rejected"));
    assert_eq!(fleet.check("edge")["state"], "unhealthy");
    assert_eq!(fleet.check("control-plane")["state"], "healthy");
    write(r#"{"refused_agents": []}"#);
    watching.until_state("edge", "healthy");
}

/// A dependent is not reported as the cause.
#[test]
fn dependents_are_blocked_by_it() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("control-plane", "process");
    let changes =
        watching.until(|change| change["name"] == "edge" && change["flags"] == json!(["blocked"]));
    let edge = changes.last().unwrap();
    assert_eq!(
        (&edge["state"], &edge["blocked_by"]),
        (&json!("unhealthy"), &json!("control-plane"))
    );
    let own = fleet.check("control-plane");
    assert_eq!(
        (&own["flags"], &own["blocked_by"]),
        (&json!([]), &json!(null))
    );
}

#[test]
fn the_states_of_the_agent_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    let well = watching.until_state("edge", "healthy");
    assert_eq!(
        dependency(&well, "edge-1")["details"]["vms"],
        json!({"running": 3, "total": 3})
    );

    fleet.inject_fault("edge", "heartbeat");
    let before = watching.until(is_lost);
    let turned = before
        .iter()
        .filter(|change| change["state"] != "healthy")
        .count();
    assert_eq!(
        turned, 1,
        "one or two that are missed are no failure: {before:?}"
    );
    assert_eq!(before.last().unwrap()["flags"], json!([]));
    fleet.mend("edge", "heartbeat");
    watching.until_state("edge", "healthy");

    let ran = fleet.run("reload --yes edge");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    fleet.stop("edge");
    let ends = watching.until_stopped();
    assert!(
        ends.iter().any(|change| change["state"] == "draining"),
        "{ends:?}"
    );
    assert_is(ends.last().unwrap(), "stopped", &[ON_PURPOSE], &[]);
    let found = fleet.check("edge");
    assert_is(&found, "stopped", &[ON_PURPOSE], &[]);
    assert_eq!(
        dependency(&found, "edge-1")["details"]["vms"],
        json!({"running": 0, "total": 3})
    );
}

#[test]
fn virtual_machines_are_stopped_one_by_one() {
    let fleet = Fleet::start();
    let acting = fleet.begin("shutdown --yes edge");
    let mut seen = Vec::new();
    wait_until("the last one", || {
        let agents = fleet.demo.ask("control-plane", "GET /api/v1/agents").json();
        let agent = &agents["agents"][0];
        let running = agent["vms"]["running"].as_u64().expect("a count");
        if seen.last() != Some(&running) {
            seen.push(running);
        }
        let status = if running == 3 {
            None
        } else {
            Some("shutting_down")
        };
        assert!(
            status.is_none_or(|status| agent["status"] == status),
            "{agent}"
        );
        running == 0
    });
    // Each count is there for a moment only, so that one may be missed.
    assert!(
        seen.is_sorted_by(|before, after| before > after),
        "{seen:?}"
    );
    assert_eq!(acting.end().code, 0);
    // The number of those that were stopped before is in each line.
    let log = fleet.demo.log("edge");
    let told = log
        .lines()
        .filter_map(|line| line.split_once("Stopping VM "));
    let told: Vec<_> = told.map(|(_, vm)| vm).collect();
    assert_eq!(told, ["vm-3 (1 of 3)", "vm-2 (2 of 3)", "vm-1 (3 of 3)"]);
}

/// There are no heartbeats, as after a shutdown, but no final one has announced that.
#[test]
fn a_killed_agent_is_unhealthy_after_three_missed_heartbeats() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("edge", "process");
    let changes = watching.until(|change| change["state"] != "healthy");
    let lost = changes.last().unwrap();
    assert!(is_lost(lost), "{lost}");
    let heartbeat = &dependency(lost, "edge-1")["heartbeat"];
    assert!(heartbeat["missed"].as_u64() >= Some(3), "{heartbeat}");
    assert_eq!(heartbeat["final"], false);
}

/// The control plane accepts connections and does not answer, so the final heartbeat times out.
#[test]
fn a_hanging_control_plane_does_not_delay_the_shutdown() {
    let mut fleet = Fleet::start();
    let control_plane = Pid::from_raw(fleet.demo.pid("control-plane")).expect("a process");
    kill_process(control_plane, Signal::STOP).expect("it runs");
    let ran = fleet.run("shutdown --yes --timeout 30s edge");
    kill_process(control_plane, Signal::CONT).expect("it runs");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("edge: stopped: "), "{ran:?}");
    assert_eq!(fleet.demo.next_event(), "edge exited: exit status: 0");
}

/// A restarted control plane lists no agent: an empty list proves nothing about a required one.
#[test]
fn an_agent_that_is_no_longer_listed_is_unknown() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("edge", "process");
    fleet.inject_fault("control-plane", "process");
    watching.until_state("edge", "unhealthy");
    let mut command = fleet.demo.start_command("control-plane");
    let _control_plane = Running::start(&mut command).expect("the binary can be run");
    let unknown = watching.until_state("edge", "unknown");
    let reason = "dependency edge-1: not reported";
    assert_is(&unknown, "unknown", &[reason], &[]);
    assert_eq!(fleet.run("check --exit-code edge").code, 3);
}

#[test]
fn healthz_answers_ok_while_the_process_can_answer() {
    let fleet = Fleet::start();
    for component in ["database", "ca_certificate", "crl_manager"] {
        fleet.inject_fault("control-plane", component);
    }
    let live = fleet.demo.ask("control-plane", "GET /healthz");
    assert_eq!((live.status, live.json()), (200, json!({"status": "ok"})));
}

#[test]
fn readyz_answers_200_when_every_check_passes_and_503_with_the_same_shape_when_one_fails() {
    let fleet = Fleet::start();
    let keys = |body: &Value| -> Vec<String> {
        let checks = body["checks"].as_object().expect("a map");
        let body = body.as_object().expect("a map");
        body.keys().chain(checks.keys()).cloned().collect()
    };
    let ready = fleet.demo.ask("control-plane", "GET /readyz");
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &json!("healthy"))
    );
    fleet.inject_fault("control-plane", "database");
    let unready = fleet.demo.ask("control-plane", "GET /readyz");
    assert_eq!(
        (unready.status, &unready.json()["status"]),
        (503, &json!("degraded"))
    );
    assert_eq!(keys(&ready.json()), keys(&unready.json()));
}

#[test]
fn a_check_passes_or_fails_and_only_one_that_failed_has_an_error() {
    let fleet = Fleet::start();
    fleet.inject_fault("control-plane", "ca_certificate");
    let ready = fleet.demo.ask("control-plane", "GET /readyz").json();
    let checks = ready["checks"].as_object().expect("a map");
    for (name, check) in checks {
        let (status, error) = match name.as_str() {
            "ca_certificate" => ("fail", json!("certificate expired")),
            _ => ("pass", Value::Null),
        };
        assert_eq!(check["status"], status, "{name}");
        assert_eq!(check["error"], error, "{name}");
        assert_eq!(check.get("error").is_some(), status == "fail", "{name}");
    }
}

#[test]
fn each_readiness_gate_alone_holds_readiness_back() {
    let fleet = Fleet::start();
    for gate in ["database", "ca_certificate", "crl_manager"] {
        let ready = fleet.demo.ask("control-plane", "GET /readyz");
        assert_eq!(ready.status, 200, "before {gate}: {ready:?}");
        fleet.inject_fault("control-plane", gate);
        let ready = fleet.demo.ask("control-plane", "GET /readyz");
        assert_eq!(ready.status, 503, "{gate}: {ready:?}");
        fleet.mend("control-plane", gate);
    }

    // So does one that nobody has opened yet, in a program on the kit.
    let service = Service::new("control-plane", "1.4.2", Settings::default());
    service.dependency("database").record_success();
    let gate = service.readiness_gate("crl_manager");
    let runtime = Runtime::new().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let routes = control_plane::routes(&service);
    runtime.spawn(async { axum::serve(listener, routes).await });
    let ready = || ask(address, "GET /readyz").expect("it answers");
    assert_eq!(ready().status, 503, "{:?}", ready());
    gate.open();
    assert_eq!(ready().status, 200, "{:?}", ready());
}

#[test]
fn a_503_with_a_degraded_body_is_unready_with_the_failing_checks_as_reasons() {
    let fleet = Fleet::start();
    fleet.inject_fault("control-plane", "ca_certificate");
    let found = fleet.check("control-plane");
    assert_is(&found, "unready", &[UNREADY, EXPIRED], &[]);
    assert_eq!(fleet.run("check --exit-code control-plane").code, 1);
}

#[test]
fn sigterm_and_sigint_shut_it_down() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut fleet = Fleet::start();
        let pid = Pid::from_raw(fleet.demo.pid("control-plane")).expect("a process");
        kill_process(pid, signal).expect("it runs");
        let event = fleet.demo.next_event();
        assert_eq!(event, "control-plane exited: exit status: 0", "{signal:?}");
    }
}

#[test]
fn there_is_no_shutdown_route_so_the_process_that_is_proved_to_be_its_own_gets_a_signal() {
    let fleet = Fleet::start();
    for route in ["/shutdown", "/health/shutdown"] {
        let reply = fleet.demo.ask("control-plane", &format!("POST {route}"));
        assert_eq!(reply.status, 404, "{route}");
    }
    let pid = fleet.demo.pid("control-plane");
    let ran = fleet.run("shutdown --dry-run control-plane");
    assert_eq!(ran.code, 0, "{ran:?}");
    let plan = format!("would send SIGTERM to pid {pid};");
    assert!(ran.stdout.contains(&plan), "{ran:?}");
}

#[test]
fn the_control_plane_lists_its_agents() {
    let fleet = Fleet::start();
    let list = fleet.demo.ask("control-plane", "GET /api/v1/agents").json();
    let agent = &list["agents"][0];
    assert_eq!(agent["agent_id"], "edge-1");
    assert_eq!(agent["status"], "running");
    assert_eq!(agent["vms"], json!({"running": 3, "total": 3}));
    let beat = agent["last_heartbeat"].as_str().expect("a time");
    assert!(beat.parse::<Timestamp>().is_ok(), "{beat}");
}

#[test]
fn the_agent_has_no_port_and_beats_every_interval() {
    let fleet = Fleet::start();
    let pid = fleet.demo.pid("edge");
    let sockets = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("it runs");
    let listening: Vec<&str> = sockets
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            (fields.get(3) == Some(&"0A")).then(|| fields[9])
        })
        .collect();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is ours");
    for descriptor in descriptors.filter_map(Result::ok) {
        let target = std::fs::read_link(descriptor.path()).unwrap_or_default();
        let target = target.display().to_string();
        let is_listening = |inode: &&str| target == format!("socket:[{inode}]");
        assert!(!listening.iter().any(is_listening), "{target}");
    }
    let beat = || fleet.demo.ask("control-plane", "GET /api/v1/agents").json();
    let beat = || beat()["agents"][0]["last_heartbeat"].clone();
    for _ in 0..2 {
        let before = beat();
        wait_until("another heartbeat", || beat() != before);
    }
}

/// Each of the lines is told by the final beats, in its log, and by whoever watches.
#[test]
fn stopping_vm_lines_name_the_number_of_the_total_while_the_drain_goes_on() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    let acting = fleet.begin("shutdown --yes edge");
    let changes = watching.until(|change| change["state"] == "stopped");
    let lines = [(1, "vm-3"), (2, "vm-2"), (3, "vm-1")]
        .map(|(number, vm)| format!("Stopping VM {vm} ({number} of 3)"));
    // A watcher that is held up misses a line, but sees none too late.
    let mut told = Vec::new();
    for change in &changes {
        let reason = change["reasons"][0].as_str().unwrap_or_default();
        if reason.contains("Stopping VM ") {
            assert_eq!(change["state"], "draining", "{change}");
            told.push(lines.iter().position(|line| reason.ends_with(line)));
        }
    }
    assert!(!told.is_empty() && !told.contains(&None), "{changes:?}");
    assert!(told.is_sorted(), "{changes:?}");
    let log = fleet.demo.log("edge");
    for line in lines {
        assert!(log.contains(&line), "{line}: {log}");
    }
    assert_eq!(acting.end().code, 0);
}

#[test]
fn the_final_heartbeat_says_that_the_agent_shuts_down_after_sigterm_and_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut fleet = Fleet::start();
        let pid = Pid::from_raw(fleet.demo.pid("edge")).expect("a process");
        kill_process(pid, signal).expect("it runs");
        assert_eq!(
            fleet.demo.next_event(),
            "edge exited: exit status: 0",
            "{signal:?}"
        );
        let list = fleet.demo.ask("control-plane", "GET /api/v1/agents").json();
        let agent = &list["agents"][0];
        assert_eq!(agent["status"], "shutting_down", "{agent}");
        assert_eq!(agent["vms"], json!({"running": 0, "total": 3}), "{agent}");
        assert_eq!(agent["message"], "all VMs are stopped", "{agent}");
    }
}

#[test]
fn a_shutdown_on_purpose_is_told_apart_from_three_missed_heartbeats_by_check() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("edge");
    watching.until_state("edge", "healthy");
    fleet.inject_fault("edge", "heartbeat");
    watching.until(is_lost);
    // What the last beat is worth is counted by those who watch: a check knows the age of the beat.
    let lost = fleet.check("edge");
    assert_eq!(lost["state"], "unhealthy", "{lost}");
    assert!(is_lost(&lost), "{lost}");
    fleet.mend("edge", "heartbeat");
    watching.until_state("edge", "healthy");
    fleet.stop("edge");
    watching.until_state("edge", "stopped");
    assert_is(&fleet.check("edge"), "stopped", &[ON_PURPOSE], &[]);
}

#[test]
fn a_shutdown_on_purpose_is_told_apart_from_three_missed_heartbeats_in_the_dashboard() {
    let fleet = Fleet::start();
    let mut pty = Pty::start(&fleet.command("watch edge"), 120, 40);
    pty.wait_for("✓ 1 healthy");
    pty.keys(ENTER);
    fleet.inject_fault("edge", "heartbeat");
    pty.wait_for("missed 3, no beat since");
    fleet.mend("edge", "heartbeat");
    pty.wait_without("missed 3");
    let acting = fleet.begin("shutdown --yes edge");
    pty.wait_for("Stopping VM vm-");
    pty.wait_for("on purpose: the last beat said that it was shutting down");
    assert_eq!(acting.end().code, 0);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}
