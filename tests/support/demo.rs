//! A running `healthctl demo --no-tui`, and a minimal HTTP client for requests to its services.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::Running;
use super::scene::{Ran, Scene};
use super::waiting::{LIMIT, Lines};

/// The demo in a directory of its own; killed when its test ends.
pub struct Demo {
    running: Running,
    inventory: PathBuf,
    errors: Lines,
    // Declared last: the directory is removed after the demo has ended.
    scene: Scene,
}

/// An HTTP reply.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All lines before the body, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Demo {
    /// Starts the demo and waits until it has printed the path of its inventory.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_in(Scene::new(), flags)
    }

    /// Starts the demo in this scene.
    pub fn start_in(scene: Scene, flags: &[&str]) -> Self {
        let words = [&["demo", "--no-tui"], flags].concat();
        let mut command = scene.command(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::from_running(
            scene,
            Running::start(&mut command).expect("the binary can be run"),
        )
    }

    /// Wraps a demo that was started with piped output.
    pub fn from_running(scene: Scene, mut running: Running) -> Self {
        let output = running.child().stdout.take().expect("stdout is piped");
        let errors = running.child().stderr.take().expect("stderr is piped");
        let (mut output, errors) = (Lines::of(output), Lines::of(errors));
        let Some(line) = output.next() else {
            panic!("the demo did not start: {}", errors.all());
        };
        Self {
            running,
            inventory: PathBuf::from(line),
            errors,
            scene,
        }
    }

    /// Returns the path of the inventory, as the demo has printed it.
    pub fn inventory(&self) -> &Path {
        &self.inventory
    }

    /// Returns the process of the demo itself.
    pub fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Returns the scene in which the demo runs.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Runs the binary in the scene of the demo.
    pub fn run(&self, words: &[&str]) -> Ran {
        self.scene.run(words)
    }

    /// Waits for the next line that the demo prints on stderr, which reports an event; empty at its end.
    #[track_caller]
    pub fn next_event(&mut self) -> String {
        self.errors.next().unwrap_or_default()
    }

    /// Returns the address of a service, from the inventory.
    pub fn address(&self, service: &str) -> SocketAddr {
        let url = self.value(service, "url");
        url.trim_start_matches("http://")
            .parse()
            .expect("an address")
    }

    /// Returns the pid of a service, from its pid file.
    pub fn pid(&self, service: &str) -> i32 {
        let path = self.file(&self.value(service, "pid_file"));
        let text = std::fs::read_to_string(path).expect("the pid file is there");
        text.trim().parse().expect("a process id")
    }

    /// Returns the `start` command of a service in the inventory, which writes to its log.
    pub fn start_command(&self, service: &str) -> Command {
        let start = &self.entry(service)["start"];
        let text = |value: &Value| value.as_str().expect("it is text").to_owned();
        let words = start["command"].as_array().expect("there is a command");
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.file(&text(&start["log"])))
            .expect("the log can be written");
        let mut command = Command::new(text(&words[0]));
        command
            .args(words[1..].iter().map(text))
            .current_dir(self.file(&text(&start["cwd"])))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has a second handle"))
            .stderr(log);
        for (name, value) in self.scene.command(&[]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Returns the log of a service.
    pub fn log(&self, service: &str) -> String {
        let log = self.entry(service)["start"]["log"].take();
        let path = self.file(log.as_str().expect("the service has a log"));
        std::fs::read_to_string(path).expect("the log is there")
    }

    /// Returns the path of a file, given its path relative to the inventory.
    pub fn file(&self, path: &str) -> PathBuf {
        self.inventory.with_file_name("").join(path)
    }

    /// Sends a request to a service and returns the reply.
    pub fn ask(&self, service: &str, request: &str) -> Answer {
        ask(self.address(service), request).expect("the service answers")
    }

    /// Sends a request that takes this long, and returns when the service has begun to answer it.
    #[track_caller]
    pub fn work(&self, service: &str, millis: u32) -> BufReader<TcpStream> {
        let request = format!("GET /work/{millis}");
        let mut reader = send(self.address(service), &request).expect("the service listens");
        let mut line = String::new();
        while line.trim_end() != "begun" {
            line.clear();
            let length = reader.read_line(&mut line).expect("an answer comes");
            assert_ne!(length, 0, "no work was begun");
        }
        reader
    }

    fn value(&self, service: &str, key: &str) -> String {
        let entry = self.entry(service);
        let value = entry[key].as_str();
        value.expect("the service has this key").to_owned()
    }

    fn entry(&self, service: &str) -> Value {
        let text = std::fs::read_to_string(&self.inventory).expect("the inventory is there");
        let mut inventory: Value = serde_yaml::from_str(&text).expect("the inventory is YAML");
        inventory["services"][service].take()
    }
}

impl Answer {
    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// Sends a request, such as `GET /health/live`, on a connection of its own, and returns the reply.
pub fn ask(address: SocketAddr, request: &str) -> std::io::Result<Answer> {
    let mut reader = send(address, request)?;
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let head = head.to_ascii_lowercase();
    Ok(Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("an answer has a status"),
        body: body.to_owned(),
        head,
    })
}

/// Sends a request, and returns a reader of the reply.
pub fn send(address: SocketAddr, request: &str) -> std::io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(BufReader::new(stream))
}
