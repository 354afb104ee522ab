//! The stream of changes where there is no terminal, or where one is asked for.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::write;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::fake::Fake;
use crate::support::process::Running;
use crate::support::scene::Scene;
use crate::support::waiting::{Lines, until, wait_until};

/// A service that is well until it is told otherwise, and a stream on it.
pub(super) struct Stream {
    broken: Arc<AtomicBool>,
    running: Running,
    _fake: Fake,
    scene: Scene,
}

impl Stream {
    fn start(words: &[&str]) -> (Self, Lines) {
        Self::with("", words)
    }

    /// With more keys of the service.
    pub(super) fn with(more: &str, words: &[&str]) -> (Self, Lines) {
        let broken = Arc::new(AtomicBool::new(false));
        let fake = Fake::http({
            let broken = Arc::clone(&broken);
            move |_, _| {
                (
                    if broken.load(Ordering::SeqCst) {
                        500
                    } else {
                        200
                    },
                    "ok".to_owned(),
                )
            }
        });
        let scene = Scene::with_inventory(&format!(
            "defaults: {{interval: 100ms, timeout: 20s, failure_threshold: 1}}\nservices: {{api: {{profile: http, url: '{}', {more}}}}}\n",
            fake.url()
        ));
        let mut command = scene.command(&[&["watch"], words].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let lines = Lines::of(running.child().stdout.take().expect("stdout is piped"));
        (
            Self {
                broken,
                running,
                _fake: fake,
                scene,
            },
            lines,
        )
    }

    pub(super) fn scene(&self) -> &Scene {
        &self.scene
    }

    pub(super) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    pub(super) fn end(mut self) -> Option<i32> {
        self.running.stop(Signal::TERM).code()
    }
}

#[test]
fn people_read_a_line_for_each_turn() {
    let (stream, mut lines) = Stream::start(&[]);
    let mut next = || {
        let line = lines.next().expect("a line comes");
        let (time, rest) = line.split_once(' ').expect("a line begins with its time");
        assert!(time.ends_with('Z') && time.len() == 20, "{line}");
        rest.to_owned()
    };
    // A reader that is slower than the first answer is told the newest of the two.
    let first = next();
    if first != "api ✓ healthy" {
        assert_eq!(first, "api ? unknown: not asked yet");
        assert_eq!(next(), "api ✓ healthy");
    }
    stream.set_broken(true);
    let line = next();
    assert!(line.starts_with("api ✗ unhealthy: live: "), "{line}");
    stream.set_broken(false);
    assert_eq!(next(), "api ✓ healthy");
    assert_eq!(stream.end(), Some(143));
}

/// Results that have not come to count are news to programs and not to people.
#[test]
fn people_read_no_line_twice_in_a_row() {
    let count = AtomicUsize::new(0);
    let fake = Fake::http(move |_, _| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let well = number < 60 && number.is_multiple_of(2);
        (if well { 200 } else { 500 }, String::new())
    });
    let scene = Scene::with_inventory(&format!(
        "defaults: {{interval: 50ms}}\nservices: {{api: {{profile: http, url: '{}'}}}}\n",
        fake.url()
    ));
    let mut command = scene.command(&["watch", "-o", "text"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running::start(&mut command).expect("the binary can be run");
    let mut lines = Lines::of(running.child().stdout.take().expect("stdout is piped"));
    let mut told: Vec<String> = Vec::new();
    while let Some(line) = lines.next() {
        let (_, text) = line.split_once(' ').expect("the time comes first");
        assert_ne!(told.last().map(String::as_str), Some(text), "{told:#?}");
        told.push(text.to_owned());
        if text.contains("unhealthy") {
            break;
        }
    }
    assert!(
        told.iter().any(|line| line == "api ✓ healthy [flapping]"),
        "{told:#?}"
    );
    assert_eq!(running.stop(Signal::TERM).code(), Some(143));
}

#[test]
fn programs_read_an_element_for_each_change() {
    let (stream, mut lines) = Stream::start(&["-o", "ndjson"]);
    let mut next = || -> Value {
        let line = lines.next().expect("a line comes");
        serde_json::from_str(&line).expect("a line is JSON")
    };
    let first = next();
    assert_eq!(
        (
            &first["schema_version"],
            &first["changed"][0],
            &first["name"]
        ),
        (&1.into(), &"first".into(), &"api".into())
    );
    let mut until = |state: &str| loop {
        let element = next();
        assert_ne!(
            element["changed"].as_array().map(Vec::len),
            Some(0),
            "only what changed is told: {element}"
        );
        if element["state"] == state {
            return element;
        }
    };
    // Where the first answer was quick, it is told with the first element.
    if first["state"] != "healthy" {
        until("healthy");
    }
    stream.set_broken(true);
    let broken = until("unhealthy");
    assert_eq!(broken["probes"][0]["failure"]["kind"], "status");
    assert_eq!(stream.end(), Some(143));
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let (mut stream, mut lines) = Stream::start(&["-o", "text"]);
    lines.next().expect("a line comes");
    drop(lines);
    // Each turn is a line that nobody reads.
    let end = until("its end", || {
        stream.set_broken(!stream.broken.load(Ordering::SeqCst));
        std::thread::park_timeout(std::time::Duration::from_millis(50));
        stream.running.ended()
    });
    assert_eq!(end.code(), Some(0));
}

#[test]
fn a_reader_that_does_not_read_holds_up_no_signal() {
    let fake = Fake::http(|_, _| (200, String::new()));
    let scene = Scene::with_inventory(&format!(
        "services: {{api: {{profile: http, url: '{}', interval: 50ms}}}}\n",
        fake.url()
    ));
    // A pipe in which there is no room for a line.
    let (reader, writer) =
        pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).expect("a pipe can be made");
    while write(&writer, &[b' '; 4096]).is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).expect("it can block");
    let mut command = scene.command(&["watch", "-o", "ndjson"]);
    command.stdout(writer).stderr(Stdio::null());
    let mut running = Running::start(&mut command).expect("the binary can be run");
    // What the first answer is worth is to be written by then.
    wait_until("three requests", || fake.asked().len() >= 3);
    assert_eq!(running.stop(Signal::TERM).code(), Some(143));
    drop(reader);
}
