//! End to end: probes by TCP and by command, in an inventory and typed.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::channel;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::process::{Running, free_port};
use crate::support::scene::{Ran, Scene};
use crate::support::waiting::LIMIT;
use crate::support::watching::Watching;

fn service(ran: &Ran) -> Value {
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    report["services"][0].clone()
}

/// What the one probe of the one service says: `RESULT KIND: MESSAGE`.
fn told(ran: &Ran) -> String {
    let probe = &service(ran)["probes"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let failure = &probe["failure"];
    let told = format!(
        "{} {}: {}",
        text(&probe["result"]),
        text(&failure["kind"]),
        text(&failure["message"])
    );
    told.trim_end_matches([':', ' ']).to_owned()
}

/// A scene with one service `it` that is asked by this.
fn asked(probe: &str) -> Scene {
    Scene::with_inventory(&format!(
        "defaults: {{timeout: 20s}}\nservices: {{it: {{probes: {{live: {{{probe}}}}}}}}}\n"
    ))
}

/// A named pipe in a scene: who reads it comes to its end when the last process that holds it is gone.
fn pipe(scene: &Scene) -> PathBuf {
    let path = scene.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe can be made");
    path
}

#[test]
fn a_port_is_up_and_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let scene = asked(&format!("tcp: 'localhost:{port}', interval: 50ms"));
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!((ran.code, told(&ran).as_str()), (0, "pass"), "{ran:?}");
    let probe = &service(&ran)["probes"][0];
    assert_eq!(
        (&probe["kind"], &probe["target"], &probe["address"]),
        (
            &"tcp".into(),
            &format!("localhost:{port}").into(),
            &format!("127.0.0.1:{port}").into()
        )
    );
    assert!(probe["latency_ms"].is_number());
    let mut watching = Watching::start(&scene, &[]);
    watching.until_state("it", "healthy");
    drop(listener);
    let down = watching.until_state("it", "unhealthy");
    let refused = format!("connection refused (127.0.0.1:{port}, [::1]:{port})");
    assert_eq!(down["probes"][0]["failure"]["message"], refused);
    assert_eq!(down["probes"][0]["failure"]["kind"], "connect");
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    watching.until_state("it", "healthy");
}

#[test]
fn a_command_passes_and_fails() {
    let check = |probe: &str, code: i32, expected: &str| {
        let ran = asked(probe).run(&["check", "--exit-code", "-o", "json"]);
        assert_eq!((ran.code, told(&ran).as_str()), (code, expected), "{ran:?}");
        assert_eq!(ran.stderr, "");
    };
    check("exec: ['true']", 0, "pass");
    check("exec: ['false']", 1, "fail exit: exit status 1");
    check(
        "exec: [sh, -c, 'echo no response >&2; exit 2']",
        1,
        "fail exit: exit status 2: no response",
    );
    check(
        "exec: [sh, -c, 'kill -TERM $$$$']",
        1,
        "fail exit: ended by signal 15 (SIGTERM)",
    );
    check(
        "exec: [no-such-command-here]",
        3,
        "unknown local: cannot run `no-such-command-here`: there is no such command in PATH",
    );
    check(
        "exec: ['yes'], max_body: 1KiB",
        1,
        "fail body-limit: its output is larger than 1 KiB (max_body): y",
    );
    check(
        "exec: [sh, -c, 'test $$MODE = fast && test -n \"$$ALL\"'], env: {MODE: fast, ALL: {file: healthctl.yaml}}",
        0,
        "pass",
    );
}

