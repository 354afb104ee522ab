//! `warren`: a supervisor of three tasks, checked by HTTP, TCP and a command, that replaces an unhealthy one.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Fleet, assert_is, dependency};
use crate::support::demo::{Demo, ask};
use crate::support::fake::Fake;
use crate::support::process::{Running, free_port};
use crate::support::scene::Scene;
use crate::support::waiting::{Lines, ask_until, wait_until};
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
        ask_until(|| self.task(name), holds)
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
        task["replaced"].as_u64() >= Some(1) && task["status"] == "healthy"
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
fn health_is_stored_survives_the_manager_and_decides_replacement() {
    let fleet = Fleet::start();
    fleet.inject_fault("warren", "replacement");
    fleet.inject_fault("warren", "web");
    let unhealthy = fleet.until_task("web", |task| task["status"] == "unhealthy");
    assert_eq!(unhealthy["replaced"], 0);
    let ran = fleet.run("restart --yes warren");
    assert_eq!(ran.code, 0, "{ran:?}");
    // What was unhealthy when the manager ended counts as replaced by the next one, and nothing else does.
    let after = fleet.until_task("web", |task| task["status"] == "healthy");
    assert!(after["replaced"].as_u64() >= Some(1), "{after}");
    assert_eq!(fleet.task("cache")["replaced"], 0);
}

