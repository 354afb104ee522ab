//! The keeper: the small process below which a started service runs, and what holds when it, healthctl or the service is
//! killed at any moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::actions::SERVICE;
use crate::support::acting::Acting;
use crate::support::faulty::VARIABLE;
use crate::support::process::{free_port, kill};
use crate::support::scene::{Ran, Scene};
use crate::support::started::{MARK, Stage, Startable};
use crate::support::waiting::until;

/// A stage with a worker, a service without an address: a shell that runs this script.
pub(crate) fn worker(script: &str) -> Stage {
    worker_with(script, "")
}

/// The same with more keys of its `start`.
pub(crate) fn worker_with(script: &str, more: &str) -> Stage {
    let scene = Scene::new();
    let folder = scene.path().display();
    let inventory = format!(
        "services:\n  api:\n    probes: {{live: {{exec: [sh, -c, \"kill -0 $(cat pid)\"]}}}}\n    start:\n      \
         command: [sh, -c, \"echo $$$$ > pid; {script}\"]\n      log: api.log\n      env: {{{MARK}: \"{folder}\"}}\n{more}"
    );
    scene.write("healthctl.yaml", &inventory);
    Stage::of(scene)
}

pub(crate) fn run(stage: &Stage, words: &str) -> Ran {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    stage.scene().run(&words)
}

#[track_caller]
pub(crate) fn assert_ran(stage: &Stage, words: &str, verdict: &str) {
    let ran = run(stage, words);
    assert!(
        ran.stdout.starts_with(&format!("api: {verdict}: ")),
        "{ran:?}"
    );
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have ended just now.
    let _ = kill_process(pid.expect("a pid is not zero"), signal);
}

pub(crate) fn pid_at(record: &Value, key: &str) -> u32 {
    let pid = record[key]["pid"].as_u64().expect("it has a pid");
    u32::try_from(pid).expect("a pid is small")
}

/// The keeper on record.
pub(crate) fn keeper(stage: &Stage) -> u32 {
    pid_at(&stage.record("api").expect("it is on record"), "keeper")
}

/// The service on record.
pub(crate) fn service(stage: &Stage) -> u32 {
    pid_at(&stage.record("api").expect("it is on record"), "process")
}

/// The keepers of a stage, whatever is on record.
fn keepers(stage: &Stage) -> Vec<u32> {
    let starts = format!("KEEPER_STARTS={}", stage.scene().path().display());
    let is_keeper = |pid: &u32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        read("cmdline").starts_with(b"keeper\0")
            && read("environ")
                .split(|byte| *byte == 0)
                .any(|it| it.starts_with(starts.as_bytes()))
    };
    let entries = fs::read_dir("/proc").expect("/proc can be listed");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut keepers: Vec<u32> = pids.filter(is_keeper).collect();
    keepers.sort_unstable();
    keepers
}

