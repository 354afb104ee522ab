//! `healthctl logs`: what services wrote that it has started, whatever becomes of the file meanwhile.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::faulty;
use crate::support::process::Running;
use crate::support::scene::{Ran, Scene};
use crate::support::started::{Stage, Startable};
use crate::support::waiting::{Lines, ask_until};

/// The service process of the tests here.
#[test]
#[ignore = "the process that the other tests start"]
fn service_process() {
    faulty::serve_if_asked();
}

fn stage(words: &str) -> Stage {
    Stage::new("logs::service_process", &[&Startable::new("api", words)])
}

fn run(scene: &Scene, words: &str) -> Ran {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    scene.run(&words)
}

fn log(stage: &Stage) -> PathBuf {
    stage.scene().path().join("logs/api.log")
}

/// Waits until the service has written its first line: it may be ready before. Returns the whole log.
fn wait_for_its_line(stage: &Stage) -> String {
    let read = || fs::read_to_string(log(stage)).expect("the log is there");
    ask_until(read, |text| {
        text.contains("faulty port: ") && text.ends_with('\n')
    })
}

fn add(stage: &Stage, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(log(stage))
        .expect("the log is there");
    file.write_all(text.as_bytes()).expect("it can be written");
}

/// A log that is followed.
struct Following {
    running: Running,
    lines: Lines,
}

impl Following {
    fn start(stage: &Stage, words: &[&str]) -> Self {
        let mut command = stage.scene().command(&[&["logs", "-f"], words].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command).expect("the binary can be run");
        let stdout = running.child().stdout.take().expect("stdout is piped");
        Self {
            running,
            lines: Lines::of(stdout),
        }
    }

    fn until(&mut self, text: &str) {
        self.lines.until(text, |line| line.contains(text));
    }

    fn next(&mut self) -> String {
        self.lines.next().expect("it goes on")
    }

    /// Presses Ctrl-C; gives the exit code and stderr.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let code = self.running.stop(Signal::INT).code();
        let mut told = String::new();
        let stderr = self.running.child().stderr.take();
        stderr
            .expect("stderr is piped")
            .read_to_string(&mut told)
            .expect("stderr is text");
        (code, told)
    }
}

#[test]
fn it_shows_what_was_written_since_the_last_start() {
    let stage = stage("");
    stage.scene().write("logs/api.log", "of an old run\n");
    assert_eq!(run(stage.scene(), "start --yes api").code, 0);
    let whole = wait_for_its_line(&stage);
    let (old, new) = whole.split_at("of an old run\n".len());
    let ran = run(stage.scene(), "logs api");
    assert_eq!((ran.stdout.as_str(), ran.code), (new, 0), "{ran:?}");
    assert_eq!(ran.stderr, "");
    let ran = run(stage.scene(), "logs --lines all api");
    assert_eq!(ran.stdout, format!("{old}{new}"));
    let ran = run(stage.scene(), "logs -n 1 api");
    assert_eq!(Some(ran.stdout.trim_end()), whole.lines().last());
}

#[test]
fn the_record_counts_and_not_what_the_inventory_has_become() {
    let stage = stage("");
    run(stage.scene(), "start --yes api");
    wait_for_its_line(&stage);
    let inventory = fs::read_to_string(stage.scene().path().join("healthctl.yaml")).unwrap();
    let inventory = inventory
        .replace("  api:", "  other:")
        .replace("api.log", "other.log");
    stage.scene().write("healthctl.yaml", &inventory);
    let ran = run(stage.scene(), "logs api");
    assert!(ran.stdout.contains("faulty port: "), "{ran:?}");
}

#[test]
fn what_one_wrote_that_failed_can_be_read() {
    let stage = stage("fail");
    assert_eq!(run(stage.scene(), "start --yes api").code, 5);
    let ran = run(stage.scene(), "logs -n 2 api");
    assert_eq!(
        ran.stdout,
        "line 24 of its last words\nline 25 of its last words\n"
    );
}

