//! Starting: detached, recorded, proved to be ready, and never twice.

use super::*;
use crate::support::process::wait_for_port;
use crate::support::started::{Stage, Startable};
use crate::support::waiting::until;

fn stage(words: &str) -> Stage {
    Stage::new(SERVICE, &[&Startable::new("api", words)])
}

#[test]
fn a_started_service_outlives_healthctl_and_is_stopped_by_its_record() {
    let stage = stage("");
    let ran = run(stage.scene(), "start --yes api");
    assert_ended(&ran, "started", 0);
    let pids = stage.running();
    assert_eq!(pids.len(), 1);
    assert_eq!(stage.record("api").unwrap()["process"]["pid"], pids[0]);
    // Without a route a signal goes to the process that was recorded.
    let scene = stage.scene();
    let inventory = std::fs::read_to_string(scene.path().join("healthctl.yaml")).unwrap();
    scene.write(
        "healthctl.yaml",
        &format!("{inventory}    actions: {{shutdown: off, schedule: off}}\n"),
    );
    let ran = run(scene, "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    assert!(
        ran.stderr.contains(&format!("SIGTERM to pid {}", pids[0])),
        "{ran:?}"
    );
    assert!(stage.running().is_empty());
}

#[test]
fn a_program_that_cannot_be_run_is_told_as_it_was_written() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:9\n    start: {command: [\"${PROGRAM}\"]}\n",
    );
    let mut command = scene.command(&["start", "--yes", "api"]);
    command.env("PROGRAM", "/nowhere/hunter22");
    let ran = Ran::of(&mut command);
    assert_ended(&ran, "refused", 4);
    let why = "cannot run `${PROGRAM}`: there is no such file";
    assert!(ran.stdout.contains(why), "{ran:?}");
    assert!(!format!("{ran:?}").contains("hunter22"), "{ran:?}");
}

#[test]
fn a_process_that_goes_into_the_background_is_found_and_stopped() {
    let service = Startable::new("api", "").in_background();
    let stage = Stage::new(SERVICE, &[&service]);
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    let port = service.port();
    // The command has ended when the service is alone.
    let pids = until("one process", || {
        Some(stage.running()).filter(|pids| pids.len() == 1)
    });
    let list = run(stage.scene(), "list");
    assert!(list.stdout.contains(&pids[0].to_string()), "{list:?}");
    let again = run(stage.scene(), "start --yes api");
    assert_ended(&again, "already-running", 0);
    let scene = stage.scene();
    let inventory = std::fs::read_to_string(scene.path().join("healthctl.yaml")).unwrap();
    let without_routes = format!("{inventory}    actions: {{shutdown: off, schedule: off}}\n");
    scene.write("healthctl.yaml", &without_routes);
    let ran = run(scene, "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    assert!(ran.stdout.contains(&port.to_string()), "{ran:?}");
    assert!(stage.running().is_empty());
}

#[test]
fn a_service_that_was_taken_out_of_the_inventory_is_still_named() {
    let stage = stage("");
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    let other = "services:\n  other: {profile: http, url: \"http://127.0.0.1:9\"}\n";
    stage.scene().write("healthctl.yaml", other);
    let list = run(stage.scene(), "list");
    let named = format!("pid {} runs still", stage.running()[0]);
    assert!(list.stderr.contains(&named), "{list:?}");
    let list = run(stage.scene(), "list -o json");
    let list: Value = serde_json::from_str(&list.stdout).expect("a list is JSON");
    assert_eq!(list["others_started"][0]["name"], "api");
    assert_eq!(
        list["others_started"][0]["started"]["pid"],
        stage.running()[0]
    );
}

#[test]
fn a_service_that_runs_is_not_started_twice() {
    let stage = stage("");
    run(stage.scene(), "start --yes api");
    let pids = stage.running();
    let ran = run(stage.scene(), "start --yes api");
    assert_ended(&ran, "already-running", 0);
    assert!(ran.stdout.contains(&format!("pid {}", pids[0])), "{ran:?}");
    assert_eq!(stage.running(), pids);
}

#[test]
fn a_start_that_fails_is_told_with_the_output_of_the_service() {
    let stage = stage("fail");
    let ran = run(stage.scene(), "start --yes api");
    assert_ended(&ran, "died", 5);
    assert!(ran.stdout.contains("exit status: 3"), "{ran:?}");
    assert!(ran.stderr.contains("line 1 of its last words"), "{ran:?}");
    assert!(!ran.stderr.contains("line 19 of its last words"), "{ran:?}");
    assert!(ran.stderr.contains("… 2 lines later:"), "{ran:?}");
    assert!(ran.stdout.contains("its last line: line 25"), "{ran:?}");
    assert!(stage.running().is_empty());
}

#[test]
fn a_service_that_is_never_ready_runs_on_and_is_told() {
    let stage = stage("status=503");
    let ran = run(stage.scene(), "start --yes --timeout 6s api");
    assert_ended(&ran, "not-ready", 124);
    assert!(ran.stdout.contains("503"), "{ran:?}");
    assert_eq!(stage.running().len(), 1);
    let list = run(stage.scene(), "list");
    assert!(
        list.stdout.contains(&stage.running()[0].to_string()),
        "{list:?}"
    );
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    url: http://127.0.0.1:9\n    profile: http\n    start: {command: [no-such-program-anywhere]}\n",
    );
    let ran = run(&scene, "start --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("no-such-program-anywhere"), "{ran:?}");
}

#[test]
fn a_dry_run_shows_the_command_and_starts_nothing() {
    let stage = stage("");
    let ran = run(stage.scene(), "start --dry-run api");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("would run `"), "{ran:?}");
    assert!(ran.stdout.contains("service_process"), "{ran:?}");
    assert!(stage.running().is_empty());
    assert!(audit(stage.scene()).is_empty());
}

