//! Actions against real processes that misbehave: the verdict has to be true in every case.

mod audit;
mod commands;
mod confirmation;
mod healthctl_killed;
mod prompt;
mod reload;
mod restart;
mod rollout;
mod safety;
mod signals;
mod stale;
mod start;
mod verdicts;

use serde_json::Value;

use crate::support::acting::Acting;
use crate::support::faulty::{self, FaultyService};
use crate::support::scene::{Ran, Scene};

/// The service process of all tests here; see [`FaultyService`].
#[test]
#[ignore = "the process that the other tests start"]
fn service_process() {
    faulty::serve_if_asked();
}

/// The full name of the test that is the process of a service.
pub(crate) const SERVICE: &str = "actions::service_process";

/// The keys of a service that goes on after it was asked to stop: no signal follows the reply, and it has time to answer what
/// it is asked meanwhile.
const GOES_ON: &str = "    actions: {shutdown: {timeout: 3s, then: off}}\n";

/// A misbehaving service.
fn service(words: &str) -> FaultyService {
    FaultyService::start(SERVICE, words)
}

/// Starts a service whose process cannot be known: its program has the name of one that only forwards connections.
pub(crate) fn hidden(words: &str) -> FaultyService {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = folder.path().join("docker-proxy");
    let own = std::env::current_exe().expect("this binary has a path");
    std::os::unix::fs::symlink(own, &program).expect("a link can be made");
    FaultyService::start_as(&program, SERVICE, words)
}

/// An entry of the inventory for it, with more keys.
fn entry(name: &str, faulty: &FaultyService, more: &str) -> String {
    format!(
        "  {name}:\n    profile: hephaestus\n    url: http://127.0.0.1:{}\n{more}",
        faulty.port()
    )
}

/// A scene with the service `api`.
pub(crate) fn scene(faulty: &FaultyService, more: &str) -> Scene {
    Scene::with_inventory(&format!("services:\n{}", entry("api", faulty, more)))
}

/// Runs an action to its end.
pub(crate) fn run(scene: &Scene, words: &str) -> Ran {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    scene.run(&words)
}

/// Begins an action that is to be watched.
pub(crate) fn begin(scene: &Scene, words: &str) -> Acting {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    Acting::start(scene.command(&words))
}

/// Asserts the verdict and exit code of the only service.
#[track_caller]
pub(crate) fn assert_ended(ran: &Ran, verdict: &str, code: i32) {
    assert!(
        ran.stdout.starts_with(&format!("api: {verdict}: ")) && ran.stdout.lines().count() == 1,
        "expected {verdict}: {ran:?}"
    );
    assert_eq!(ran.code, code, "{ran:?}");
}

/// The lines of the audit file.
pub(crate) fn audit(scene: &Scene) -> Vec<Value> {
    let path = scene.path().join("state/healthctl/audit.jsonl");
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}
