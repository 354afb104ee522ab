//! `warren`: a supervisor of three tasks, checked by HTTP, TCP and a command, that replaces an unhealthy one.

use serde_json::{Value, json};

use super::{Fleet, assert_is, dependency};
use crate::support::demo::Demo;
use crate::support::watching::Watching;

impl Fleet {
    /// Returns a task in the list of the supervisor.
    fn task(&self, name: &str) -> Value {
        let list = self.demo.ask("warren", "GET /tasks").json();
        let tasks = list["tasks"].as_array().expect("a list");
        let task = tasks.iter().find(|task| task["name"] == name);
        task.expect("it is there").clone()
    }

    /// Waits until the supervisor reports a task in this state.
    fn until_task(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let task = self.task(name);
            if holds(&task) {
                return task;
            }
        }
    }
}

#[test]
fn states_from_healthy_to_stopped() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("warren");
    let well = watching.until_state("warren", "healthy");
    assert_eq!(well["notes"], json!(["Health: 3/3 healthy"]));
    let kinds: Vec<_> = well["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| &probe["kind"])
        .collect();
    assert_eq!(kinds, ["http", "http", "http", "http", "tcp", "exec"]);

    fleet.inject_fault("warren", "replacement");
    for (task, state, reason) in [
        (
            "web",
            "unhealthy",
            "web: answered 500 Internal Server Error, expected 200-399",
        ),
        ("cache", "unhealthy", "cache: connection refused"),
        (
            "worker",
            "degraded",
            "worker: exit status 1: cat: run/warren-worker.healthy",
        ),
    ] {
        fleet.inject_fault("warren", task);
        let broken = watching.until_state("warren", state);
        assert_eq!(broken["flags"], json!([]), "{broken}");
        let reasons = broken["reasons"].to_string();
        assert!(reasons.contains(reason), "{broken}");
        fleet.until_task(task, |task| task["status"] == "unhealthy");
        let found = fleet.check("warren");
        assert_eq!(
            found["notes"],
            json!(["Health: 2/3 healthy, 0/1 restarting"])
        );
        assert_eq!(dependency(&found, task)["status"], "error");
        fleet.mend("warren", task);
        watching.until_state("warren", "healthy");
    }

    let ran = fleet.run("reload --yes warren");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    let tasks = ["web", "cache", "worker"].map(|task| fleet.task(task)["pid"].clone());
    fleet.stop("warren");
    for pid in tasks {
        let process = format!("/proc/{pid}");
        assert!(
            !std::path::Path::new(&process).exists(),
            "{process} is left behind"
        );
    }
}

#[test]
fn an_unhealthy_task_is_replaced_and_the_supervisor_is_healthy_again() {
    let fleet = Fleet::start();
    let before = fleet.task("web");
    fleet.inject_fault("warren", "web");
    let after = fleet.until_task("web", |task| {
        task["replaced"] == 1 && task["status"] == "healthy"
    });
    assert_ne!(before["pid"], after["pid"]);
    let found = fleet.check("warren");
    assert_is(&found, "healthy", &[], &[]);
    assert_eq!(found["notes"], json!(["Health: 3/3 healthy"]));
    let text = fleet.demo.ask("warren", "GET /").body;
    assert!(text.starts_with("Health: 3/3 healthy\n"), "{text}");
}

/// The other kinds of checks wait until a task has started; failures before that do not count.
#[test]
fn a_task_that_starts_slowly_is_starting_and_not_replaced() {
    let demo = Demo::start(&[]);
    let file = demo
        .inventory()
        .to_str()
        .expect("a path is text")
        .to_owned();
    let mut watching = Watching::start(demo.scene(), &["-f", &file, "warren"]);
    let changes = watching.until(|change| change["state"] == "healthy");
    let states = |change: &Value| change["state"].as_str().map(str::to_owned);
    let seen: Vec<_> = changes.iter().filter_map(states).collect();
    assert!(seen.iter().any(|state| state == "starting"), "{seen:?}");
    assert!(seen.iter().all(|state| state != "unhealthy"), "{seen:?}");
    let list = demo.ask("warren", "GET /tasks").json();
    assert_eq!(list["tasks"][0]["replaced"], 0, "{list}");
}
