//! Who is signalled, and who never is: what somebody started by hand is found by the exact start command, and a stranger is
//! left alone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::*;
use crate::support::process::{Running, kill, wait_for_port};
use crate::support::scene::Ran;
use crate::support::started::MARK;
use crate::support::waiting::{until, wait_until};

/// Answers on a port; further arguments mean nothing.
const WEB: &str = r#"
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        b = b'{"status":"healthy"}'
        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers(); self.wfile.write(b)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"#;

/// Starts the server again whenever it has ended.
const SUPERVISOR: &str = r#"
import subprocess, sys
while True: subprocess.run([sys.executable, "web.py", sys.argv[-1]])
"#;

/// Two workers on one socket, in sessions of their own with the word `setsid`.
const PREFORK: &str = r#"
import os, socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
def work():
    if "setsid" in sys.argv: os.setsid()
    while True:
        c, _ = s.accept(); c.settimeout(2)
        try: c.recv(65536); c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except OSError: pass
        c.close()
for _ in range(2):
    if os.fork() == 0: work()
while True: time.sleep(10)
"#;

/// A helper has inherited the socket of the server.
const HEIR: &str = r#"
import os, socket, subprocess, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.set_inheritable(s.fileno(), True)
subprocess.Popen(["sleep", "300"], close_fds=False, start_new_session=True)
open("grown", "w").close()
while True: time.sleep(10)
"#;

/// A stage with the service `api` at a free port, which is `PORT` in the entry.
fn stage(entry: &str) -> (Stage, u16) {
    let port = free_port();
    let scene = Scene::new();
    for (name, text) in [
        ("web.py", WEB),
        ("sup.py", SUPERVISOR),
        ("prefork.py", PREFORK),
        ("heir.py", HEIR),
    ] {
        scene.write(name, text);
    }
    let url = format!("url: \"http://127.0.0.1:{port}\", profile: http");
    let folder = scene.path().display().to_string();
    let entry = entry
        .replace("URL", &url)
        .replace("PORT", &port.to_string());
    let mark = format!("start: {{env: {{{MARK}: \"{folder}\"}}, ");
    let entry = entry.replace("start: {", &mark);
    scene.write("healthctl.yaml", &format!("services:\n{entry}\n"));
    (Stage::of(scene), port)
}