/// Whether a process is there, and does not only wait to be reaped by whoever has adopted it.
pub(crate) fn exists(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The fields of `/proc/PID/stat` behind the name: the state, the parent, the group, the session, the terminal, …
fn stat(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    fields.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The mask of a process in `/proc/PID/status`.
fn mask(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let mask = status.lines().find_map(|line| line.strip_prefix(key));
    u64::from_str_radix(mask.expect("it has masks").trim(), 16).expect("a mask is hexadecimal")
}

fn has(mask: u64, signal: Signal) -> bool {
    mask & (1 << (signal.as_raw() - 1)) != 0
}

/// The lines of the files of all starts, those of each start together.
fn starts(stage: &Stage) -> Vec<Vec<Value>> {
    let folder = stage.scene().path().join("state/healthctl/starts");
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries
            .map(|entry| entry.expect("it can be listed").path())
            .collect()
    };
    let files = list(&folder).into_iter().flat_map(|folder| list(&folder));
    files
        .map(|file| {
            let text = fs::read_to_string(file).expect("it can be read");
            let lines = text.lines();
            lines
                .map(|line| serde_json::from_str(line).expect("each line is JSON"))
                .collect()
        })
        .collect()
}

/// Waits until the end of the only start is written down.
#[track_caller]
fn exited(stage: &Stage) -> Value {
    until("its end is written down", || {
        let starts = starts(stage);
        let [start] = starts.as_slice() else {
            return None;
        };
        start.iter().find_map(|line| line.get("exited").cloned())
    })
}

#[test]
fn it_stands_apart_and_holds_nothing_of_its_caller() {
    let stage = worker("exec sleep 600");
    let lock = stage.scene().path().join("callers.lock");
    let script = format!("exec 9>'{}' && exec \"$0\" \"$@\"", lock.display());
    let mut command = started_through(&stage, Command::new("sh").args(["-c", &script]));
    assert!(command.status().expect("sh can be run").success());
    let (keeper, service) = (keeper(&stage), service(&stage));
    assert_eq!(keepers(&stage), [keeper]);
    assert_eq!(stage.running(), [service]);
    let line = fs::read(format!("/proc/{keeper}/cmdline")).expect("it runs");
    assert_eq!(line, b"keeper\0keep\0");
    let name = fs::read_to_string(format!("/proc/{keeper}/comm")).expect("it runs");
    assert_eq!(name, "keeper\n");
    let cwd = fs::read_link(format!("/proc/{keeper}/cwd")).expect("it runs");
    assert_eq!(cwd, Path::new("/"));
    let (above, below) = (stat(keeper), stat(service));
    let number = keeper.to_string();
    assert_eq!(
        above[2..5],
        [number.clone(), number.clone(), "0".to_owned()]
    );
    assert_eq!(
        below[1..5],
        [number.clone(), service.to_string(), number, "0".to_owned()]
    );
    let holds = || -> Vec<PathBuf> {
        let open = fs::read_dir(format!("/proc/{keeper}/fd")).expect("it runs");
        let files = open.map(|descriptor| fs::read_link(descriptor.expect("it is listed").path()));
        files.map(Result::unwrap_or_default).collect()
    };
    // It lets go of the last ones while the service begins.
    let is_nothing = |file: &PathBuf| file == Path::new("/dev/null");
    let found = until("it holds nothing", || {
        Some(holds()).filter(|files| files.iter().all(is_nothing))
    });
    assert!(!found.is_empty());
    let threads = fs::read_dir(format!("/proc/{keeper}/task")).expect("it runs");
    assert_eq!(threads.count(), 1);
    assert!(!has(mask(keeper, "SigIgn:"), Signal::CHILD));
    assert_ran(&stage, "shutdown --yes api", "stopped");
    until("the keeper ends", || (!exists(keeper)).then_some(()));
    assert_eq!(exited(&stage)["signal"], 15);
}

#[test]
fn it_takes_less_than_a_megabyte() {
    let stage = worker("exec sleep 600");
    assert_ran(&stage, "start --yes api", "started");
    let path = format!("/proc/{}/smaps_rollup", keeper(&stage));
    let rollup = fs::read_to_string(path).expect("it runs");
    let dirty = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let dirty = dirty
        .and_then(|it| it.trim().strip_suffix(" kB"))
        .expect("a size in kB");
    let dirty: u64 = dirty.trim().parse().expect("a number");
    // Most of it are relocations, of which a debug build has many more.
    let limit = if cfg!(debug_assertions) { 3072 } else { 1024 };
    assert!(dirty < limit, "{dirty} kB");
}

#[test]
fn what_a_careless_hand_sends_to_many_does_not_end_it() {
    let stage = worker("exec sleep 600");
    assert_ran(&stage, "start --yes api", "started");
    let keeper = keeper(&stage);
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        send(keeper, signal);
    }
    // It still writes down how the service ends.
    kill(service(&stage));
    assert_eq!(exited(&stage)["signal"], 9);
    until("it ends then", || (!exists(keeper)).then_some(()));
}

#[test]
fn a_signal_that_was_ignored_or_blocked_stays_so_and_no_other() {
    const CALLER: &str = "\
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.execv(sys.argv[1], sys.argv[1:])
";
    let stage = worker("exec sleep 600");
    let mut command = started_through(&stage, Command::new("python3").args(["-c", CALLER]));
    assert!(command.status().expect("python3 can be run").success());
    let service = service(&stage);
    let ignored = mask(service, "SigIgn:");
    for (signal, expected) in [
        (Signal::HUP, true),
        (Signal::USR2, true),
        (Signal::INT, false),
        (Signal::TERM, false),
        (Signal::QUIT, false),
        (Signal::PIPE, false),
        (Signal::CHILD, false),
    ] {
        assert_eq!(has(ignored, signal), expected, "{signal:?}");
    }
    let blocked = mask(service, "SigBlk:");
    assert_eq!(blocked, 1 << (Signal::USR1.as_raw() - 1));
    // What the service ignores, its keeper survives as well.
    let keeper = keeper(&stage);
    send(keeper, Signal::HUP);
    assert_ran(&stage, "shutdown --yes api", "stopped");
    assert_eq!(exited(&stage)["signal"], 15);
}

