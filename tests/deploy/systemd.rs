//! The unit for systemd, held against a mail room that is run as it says, with a socket in the place of systemd's.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use rustix::process::Signal;

use crate::mailroom::{Mailroom, deployment};
use crate::manifests::{assert_checked, seconds};
use crate::support::example::example;
use crate::support::scene::Scene;
use crate::support::waiting::LIMIT;

/// Returns the value of a key of the unit.
pub(crate) fn value(key: &str) -> String {
    let text = deployment("mailroom.service");
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().expect("the unit has the key").to_owned();
    assert_eq!(values.next(), None, "{key}");
    value
}

/// Returns the arguments of its program.
pub(crate) fn arguments() -> Vec<String> {
    let command = value("ExecStart");
    command.split(' ').skip(1).map(str::to_owned).collect()
}

/// The socket that a service reports to.
struct Systemd {
    messages: Receiver<String>,
    address: String,
    /// Whether it has said since that it lives.
    lives: bool,
}

impl Systemd {
    fn new(is_abstract: bool) -> (Self, Scene) {
        let scene = Scene::new();
        let path = scene.path().join("notify").display().to_string();
        let (socket, address) = if is_abstract {
            let name = SocketAddr::from_abstract_name(&path).expect("it is short");
            (UnixDatagram::bind_addr(&name), format!("@{path}"))
        } else {
            (UnixDatagram::bind(&path), path)
        };
        let socket = socket.expect("a socket can be bound");
        // The queue of a socket is short, and what is sent to a full one is lost.
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8(buffer[..length].to_vec()).expect("it is text");
                // The test may have ended.
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let systemd = Self {
            messages,
            address,
            lives: false,
        };
        (systemd, scene)
    }

    /// Waits for the next message that is no keep-alive.
    fn message(&mut self) -> String {
        loop {
            let message = self.next();
            if message != "WATCHDOG=1" {
                return message;
            }
            self.lives = true;
        }
    }

    fn next(&self) -> String {
        let message = self.messages.recv_timeout(LIMIT);
        message.expect("a message comes")
    }
}

#[test]
fn the_unit_is_told_when_it_is_ready_reloads_lives_and_stops() {
    assert_eq!(value("Type"), "notify");
    assert_eq!(value("NotifyAccess"), "main");
    assert_eq!(value("ExecReload"), "/bin/kill -HUP $MAINPID");
    // Far shorter than that of the unit, so that the test need not wait for it.
    assert!(seconds(&value("WatchdogSec")) > 1.0);
    let watchdog = "200000";
    for is_abstract in [false, true] {
        let (mut systemd, _folder) = Systemd::new(is_abstract);
        let configuration = r#"{"inbox": "/var/lib/mailroom", "greeting": "thank you"}"#;
        let mut mailroom = Mailroom::deployed(&arguments(), configuration, |command, scene| {
            std::fs::remove_dir(scene.path().join("inbox")).expect("it is empty");
            command
                .env("NOTIFY_SOCKET", &systemd.address)
                .env("WATCHDOG_USEC", watchdog);
        });
        // It starts, lives and waits for its inbox.
        assert_eq!(systemd.next(), "WATCHDOG=1");
        assert_eq!(systemd.next(), "WATCHDOG=1");
        assert_eq!(mailroom.ask("GET /readyz").status, 503);
        std::fs::create_dir(mailroom.scene.path().join("inbox")).expect("it is not there");
        assert_eq!(systemd.message(), "READY=1");
        assert_eq!(mailroom.ask("GET /readyz").status, 200);

        mailroom.signal(Signal::HUP);
        let begin = systemd.message();
        let (begin, at) = begin.split_once('\n').expect("two lines");
        assert_eq!(begin, "RELOADING=1");
        let at = at.strip_prefix("MONOTONIC_USEC=").expect("its clock");
        assert!(at.parse::<u64>().is_ok(), "{at}");
        assert_eq!(systemd.message(), "READY=1");

        let letter = mailroom.begin_letter();
        mailroom.signal(Signal::TERM);
        assert_eq!(systemd.message(), "STOPPING=1");
        assert_eq!(systemd.next(), "WATCHDOG=1", "it lives while it drains");
        assert!(letter.finish().contains("thank you\n"));
        assert!(mailroom.ends().success());
    }
}

#[test]
fn without_systemd_nobody_is_told_and_nothing_is_missing() {
    let configuration = r#"{"inbox": "/var/lib/mailroom", "greeting": "thank you"}"#;
    let mut mailroom = Mailroom::deployed(&arguments(), configuration, |command, _| {
        command.env_remove("NOTIFY_SOCKET");
    });
    mailroom.until_readyz_is(200);
    mailroom.signal(Signal::TERM);
    assert!(mailroom.ends().success());
    assert!(!mailroom.log().contains("systemd"));
}

/// Another process than the one that systemd watches sends no keep-alives.
#[test]
fn the_watchdog_of_another_process_is_left_alone() {
    let (mut systemd, _folder) = Systemd::new(false);
    let configuration = r#"{"inbox": "/var/lib/mailroom", "greeting": "thank you"}"#;
    let mut mailroom = Mailroom::deployed(&arguments(), configuration, |command, _| {
        command
            .env("NOTIFY_SOCKET", &systemd.address)
            .env("WATCHDOG_USEC", "2000")
            .env("WATCHDOG_PID", "1");
    });
    assert_eq!(systemd.message(), "READY=1");
    mailroom.signal(Signal::TERM);
    assert_eq!(systemd.message(), "STOPPING=1");
    assert!(mailroom.ends().success());
    assert!(!systemd.lives);
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = example("mailroom").display().to_string();
    let text = deployment("mailroom.service");
    let text = text.replace("/usr/local/bin/mailroom", &program);
    assert!(text.contains(&program));
    let verify = |text: &str| {
        let unit = folder.path().join("mailroom.service");
        std::fs::write(&unit, text).expect("it can be written");
        let mut command = std::process::Command::new("systemd-analyze");
        command.args(["verify", "--recursive-errors=no"]).arg(unit);
        let output = command.output().expect(".ci/run installs it");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(verify(&text), (Some(0), String::new()));
    let (_, said) = verify(&text.replace("WatchdogSec=", "WatchdogSecs="));
    // Not every version ends with a failure then.
    assert!(said.contains("'WatchdogSecs'"), "{said}");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_takes_the_configuration_of_prometheus() {
    assert_checked(
        Path::new("promtool"),
        &["check", "config", "--syntax-only"],
        "prometheus.yaml",
        ("scrape_interval", "scrape_intervall"),
    );
}