#[test]
fn nothing_is_started_without_confirmation() {
    let stage = stage("");
    let ran = run(stage.scene(), "start api");
    assert_ended(&ran, "refused", 4);
    assert!(stage.running().is_empty());
}

#[test]
fn a_foreign_process_at_its_address_is_left_alone() {
    let startable = Startable::new("api", "shutdown=exit");
    let mut foreign = service(&format!("port={}", startable.port()));
    let stage = Stage::new(SERVICE, &[&startable]);
    let inventory = stage.scene().path().join("healthctl.yaml");
    // It would run another program than the one that listens.
    let text = std::fs::read_to_string(&inventory).unwrap();
    let (before, after) = text.split_once("command: [").unwrap();
    let (_, after) = after.split_once("]\n").unwrap();
    let other = format!("{before}command: [/bin/sleep, \"300\"]\n{after}");
    stage.scene().write("healthctl.yaml", &other);
    for command in ["start", "restart", "shutdown"] {
        let ran = run(stage.scene(), &format!("{command} --yes api"));
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains("foreign"), "{ran:?}");
        assert!(ran.stdout.contains(&foreign.pid().to_string()), "{ran:?}");
    }
    assert_eq!(foreign.asked(), 0);
    assert!(stage.running().is_empty());
}

#[test]
fn two_starts_at_once_see_each_other() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let file = gate.path().join("open");
    let stage = stage(&format!("shutdown=gate gate={}", file.display()));
    run(stage.scene(), "start --yes api");
    let mut first = begin(stage.scene(), "restart --yes api");
    first.until("draining");
    let second = run(stage.scene(), "shutdown --yes api");
    assert_ended(&second, "refused", 4);
    assert!(second.stdout.contains("restart api"), "{second:?}");
    std::fs::write(&file, "").expect("the gate can be opened");
    assert_ended(&first.end(), "restarted", 0);
}

#[test]
fn both_phases_are_in_the_audit_file() {
    let stage = stage("shutdown=exit");
    run(stage.scene(), "start --yes api");
    run(stage.scene(), "restart --yes api");
    let lines = audit(stage.scene());
    let told: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {}", line["action"], line["verdict"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "start null",
            "start started",
            "restart null",
            "restart restarted"
        ]
    );
    let request = lines[2]["request"].as_str().unwrap();
    assert!(
        request.starts_with("POST http://") && request.contains("; then `"),
        "{request}"
    );
    assert_ne!(lines[3]["before"]["pid"], lines[3]["after"]["pid"]);
}

#[test]
fn an_interruption_of_a_start_tells_what_runs() {
    let stage = stage("status=503");
    let mut acting = begin(stage.scene(), "start --yes api");
    acting.until("started pid");
    acting.interrupt();
    let ran = acting.end();
    assert_eq!(ran.code, 130, "{ran:?}");
    let pid = stage.running()[0];
    assert!(
        ran.stdout.contains(&format!("pid {pid}")) && ran.stdout.contains("runs on"),
        "{ran:?}"
    );
}

#[test]
fn a_service_that_runs_and_is_not_ready_is_waited_for() {
    let api = Startable::new("api", "status=503");
    let stage = Stage::new(SERVICE, &[&api]);
    for is_first in [true, false] {
        let ran = run(stage.scene(), "start --yes --timeout 1s api");
        assert_ended(&ran, "not-ready", 124);
        // The first one may be over before the service has answered.
        assert!(is_first || ran.stdout.contains("503"), "{ran:?}");
        assert_eq!(stage.running().len(), 1, "nothing is started twice");
        wait_for_port(api.port());
    }
}

#[test]
fn a_started_service_inherits_no_open_file() {
    let stage = stage("");
    let lock = stage.scene().path().join("callers.lock");
    let mut command = std::process::Command::new("sh");
    let start = stage.scene().command(&["start", "--yes", "api"]);
    let script = format!("exec 9>'{}' && exec \"$0\" \"$@\"", lock.display());
    command
        .args(["-c", &script])
        .arg(start.get_program())
        .args(start.get_args())
        .envs(
            start
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    if let Some(directory) = start.get_current_dir() {
        command.current_dir(directory);
    }
    assert!(command.status().expect("sh can be run").success());
    let pid = stage.running()[0];
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    for descriptor in open {
        let path = std::fs::read_link(descriptor.expect("it can be listed").path());
        assert_ne!(path.unwrap_or_default(), lock);
    }
}