/// Starts words in a directory as a person would in another terminal; ended with the stage.
fn by_hand(stage: &Stage, words: &[&str], cwd: &Path) -> Running {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .current_dir(cwd)
        .env(MARK, stage.scene().path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Running::start(&mut command).expect("it can be run")
}

/// Starts words in the folder of the inventory, and waits until the port is open.
fn listening(stage: &Stage, words: &str, port: u16) -> Running {
    let words = words.replace("PORT", &port.to_string());
    let words = shlex::split(&words).expect("words of a shell");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let running = by_hand(stage, &words, stage.scene().path());
    wait_for_port(port);
    running
}

fn act(stage: &Stage, words: &str) -> Ran {
    run(stage.scene(), words)
}

/// What `check` says of the only service.
fn flags(stage: &Stage) -> Vec<String> {
    let ran = act(stage, "check -o json");
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report is JSON");
    let flags = report["services"][0]["flags"].as_array().cloned();
    let flags = flags.unwrap_or_default();
    flags
        .iter()
        .filter_map(|it| Some(it.as_str()?.to_owned()))
        .collect()
}

/// What was started by hand by these words is found, and ended with all that is below it.
#[track_caller]
fn assert_found(start: &str, words: &str) {
    let (stage, port) = stage(&format!("  api: {{URL, start: {{command: {start}}}}}"));
    let mut hand = listening(&stage, words, port);
    assert_eq!(flags(&stage), [""; 0], "{start}");
    let ran = act(&stage, "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    hand.wait();
    assert_eq!(stage.running(), [0; 0], "{start}: {ran:?}");
}

/// Whoever runs these words in this directory is refused; gives what was said.
#[track_caller]
fn assert_refused(stage: &Stage, pid: u32, texts: &[&str]) {
    for action in ["shutdown", "restart", "shutdown --force"] {
        let ran = act(stage, &format!("{action} --yes api"));
        assert_ended(&ran, "refused", 4);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        for text in texts
            .iter()
            .chain(&[&*format!("pid {pid} "), &*format!("--pid {pid}")])
        {
            assert!(said.contains(text), "{text}: {ran:?}");
        }
    }
}

#[test]
fn a1_a_launcher_is_taken_off_and_a_stranger_of_the_same_interpreter_is_foreign() {
    for start in [
        "[env, A=1, python3, srv.py, \"PORT\"]",
        "[uv, run, python3, srv.py, \"PORT\"]",
        "[poetry, run, python3, srv.py, \"PORT\"]",
    ] {
        let (stage, port) = stage(&format!("  api: {{URL, start: {{command: {start}}}}}"));
        let words = [
            "python3",
            "-m",
            "http.server",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
        ];
        let mut stranger = by_hand(&stage, &words, Path::new("/"));
        wait_for_port(port);
        assert_eq!(flags(&stage), ["foreign"], "{start}");
        let ran = act(&stage, "shutdown --yes api");
        assert_ended(&ran, "refused", 4);
        for text in ["foreign", "http.server", " in /"] {
            assert!(ran.stdout.contains(text), "{text}: {ran:?}");
        }
        assert_eq!(stranger.ended(), None, "{ran:?}");
    }
}

#[test]
fn a3_a_watcher_that_npx_has_started_is_the_service_with_all_below_it() {
    let (stage, port) = stage("  api: {URL, start: {command: [npx, watch, \"PORT\"]}}");
    let path = stage.scene().write(
        "node_modules/.bin/watch",
        &format!("#!/usr/bin/env python3\n{SUPERVISOR}"),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("permissions can be set");
    let mut watcher = listening(&stage, "node_modules/.bin/watch PORT", port);
    let ran = act(&stage, "shutdown --dry-run api");
    assert!(
        ran.stdout
            .contains(&format!("SIGTERM to pid {}", watcher.pid())),
        "{ran:?}"
    );
    assert_ended(&act(&stage, "shutdown --yes api"), "stopped", 0);
    watcher.wait();
    assert_eq!(stage.running(), [0; 0]);
}

#[test]
fn a4_a_supervisor_is_stopped_rather_than_its_child() {
    let (stage, port) = stage("  api: {URL, start: {command: [python3, sup.py, \"PORT\"]}}");
    let mut supervisor = listening(&stage, "python3 sup.py PORT", port);
    assert_eq!(flags(&stage), [""; 0]);
    let ran = act(&stage, "shutdown --dry-run api");
    assert!(
        ran.stdout
            .contains(&format!("SIGTERM to pid {}", supervisor.pid())),
        "{ran:?}"
    );
    let ran = act(&stage, "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    supervisor.wait();
    assert_eq!(stage.running(), [0; 0], "{ran:?}");
}

#[test]
fn a5_workers_of_a_leader_that_was_killed_are_restarted() {
    for word in ["", ", setsid"] {
        let (stage, _) = stage(&format!(
            "  api: {{URL, start: {{command: [python3, prefork.py, \"PORT\"{word}]}}}}"
        ));
        assert_ended(&act(&stage, "start --yes api"), "started", 0);
        let record = stage.record("api").expect("it was recorded");
        let leader = record["process"]["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok());
        let leader = leader.expect("a pid is a number");
        let whole = || wait_until("its two workers", || stage.running().len() == 3);
        whole();
        let before = stage.running();
        kill(leader);
        assert_eq!(flags(&stage), [""; 0], "{word}");
        assert_ended(&act(&stage, "restart --yes api"), "restarted", 0);
        whole();
        let after = stage.running();
        assert!(
            before.iter().all(|pid| !after.contains(pid)),
            "{before:?}, {after:?}"
        );
        assert_ended(&act(&stage, "shutdown --yes api"), "stopped", 0);
        assert_eq!(stage.running(), [0; 0]);
    }
}

#[test]
fn a7_an_heir_of_the_socket_is_named_and_the_person_may_name_it() {
    let (stage, port) = stage("  api: {URL, start: {command: [python3, heir.py, \"PORT\"]}}");
    let mut server = listening(&stage, "python3 heir.py PORT", port);
    let grown = stage.scene().path().join("grown");
    wait_until("its heir", || grown.exists());
    let pid = server.pid();
    server.stop(Signal::KILL);
    let heirs = stage.running();
    let [heir] = heirs.as_slice() else {
        panic!("one heir is left of {pid}: {heirs:?}");
    };
    assert_refused(&stage, *heir, &["sleep 300"]);
    let ran = act(&stage, &format!("shutdown --yes --pid {pid} api"));
    assert_ended(&ran, "refused", 4);
    let told = format!("there is no process {pid}; pid {heir} (sleep) listens at its address");
    assert!(ran.stdout.contains(&told), "{ran:?}");
    let ran = act(&stage, &format!("shutdown --dry-run --pid {heir} api"));
    for text in ["`sleep 300`", &format!("SIGTERM to pid {heir}")] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
    let ran = act(&stage, &format!("shutdown --yes --pid {heir} api"));
    assert_ended(&ran, "stopped", 0);
    assert_eq!(stage.running(), [0; 0]);
}

#[test]
fn a8_the_process_of_the_pid_file_is_signalled_before_its_wrapper() {
    let (stage, _) = stage("  api: {URL, pid_file: srv.pid, start: {command: [./w.sh, \"PORT\"]}}");
    // Once the server has gone, the wrapper may be signalled while it is about to end.
    let script = "#!/bin/sh\npython3 web.py $1 & echo $! > srv.pid\n\
        harm() { grep -q '^State:.[RSD]' /proc/$(cat srv.pid)/status && echo too early > harm; exit 0; }\n\
        trap harm TERM\nwait\n";
    let path = stage.scene().write("w.sh", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("permissions can be set");
    assert_ended(&act(&stage, "start --yes api"), "started", 0);
    let file = stage.scene().path().join("srv.pid");
    let server = until("the pid of the server", || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.ends_with('\n').then_some(text)
    });
    let ran = act(&stage, "shutdown --dry-run api");
    assert!(
        ran.stdout
            .contains(&format!("SIGTERM to pid {}", server.trim())),
        "{ran:?}"
    );
    assert_ended(&act(&stage, "shutdown --yes api"), "stopped", 0);
    assert!(!stage.scene().path().join("harm").exists());
    assert_eq!(stage.running(), [0; 0]);
}

#[test]
fn a9_a_pid_file_that_names_nobody_who_may_be_signalled_is_refused_with_its_reason() {
    let (stage, port) = stage("  api: {URL, pid_file: api.pid}");
    let mut server = listening(&stage, "python3 web.py PORT", port);
    for text in ["+5\n", "-5\n", "1\n"] {
        stage.scene().write("api.pid", text);
        let ran = act(&stage, "shutdown --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains("holds no pid"), "{text}: {ran:?}");
    }
    // The shell that calls healthctl.
    let healthctl = stage.scene().command(&[]).get_program().to_owned();
    let script = format!(
        "echo $$ > api.pid; '{}' shutdown --yes api; echo code $?",
        healthctl.display()
    );
    let mut shell = stage.scene().command(&[]);
    let template = shell
        .get_envs()
        .map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned)));
    let envs: Vec<_> = template.collect();
    shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .current_dir(stage.scene().path());
    for (key, value) in envs {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    let said = Ran::of(&mut shell);
    assert!(said.stdout.contains("code 4"), "{said:?}");
    // A link to the right file, and one that everybody may write.
    stage.scene().write("real.pid", &server.pid().to_string());
    let file = stage.scene().path().join("api.pid");
    std::fs::remove_file(&file).expect("it can be removed");
    std::os::unix::fs::symlink("real.pid", &file).expect("a link can be made");
    assert_ended(&act(&stage, "shutdown --yes api"), "refused", 4);
    std::fs::remove_file(&file).expect("it can be removed");
    stage.scene().write("api.pid", &server.pid().to_string());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&file, mode).expect("permissions can be set");
    assert_ended(&act(&stage, "shutdown --yes api"), "refused", 4);
    if rustix::process::geteuid().is_root() {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&file, mode).expect("permissions can be set");
        std::os::unix::fs::chown(&file, Some(65534), None).expect("root may do that");
        let ran = act(&stage, "shutdown --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains("65534"), "{ran:?}");
    }
    assert_eq!(server.ended(), None);
}

#[test]
fn a10_a_doubtful_pid_file_is_no_fact() {
    let (stage, port) = stage("  api: {URL, pid_file: api.pid}");
    let server = listening(&stage, "python3 web.py PORT", port);
    let path = stage.scene().write("api.pid", &server.pid().to_string());
    let age = |path: &Path| {
        let file = std::fs::File::options()
            .write(true)
            .open(path)
            .expect("it is there");
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_modified(old).expect("its time can be set");
    };
    age(&path);
    // It listens itself, so nothing else is meant.
    assert_ended(&act(&stage, "shutdown --yes api"), "stopped", 0);
    // A process that only stands in the file.
    let mut stranger = by_hand(&stage, &["sleep", "300"], stage.scene().path());
    stage.scene().write("api.pid", &stranger.pid().to_string());
    age(&path);
    for action in ["shutdown", "restart"] {
        let ran = act(&stage, &format!("{action} --yes api"));
        assert_ended(&ran, "refused", 4);
    }
    let ran = act(&stage, "shutdown --yes api");
    for text in ["2001-09-09", "may have been given out again"] {
        assert!(ran.stdout.contains(text), "{ran:?}");
    }
    assert_eq!(stranger.ended(), None);
}

#[test]
fn a10_a_dead_pid_is_no_end_while_the_probe_passes() {
    let scene = Scene::with_inventory(
        "services:\n  api: {probes: {live: {exec: [test, -f, up]}}, pid_file: api.pid, start: {command: [touch, started]}}\n",
    );
    scene.write("up", "");
    let mut dead = Command::new("true").spawn().expect("it can be run");
    let pid = dead.id();
    dead.wait().expect("it ends");
    scene.write("api.pid", &pid.to_string());
    for action in ["shutdown", "restart", "start"] {
        let ran = run(&scene, &format!("{action} --yes api"));
        assert_ended(&ran, "refused", 4);
    }
    assert!(!scene.path().join("started").exists());
}

#[test]
fn a11_who_answers_behind_a_proxy_or_a_redirect_is_not_the_service() {
    let (stage, port) = stage(
        "  api: {url: \"http://api.invalid/\", profile: http, proxy: \"http://127.0.0.1:PORT\"}",
    );
    let mut proxy = listening(&stage, "python3 web.py PORT", port);
    let ran = act(&stage, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("proxy"), "{ran:?}");
    assert_eq!(proxy.ended(), None);
    let redirect = "import http.server, sys\nclass H(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(302); self.send_header('Location', 'http://127.0.0.1:' + sys.argv[2] + '/'); self.send_header('Content-Length', '0'); self.end_headers()\n    def log_message(self, *a): pass\nhttp.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n";
    stage.scene().write("redirect.py", redirect);
    let first = free_port();
    stage.scene().write(
        "healthctl.yaml",
        &format!("services:\n  api: {{url: \"http://127.0.0.1:{first}\", probes: {{live: {{http: /, follow_redirects: true}}}}}}\n"),
    );
    let mut redirects = listening(&stage, &format!("python3 redirect.py PORT {port}"), first);
    let ran = act(&stage, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert_eq!((proxy.ended(), redirects.ended()), (None, None), "{ran:?}");
}

#[test]
fn a12_a_process_on_record_for_another_service_is_never_this_ones() {
    let (stage, port) = stage(
        "  one: {URL, start: {command: [python3, web.py, \"PORT\"]}}\n  api: {URL, start: {command: [python3, web.py, \"PORT\", --x]}}",
    );
    assert_eq!(act(&stage, "start --yes one").code, 0);
    let pid = stage.running()[0];
    for action in [
        "start --yes",
        "shutdown --dry-run",
        "shutdown --yes --force",
        "restart --yes",
    ] {
        let ran = act(&stage, &format!("{action} api"));
        assert_ended(&ran, "refused", 4);
        for text in [&format!("pid {pid} "), "is one, started"] {
            assert!(ran.stdout.contains(text), "{action}: {ran:?}");
        }
    }
    let ran = act(&stage, "validate");
    assert!(ran.stderr.contains("has the address of `one`"), "{ran:?}");
    assert_eq!(act(&stage, "shutdown --yes one").code, 0);
    // Nor is one that was never on record, with the same program and one argument more.
    let mut stranger = listening(&stage, "python3 web.py PORT", port);
    assert_refused(&stage, stranger.pid(), &["web.py"]);
    assert_eq!(stranger.ended(), None);
}

#[test]
fn a_neighbour_a_shell_that_gives_way_or_stays_is_known_by_its_words() {
    assert_found(
        "[sh, -c, \"exec python3 web.py PORT\"]",
        "sh -c 'exec python3 web.py PORT'",
    );
    assert_found(
        "[sh, -c, \"python3 web.py PORT; true\"]",
        "sh -c 'python3 web.py PORT; true'",
    );
}

#[test]
fn a_neighbour_other_launchers_are_taken_off() {
    assert_found(
        "[nohup, nice, -n, \"1\", python3, web.py, \"PORT\"]",
        "nice -n 1 python3 web.py PORT",
    );
    assert_found(
        "[setsid, env, A=1, python3, web.py, \"PORT\"]",
        "setsid env A=1 python3 web.py PORT",
    );
}

#[test]
fn a_neighbour_a_script_is_known_behind_its_interpreter() {
    let (stage, port) = stage("  api: {URL, start: {command: [./serve, \"PORT\"]}}");
    let path = stage
        .scene()
        .write("serve", &format!("#!/usr/bin/env python3\n{WEB}"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("permissions can be set");
    let mut hand = listening(&stage, "./serve PORT", port);
    assert_ended(&act(&stage, "shutdown --yes api"), "stopped", 0);
    hand.wait();
}

#[test]
fn a_neighbour_a_script_that_gives_way_is_refused_without_a_flag() {
    let (stage, port) = stage("  api: {URL, start: {command: [./run.sh, \"PORT\"]}}");
    let path = stage
        .scene()
        .write("run.sh", "#!/bin/sh\nexec python3 web.py $1 --more\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("permissions can be set");
    let mut hand = listening(&stage, "./run.sh PORT", port);
    assert!(!flags(&stage).contains(&"foreign".to_owned()));
    assert_refused(
        &stage,
        hand.pid(),
        &[
            "web.py",
            "start the service with healthctl",
            "pid_file",
            "actions.shutdown",
        ],
    );
    let ran = act(&stage, &format!("restart --yes --pid {} api", hand.pid()));
    assert_ended(&ran, "restarted", 0);
    hand.wait();
    // From now on a keeper has it.
    assert_ended(&act(&stage, "shutdown --yes api"), "stopped", 0);
    assert_eq!(stage.running(), [0; 0]);
}

#[test]
fn a_neighbour_the_same_command_in_another_directory_is_a_stranger() {
    let (stage, port) = stage("  api: {URL, start: {command: [python3, web.py, \"PORT\"]}}");
    let path = stage.scene().write("other/web.py", WEB);
    let words = ["python3", "web.py", &port.to_string()];
    let mut stranger = by_hand(&stage, &words, path.parent().expect("it has a folder"));
    wait_for_port(port);
    assert_eq!(flags(&stage), ["foreign"]);
    assert_refused(&stage, stranger.pid(), &["foreign", "other"]);
    assert_eq!(stranger.ended(), None);
}

#[test]
fn a_neighbour_only_one_service_and_only_a_process_of_its_own_can_be_named() {
    let (stage, port) =
        stage("  api: {URL, start: {command: [python3, web.py, \"PORT\"]}}\n  web: {URL}");
    let mut server = listening(&stage, "python3 web.py PORT", port);
    let mut other = by_hand(&stage, &["sleep", "300"], stage.scene().path());
    let ran = act(
        &stage,
        &format!("shutdown --yes --pid {} api web", server.pid()),
    );
    assert_eq!(ran.code, 2, "{ran:?}");
    let ran = act(&stage, &format!("shutdown --yes --pid {} api", other.pid()));
    assert_ended(&ran, "refused", 4);
    assert_eq!((server.ended(), other.ended()), (None, None), "{ran:?}");
}

#[test]
fn a_neighbour_a_start_beside_two_copies_does_not_take_both_for_the_service() {
    let (stage, port) = stage("  api: {URL, start: {command: [python3, web.py, \"PORT\"]}}");
    let inventory = stage.scene().path().join("healthctl.yaml");
    let text = std::fs::read_to_string(&inventory).expect("the inventory can be read");
    let text = text.replace("127.0.0.1", "localhost");
    std::fs::write(&inventory, text).expect("the inventory can be written");
    let mut ours = listening(&stage, "python3 web.py PORT", port);
    let words = [
        "python3",
        "-m",
        "http.server",
        "--bind",
        "::1",
        &port.to_string(),
    ];
    let mut other = by_hand(&stage, &words, Path::new("/"));
    wait_until("a listener", || {
        std::net::TcpStream::connect(("::1", port)).is_ok()
    });
    let ran = act(&stage, "start --yes api");
    assert_ended(&ran, "refused", 4);
    for pid in [ours.pid(), other.pid()] {
        assert!(ran.stdout.contains(&format!("pid {pid} ")), "{ran:?}");
    }
    assert_eq!((ours.ended(), other.ended()), (None, None));
}

/// Serves on its first port, and has a shell serve on its second one.
const BOTH: &str = "import subprocess, sys\n\
    subprocess.Popen([\"sh\", \"-c\", f\"python3 web.py {sys.argv[2]}; true\"])\n\
    exec(open(\"web.py\").read())\n";

/// The folder of a service that also starts what listens at the address of another one, `other`.
fn both(host: &str) -> (Stage, u16, u16) {
    let other = free_port();
    let (stage, port) = stage(&format!(
        "  api: {{URL, start: {{command: [python3, both.py, \"PORT\", \"{other}\"]}}}}\n  other: {{profile: http, url: \"http://{host}:{other}\"}}"
    ));
    stage.scene().write("both.py", BOTH);
    (stage, port, other)
}

#[test]
fn a_neighbour_what_a_child_has_started_for_another_service_is_left_alone() {
    let (stage, _, other) = both("127.0.0.1");
    assert_ended(&act(&stage, "start --yes api"), "started", 0);
    wait_for_port(other);
    let ran = act(&stage, "shutdown --yes --force --timeout 20s api");
    assert_ended(&ran, "stopped", 0);
    let told = "; left alone: pid ";
    let why = "which has started a process of another service";
    assert!(
        ran.stdout.contains(told) && ran.stdout.contains(why),
        "{ran:?}"
    );
    // The shell and what it has started.
    assert_eq!(stage.running().len(), 2, "{ran:?}");
    wait_for_port(other);
}

#[test]
fn a_neighbour_the_address_of_another_service_is_known_by_its_name() {
    let (stage, port, other) = both("other.localhost");
    let words = ["python3", "both.py", &port.to_string(), &other.to_string()];
    let mut hand = by_hand(&stage, &words, stage.scene().path());
    wait_for_port(port);
    wait_for_port(other);
    let ran = act(&stage, "shutdown --yes --timeout 5s api");
    assert_ended(&ran, "stopped", 0);
    hand.wait();
    assert_eq!(stage.running().len(), 2, "{ran:?}");
    wait_for_port(other);
}

#[test]
fn a_neighbour_a_launcher_that_nobody_knows_may_have_given_way() {
    let (stage, port) =
        stage("  api: {URL, start: {command: [prlimit, \"--core=0\", python3, web.py, \"PORT\"]}}");
    let mut hand = listening(&stage, "prlimit --core=0 python3 web.py PORT", port);
    assert_eq!(flags(&stage), [""; 0]);
    let ran = act(&stage, "check --fail-on foreign");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_refused(&stage, hand.pid(), &["may have given way to it"]);
    assert_eq!(hand.ended(), None);
}

#[test]
fn a_neighbour_who_was_named_once_is_not_named_for_good() {
    let (stage, port) = stage("  api: {URL, start: {command: [python3, other.py, \"PORT\"]}}");
    let script = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nexec(open(\"web.py\").read())\n";
    stage.scene().write("deaf.py", script);
    let mut hand = listening(&stage, "python3 deaf.py PORT", port);
    let words = format!("shutdown --yes --timeout 1s --pid {} api", hand.pid());
    let ran = act(&stage, &words);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.contains("still-answering"), "{ran:?}");
    assert_refused(&stage, hand.pid(), &["deaf.py"]);
    assert_eq!(hand.ended(), None);
}

/// A server of root and its worker of another user, which share a socket and answer in the words of a profile.
const MASTER: &str = r#"
import os, socket, sys, time
if len(sys.argv) == 2:
    s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    if os.fork():
        while True: time.sleep(10)
    os.setuid(65534)
    s.set_inheritable(True)
    # Its open files can be read by its user once it has begun a program.
    program = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    os.execv(program, ["python3", *sys.argv, str(s.fileno())])
s = socket.socket(fileno=int(sys.argv[2]))
body = b'{"status":"healthy","checks":{}}'
while True:
    c, _ = s.accept(); c.recv(65536)
    c.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)); c.close()
"#;

#[test]
fn a_neighbour_a_worker_is_no_sole_owner_beside_a_master_of_another_user() {
    // Only root can run a program as two users.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (stage, port) = stage("");
    let scene = stage.scene();
    scene.write("master.py", MASTER);
    scene.write(
        "healthctl.yaml",
        &format!(
            "services:\n  api: {{profile: control-plane, url: \"http://127.0.0.1:{port}\"}}\n"
        ),
    );
    let copy = scene.path().join("healthctl");
    std::fs::copy(crate::support::scene::program(), &copy).expect("the binary can be copied");
    std::os::unix::fs::chown(scene.path(), Some(65534), None).expect("root may do that");
    let mut master = listening(&stage, "python3 master.py PORT", port);
    let mut command = scene.command_of(&copy, &["shutdown", "--yes", "api"]);
    let ran = Ran::of(std::os::unix::process::CommandExt::uid(&mut command, 65534));
    assert_ended(&ran, "refused", 4);
    assert_eq!(master.ended(), None);
    assert_eq!(stage.running().len(), 2, "{ran:?}");
}
