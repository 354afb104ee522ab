//! The founding services as real processes, each from well to stopped through the binary, and each of their traps.

mod control_plane;
mod edge_agent;
mod hephaestus;
mod kcp_syncer;
mod scry_ingestor;
mod warren;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use crate::support::acting::Acting;
use crate::support::demo::{Demo, send};
use crate::support::scene::Ran;
use crate::support::watching::Watching;

/// The demo's fleet, looked at more often than its own inventory does.
struct Fleet {
    demo: Demo,
    /// What is laid over the inventory.
    over: String,
}

impl Fleet {
    fn start() -> Self {
        Self::with("")
    }

    /// With more said about its services: lines of the map `services`.
    fn with(services: &str) -> Self {
        let demo = Demo::start(&["--calm"]);
        let mut yaml = "defaults: {interval: 100ms, timeout: 20s}\n".to_owned();
        if !services.is_empty() {
            yaml = format!("{yaml}services:\n{services}");
        }
        let over = demo.scene().write("over.yaml", &yaml);
        let over = over.to_str().expect("a path is text").to_owned();
        Self { demo, over }
    }

    /// Words for the binary, with the inventory.
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
        Ran::from(self.command(words).output().expect("the binary can be run"))
    }

    /// Begins an action that is to be watched.
    fn begin(&self, words: &str) -> Acting {
        Acting::start(self.command(words))
    }

    /// Watches these services.
    fn watch(&self, names: &str) -> Watching {
        let words = self.words(names);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Watching::start(self.demo.scene(), &words)
    }

    /// What one round of probes finds out about a service.
    fn check(&self, name: &str) -> Value {
        let ran = self.run(&format!("check -o json {name}"));
        let report: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        report["services"][0].clone()
    }

    fn break_(&self, service: &str, what: &str) {
        let ran = self.demo.run(&["demo", "break", service, what]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    fn mend(&self, service: &str, what: &str) {
        let ran = self.demo.run(&["demo", "mend", service, what]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// A request for work that takes so long and has begun: until it is done the service drains, and that is seen.
    fn work(&self, service: &str, millis: u32) -> BufReader<TcpStream> {
        let request = format!("GET /work/{millis}");
        let mut reader = send(self.demo.address(service), &request).expect("it listens");
        let mut line = String::new();
        while line.trim_end() != "begun" {
            line.clear();
            let length = reader.read_line(&mut line).expect("an answer comes");
            assert_ne!(length, 0, "no work was begun");
        }
        reader
    }

    /// Stops a service, which has to be proved by the end of its process.
    fn stop(&self, service: &str) -> Ran {
        let pid = self.demo.pid(service);
        let ran = self.run(&format!("shutdown --yes {service}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        let verdict = format!("{service}: stopped: ");
        assert!(ran.stdout.starts_with(&verdict), "{ran:?}");
        let proof = format!("pid {pid} (healthctl) has exited");
        assert!(ran.stdout.contains(&proof), "{ran:?}");
        ran
    }
}

/// What a service says of a dependency.
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
