//! Signals: only ever to a process that is proved to be the service's own.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;
use crate::support::waiting::wait_until;

/// A scene with the service `api` that has no route to stop it, and answers as its profile has it.
fn bare(faulty: &FaultyService, more: &str) -> Scene {
    let actions = if more.contains("actions:") {
        ""
    } else {
        "    actions: {shutdown: off, schedule: off}\n"
    };
    scene(faulty, &format!("{actions}{more}"))
}

fn pid_file(scene: &Scene, pid: u32) -> PathBuf {
    scene.write("api.pid", &format!("{pid}\n"))
}

/// Makes a file look as if it was written long ago.
fn age(path: &PathBuf) {
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("the file is there");
    // 2001: every process is younger.
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
        .expect("its time can be set");
}

#[test]
fn the_owner_of_the_listening_port_gets_the_signal() {
    let faulty = service("");
    let ran = run(&bare(&faulty, ""), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    let delivered = format!("SIGTERM delivered to pid {}", faulty.pid());
    assert!(ran.stderr.contains(&delivered), "{ran:?}");
}

#[test]
fn a_scheduled_signal_is_accepted_when_it_is_delivered() {
    let mut faulty = service("sigterm=ignore");
    let ran = run(&bare(&faulty, ""), "shutdown --schedule --yes api");
    assert_ended(&ran, "accepted", 0);
    assert!(faulty.runs());
}

#[test]
fn a_service_that_ignores_it_is_still_answering() {
    let mut faulty = service("sigterm=ignore");
    let ran = run(&bare(&faulty, ""), "shutdown --yes --timeout 1s api");
    assert_ended(&ran, "still-answering", 5);
    wait_until("it has taken the signal", || faulty.asked() > 0);
    assert_eq!(faulty.asked(), 1, "sent once, and never SIGKILL");
}

#[test]
fn a_service_that_closes_its_port_at_once_is_not_stopped_before_it_is_gone() {
    let mut faulty = service("sigterm=close");
    let scene = bare(&faulty, "");
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("still runs");
    assert!(faulty.runs() && acting.goes_on());
    faulty.exit();
    assert_ended(&acting.end(), "stopped", 0);
}

#[test]
fn another_signal_can_be_named() {
    let faulty = service("sigterm=ignore");
    let ran = run(
        &bare(&faulty, "    actions: {shutdown: {signal: QUIT}}\n"),
        "shutdown --yes api",
    );
    assert_ended(&ran, "stopped", 0);
    assert!(ran.stderr.contains("SIGQUIT delivered"), "{ran:?}");
}

#[test]
fn a_pid_file_names_a_service_without_a_port() {
    let mut faulty = service("sigterm=close");
    faulty.order("close");
    let scene = bare(&faulty, "    pid_file: api.pid\n");
    pid_file(&scene, faulty.pid());
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("SIGTERM delivered");
    faulty.exit();
    assert_ended(&acting.end(), "stopped", 0);
}

#[test]
fn a_recycled_pid_is_refused() {
    let mut faulty = service("");
    // Started after the file was written, so it cannot be whom the file names.
    let mut stranger = service("");
    let scene = bare(&faulty, "    pid_file: api.pid\n");
    age(&pid_file(&scene, stranger.pid()));
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(
        ran.stdout.contains("may have been given out again"),
        "{ran:?}"
    );
    assert!(faulty.runs() && stranger.runs());
}

#[test]
fn a_foreign_process_on_the_port_is_refused() {
    let mut foreign = service("shutdown=exit");
    let mut own = service("");
    let scene = scene(&foreign, "    pid_file: api.pid\n");
    pid_file(&scene, own.pid());
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    for text in ["its pid file names", &format!("pid {} ", foreign.pid())] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
    assert!(
        ran.stderr.contains(&format!("--pid {}", foreign.pid())),
        "{ran:?}"
    );
    assert!(foreign.runs() && own.runs());
    assert_eq!(foreign.asked(), 0);
}

#[test]
fn two_independent_processes_on_one_port_are_refused() {
    let mut one = service("shared");
    let mut other = service(&format!("shared port={}", one.port()));
    let ran = run(&bare(&one, ""), "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    for pid in [one.pid(), other.pid()] {
        assert!(ran.stdout.contains(&format!("pid {pid}")), "{ran:?}");
    }
    assert!(one.runs() && other.runs());
}

#[test]
fn a_program_that_only_forwards_to_the_service_gets_no_signal() {
    let mut faulty = hidden("");
    let ran = run(&bare(&faulty, ""), "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("only forwards connections"), "{ran:?}");
    assert!(faulty.runs());
}

#[test]
fn a_pid_file_that_holds_no_pid_is_refused() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    probes: {live: {http: 'http://127.0.0.1:9/'}}\n    pid_file: api.pid\n",
    );
    scene.write("api.pid", "not a pid\n");
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("holds no pid"), "{ran:?}");
}