#[test]
fn a_task_that_starts_slowly_is_starting_and_not_replaced() {
    let demo = Demo::start(&[]);
    let patient = demo
        .scene()
        .write("patient.yaml", "services: {warren: {timeout: 20s}}\n");
    let files = [demo.inventory(), &patient].map(|file| file.to_str().expect("a path is text"));
    let words = ["-f", files[0], "-f", files[1], "warren"];
    let mut watching = Watching::start(demo.scene(), &words);
    let first = watching.next();
    let started = first["probes"][0]["target"].as_str().expect("a URL");
    let (address, _) = started
        .trim_start_matches("http://")
        .split_once('/')
        .expect("it has a path");
    let address = address.parse().expect("an address");
    let tasks = || demo.ask("warren", "GET /tasks").json()["tasks"].take();
    ask_until(tasks, |tasks| tasks[0]["status"] != "starting");
    // The supervisor does not take it for healthy before it has started.
    let answer = ask(address, "GET /started").expect("it answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    let changes = watching.until(|change| change["state"] == "healthy");
    let states = |change: &Value| change["state"].as_str().map(str::to_owned);
    let seen: Vec<_> = changes.iter().filter_map(states).collect();
    assert!(seen.iter().any(|state| state == "starting"), "{seen:?}");
    assert!(seen.iter().all(|state| state != "unhealthy"), "{seen:?}");
    let list = demo.ask("warren", "GET /tasks").json();
    assert_eq!(list["tasks"][0]["replaced"], 0, "{list}");
}

#[test]
fn the_line_of_the_supervisor_says_how_many_of_the_unhealthy_are_restarting() {
    let fleet = Fleet::start();
    let mut watching = fleet.watch("warren");
    watching.until_state("warren", "healthy");
    fleet.inject_fault("warren", "replacement");
    for task in ["web", "cache"] {
        fleet.inject_fault("warren", task);
        fleet.until_task(task, |task| task["status"] == "unhealthy");
    }
    let line = fleet.demo.ask("warren", "GET /").body;
    assert!(
        line.starts_with("Health: 1/3 healthy, 0/2 restarting\n"),
        "{line}"
    );
    fleet.mend("warren", "replacement");
    // Both are replaced at about the same time, and it depends on the moment of the look how many still are.
    let changes = watching.until(|change| {
        let notes = change["notes"].as_array().expect("a list").iter();
        let mut notes = notes.filter_map(Value::as_str);
        notes.any(|note| note.ends_with(" restarting") && !note.contains(", 0/"))
    });
    let restarting = changes.last().unwrap();
    let is_degraded = |task: &&str| dependency(restarting, task)["status"] == "degraded";
    assert!(["web", "cache"].iter().any(is_degraded), "{restarting}");
    watching.until_state("warren", "healthy");
}

#[test]
fn the_profile_is_the_defaults_of_the_orchestrator() {
    let scene = Scene::with_inventory(
        "services:
  web: {profile: warren, url: \"http://localhost:1\", probes: {live: {http: /}}}
",
    );
    let ran = scene.run(&["show", "web"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim).collect();
    for setting in [
        "interval: 30s",
        "timeout: 10s",
        "failure_threshold: 3",
        "start_period: 0s",
        "- 200-399",
    ] {
        let is_it = |line: &&str| line.starts_with(setting) && line.contains("profile warren");
        let is_listed = setting.starts_with('-') && ran.stdout.contains(setting);
        assert!(is_listed || lines.iter().any(is_it), "{setting}: {ran:?}");
    }
}

#[test]
fn an_http_check_accepts_200_to_399_unless_it_says_otherwise() {
    let fake = Fake::http(|_, path| {
        let code = path.trim_start_matches('/').parse().expect("a code");
        (code, String::new())
    });
    let url = fake.url();
    let services: String = [200, 302, 399, 400, 503]
        .map(|code| {
            format!("  s{code}: {{profile: warren, url: \"{url}\", probes: {{live: {{http: /{code}}}}}}}\n")
        })
        .concat();
    let own = format!(
        "  own: {{profile: warren, url: \"{url}\", probes: {{live: {{http: /404, expect: {{status: [404]}}}}}}}}\n"
    );
    let scene = Scene::with_inventory(&format!("services:\n{services}{own}"));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report");
    for service in report["services"].as_array().expect("a list") {
        let name = service["name"].as_str().expect("a name");
        let state = match name {
            "s400" | "s503" => "unhealthy",
            _ => "healthy",
        };
        assert_eq!(service["state"], state, "{service}");
    }
}

#[test]
fn a_connection_is_enough_for_a_tcp_check_and_exit_status_0_for_a_command() {
    let fake = Fake::tcp(drop);
    let (open, closed) = (fake.port(), free_port());
    let scene = Scene::with_inventory(&format!(
        "services:
  open: {{profile: warren, probes: {{live: {{tcp: \"127.0.0.1:{open}\"}}}}}}
  closed: {{profile: warren, probes: {{live: {{tcp: \"127.0.0.1:{closed}\"}}}}}}
  zero: {{profile: warren, probes: {{live: {{exec: [sh, -c, exit 0]}}}}}}
  one: {{profile: warren, probes: {{live: {{exec: [sh, -c, exit 1]}}}}}}
"
    ));
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report");
    let services = report["services"].as_array().expect("a list");
    let states: Vec<_> = services.iter().map(|service| &service["state"]).collect();
    assert_eq!(states, ["healthy", "unhealthy", "healthy", "unhealthy"]);
}

#[test]
fn startup_holds_the_other_two_back_until_it_has_passed() {
    let scene = Scene::with_inventory(
        "services:
  task:
    interval: 100ms
    timeout: 20s
    probes:
      startup: {exec: [test, -e, started], failure_threshold: 100000}
      live: {exec: [sh, -c, \"test -e started && touch lived\"]}
      ready: {exec: [sh, -c, \"test -e started && touch readied\"]}
",
    );
    let mut watching = Watching::start(&scene, &[]);
    watching.until(|change| {
        let reason = change["reasons"][0].as_str().unwrap_or_default();
        change["state"] == "starting" && reason.contains("exit status 1")
    });
    scene.write("started", "");
    let changes = watching.until(|change| change["state"] == "healthy");
    // Neither was asked before: they would have failed.
    let probes = changes
        .iter()
        .flat_map(|change| change["probes"].as_array().unwrap());
    let failed = probes.filter(|probe| probe["name"] != "startup" && probe["result"] == "fail");
    assert_eq!(failed.count(), 0, "{changes:?}");
    for file in ["lived", "readied"] {
        assert!(scene.path().join(file).exists(), "{file}");
    }
}

/// A task with a start command, which writes each of its starts; `live` and `ready` pass while their files are there.
fn task(restart_on: &str) -> Scene {
    let scene = Scene::with_inventory(&format!(
        "services:
  task:
    interval: 100ms
    timeout: 20s
    failure_threshold: 2
    probes:
      live: {{exec: [test, -e, alive]}}
      ready: {{exec: [sh, -c, \"echo >> asked; test -e ready\"]}}
    start: {{command: [sh, -c, \"echo began >> starts; touch alive ready; exec sleep 600\"], ready_timeout: 20s}}
    sources: [code.txt]
    restart_on: [{restart_on}]
"
    ));
    scene.write("code.txt", "1");
    let ran = scene.run(&["start", "--yes", "task"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene
}

fn remove(scene: &Scene, file: &str) {
    std::fs::remove_file(scene.path().join(file)).expect("it is there");
}

fn starts(scene: &Scene) -> usize {
    lines(scene, "starts")
}

/// Returns the number of lines of a file; zero where there is none.
fn lines(scene: &Scene, file: &str) -> usize {
    let text = std::fs::read_to_string(scene.path().join(file)).unwrap_or_default();
    text.lines().count()
}

fn stop(scene: &Scene) {
    let ran = scene.run(&["shutdown", "--yes", "task"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn failing_liveness_restarts_it_without_a_terminal_and_the_stream_says_so() {
    let scene = task("unhealthy");
    let mut watching = Watching::start(&scene, &["--restart"]);
    watching.until_state("task", "healthy");
    remove(&scene, "alive");
    let changes = watching.until(|change| !change["action"]["verdict"].is_null());
    let began = changes.iter().find(|change| change["action"].is_object());
    let began = &began.expect("its beginning is told")["action"];
    assert_eq!(
        (&began["action"], &began["verdict"], &began["automatic"]),
        (&json!("restart"), &Value::Null, &json!(true))
    );
    let ended = changes.last().unwrap();
    assert_eq!(ended["changed"], json!(["action"]));
    assert_eq!(ended["action"]["verdict"], "restarted", "{ended}");
    assert_eq!(starts(&scene), 2);
    assert_eq!(watching.end(Signal::TERM), Some(143));
    stop(&scene);
}

#[test]
fn failing_readiness_takes_traffic_away_and_restarts_nothing() {
    let scene = task("unhealthy");
    let mut watching = Watching::start(&scene, &["--restart"]);
    watching.until_state("task", "healthy");
    remove(&scene, "ready");
    let unready = watching.until_state("task", "unready");
    assert_eq!(unready["ready"], false);
    // Far more failures than liveness needs for a restart.
    let before = lines(&scene, "asked");
    wait_until("more failures", || lines(&scene, "asked") > before + 20);
    scene.write("ready", "");
    let mut changes = watching.until(|change| change["state"] == "healthy");
    changes.extend(watching.rest());
    assert!(
        changes.iter().all(|change| change["action"].is_null()),
        "{changes:?}"
    );
    assert_eq!(starts(&scene), 1);
    stop(&scene);
}

#[test]
fn what_is_stale_is_replaced_without_a_terminal_and_the_text_stream_says_so() {
    let scene = task("stale");
    let mut command = scene.command(&["watch", "-o", "text", "--restart"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut command).expect("the binary can be run");
    let mut lines = Lines::of(running.child().stdout.take().expect("it is piped"));
    let mut until = |text: &str| lines.until(text, |line| line.contains(text));
    until("automatic restart is on for task (stale)");
    until("task ✓ healthy");
    scene.write("code.txt", "2");
    until("task: automatic restart: stale: code.txt changed");
    until("restart of task: restarted: ");
    assert_eq!(starts(&scene), 2);
    running.stop(Signal::TERM);
    stop(&scene);
}

#[test]
fn without_restart_on_there_is_nothing_to_restart() {
    let scene = Scene::with_inventory("services:\n  a: {probes: {live: {exec: [\"true\"]}}}\n");
    let ran = scene.run(&["watch", "-o", "text", "--restart"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("--restart would restart nothing"),
        "{ran:?}"
    );
}

#[test]
fn limits_on_a_command_end_it_with_an_outcome_of_their_own() {
    let scene = Scene::with_inventory(
        "defaults: {timeout: 60s}
services:
  cpu: {probes: {live: {exec: {command: [sh, -c, \"while :; do :; done\"], limits: {cpu: 1s}}}}}
  memory: {probes: {live: {exec: {command: [sh, -c, \"dd if=/dev/zero of=/dev/null bs=500M count=1\"], limits: {memory: 64MiB}}}}}
  fails: {probes: {live: {exec: {command: [sh, -c, exit 3], limits: {cpu: 5s}}}}}
  missing: {probes: {live: {exec: {command: [no-such-command], limits: {cpu: 5s}}}}}
  within: {probes: {live: {exec: {command: [sh, -c, \"exit 0\"], limits: {cpu: 5s, memory: 256MiB}}}}}
",
    );
    let ran = scene.run(&["check", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report");
    let failure = |name: &str| {
        let services = report["services"].as_array().expect("a list");
        let service = services.iter().find(|service| service["name"] == name);
        let failure = &service.expect("it is there")["probes"][0]["failure"];
        let text = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
        (text("kind"), text("message"))
    };
    let is = |name: &str, kind: &str, message: &str| {
        assert_eq!(failure(name), (kind.to_owned(), message.to_owned()));
    };
    is("cpu", "exit", "exceeded its CPU time of 1s");
    is("fails", "exit", "exit status 3");
    let missing = "cannot run `no-such-command`: there is no such command in PATH";
    is("missing", "local", missing);
    is("within", "", "");
    let (kind, message) = failure("memory");
    assert_eq!(kind, "exit");
    let limited = "exit status 1, with its memory limited to 64MiB: ";
    assert!(message.starts_with(limited), "{message}");
}

/// Answers with what the script says, `+` for 200 and `-` for 503, and then with 503 until it is mended.
fn scripted(script: &'static str) -> (Fake, Arc<AtomicBool>) {
    let (count, mended) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let is_mended = Arc::clone(&mended);
    let fake = Fake::http(move |_, _| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let is_well = match script.as_bytes().get(number) {
            Some(answer) => *answer == b'+',
            None => is_mended.load(Ordering::SeqCst),
        };
        (if is_well { 200 } else { 503 }, String::new())
    });
    (fake, mended)
}

/// Asserts that only so many failures in a row make a service unhealthy, and that it is flagged while they are fewer.
fn assert_damped(watching: &mut Watching, retries: u64, mended: &AtomicBool) {
    let passed = watching.until(|change| change["state"] == "unhealthy");
    let mut states: Vec<_> = passed.iter().map(|change| &change["state"]).collect();
    states.dedup();
    let known = states.iter().filter(|state| **state != "unknown").count();
    assert_eq!(known, 2, "healthy until then: {states:?}");
    let count = |change: &Value, what: &str| change["probes"][0][what].as_u64();
    let broken = passed.last().expect("a change");
    // A watcher that is held up misses changes: the next failures may have come before this one is told.
    let failures = count(broken, "consecutive_failures");
    assert!(failures >= Some(retries), "{broken}");
    assert_eq!(count(broken, "consecutive_successes"), Some(0));
    let flagged = |change: &&Value| change["flags"] == json!(["flapping"]);
    let flapping = passed.iter().find(flagged).expect("it is told");
    assert_eq!(flapping["state"], "healthy", "it changes no state");
    mended.store(true, Ordering::SeqCst);
    let well = watching.until_state(passed[0]["name"].as_str().expect("a name"), "healthy");
    assert_eq!(count(&well, "consecutive_failures"), Some(0));
    let successes = count(&well, "consecutive_successes");
    assert!(successes >= Some(1), "{well}");
}

/// Never three in a row, and then three.
const FLAPPING: &str = "+--+--+--+--+--+---";

#[test]
fn consecutive_successes_and_failures_are_counted_and_damp_flapping() {
    let (fake, mended) = scripted(FLAPPING);
    let scene = Scene::with_inventory(&format!(
        "services: {{task: {{profile: warren, url: \"{}\", interval: 50ms, probes: {{live: {{http: /}}}}}}}}\n",
        fake.url()
    ));
    assert_damped(&mut Watching::start(&scene, &[]), 3, &mended);
}

#[test]
fn checks_are_capped_in_number_at_a_time() {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let fake = Fake::http({
        let most = Arc::clone(&most);
        move |_, _| {
            let number = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(number, Ordering::SeqCst);
            // None is answered before four have come, and a fifth request would come in the time after that.
            wait_until("four at a time", || most.load(Ordering::SeqCst) >= 4);
            std::thread::park_timeout(Duration::from_millis(100));
            now.fetch_sub(1, Ordering::SeqCst);
            (200, String::new())
        }
    });
    let probes: Vec<String> = (0..20)
        .map(|number| format!("p{number}: {{http: /{number}}}"))
        .collect();
    let scene = Scene::with_inventory(&format!(
        "services: {{task: {{profile: warren, url: \"{}\", timeout: 60s, probes: {{{}}}}}}}\n",
        fake.url(),
        probes.join(", ")
    ));
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fake.asked().len(), 20);
    assert_eq!(most.load(Ordering::SeqCst), 4, "of one host and port");
}

#[test]
fn the_same_without_a_file() {
    let fake = Fake::http(|_, _| (200, String::new()));
    let (url, address) = (fake.url(), format!("127.0.0.1:{}", fake.port()));
    for (flag, value) in [
        ("--url", url.as_str()),
        ("--tcp", address.as_str()),
        ("--cmd", "sh -c 'exit 0'"),
    ] {
        let words = ["check", "--exit-code", "--timeout", "20s", flag, value];
        let ran = Scene::new().run(&words);
        assert_eq!(ran.code, 0, "{flag}: {ran:?}");
    }
    let fails = "sh -c 'exit 1'";
    let words = ["check", "--exit-code", "--timeout", "20s", "--cmd", fails];
    let ran = Scene::new().run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    let slow = ["check", "--cmd", "sleep 600", "--timeout", "100ms"];
    let ran = Scene::new().run(&slow);
    assert!(ran.stdout.contains("no end within 100ms"), "{ran:?}");

    let scene = Scene::new();
    let command = "sh -c 'echo >> asked; exit 1'";
    let words = [
        "--cmd",
        command,
        "--interval",
        "50ms",
        "--start-period",
        "1h",
    ];
    let mut watching = Watching::start(&scene, &words);
    watching.until_state("sh", "starting");
    // At the interval of the profile that would take longer than a test may.
    wait_until("40 failures", || lines(&scene, "asked") >= 40);
    let rest = watching.rest();
    assert!(
        rest.iter().all(|change| change["state"] == "starting"),
        "{rest:#?}"
    );

    let (fake, mended) = scripted("+---+---+---+---+----");
    let url = fake.url();
    let words = [
        "--url",
        &url,
        "--interval",
        "50ms",
        "--timeout",
        "20s",
        "--retries",
        "4",
    ];
    assert_damped(&mut Watching::start(&scene, &words), 4, &mended);
}
