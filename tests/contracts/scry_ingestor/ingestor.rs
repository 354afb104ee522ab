//! The example `ingestor` of the kit as a process.

use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::DETAILED;
use crate::support::demo::{Answer, ask, send};
use crate::support::example::example;
use crate::support::fake::Fake;
use crate::support::process::{Running, free_port};
use crate::support::scene::{Ran, Scene};
use crate::support::waiting::{Lines, wait_until};

/// The example `ingestor` of the kit with its database, its configuration and an inventory that names it.
pub(super) struct Ingestor {
    pub(super) scene: Scene,
    pub(super) running: Running,
    pub(super) log: RefCell<Lines>,
    pub(super) address: SocketAddr,
    pub(super) database: Option<Fake>,
    pub(super) configuration: Value,
}

impl Ingestor {
    pub(super) fn start() -> Self {
        Self::with(json!({}))
    }

    /// Starts it with more keys in its configuration.
    pub(super) fn with(more: Value) -> Self {
        let scene = Scene::new();
        let database = Fake::tcp(drop);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        scene.write(
            "healthctl.yaml",
            &format!(
                "defaults: {{interval: 100ms, timeout: 20s, failure_threshold: 1}}
services: {{ingestor: {{profile: scry-ingestor, url: 'http://{address}'}}}}\n"
            ),
        );
        let mut configuration = json!({
            "adapters": ["rest"],
            "database": format!("127.0.0.1:{}", database.port()),
            "supplier": format!("127.0.0.1:{}", free_port()),
        });
        let Value::Object(more) = more else {
            unreachable!("the keys of a test are an object")
        };
        configuration
            .as_object_mut()
            .expect("an object")
            .extend(more);
        let file = scene.write("ingestor.json", &configuration.to_string());
        let mut command = Command::new(example("ingestor"));
        let (running, log) = Running::with_log(command.arg(file).arg(address.to_string()));
        let ingestor = Self {
            scene,
            running,
            log: RefCell::new(log),
            address,
            database: Some(database),
            configuration,
        };
        ingestor.until("message", "listening");
        wait_until("its first checks", || {
            ingestor.ask("GET /ready").status == 200
        });
        ingestor
    }

    /// Waits for the line of the log whose field has this value and returns it.
    pub(super) fn until(&self, field: &str, value: &str) -> Value {
        let parse = |line: &str| -> Value { serde_json::from_str(line).expect("the log is JSON") };
        let mut log = self.log.borrow_mut();
        let is_wanted = |line: &str| parse(line)[field] == value;
        parse(&log.until(&format!("{field}: {value}"), is_wanted))
    }

    /// Waits for its end and returns the lines of its log, and its exit code.
    pub(super) fn end(mut self) -> (Vec<Value>, Option<i32>) {
        let log = self.log.into_inner().all();
        let lines = log.lines();
        let lines = lines.map(|line| serde_json::from_str(line).expect("the log is JSON"));
        (lines.collect(), self.running.wait().code())
    }

    pub(super) fn ask(&self, request: &str) -> Answer {
        ask(self.address, request).expect("it answers")
    }

    /// Sends a request with a body of JSON; returns the code and the body of the answer.
    pub(super) fn send(&self, request: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let text = format!(
            "{request} HTTP/1.1\r\nHost: ingestor\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (
            code.expect("a code"),
            serde_json::from_str(body).expect("JSON"),
        )
    }

    /// Returns a component as `/health/detailed` has it.
    pub(super) fn component(&self, name: &str) -> Value {
        self.ask(DETAILED).json()["components"][name].take()
    }

    /// Writes a value of the configuration, `null` to leave it out.
    pub(super) fn configure(&mut self, key: &str, value: Value) {
        self.configuration[key] = value;
        let map = self.configuration.as_object().expect("an object").clone();
        let text: serde_json::Map<String, Value> = map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        self.scene
            .write("ingestor.json", &Value::Object(text).to_string());
    }

    /// Runs healthctl on it.
    pub(super) fn run(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        self.scene.run(&words)
    }

    /// Returns the report of `check`.
    pub(super) fn check(&self) -> Value {
        let ran = self.run("check -o json");
        let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
        report["services"][0].clone()
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Asks it to stop; returns the limit of the drain that begins, in seconds.
    pub(super) fn drain_limit(&self) -> Value {
        self.signal(Signal::TERM);
        let begin = self.until("message", "drain begins");
        begin["timeout_seconds"].clone()
    }

    /// Begins a request that ends only when its client or the service ends it.
    pub(super) fn endless(&mut self) -> BufReader<TcpStream> {
        let request = send(self.address, "GET /endless").expect("it listens");
        self.until("message", "endless request begins");
        request
    }
}
