//! The mail room, a small service in four languages under `tests/kit`, as a process.

use std::cell::RefCell;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::demo::{Answer, ask};
use crate::support::example::example;
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;
use crate::support::waiting::wait_until;

/// The language that a mail room is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Python,
    Go,
    Node,
}

/// A mail room with an inventory that names it.
pub(crate) struct Mailroom {
    pub(crate) scene: Scene,
    pub(crate) running: Running,
    pub(crate) port: u16,
    language: Language,
}

/// The configuration of the one in Rust.
const CONFIGURATION: &str = r#"{"inbox": "inbox", "greeting": "thank you"}"#;

/// Returns the path of a file under `tests/kit`.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/kit")
        .join(name)
}

/// Returns the text of a file under `tests/deploy`.
pub(crate) fn deployment(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy");
    fs::read_to_string(folder.join(name)).expect("it can be read")
}

impl Mailroom {
    pub(crate) fn start(language: Language) -> Self {
        let (scene, port) = (Scene::new(), free_port());
        let command = command(language, &scene, port, &source);
        scene.write("mailroom.json", CONFIGURATION);
        fs::create_dir(scene.path().join("inbox")).expect("a folder can be made");
        Self::run(language, scene, port, command)
    }

    /// Starts one that is no example of the kit, with a check that fails without a word and one that hangs.
    pub(crate) fn with_more_checks(language: Language) -> Self {
        let (scene, port) = (Scene::new(), free_port());
        let page = |name: &str| with_more_checks(name, &scene);
        let command = command(language, &scene, port, &page);
        fs::create_dir(scene.path().join("inbox")).expect("a folder can be made");
        Self::run(language, scene, port, command)
    }