/// The start of the only service, by a caller that executes what follows its own words.
fn started_through(stage: &Stage, caller: &mut Command) -> Command {
    let start = stage.scene().command(&["start", "--yes", "api"]);
    let mut command = Command::new(caller.get_program());
    command
        .args(caller.get_args())
        .arg(start.get_program())
        .args(start.get_args())
        .current_dir(stage.scene().path());
    for (name, value) in start.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn descendants_that_leave_their_session_stay_below_it() {
    let stage = worker("(setsid sleep 600 &) ; exec sleep 600");
    assert_ran(&stage, "start --yes api", "started");
    let keeper = keeper(&stage);
    let leads_a_session = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut fields = fields.split_ascii_whitespace().skip(1);
        let (parent, _, session) = (fields.next(), fields.next(), fields.next());
        parent == Some(&keeper.to_string()) && session == Some(&pid.to_string())
    };
    let other = until("it was adopted, and leads a session of its own", || {
        stage.running().into_iter().find(leads_a_session)
    });
    until("both run", || (stage.running().len() == 2).then_some(()));
    // It is no member of the service: it has left the session, and listens nowhere.
    assert_ran(&stage, "shutdown --yes api", "stopped");
    assert_eq!(stage.running(), [other]);
    assert!(exists(keeper));
    kill(other);
    until("the keeper ends", || (!exists(keeper)).then_some(()));
}

#[test]
fn when_it_is_killed_the_service_goes_on_and_is_stopped_by_its_record() {
    let stage = worker("while :; do echo goes on; sleep 0.05; done");
    assert_ran(&stage, "start --yes api", "started");
    let (keeper, service) = (keeper(&stage), service(&stage));
    kill(keeper);
    let log = stage.scene().path().join("api.log");
    let length = || fs::metadata(&log).expect("it has a log").len();
    let before = length();
    until("the service writes on", || {
        (length() > before).then_some(())
    });
    assert_ran(&stage, "start --yes api", "already-running");
    let listed = run(&stage, "list");
    assert!(listed.stdout.contains(&service.to_string()), "{listed:?}");
    assert_ran(&stage, "restart --yes api", "restarted");
    assert!(!exists(service));
    assert_ran(&stage, "shutdown --yes api", "stopped");
    assert!(stage.running().is_empty());
}

#[test]
fn when_it_is_killed_what_was_seen_to_listen_is_still_the_services_own() {
    let api = Startable::new("api", "shutdown=exit").in_background();
    let stage = Stage::new(SERVICE, &[&api]);
    assert_ran(&stage, "start --yes api", "started");
    let keeper = keeper(&stage);
    kill(keeper);
    assert_ran(&stage, "restart --yes api", "restarted");
    let is_alone = || (stage.running().len() == 1).then_some(());
    until("the command has ended and its service runs", is_alone);
}

/// Every process of the service is on record and can be stopped by that; no keeper is left.
#[track_caller]
fn assert_found_and_stopped(stage: &Stage) {
    // What was on its way when something was killed comes to its end: it runs, or has gone.
    until("it can be started, or runs already", || {
        (run(stage, "start --yes api").code == 0).then_some(())
    });
    // A keeper on its way could start it again after the shutdown.
    until("only one keeper is left", || {
        (keepers(stage).len() <= 1).then_some(())
    });
    assert_eq!(stage.running(), [service(stage)]);
    assert_ran(stage, "shutdown --yes api", "stopped");
    assert!(stage.running().is_empty());
    until("no keeper is left", || {
        keepers(stage).is_empty().then_some(())
    });
}

