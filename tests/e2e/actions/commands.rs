//! Actions by command: where the command runs and with what environment, and that it goes on without healthctl.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process_group};

use super::*;

/// A scene whose service `api` does this by a command.
fn by_command(faulty: &FaultyService, action: &str, exec: &str) -> Scene {
    scene(faulty, &format!("    actions: {{{action}: {{{exec}}}}}\n"))
}

#[test]
fn no_secret_of_a_command_is_shown() {
    let faulty = service("");
    let scene = Scene::new();
    scene.write(".env", "KEY=fromenvfile\n");
    scene.write("key.txt", "fromafile\n");
    let script = "echo \"no $$1 $$KEY $$OTHER $$PASSED\" >&2; exit 3";
    let exec = format!(
        "exec: [sh, -c, '{script}', sh, \"X-Auth: ${{TOKEN}}\"], \
         env: {{OTHER: {{file: key.txt}}, PASSED: \"${{PASSED}}!\"}}, timeout: 30s"
    );
    let more = format!("    actions: {{shutdown: {{{exec}}}, restart: {{{exec}}}}}\n");
    scene.write(
        "healthctl.yaml",
        &format!(
            "env_file: .env\nservices:\n{}",
            entry("api", &faulty, &more)
        ),
    );
    let secrets = ["fromenviron", "passedalong", "fromenvfile", "fromafile"];
    let tell = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = scene.command(&words);
        command.env("TOKEN", secrets[0]).env("PASSED", secrets[1]);
        let ran = Ran::of(&mut command);
        for secret in secrets {
            let told = ran.stdout.contains(secret) || ran.stderr.contains(secret);
            assert!(!told, "{secret} is told: {ran:?}");
        }
        ran
    };
    let shown = tell("show api").stdout;
    assert!(shown.contains("- 'X-Auth: ${TOKEN}'"), "{shown}");
    let ran = tell("restart --dry-run api");
    assert!(ran.stdout.contains("X-Auth: ${TOKEN}"), "{ran:?}");
    for action in ["shutdown", "restart"] {
        let ran = tell(&format!("{action} --yes -o json api"));
        assert_eq!(ran.code, 5, "{ran:?}");
        let words = "(exit status: 3: no X-Auth: ${TOKEN} ${KEY} ${OTHER} ${PASSED}!)";
        assert!(ran.stdout.contains(words), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    let lines = audit(&scene);
    assert_eq!(lines.len(), 4);
    for line in lines {
        let request = line["request"].as_str().unwrap();
        assert!(request.contains("X-Auth: ${TOKEN}"), "{line}");
        let line = line.to_string();
        assert!(!secrets.iter().any(|it| line.contains(it)), "{line}");
    }
}

#[test]
fn a_command_runs_beside_the_inventory_with_its_env_file() {
    let faulty = service("sighup=take");
    let scene = Scene::new();
    scene.write("project/.env", "CHANNEL=ops\n");
    // A program with a `/` stands beside the file.
    std::fs::create_dir(scene.path().join("project/bin")).unwrap();
    std::os::unix::fs::symlink("/bin/sh", scene.path().join("project/bin/own")).unwrap();
    let script = "echo $$CHANNEL $$MODE $${HEALTHCTL_PROBE-unmarked} > told; kill -HUP $$PID";
    let exec = format!(
        "{{exec: [bin/own, -c, '{script}'], env: {{MODE: fast, PID: {}}}}}",
        faulty.pid()
    );
    let more = format!("    actions: {{reload: {exec}}}\n");
    scene.write(
        "project/healthctl.yaml",
        &format!(
            "env_file: .env\nservices:\n{}",
            entry("api", &faulty, &more)
        ),
    );
    let ran = run(&scene, "-f project/healthctl.yaml reload --dry-run api");
    assert!(ran.stdout.contains("` in project"), "{ran:?}");
    let mut command = scene.command(&["-f", "project/healthctl.yaml", "reload", "--yes", "api"]);
    // We were started by a probe or a hook, whose end is nothing to what an action leaves behind.
    command.env("HEALTHCTL_PROBE", "somebody's");
    let ran = Ran::of(&mut command);
    assert_ended(&ran, "accepted", 0);
    let told = std::fs::read_to_string(scene.path().join("project/told"));
    let told = told.expect("it ran beside the inventory");
    assert_eq!(told, "ops fast unmarked\n");
}

#[test]
fn a_command_can_run_in_another_directory_and_a_missing_one_is_told() {
    let faulty = service("");
    let scene = by_command(&faulty, "shutdown", "exec: [\"true\"], cwd: nowhere/here");
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(
        ran.stdout.contains("there is no directory nowhere/here"),
        "{ran:?}"
    );
}

/// Opens a named pipe that somebody waits to read from.
fn open_gate(path: &Path) -> File {
    let gate = File::options().write(true).open(path);
    gate.expect("a pipe can be opened")
}

/// A command that says `begun`, waits, says something to its standard error and output, and then `done`.
struct Halfway {
    scene: Scene,
    said: PathBuf,
    gate: PathBuf,
}

impl Halfway {
    fn new(faulty: &FaultyService) -> Self {
        let script = "exec 3> said; echo begun >&3; read go < gate; \
                      echo step >&2; echo step; echo step >&2; echo done >&3";
        let exec = format!("exec: [sh, -c, '{script}']");
        let scene = by_command(faulty, "shutdown", &exec);
        let pipe = |name: &str| {
            let path = scene.path().join(name);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .expect("a named pipe can be made");
            path
        };
        let (said, gate) = (pipe("said"), pipe("gate"));
        Self { scene, said, gate }
    }

    /// Runs it until it waits; then does this to who has started it; what it says after that.
    fn continued(&self, words: &str, end: impl FnOnce(Acting, Pid) -> i32) -> (i32, String) {
        let words: Vec<&str> = words.split(' ').collect();
        let mut command = self.scene.command(&words);
        // A foreground job of a shell.
        let acting = Acting::start({
            command.process_group(0);
            command
        });
        let group = i32::try_from(acting.pid()).ok().and_then(Pid::from_raw);
        let mut said = File::open(&self.said).expect("it opens the pipe as well");
        let mut begun = [0; 6];
        said.read_exact(&mut begun).expect("it says that it begins");
        let mut gate = open_gate(&self.gate);
        let code = end(acting, group.expect("a pid is a number"));
        // It may be gone.
        let _ = gate.write_all(b"go\n");
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("it says text");
        (code, rest)
    }
}

#[test]
fn a_command_runs_to_its_end_after_an_interruption() {
    let faulty = service("");
    let (code, said) = Halfway::new(&faulty).continued("shutdown --yes api", |acting, group| {
        // Ctrl-C is for all the foreground of a terminal.
        kill_process_group(group, Signal::INT).expect("it can be interrupted");
        let ran = acting.end();
        assert!(ran.stdout.contains("was on its way"), "{ran:?}");
        ran.code
    });
    assert_eq!((code, said.as_str()), (130, "done\n"));
}

#[test]
fn a_command_runs_to_its_end_after_its_timeout() {
    let faulty = service("");
    let words = "shutdown --yes --timeout 300ms api";
    let (code, said) = Halfway::new(&faulty).continued(words, |acting, _| acting.end().code);
    assert_eq!((code, said.as_str()), (5, "done\n"));
}

#[test]
fn a_process_left_in_the_background_does_not_hold_up_a_command() {
    let faulty = service("");
    // It holds the standard error for as long as the test lasts.
    let scene = by_command(
        &faulty,
        "shutdown",
        "exec: [sh, -c, 'read x < gate & echo no >&2; exit 4']",
    );
    let gate = scene.path().join("gate");
    mknodat(CWD, &gate, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let ran = run(&scene, "shutdown --yes --timeout 5m api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stdout.contains("exit status: 4: no"), "{ran:?}");
    drop(open_gate(&gate));
}

/// A scene whose service `api` has neither an address nor a process that is known.
fn unseen(action: &str, probe: &str) -> Scene {
    Scene::with_inventory(&format!(
        "services:\n  api:\n    probes: {{ready: {{exec: {probe}}}}}\n    actions: {{{action}}}\n"
    ))
}

#[test]
fn a_restart_without_anything_to_look_at_ends_when_its_service_is_ready() {
    let scene = unseen("restart: {exec: [touch, up]}", "[test, -e, up]");
    let ran = run(&scene, "restart --yes --timeout 5m api");
    assert_ended(&ran, "unverified", 5);
    for words in ["it is ready", "would", "pid_file"] {
        assert!(ran.stdout.contains(words), "{ran:?}");
    }
    assert!(ran.stderr.contains("ended with status 0"), "{ran:?}");
}

#[test]
fn a_restart_without_anything_to_look_at_is_not_ready_where_its_service_is_not() {
    let scene = unseen("restart: {exec: [\"true\"]}", "[test, -e, up]");
    let ran = run(&scene, "restart --yes --timeout 1s api");
    assert_ended(&ran, "not-ready", 124);
    assert!(
        ran.stdout.contains("nothing tells whether it runs again"),
        "{ran:?}"
    );
}

#[test]
fn a_shutdown_without_anything_to_look_at_is_not_waited_for() {
    for (action, words) in [
        ("shutdown", "ended with status 0"),
        ("restart", "exit status: 5: no such unit"),
    ] {
        let scene = unseen(
            "shutdown: {exec: [\"true\"]}, restart: {exec: [sh, -c, 'echo no such unit >&2; exit 5']}",
            "[\"true\"]",
        );
        let ran = run(&scene, &format!("{action} --yes --timeout 5m api"));
        assert_ended(&ran, "unverified", 5);
        assert!(ran.stdout.contains(words), "{ran:?}");
        assert!(ran.stdout.contains("would show"), "{ran:?}");
    }
}

#[test]
fn a_scheduled_shutdown_without_anything_to_look_at_is_accepted() {
    let scene = unseen("shutdown: {exec: [\"true\"]}", "[\"true\"]");
    let ran = run(&scene, "shutdown --schedule --yes api");
    assert_ended(&ran, "accepted", 0);
}
