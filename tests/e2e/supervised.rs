//! Supervised services: what the start command hands over to runs them, so nothing of them is on record, and nothing is
//! signalled by its likeness.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::actions::SERVICE;
use crate::support::acting::Acting;
use crate::support::faulty::FaultyService;
use crate::support::process::free_port;
use crate::support::scene::{Ran, Scene};
use crate::support::waiting::{LIMIT, wait_until};

/// A supervisor that behaves like `docker compose` and `systemctl`: a command writes an order and ends; the supervisor, which
/// was there before, starts and stops the service.
struct Supervisor {
    scene: Scene,
    orders: PathBuf,
    carried_out: Receiver<String>,
}

impl Supervisor {
    /// One with an inventory of the service `api`, with more keys. `brings_back`: a service that was told to end is started
    /// again by itself.
    fn new(more: &str, brings_back: bool) -> Self {
        let scene = Scene::new();
        let port = free_port();
        let orders = scene.path().join("orders");
        let made = Command::new("mkfifo").arg(&orders).status();
        assert!(made.expect("mkfifo can be run").success());
        let order = |word: &str| format!("[sh, -c, \"echo {word} > '{}'\"]", orders.display());
        let inventory = format!(
            "services:\n  api:\n    profile: hephaestus\n    url: http://127.0.0.1:{port}\n    \
             actions: {{shutdown: {{exec: {}}}, schedule: off}}\n    \
             start: {{command: {}, ready_timeout: 8s}}\n{more}",
            order("down"),
            order("up"),
        );
        scene.write("healthctl.yaml", &inventory);
        let (sender, carried_out) = channel();
        let (fifo, pid_file) = (orders.clone(), scene.path().join("api.pid"));
        thread::spawn(move || {
            let mut running: Option<FaultyService> = None;
            loop {
                let mut text = String::new();
                let read =
                    fs::File::open(&fifo).and_then(|mut file| file.read_to_string(&mut text));
                if read.is_err() {
                    return;
                }
                for order in text.lines() {
                    let up = order == "up";
                    drop(running.take());
                    if order == "end" {
                        return;
                    }
                    if up || brings_back {
                        let words = format!("port={port}");
                        let service = FaultyService::start(SERVICE, &words);
                        fs::write(&pid_file, service.pid().to_string()).expect("it can be written");
                        running = Some(service);
                    }
                    // The test may be over.
                    let _ = sender.send(order.to_owned());
                }
            }
        });
        Self {
            scene,
            orders,
            carried_out,
        }
    }

    fn run(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        self.scene.run(&words)
    }

    /// The orders that were carried out since it was asked last, once there are so many: a service may answer before its
    /// supervisor has gone on.
    fn carried_out(&self, count: usize) -> Vec<String> {
        let next = |_| {
            let order = self.carried_out.recv_timeout(LIMIT);
            order.expect("an order is carried out")
        };
        let mut all: Vec<String> = (0..count).map(next).collect();
        all.extend(self.carried_out.try_iter());
        all
    }

    fn has_record(&self) -> bool {
        let folder = self.scene.path().join("state/healthctl/services");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths = entries.map(|entry| entry.path());
        paths.any(|path| path.extension().is_some_and(|it| it == "json"))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // It ends with its service.
        let _ = fs::write(&self.orders, "end\n");
    }
}

#[track_caller]
fn assert_told(ran: &Ran, verdict: &str, code: i32) {
    assert!(
        ran.stdout.starts_with(&format!("api: {verdict}: ")),
        "expected {verdict}: {ran:?}"
    );
    assert_eq!(ran.code, code, "{ran:?}");
}

#[test]
fn a2_a_command_that_left_nothing_behind_has_started_nothing() {
    let scene = Scene::new();
    let port = free_port();
    scene.write(
        "healthctl.yaml",
        &format!(
            "services:\n  api:\n    profile: hephaestus\n    url: http://127.0.0.1:{port}\n    start: {{command: [sh, -c, \"touch ran\"], ready_timeout: 20s}}\n"
        ),
    );
    let words = ["start", "--yes", "api"];
    let acting = Acting::start(scene.command(&words));
    let ran = scene.path().join("ran");
    wait_for(&ran);
    let mut stranger = FaultyService::start(SERVICE, &format!("port={port}"));
    let told = acting.end();
    assert_told(&told, "died", 5);
    assert!(told.stdout.contains("`supervised: true`"), "{told:?}");
    let told = scene.run(&["shutdown", "--yes", "api"]);
    assert_eq!(stranger.asked(), 0, "{told:?}");
    assert!(stranger.runs());
}