    /// Starts the one in Rust as it is deployed: with these arguments, an address and the path of its configuration, of
    /// which the port and the folders are those of a test. `change` is given the command and the scene.
    pub(crate) fn deployed(
        arguments: &[String],
        configuration: &str,
        change: impl FnOnce(&mut Command, &Scene),
    ) -> Self {
        let [address, path] = arguments else {
            panic!("an address and a path: {arguments:?}");
        };
        address.parse::<SocketAddr>().expect("it is an address");
        assert_eq!(path, "/etc/mailroom/mailroom.json");
        let (scene, port) = (Scene::new(), free_port());
        fs::create_dir(scene.path().join("inbox")).expect("a folder can be made");
        assert!(configuration.contains(r#""/var/lib/mailroom""#));
        let configuration = configuration.replace("/var/lib/mailroom", "inbox");
        scene.write("mailroom.json", &configuration);
        let mut command = command(Language::Rust, &scene, port, &source);
        change(&mut command, &scene);
        Self::run(Language::Rust, scene, port, command)
    }

    fn run(language: Language, scene: Scene, port: u16, mut command: Command) -> Self {
        scene.write(
            "healthctl.yaml",
            &format!(
                "defaults: {{interval: 100ms, timeout: 20s}}
services:
  mailroom: {{profile: hephaestus, url: 'http://127.0.0.1:{port}', required: [inbox]}}
"
            ),
        );
        let log = fs::File::create(scene.path().join("log")).expect("a file can be made");
        command
            .current_dir(scene.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has a second handle"))
            .stderr(log);
        let running = Running::start(&mut command).expect("it can be run: .ci/run installs it");
        wait_for_port(port);
        Self {
            scene,
            running,
            port,
            language,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn ask(&self, request: &str) -> Answer {
        ask(self.address(), request).expect("it answers")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scene.path().join("log")).expect("it is text")
    }

    /// Takes its inbox away, or puts it back.
    pub(crate) fn has_inbox(&self, has: bool) {
        let [mut from, mut to] = ["inbox", "elsewhere"].map(|name| self.scene.path().join(name));
        if has {
            std::mem::swap(&mut from, &mut to);
        }
        fs::rename(from, to).expect("a folder can be renamed");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.running.pid()).expect("a pid is small");
        kill_process(Pid::from_raw(pid).expect("a process"), signal).expect("it runs");
    }

    /// Waits until its liveness route says this status.
    pub(crate) fn until_live_says(&self, status: &str) {
        wait_until(status, || {
            self.ask("GET /health/live").json()["status"] == status
        });
    }

    /// Waits until its readiness route answers with this code.
    pub(crate) fn until_readyz_is(&self, code: u16) {
        wait_until("/readyz", || self.ask("GET /readyz").status == code);
    }

    /// Begins to send a letter, and returns when that is in flight.
    pub(crate) fn begin_letter(&self) -> Letter {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        let head = "POST /letters HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\n\
                    Content-Length: 5\r\n\r\nhel";
        stream
            .write_all(head.as_bytes())
            .expect("it takes requests");
        wait_until("in flight", || self.works());
        Letter(stream)
    }

    fn works(&self) -> bool {
        let count = if self.language == Language::Rust {
            self.metric("service_requests_in_flight")
        } else {
            let status = self.ask("GET /health/status").json();
            let count = status["resources"]["requests_in_flight"].as_f64();
            count.expect("it counts them")
        };
        count > 0.0
    }

    /// Returns the value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.ask("GET /metrics").body;
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = values.next().expect("it is there");
        value.parse().expect("it is a number")
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let ended = RefCell::default();
        let running = RefCell::new(&mut self.running);
        wait_until("its end", || {
            *ended.borrow_mut() = running.borrow_mut().ended();
            ended.borrow().is_some()
        });
        ended.into_inner().expect("it was waited for")
    }

    /// Waits for its end in a thread of its own: unless it is reaped, healthctl would see its zombie.
    pub(crate) fn reap(self) -> (Scene, Reaper) {
        let Self {
            scene, mut running, ..
        } = self;
        let pid = i32::try_from(running.pid()).expect("a pid is small");
        let reaper = Reaper {
            pid: Pid::from_raw(pid).expect("a process"),
            thread: Some(std::thread::spawn(move || running.wait())),
        };
        (scene, reaper)
    }
}

/// Waits for the end of a process, and brings it about where the test ends before.
pub(crate) struct Reaper {
    pid: Pid,
    thread: Option<JoinHandle<ExitStatus>>,
}

impl Reaper {
    /// Returns how it has ended.
    pub(crate) fn join(mut self) -> ExitStatus {
        let thread = self.thread.take().expect("it is joined once");
        thread.join().expect("it does not panic")
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            if !thread.is_finished() {
                // It may have ended just now.
                let _ = kill_process(self.pid, Signal::KILL);
            }
            let _ = thread.join();
        }
    }
}

/// Returns the letters in the inbox of a mail room.
pub(crate) fn letters(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(scene.path().join("inbox")).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths
        .map(|path| fs::read_to_string(path).expect("it is text"))
        .collect()
}

/// A letter of which the last part is not sent yet.
pub(crate) struct Letter(TcpStream);

impl Letter {
    /// Sends the rest and returns the whole answer.
    pub(crate) fn finish(mut self) -> String {
        self.0.write_all(b"lo").expect("it is still there");
        let mut answer = String::new();
        BufReader::new(self.0)
            .read_to_string(&mut answer)
            .expect("it answers");
        answer
    }
}

/// Two more checks for a page, each behind a line of it: one that fails without a word, and one that hangs.
const MORE_CHECKS: [(&str, &str, &str); 3] = [
    (
        "mailroom.py",
        "    service.clean_ups.append(",
        "    def silent():\n        raise TimeoutError\n    service.check(\"silent\", silent)\n    \
         service.check(\"hangs\", lambda: time.sleep(600), limit=0.1)\n",
    ),
    (
        "mailroom.go",
        "\tservice.cleanUps = append(",
        "\tservice.Check(\"silent\", time.Second, time.Second, func() (map[string]any, error) { return nil, errors.New(\"\") })\n\
         \tservice.Check(\"hangs\", time.Second, 100*time.Millisecond, func() (map[string]any, error) { select {} })\n",
    ),
    (
        "mailroom.mjs",
        "service.cleanUps.push(",
        "service.check('silent', () => Promise.reject(new AggregateError([])));\n\
         service.check('hangs', () => new Promise(() => {}), 1000, 100);\n",
    ),
];

/// Returns the page of this name with more checks, in a file of the scene.
fn with_more_checks(name: &str, scene: &Scene) -> PathBuf {
    let mut more = MORE_CHECKS.iter();
    let (_, line, checks) = more.find(|(page, ..)| *page == name).expect("it is one");
    let text = fs::read_to_string(source(name)).expect("it can be read");
    assert_eq!(text.matches(line).count(), 1, "{line}");
    scene.write(name, &text.replace(line, &format!("{checks}{line}")))
}

/// Returns the command that the README names, for the page itself or a file in its place.
fn command(
    language: Language,
    scene: &Scene,
    port: u16,
    page: &dyn Fn(&str) -> PathBuf,
) -> Command {
    let mut command = match language {
        Language::Rust => {
            let mut command = Command::new(example("mailroom"));
            command.arg(format!("127.0.0.1:{port}"));
            return command;
        }
        Language::Python => {
            let mut command = Command::new("python3");
            command.arg(page("mailroom.py"));
            command
        }
        Language::Go => {
            let program = scene.path().join("mailroom");
            let mut build = Command::new("go");
            build.arg("build").arg("-o").arg(&program);
            build.arg(page("mailroom.go"));
            assert!(build.status().expect("go is installed").success());
            Command::new(program)
        }
        Language::Node => {
            let mut command = Command::new("node");
            command.arg(page("mailroom.mjs"));
            command
        }
    };
    command.arg(port.to_string());
    command
}