/// Waits without giving the processor away: the moments that are meant are shorter than a turn of the scheduler.
fn spin(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn healthctl_may_be_killed_at_any_moment_of_a_start() {
    let stage = worker("exec sleep 600");
    for step in 0..24 {
        let acting = Acting::start(stage.scene().command(&["start", "--yes", "api"]));
        spin(Duration::from_millis(step * 4));
        acting.kill();
        assert_found_and_stopped(&stage);
    }
}

#[test]
fn the_keeper_may_be_killed_at_any_moment_of_a_start() {
    let stage = worker("exec sleep 600");
    for step in 0..24 {
        let acting = Acting::start(stage.scene().command(&["start", "--yes", "api"]));
        // The first one: the other is what becomes the service.
        let keeper = until("there is a keeper", || keepers(&stage).first().copied());
        spin(Duration::from_micros(step * 500));
        send(keeper, Signal::KILL);
        let ran = acting.end();
        // Either nothing was started, or it runs.
        assert!([0, 4, 5].contains(&ran.code), "{ran:?}");
        assert_eq!(ran.code == 0, !stage.running().is_empty(), "{ran:?}");
        assert_found_and_stopped(&stage);
    }
}

#[test]
fn the_service_may_be_killed_at_any_moment_of_a_start() {
    let stage = worker("exec sleep 600");
    for step in 0..12 {
        let acting = Acting::start(stage.scene().command(&["start", "--yes", "api"]));
        let record = || stage.record_path("api");
        until("it is on record", record);
        spin(Duration::from_micros(step * 700));
        send(service(&stage), Signal::KILL);
        let ran = acting.end();
        assert!([0, 4, 5].contains(&ran.code), "{ran:?}");
        assert_found_and_stopped(&stage);
    }
}

#[test]
fn a_program_that_cannot_be_run_leaves_neither_a_record_nor_a_start() {
    let stage = Stage::of(Scene::with_inventory(
        "services:\n  api:\n    url: http://127.0.0.1:9\n    profile: http\n    start: {command: [/nowhere/program]}\n",
    ));
    let ran = run(&stage, "start --yes api");
    assert!(ran.stdout.contains("there is no such file"), "{ran:?}");
    assert_eq!(stage.record("api"), None);
    assert!(starts(&stage).is_empty());
    until("no keeper is left", || {
        keepers(&stage).is_empty().then_some(())
    });
}

#[test]
fn an_exit_is_written_into_the_file_of_its_own_start() {
    let stage = worker("until test -e go; do sleep 0.05; done; echo last words; exit 3");
    assert_ran(&stage, "start --yes api", "started");
    let first = service(&stage);
    let cwd = fs::read_link(format!("/proc/{first}/cwd")).expect("it runs");
    fs::write(cwd.join("go"), "").expect("it can be written");
    let exit = exited(&stage);
    assert_eq!((&exit["code"], exit.get("signal")), (&3.into(), None));
    fs::remove_file(cwd.join("go")).expect("it is there");
    assert_ran(&stage, "start --yes api", "started");
    let second = service(&stage);
    let told: Vec<(u64, bool)> = starts(&stage)
        .iter()
        .map(|start| {
            let exited = start.iter().any(|line| line.get("exited").is_some());
            (start[0]["pid"].as_u64().expect("it has a pid"), exited)
        })
        .collect();
    assert!(told.contains(&(first.into(), true)), "{told:?}");
    assert!(told.contains(&(second.into(), false)), "{told:?}");
}

/// The command line of a service of this test binary, for a shell.
fn service_command() -> String {
    let program = std::env::current_exe().expect("this binary has a path");
    format!(
        "'{}' --exact '{SERVICE}' --ignored --nocapture",
        program.display()
    )
}

/// A stage with a service that a shell starts by this script, `SERVICE` in it being the command of the service.
pub(crate) fn started_by(script: &str) -> Stage {
    let scene = Scene::new();
    let port = free_port();
    let script = script.replace("SERVICE", &service_command());
    let inventory = format!(
        "services:\n  api:\n    profile: hephaestus\n    url: http://127.0.0.1:{port}\n    actions: {{shutdown: off, schedule: off}}\n    \
         start:\n      command: [sh, -c, \"{script}\"]\n      log: api.log\n      ready_timeout: 30s\n      \
         env: {{{VARIABLE}: \"alone port={port}\", {MARK}: \"{}\"}}\n",
        scene.path().display()
    );
    scene.write("healthctl.yaml", &inventory);
    Stage::of(scene)
}

/// Restarts it again and again: each time exactly the `count` processes that were started are ended, and as many run again.
#[track_caller]
fn assert_restarted_again_and_again(stage: &Stage, count: usize) {
    let all = || {
        until("all of it runs, and nothing more", || {
            Some(stage.running()).filter(|running| running.len() == count)
        })
    };
    assert_ran(stage, "start --yes api", "started");
    let mut before = all();
    for _ in 0..3 {
        assert_ran(stage, "restart --yes api", "restarted");
        let now = all();
        assert!(
            now.iter().all(|pid| !before.contains(pid)),
            "{before:?} {now:?}"
        );
        before = now;
    }
    assert_ran(stage, "shutdown --yes api", "stopped");
    assert!(stage.running().is_empty());
    until("no keeper is left", || {
        keepers(stage).is_empty().then_some(())
    });
}

#[test]
fn a6_a_server_in_a_session_of_its_own_is_ended_with_its_launcher_that_stays() {
    assert_restarted_again_and_again(&started_by("setsid SERVICE & wait"), 2);
}

#[test]
fn a6_neighbour_a_server_in_a_session_of_its_own_is_ended_though_its_launcher_has_gone() {
    assert_restarted_again_and_again(&started_by("setsid SERVICE & exit 0"), 1);
}

#[test]
fn a6_neighbour_a_server_that_forked_twice() {
    let script = "(setsid sh -c \\\"SERVICE & exit 0\\\" &) ; exit 0";
    assert_restarted_again_and_again(&started_by(script), 1);
}

#[test]
fn a6_neighbour_a_launcher_that_ignores_the_end_of_its_children() {
    assert_restarted_again_and_again(&started_by("setsid SERVICE & exec sleep 600"), 2);
}

#[test]
fn a7_an_heir_of_the_socket_is_ended_with_the_server_below_the_keeper() {
    let stage = with_heir();
    assert_ran(&stage, "start --yes api", "started");
    assert_eq!(stage.running().len(), 2);
    assert_ran(&stage, "restart --yes api", "restarted");
    assert_eq!(stage.running().len(), 2);
    assert_ran(&stage, "shutdown --yes api", "stopped");
    assert!(stage.running().is_empty());
}

#[test]
fn a7_neighbour_an_heir_of_a_server_that_was_killed() {
    let stage = with_heir();
    assert_ran(&stage, "start --yes api", "started");
    kill(service(&stage));
    assert_eq!(exited(&stage)["signal"], 9);
    assert_eq!(stage.running().len(), 1);
    assert_ran(&stage, "shutdown --yes api", "stopped");
    assert!(stage.running().is_empty());
    assert_ran(&stage, "start --yes api", "started");
    assert_ran(&stage, "shutdown --yes api", "stopped");
}

/// A stage with a server whose helper, in a session of its own, has inherited the listening socket.
fn with_heir() -> Stage {
    const SERVER: &str = "\
import http.server, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
server.socket.set_inheritable(True)
subprocess.Popen(['sleep', '600'], close_fds=False, start_new_session=True)
server.serve_forever()
";
    let scene = Scene::new();
    let port = free_port();
    scene.write("server.py", SERVER);
    let inventory = format!(
        "services:\n  api:\n    url: http://127.0.0.1:{port}\n    probes: {{live: {{http: /}}}}\n    start:\n      \
         command: [python3, server.py, \"{port}\"]\n      log: api.log\n      ready_timeout: 30s\n      env: {{{MARK}: \"{}\"}}\n",
        scene.path().display()
    );
    scene.write("healthctl.yaml", &inventory);
    Stage::of(scene)
}

#[test]
fn another_order_of_the_files_finds_what_was_started() {
    let stage = worker("exec sleep 600");
    let other = "services:\n  other: {profile: http, url: \"http://127.0.0.1:9\"}\n";
    stage.scene().write("other.yaml", other);
    let (one, two) = (
        "-f healthctl.yaml -f other.yaml",
        "-f other.yaml -f healthctl.yaml",
    );
    assert_ran(&stage, &format!("start --yes {one} api"), "started");
    assert_ran(&stage, &format!("start --yes {two} api"), "already-running");
    assert_ran(&stage, "start --yes api", "already-running");
    let listed = run(&stage, &format!("list {two}"));
    assert!(
        listed.stdout.contains(&service(&stage).to_string()),
        "{listed:?}"
    );
    assert_ran(&stage, &format!("shutdown --yes {two} api"), "stopped");
    assert!(stage.running().is_empty());
}
