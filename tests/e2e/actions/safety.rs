//! What must do no harm: nobody is signalled who is not proved to be the service, and what runs is not stopped for a
//! start that cannot be, nor called stopped or running on no evidence.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::process::{Running, kill};
use crate::support::started::{Stage, Startable};
use crate::support::terminal::Pty;
use crate::support::waiting::wait_until;

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let pids = text.split_ascii_whitespace();
    pids.map(|pid| pid.parse().expect("a pid is a number"))
        .collect()
}

fn started(service: &Startable) -> Stage {
    let stage = Stage::new(SERVICE, &[service]);
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    stage
}

#[test]
fn a_process_that_has_the_pid_of_an_old_record_is_left_alone() {
    let service_entry = Startable::new("api", "shutdown=exit");
    let stage = started(&service_entry);
    let mut record = stage.record("api").expect("it was recorded");
    let old = stage.running();
    kill(old[0]);
    // Another session leader has its pid, as after a restart of a container.
    let mut shell = Command::new("setsid");
    shell.args(["sh", "-c", "sleep 300; exit 3"]);
    let mut stranger = Running::start(&mut shell).expect("setsid can be run");
    wait_until("its child", || !children(stranger.pid()).is_empty());
    let theirs = children(stranger.pid());
    record["process"] = serde_json::json!({"pid": stranger.pid(), "start_ticks": 1});
    let path = stage.record_path("api").expect("there is a record");
    std::fs::write(path, record.to_string()).expect("it can be written");
    let mut by_hand = service(&format!("shutdown=exit port={}", service_entry.port()));
    let ran = run(stage.scene(), "shutdown --yes --force api");
    assert_ended(&ran, "stopped", 0);
    assert!(!by_hand.runs());
    assert_eq!(stranger.ended(), None, "{ran:?}");
    assert_eq!(children(stranger.pid()), theirs, "{ran:?}");
    kill(theirs[0]);
}

#[test]
fn another_signal_than_the_one_that_was_shown_is_not_sent() {
    let entry = Startable::new("api", "leave").with("    actions: {shutdown: {signal: TERM}}\n");
    let stage = started(&entry);
    let leader = stage.record("api").expect("it was recorded")["process"]["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .expect("a pid is a number");
    let command = stage.scene().command(&["shutdown", "api"]);
    let mut terminal = Pty::start(&command, 200, 40);
    terminal.wait_for("[y/N]");
    kill(leader);
    terminal.keys("y\r");
    terminal.wait_for(&format!("the signal was to go to pid {leader}"));
    assert_eq!(terminal.end().code, 4);
    assert_eq!(stage.running().len(), 1, "what it has left behind runs on");
}

#[test]
fn a_worker_without_an_address_that_was_started_by_hand_is_not_started_twice() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    probes: {live: {exec: [test, -f, up]}}\n    start: {command: [touch, started]}\n",
    );
    scene.write("up", "");
    for action in ["shutdown", "restart", "start"] {
        let ran = run(&scene, &format!("{action} --yes api"));
        assert_ended(&ran, "refused", 4);
        assert!(ran.stderr.contains("pid_file"), "{ran:?}");
    }
    assert!(!scene.path().join("started").exists());
    std::fs::remove_file(scene.path().join("up")).expect("it can be removed");
    assert_ended(&run(&scene, "shutdown --yes api"), "already-stopped", 0);
}

#[test]
fn a_copy_at_the_other_address_of_its_name_is_named_and_nothing_is_sent() {
    let entry = Startable::new("api", "shutdown=exit");
    let stage = started(&entry);
    let first = stage.running()[0];
    let path = stage.scene().path().join("healthctl.yaml");
    let text = std::fs::read_to_string(&path).expect("there is an inventory");
    stage.scene().write(
        "healthctl.yaml",
        &text.replace("http://127.0.0.1:", "http://localhost:"),
    );
    let mut other = service(&format!("v6only shutdown=exit port={}", entry.port()));
    let ran = run(stage.scene(), "restart --yes api");
    assert_ended(&ran, "refused", 4);
    for pid in [first, other.pid()] {
        assert!(ran.stdout.contains(&format!("pid {pid}")), "{ran:?}");
    }
    assert_eq!(stage.running(), [first]);
    assert_eq!(other.asked(), 0);
}

