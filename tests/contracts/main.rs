//! The services whose conventions are built in, as real processes over real sockets: the promises of each contract, the states
//! of each service, and its peculiarities.

#[path = "../support/mod.rs"]
mod support;

mod control_plane;
mod hephaestus;
mod kcp_syncer;
mod scry_ingestor;
mod warren;

use std::io::BufReader;
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::support::acting::Acting;
use crate::support::demo::Demo;
use crate::support::scene::Ran;
use crate::support::watching::Watching;

/// The demo fleet, probed more often than its inventory says.
struct Fleet {
    demo: Demo,
    /// The path of an inventory that is merged over that of the demo.
    over: String,
}

impl Fleet {
    fn start() -> Self {
        Self::with("")
    }

    /// Starts the fleet with more configuration: lines of the map `services`, none of them for `warren`.
    fn with(services: &str) -> Self {
        let demo = Demo::start(&["--calm"]);
        // The demo's inventory has an interval and a time-out of its own for `warren`, which defaults do not change.
        let yaml = format!(
            "defaults: {{interval: 100ms, timeout: 20s}}\nservices:\n  warren: {{interval: 100ms, timeout: 20s}}\n{services}"
        );
        let over = demo.scene().write("over.yaml", &yaml);
        let over = over.to_str().expect("a path is text").to_owned();
        Self { demo, over }
    }

    /// Returns the arguments for the binary, with the inventories.
    fn words(&self, words: &str) -> Vec<String> {
        let own = self.demo.inventory().to_str().expect("a path is text");
        let files = ["-f", own, "-f", &self.over].map(str::to_owned);
        let words = words.split_ascii_whitespace().map(str::to_owned);
        files.into_iter().chain(words).collect()
    }

    fn command(&self, words: &str) -> Command {
        let words = self.words(words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.demo.scene().command(&words)
    }

    fn run(&self, words: &str) -> Ran {
        Ran::of(&mut self.command(words))
    }

    /// Starts an action and returns a handle that reads its output.
    fn begin(&self, words: &str) -> Acting {
        Acting::start(self.command(words))
    }

    /// Starts `watch` on these services.
    fn watch(&self, names: &str) -> Watching {
        let words = self.words(names);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Watching::start(self.demo.scene(), &words)
    }

    /// Returns the report of `check` on a service.
    fn check(&self, name: &str) -> Value {
        let ran = self.run(&format!("check -o json {name}"));
        let report: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        report["services"][0].clone()
    }

    fn inject_fault(&self, service: &str, what: &str) {
        let ran = self.demo.run(&["demo", "break", service, what]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    fn mend(&self, service: &str, what: &str) {
        let ran = self.demo.run(&["demo", "mend", service, what]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Sends a request that takes this long, and returns when it has begun: until it is done, a shutdown drains.
    fn work(&self, service: &str, millis: u32) -> BufReader<TcpStream> {
        self.demo.work(service, millis)
    }

    /// Stops a service; the proof has to be the exit of its process.
    fn stop(&self, service: &str) -> Ran {
        let pid = self.demo.pid(service);
        let ran = self.run(&format!("shutdown --yes {service}"));
        assert_stopped(&ran, service, pid);
        ran
    }
}

/// Asserts that a shutdown ended with the proof that this process has exited.
#[track_caller]
fn assert_stopped(ran: &Ran, service: &str, pid: i32) {
    assert_eq!(ran.code, 0, "{ran:?}");
    let verdict = format!("{service}: stopped: ");
    assert!(ran.stdout.starts_with(&verdict), "{ran:?}");
    let process = format!("pid {pid} (healthctl)");
    for proof in [process.as_str(), " exited"] {
        assert!(ran.stdout.contains(proof), "{ran:?}");
    }
}

/// Returns a dependency in the report of a service.
#[track_caller]
fn dependency<'a>(service: &'a Value, name: &str) -> &'a Value {
    let dependencies = service["dependencies"].as_array();
    dependencies
        .and_then(|all| all.iter().find(|dependency| dependency["name"] == name))
        .unwrap_or_else(|| panic!("no dependency {name}: {service}"))
}

/// Asserts the state, the reasons and the flags of a service.
#[track_caller]
fn assert_is(service: &Value, state: &str, reasons: &[&str], flags: &[&str]) {
    assert_eq!(service["state"], state, "{service}");
    assert_eq!(service["reasons"], serde_json::json!(reasons), "{service}");
    assert_eq!(service["flags"], serde_json::json!(flags), "{service}");
}