/// Waits until a file is there.
fn wait_for(path: &Path) {
    wait_until("the file", || path.exists());
}

#[test]
fn a2_a_command_that_fails_is_told_with_its_status() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    profile: hephaestus\n    url: http://127.0.0.1:9\n    supervised: true\n    start: {command: [sh, -c, \"echo no such unit >&2; exit 5\"]}\n",
    );
    let told = scene.run(&["start", "--yes", "api"]);
    assert_told(&told, "died", 5);
    assert!(
        told.stdout.contains("exit status: 5: no such unit"),
        "{told:?}"
    );
}

#[test]
fn a2_a_supervised_service_is_started_and_nothing_is_put_on_record() {
    let supervisor = Supervisor::new("    supervised: true\n", false);
    assert_told(&supervisor.run("start --yes api"), "started", 0);
    assert_eq!(supervisor.carried_out(1), ["up"]);
    assert!(!supervisor.has_record());
    let check = supervisor.run("check --exit-code");
    assert_eq!(check.code, 0, "{check:?}");
    assert!(!check.stdout.contains("foreign"), "{check:?}");
    assert_told(&supervisor.run("shutdown --yes api"), "stopped", 0);
    assert_eq!(supervisor.carried_out(1), ["down"]);
}

#[test]
fn a2_neighbour_without_the_key_the_same_command_has_died() {
    let supervisor = Supervisor::new("", false);
    let told = supervisor.run("start --yes api");
    assert_told(&told, "died", 5);
    assert!(told.stdout.contains("`supervised: true`"), "{told:?}");
}

#[test]
fn a2_neighbour_a_restart_starts_what_does_not_come_back() {
    let supervisor = Supervisor::new("    supervised: true\n", false);
    assert_told(&supervisor.run("start --yes api"), "started", 0);
    let told = supervisor.run("restart --yes api");
    assert_told(&told, "restarted", 0);
    assert!(told.stderr.contains("not back by itself"), "{told:?}");
    assert_eq!(supervisor.carried_out(3), ["up", "down", "up"]);
}

#[test]
fn a2_neighbour_a_restart_leaves_alone_what_comes_back_by_itself() {
    let supervisor = Supervisor::new("    supervised: true\n", true);
    assert_told(&supervisor.run("start --yes api"), "started", 0);
    assert_told(&supervisor.run("restart --yes api"), "restarted", 0);
    assert_eq!(supervisor.carried_out(2), ["up", "down"]);
}

#[test]
fn a2_neighbour_a_restart_of_what_does_not_run_starts_it() {
    let supervisor = Supervisor::new("    supervised: true\n", false);
    let told = supervisor.run("restart --yes api");
    assert_told(&told, "started", 0);
    assert_eq!(supervisor.carried_out(1), ["up"]);
}

#[test]
fn a2_neighbour_no_likeness_is_signalled() {
    let supervisor = Supervisor::new("    supervised: true\n", false);
    assert_told(&supervisor.run("start --yes api"), "started", 0);
    let inventory = fs::read_to_string(supervisor.scene.path().join("healthctl.yaml"));
    let without = inventory
        .expect("it can be read")
        .replace("shutdown: {exec:", "reload: {exec:");
    let without = without.replace("schedule: off", "shutdown: off, schedule: off");
    supervisor.scene.write("healthctl.yaml", &without);
    let told = supervisor.run("shutdown --yes api");
    assert_told(&told, "refused", 4);
    let check = supervisor.run("check --exit-code");
    assert_eq!(check.code, 0, "{check:?}");
}

#[test]
fn a2_neighbour_a_command_may_hand_over_to_whom_the_pid_file_names() {
    let supervisor = Supervisor::new("    pid_file: api.pid\n", false);
    assert_told(&supervisor.run("start --yes api"), "started", 0);
    let check = supervisor.run("check --exit-code");
    assert_eq!(check.code, 0, "{check:?}");
    assert!(!check.stdout.contains("foreign"), "{check:?}");
    assert_told(&supervisor.run("shutdown --yes api"), "stopped", 0);
    assert_eq!(supervisor.carried_out(2), ["up", "down"]);
}