#[test]
fn it_is_followed_through_truncation_and_rotation_until_somebody_ends_it() {
    let stage = stage("");
    run(stage.scene(), "start --yes api");
    let mut following = Following::start(&stage, &["api"]);
    following.until("faulty port: ");
    add(&stage, "another\n");
    following.until("another");
    fs::write(log(&stage), "short\n").unwrap();
    assert_eq!(following.next(), "short");
    fs::rename(log(&stage), log(&stage).with_extension("1")).unwrap();
    fs::write(log(&stage), "fresh\n").unwrap();
    assert_eq!(following.next(), "fresh");
    // A question has no end of its line.
    add(&stage, "really? ");
    assert_eq!(following.next(), "really? ");
    let (code, told) = following.interrupt();
    assert_eq!(code, Some(130));
    let path = log(&stage);
    assert_eq!(
        told,
        format!(
            "{path} was made shorter; from its first line:\nthere is another file {path}; from its first line:\n",
            path = path.display()
        )
    );
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for_where_it_is_followed() {
    let stage = stage("");
    let ran = run(stage.scene(), "logs api");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr
            .starts_with("error: `api` has written nothing yet: there is no file ")
            && ran
                .stderr
                .contains("\nhint: `healthctl start api` starts it; "),
        "{ran:?}"
    );
    let mut following = Following::start(&stage, &["api"]);
    let stderr = following.running.child().stderr.take();
    let line = Lines::of(stderr.unwrap()).next().unwrap();
    assert!(line.starts_with("waiting for "), "{line}");
    run(stage.scene(), "start --yes api");
    following.until("faulty port: ");
    assert_eq!(following.running.stop(Signal::TERM).code(), Some(143));
}

#[test]
fn one_that_is_not_started_by_us_is_told() {
    let scene =
        Scene::with_inventory("services:\n  api: {profile: http, url: 'http://127.0.0.1:9'}\n");
    for (words, expected) in [
        (
            "logs api",
            "error: healthctl does not start `api`, so it knows of no log\nhint: its entry needs `start: {command: […]}`, and then \
             `healthctl start api`; who else starts it keeps its log\n",
        ),
        (
            "logs apy",
            "error: the inventory has no service `apy`\nhint: did you mean `api`?\n",
        ),
        (
            "logs ../api",
            "error: the inventory has no service `../api`\nhint: the inventory holds: api\n",
        ),
    ] {
        let ran = run(&scene, words);
        assert_eq!((ran.stderr.as_str(), ran.code), (expected, 2));
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn what_would_drive_a_terminal_is_made_visible_and_colour_stays_where_it_is_wanted() {
    let stage = stage("");
    let hostile = "\u{1b}[31mred\u{1b}[2J\u{1b}]0;owned\u{7}\r\nx\u{202e}y\n";
    stage.scene().write("logs/api.log", hostile);
    let ran = run(stage.scene(), "logs api");
    assert_eq!(
        ran.stdout,
        "red\\u{1b}[2J\\u{1b}]0;owned\\u{7}\nx\\u{202e}y\n"
    );
    let ran = run(stage.scene(), "logs --color always api");
    assert_eq!(
        ran.stdout,
        "\u{1b}[31mred\\u{1b}[2J\\u{1b}]0;owned\\u{7}\u{1b}[0m\nx\\u{202e}y\n"
    );
}

#[test]
fn of_many_lines_the_last_are_shown_and_of_a_huge_one_its_beginning() {
    let stage = stage("");
    let lines: Vec<String> = (0..5000).map(|number| format!("line {number}\n")).collect();
    let path = stage.scene().write("logs/api.log", &lines.concat());
    let ran = run(stage.scene(), "logs api");
    assert_eq!(ran.stdout, lines[4000..].concat());
    assert!(ran.stderr.contains("--lines all"), "{ran:?}");
    // A hole takes no place on the disk.
    let file = OpenOptions::new().append(true).open(path).unwrap();
    file.set_len(100 << 20).unwrap();
    add(&stage, "\nlast\n");
    let ran = run(stage.scene(), "logs -n 2 api");
    let (huge, last) = ran.stdout.split_once('\n').unwrap();
    assert_eq!(last, "last\n");
    assert!(
        huge.ends_with(" bytes more)") && huge.len() < 100_000,
        "{}",
        huge.len()
    );
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let stage = stage("");
    stage
        .scene()
        .write("logs/api.log", &"line\n".repeat(100_000));
    let mut command = stage.scene().command(&["logs", "-f", "-n", "all", "api"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(&mut command).expect("the binary can be run");
    let mut stdout = running.child().stdout.take().expect("stdout is piped");
    let mut line = [0; 5];
    stdout.read_exact(&mut line).expect("a line comes");
    assert_eq!(&line, b"line\n");
    drop(stdout);
    assert_eq!(running.wait().code(), Some(0));
    let mut told = String::new();
    let mut stderr = running.child().stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(told, "");
}

#[test]
fn a_reader_that_goes_ends_it_also_where_nothing_more_is_written() {
    let stage = stage("");
    stage.scene().write("logs/api.log", "only\n");
    let mut command = stage.scene().command(&["logs", "-f", "api"]);
    command.stdout(Stdio::piped());
    let mut running = Running::start(&mut command).expect("the binary can be run");
    let mut stdout = running.child().stdout.take().expect("stdout is piped");
    let mut line = [0; 5];
    stdout.read_exact(&mut line).expect("a line comes");
    assert_eq!(&line, b"only\n");
    drop(stdout);
    assert_eq!(running.wait().code(), Some(0));
}
