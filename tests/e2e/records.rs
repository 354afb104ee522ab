//! Files of the state directory that version 0.1.0 wrote in November 2026: later versions go on reading them.
//!
//! The fixtures stand in `tests/records`, as that version wrote them; what differs from machine to machine is a `{NAME}`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::support::process::Running;
use crate::support::scene::Scene;

const RECORD: &str = include_str!("../records/worker.json");
const AUDIT: &str = include_str!("../records/audit.jsonl");

/// A service without an address: only its record can tell which process it is.
const INVENTORY: &str = "\
services:
  worker:
    probes: {live: {exec: [test, -e, alive]}}
    start: {command: [sleep, \"600\"]}
";

/// A state directory of the earlier version, and the process that its record names.
struct Upgraded {
    scene: Scene,
    process: Running,
}

impl Upgraded {
    fn new() -> Self {
        let scene = Scene::with_inventory(INVENTORY);
        scene.write("alive", "");
        let process = Running::start(Command::new("sleep").arg("600")).expect("sleep can be run");
        let upgraded = Self { scene, process };
        let inventory = upgraded.scene.path().join("healthctl.yaml");
        let record = RECORD
            .replace("{INVENTORY}", &inventory.display().to_string())
            .replace("{PID}", &upgraded.process.pid().to_string())
            .replace(
                "{START_TICKS}",
                &start_ticks(upgraded.process.pid()).to_string(),
            )
            .replace("{BOOT}", boot().trim())
            .replace("{LOG}", &upgraded.file("logs", "log").display().to_string());
        for (folder, extension, text) in [
            ("services", "json", record.as_str()),
            ("services", "lock", ""),
            ("services", "start", ""),
            ("logs", "log", "one line\n"),
        ] {
            let file = upgraded.file(folder, extension);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
            fs::write(file, text).expect("it can be written");
        }
        fs::write(upgraded.audit(), AUDIT).expect("it can be written");
        upgraded
    }

    /// The path of a file of the service: its name holds the start of the SHA-256 of the inventory's path.
    fn file(&self, folder: &str, extension: &str) -> PathBuf {
        let inventory = self.scene.path().join("healthctl.yaml");
        let digest = Sha256::digest(inventory.as_os_str().as_encoded_bytes());
        let hash = digest.iter().take(8).fold(String::new(), |mut hash, byte| {
            write!(hash, "{byte:02x}").expect("a string can be written to");
            hash
        });
        let folder = self.scene.path().join("state/healthctl").join(folder);
        folder.join(format!("worker-{hash}.{extension}"))
    }

    fn audit(&self) -> PathBuf {
        self.scene.path().join("state/healthctl/audit.jsonl")
    }
}

/// The start of a process in clock ticks since boot: field 22 of `/proc/PID/stat`, see proc(5).
fn start_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it can be read");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let field = fields.split_ascii_whitespace().nth(19);
    field
        .expect("there are 52 fields")
        .parse()
        .expect("a number")
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("it can be read")
}

fn keys(line: &str) -> Vec<String> {
    let line: Map<String, Value> = serde_json::from_str(line).expect("a line is JSON");
    line.keys().cloned().collect()
}

#[test]
fn a_record_of_an_earlier_version_still_names_its_process() {
    let mut upgraded = Upgraded::new();
    let listed = upgraded.scene.run(&["list"]);
    assert!(
        listed.stdout.contains(&upgraded.process.pid().to_string()),
        "{listed:?}"
    );

    let logged = upgraded.scene.run(&["logs", "worker"]);
    assert_eq!(logged.stdout, "one line\n", "{logged:?}");

    // Reaped when it ends: a zombie would not count as exited.
    let stopping = upgraded
        .scene
        .command(&["shutdown", "--yes", "worker"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    upgraded.process.wait();
    let stopped = stopping.wait_with_output().expect("it ends");
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(!upgraded.file("services", "json").exists());
    assert!(upgraded.file("services", "down").exists());
}

#[test]
fn audit_lines_go_on_behind_those_of_an_earlier_version_with_the_same_keys() {
    let mut upgraded = Upgraded::new();
    let _ = upgraded.process.stop(rustix::process::Signal::KILL);
    let stopped = upgraded.scene.run(&["shutdown", "--yes", "worker"]);
    assert_ne!(stopped.code, 2, "{stopped:?}");

    let audit = fs::read_to_string(upgraded.audit()).expect("it can be read");
    let added = audit.strip_prefix(AUDIT).expect("nothing is lost");
    assert!(!added.is_empty(), "{stopped:?}");
    for line in added.lines() {
        assert_eq!(keys(line), keys(AUDIT.lines().next().expect("a line")));
    }
}