#[test]
fn a_service_that_could_not_be_started_again_is_not_stopped() {
    let mut faulty = service("shutdown=exit");
    for (start, why) in [
        ("command: [./nowhere]", "there is no such file"),
        ("command: [no-such-command]", "no such command in PATH"),
        ("command: [./healthctl.yaml]", "may not be executed"),
        ("command: [\"true\"], cwd: nowhere", "there is no directory"),
        (
            "command: [\"true\"], env: {T: {env: NOT_SET_HERE}}",
            "NOT_SET_HERE",
        ),
        (
            "command: [\"true\"], log: healthctl.yaml/x.log",
            "is no directory",
        ),
    ] {
        let scene = scene(
            &faulty,
            &format!("    pid_file: api.pid\n    start: {{{start}}}\n"),
        );
        scene.write("api.pid", &faulty.pid().to_string());
        let ran = run(&scene, "restart --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains(why), "{start}: {ran:?}");
    }
    let scene = scene(
        &faulty,
        "    pid_file: api.pid\n    start: {command: [\"true\"]}\n",
    );
    scene.write("api.pid", &faulty.pid().to_string());
    std::fs::create_dir_all(scene.path().join("state")).expect("a folder can be made");
    scene.write("state/healthctl", "in the way");
    let ran = run(&scene, "restart --yes --no-audit api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("recorded"), "{ran:?}");
    assert!(faulty.runs());
    assert_eq!(faulty.asked(), 0);
}

#[test]
fn a_service_of_which_nothing_is_known_is_not_called_running() {
    let mut faulty = service("");
    let scene = scene(
        &faulty,
        "    pid_file: api.pid\n    start: {command: [touch, started]}\n",
    );
    faulty.exit();
    scene.write("api.pid", "soon\n");
    let ran = run(&scene, "start --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("holds no pid"), "{ran:?}");
    assert!(!scene.path().join("started").exists());
}

/// Services `a`, which stops when `open` is written, and `b`.
fn pair(folder: &std::path::Path) -> (Startable, Startable) {
    let gate = folder.join("open");
    let words = format!("shutdown=gate gate={}", gate.display());
    (
        Startable::new("a", &words),
        Startable::new("b", "shutdown=exit"),
    )
}

fn accounts(ran: &Ran) -> Vec<Value> {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn a_service_that_was_started_since_the_plan_was_made_is_not_called_stopped() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (a, b) = pair(folder.path());
    let stage = Stage::new(SERVICE, &[&a, &b]);
    assert_eq!(run(stage.scene(), "start --yes a").code, 0);
    let mut acting = begin(stage.scene(), "shutdown --yes --parallel 1 -o json a b");
    acting.until("draining");
    let mut by_hand = service(&format!("port={}", b.port()));
    std::fs::write(folder.path().join("open"), "").expect("the gate can be opened");
    let ran = acting.end();
    let accounts = accounts(&ran);
    assert_eq!(accounts[0]["verdict"], "stopped", "{ran:?}");
    assert_eq!(accounts[1]["verdict"], "refused", "{ran:?}");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(by_hand.runs());
    assert_eq!(by_hand.asked(), 0);
}

#[test]
fn a_service_that_ends_by_itself_before_its_turn_is_started_and_told_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (a, b) = pair(folder.path());
    let stage = Stage::new(SERVICE, &[&a, &b]);
    assert_eq!(run(stage.scene(), "start --yes a b").code, 0);
    let pid = stage.record("b").expect("it was recorded")["process"]["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok())
        .expect("a pid is a number");
    let mut acting = begin(stage.scene(), "restart --yes --parallel 1 -o json a b");
    acting.until("draining");
    kill(pid);
    std::fs::write(folder.path().join("open"), "").expect("the gate can be opened");
    let ran = acting.end();
    let accounts = accounts(&ran);
    assert_eq!(accounts.len(), 2, "{ran:?}");
    assert_eq!(accounts[1]["service"], "b");
    assert_eq!(accounts[1]["verdict"], "started", "{ran:?}");
    assert_eq!(stage.running().len(), 2, "{ran:?}");
    let lines = audit(stage.scene());
    let of_b = lines
        .iter()
        .filter(|line| line["service"] == "b" && line["action"] == "restart");
    assert_eq!(of_b.count(), 2, "{lines:#?}");
}

#[test]
fn a_service_that_runs_and_does_not_listen_is_stopped_by_a_signal() {
    let api = Startable::new("api", "standby");
    let stage = Stage::new(SERVICE, &[&api]);
    let ran = run(stage.scene(), "start --yes --timeout 1s api");
    assert_ended(&ran, "not-ready", 124);
    assert_eq!(stage.running().len(), 1);
    let ran = run(stage.scene(), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    assert!(stage.running().is_empty());
}

#[test]
fn an_unreadable_pid_file_is_named() {
    let mut faulty = service("");
    let scene = scene(&faulty, "    pid_file: api.pid\n");
    faulty.exit();
    scene.write("api.pid", "garbage\n");
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("api.pid holds no pid"), "{ran:?}");
}

#[test]
fn a_service_that_takes_no_connection_is_killed_with_force() {
    let api = Startable::new("api", "shutdown=exit");
    let stage = started(&api);
    let pid = stage.running()[0];
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(raw.expect("a pid is small"), Signal::STOP).expect("it can be stopped");
    // Its queue is filled, so that nobody can ask it for anything.
    let mut held = Vec::new();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], api.port()));
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300))
    {
        held.push(stream);
    }
    let ran = run(stage.scene(), "shutdown --yes --force --timeout 1s api");
    assert_ended(&ran, "stopped", 0);
    assert!(ran.stderr.contains("sending SIGKILL"), "{ran:?}");
    assert!(stage.running().is_empty());
}