#[test]
fn a_script_runs_beside_the_inventory() {
    let scene = Scene::new();
    let script = scene.write(
        "checks/run.sh",
        "#!/bin/sh\ntest \"$1\" = --quiet && test -f marker && test \"$MODE\" = fast\n",
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script, mode).unwrap();
    scene.write("checks/marker", "");
    let file = "services: {it: {probes: {live: {exec: [./run.sh, --quiet], env: {MODE: fast}}}}}\n";
    scene.write("checks/healthctl.yaml", file);
    let ran = scene.run(&["check", "--exit-code", "-f", "checks/healthctl.yaml"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    scene.write("healthctl.yaml", "include: [checks/*.yaml]\n");
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Whatever a command starts ends with its probe, and holds up nothing: in its group or out of it, with our pipe or without.
#[test]
fn nothing_outlives_a_probe() {
    for (script, timeout, code) in [
        ("sleep 600 & echo done", "60s", 0),
        ("setsid sleep 600 & echo done", "60s", 0),
        ("setsid sleep 600 > /dev/null 2>&1 & exit 3", "60s", 1),
        ("sleep 600", "5s", 1),
        ("setsid sleep 600 & sleep 600", "5s", 1),
    ] {
        let scene = asked(&format!(
            "exec: [sh, -c, 'exec 3> pipe; echo here >&3; {script}'], timeout: {timeout}"
        ));
        let path = pipe(&scene);
        let (sender, written) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            sender.send(text)
        });
        let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
        assert_eq!(ran.code, code, "{script}: {ran:?}");
        if timeout == "5s" {
            assert_eq!(told(&ran), "fail timeout: no end within 5s", "{script}");
        }
        let written = written.recv_timeout(LIMIT).expect("the pipe is closed");
        assert_eq!(written, "here\n", "{script}");
    }
}

#[test]
fn a_signal_ends_us_and_the_command_with_us() {
    for (words, signal, code) in [
        (&["check"][..], Signal::INT, 130),
        (&["check", "--wait", "60s"], Signal::TERM, 143),
        (&["watch", "-o", "text"], Signal::TERM, 143),
    ] {
        let scene = asked("exec: [sh, -c, 'exec 3> pipe; echo here >&3; sleep 600'], timeout: 10m");
        let path = pipe(&scene);
        let mut command = scene.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::start(&mut command).unwrap();
        let mut reader = File::open(path).unwrap();
        let mut here = [0; 5];
        reader.read_exact(&mut here).unwrap();
        assert_eq!(running.stop(signal).code(), Some(code), "{words:?}");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// While it is watched, each run is reaped: no zombie stays behind.
#[test]
fn a_watched_command_leaves_no_zombie() {
    let scene = asked("exec: [sh, -c, 'sleep 600 & exit 1'], interval: 20ms, failure_threshold: 5");
    let mut watching = Watching::start(&scene, &[]);
    watching.until_state("it", "unhealthy");
    let children = format!("/proc/{0}/task/{0}/children", watching.pid());
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let zombies: Vec<_> = children
        .split_ascii_whitespace()
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .unwrap_or_default()
                .trim_start()
                .starts_with('Z')
        })
        .collect();
    assert!(zombies.len() < 2, "one may just be ending: {zombies:?}");
}

#[test]
fn what_is_typed_needs_no_inventory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let up = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let down = format!("127.0.0.1:{}", free_port());
    let scene = Scene::new();
    let check = |words: &[&str], code: i32, name: &str, expected: &str| {
        let words = [&["check", "--exit-code", "-o", "json"], words].concat();
        let ran = scene.run(&words);
        assert_eq!((ran.code, told(&ran).as_str()), (code, expected), "{ran:?}");
        assert_eq!(service(&ran)["name"], name);
    };
    let name = |address: &str| address.replace(':', "-");
    check(&["--tcp", &up], 0, &name(&up), "pass");
    let refused = format!("fail connect: connection refused ({down})");
    check(
        &["--tcp", &down, "--retries", "1"],
        1,
        &name(&down),
        &refused,
    );
    check(
        &["--cmd", "test 'two words' = \"two words\""],
        0,
        "test",
        "pass",
    );
    check(
        &["--cmd", "test $HOME = x"],
        1,
        "test",
        "fail exit: exit status 1",
    );
    check(
        &[
            "--cmd",
            "sleep 600",
            "--timeout",
            "200ms",
            "--interval",
            "1s",
        ],
        1,
        "sleep",
        "fail timeout: no end within 200ms",
    );
    // The environment can say the same.
    let run = |variables: &[(&str, &str)], words: &[&str]| {
        let mut command = scene.command(words);
        command.envs(variables.iter().copied());
        Ran::of(&mut command)
    };
    let words = ["check", "-o", "json", "--exit-code"];
    let ran = run(&[("HEALTHCTL_TCP", &up)], &words);
    assert_eq!(told(&ran), "pass");
    let ran = run(
        &[
            ("HEALTHCTL_CMD", "sleep 600"),
            ("HEALTHCTL_TIMEOUT", "200ms"),
        ],
        &words,
    );
    assert_eq!(told(&ran), "fail timeout: no end within 200ms");
}

#[test]
fn what_is_typed_wrong_is_told() {
    let scene = Scene::new();
    for (words, expected) in [
        (
            &["--tcp", "localhost"][..],
            "did you mean `localhost:PORT`?",
        ),
        (&["--tcp", "6379"], "did you mean `localhost:6379`?"),
        (&["--cmd", ""], "a command without a program"),
        (&["--cmd", "echo 'open"], "a quote that is never closed"),
        (&["--cmd", "false; true"], "`;` means something to a shell"),
        (&["--cmd", "curl -f h || exit 1"], "let a shell read it"),
        (&["--tcp", "h:1", "--interval", "5"], "did you mean `5s`?"),
        (
            &["--tcp", "h:1", "--timeout", "0s"],
            "expected more than zero",
        ),
        (
            &["--tcp", "h:1", "--retries", "0"],
            "expected a whole number",
        ),
        (&["--tcp", "h:1", "--start-period", "1M"], "1M"),
        (
            &["--tcp", "h:1", "--url", "http://h"],
            "cannot be used with",
        ),
        (&["--tcp", "h:1", "--cmd", "true"], "cannot be used with"),
        (&["--tcp", "h:1", "api"], "cannot be used with"),
        (
            &["--tcp", "h:1", "--profile", "http"],
            "cannot be used with",
        ),
        (
            &["--interval", "5s"],
            "required arguments were not provided",
        ),
    ] {
        for command in ["check", "watch"] {
            let ran = scene.run(&[&[command], words].concat());
            assert_eq!(
                (ran.code, ran.stdout.as_str()),
                (2, ""),
                "{words:?} {ran:?}"
            );
            assert!(ran.stderr.contains(expected), "{words:?} {ran:?}");
        }
    }
}

#[test]
fn no_secret_of_a_command_is_shown() {
    let scene = asked("exec: [sh, -c, 'exit 1', '--password=${WORD}'], env: {A_TOKEN: '${WORD}'}");
    for words in [
        &["check"][..],
        &["check", "-o", "json"],
        &["show", "it"],
        &["list", "-o", "json"],
    ] {
        let mut command = scene.command(words);
        let ran = Ran::of(command.env("WORD", "hunter2"));
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    }
}