#[test]
fn of_two_unexpected_copies_none_is_stopped() {
    let api = Startable::new("api", "shared shutdown=exit");
    let stage = started(&api);
    let first = stage.running()[0];
    let mut other = service(&format!("shared shutdown=exit port={}", api.port()));
    for action in ["shutdown", "shutdown --schedule", "restart"] {
        let ran = run(stage.scene(), &format!("{action} --yes api"));
        assert_ended(&ran, "refused", 4);
        for pid in [first, other.pid()] {
            assert!(ran.stdout.contains(&format!("pid {pid}")), "{ran:?}");
        }
    }
    assert_eq!(stage.running(), [first]);
    assert_eq!(other.asked(), 0);
}

#[test]
fn a_command_that_cannot_be_run_kills_nothing() {
    let mut faulty = service("");
    let scene = scene(
        &faulty,
        "    actions: {restart: {exec: [no-such-command, api]}}\n",
    );
    let ran = run(&scene, "restart --yes --force api");
    assert_ended(&ran, "refused", 4);
    assert!(faulty.runs());
}

#[test]
fn a_program_is_looked_for_from_where_it_will_run() {
    let own = std::env::current_exe().expect("this binary has a path");
    let api = Startable::new("api", "shutdown=exit");
    let stage = Stage::new(SERVICE, &[&api]);
    let scene = stage.scene();
    let folder = scene.path().join("web/bin");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    std::os::unix::fs::symlink(&own, folder.join("served")).expect("a link can be made");
    let text = std::fs::read_to_string(scene.path().join("healthctl.yaml")).expect("it is there");
    let text = text
        .replace(&format!("\"{}\"", own.display()), "served")
        .replace(
            "env: {",
            "cwd: web\n      env: {PATH: \"bin:/usr/bin:/bin\", ",
        );
    scene.write("healthctl.yaml", &text);
    assert_ended(&run(scene, "start --yes api"), "started", 0);
    assert_ended(&run(scene, "restart --yes api"), "restarted", 0);
}
