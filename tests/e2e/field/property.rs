//! Random process trees for real: nobody is ever signalled who was not the service's own, and whatever was started and still
//! listens is found again. `PROPERTY_SEED` repeats a run, `PROPERTY_ROUNDS` makes it longer.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;
use crate::support::process::{Running, kill, wait_for_port};
use crate::support::started::MARK;
use crate::support::waiting::wait_until;

/// Does as its last argument says, a letter a step: `f`ork and wait, fork and `d`ie, begin a `s`ession, e`x`ecute itself with
/// what is left, `l`isten and serve, `i`nherit the socket to a child that serves as well.
const TREE: &str = r#"
import os, socket, sys, time
port, steps = int(sys.argv[1]), sys.argv[-1]
s = None
def serve():
    while True:
        c, _ = s.accept(); c.settimeout(2)
        try: c.recv(65536); c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except OSError: pass
        c.close()
for at, step in enumerate(steps):
    if step == "f":
        if os.fork():
            while True: time.sleep(10)
    elif step == "d":
        above = os.getpid()
        if os.fork(): os._exit(0)
        # One that is about to end is none that runs.
        while os.getppid() == above: time.sleep(0.001)
    elif step == "s":
        try: os.setsid()
        except OSError: pass
    elif step == "x":
        os.execv(sys.executable, [sys.executable, *sys.argv[:-1], steps[at + 1:]])
    elif step == "l":
        s = socket.create_server(("127.0.0.1", port))
    elif step == "i":
        if os.fork() == 0: serve()
open(f"grown-{port}", "w").close()
serve()
"#;

/// A sequence of numbers that a seed decides (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).expect("it is small")).expect("it is small")
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn steps(&mut self) -> String {
        let count = self.below(4);
        let mut steps: String = (0..count)
            .map(|_| self.one_of(&["f", "d", "s", "x"]))
            .collect();
        steps += self.one_of(&["l", "l", "li", "lii"]);
        steps
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let set = std::env::var(variable).ok().and_then(|it| it.parse().ok());
    set.unwrap_or(otherwise)
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A folder with the script, and who must never be signalled in it.
struct World {
    stage: Stage,
    strangers: Vec<Running>,
}

impl World {
    fn new(entry: &str) -> Self {
        let scene = Scene::with_inventory(entry);
        scene.write("tree.py", TREE);
        scene.write("other/tree.py", TREE);
        Self {
            stage: Stage::of(scene),
            strangers: Vec::new(),
        }
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .current_dir(self.stage.scene().path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Adds strangers: the same program with other arguments, the same program elsewhere, a session of its own.
    fn add_strangers(&mut self) {
        let path: PathBuf = self.stage.scene().path().join("other");
        let port = free_port();
        let same_program = ["python3", "tree.py", &port.to_string(), "l"].map(str::to_owned);
        let elsewhere = ["python3", "tree.py", &free_port().to_string(), "fl"].map(str::to_owned);
        let session = ["setsid", "sleep", "300"].map(str::to_owned);
        for (words, cwd) in [(same_program, None), (elsewhere, Some(&path))] {
            let mut command = self.command(&words);
            if let Some(cwd) = cwd {
                command.current_dir(cwd);
            }
            self.strangers
                .push(Running::start(&mut command).expect("it can be run"));
        }
        let mut command = self.command(&session);
        self.strangers
            .push(Running::start(&mut command).expect("it can be run"));
        wait_for_port(port);
    }

    #[track_caller]
    fn assert_strangers_live(&mut self, what: &str) {
        for stranger in &mut self.strangers {
            assert_eq!(stranger.ended(), None, "{what}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What a stranger has forked is in its session or below it, and not ended with it.
        for stranger in &self.strangers {
            let path = format!("/proc/{pid}/task/{pid}/children", pid = stranger.pid());
            let children = std::fs::read_to_string(path).unwrap_or_default();
            for child in children
                .split_ascii_whitespace()
                .filter_map(|it| it.parse().ok())
            {
                kill(child);
            }
        }
    }
}

#[test]
fn a_stranger_is_never_signalled_and_what_was_started_is_found_again() {
    let seed = number("PROPERTY_SEED", u64::from(std::process::id()) + 1);
    println!("PROPERTY_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for round in 0..number("PROPERTY_ROUNDS", 8) {
        let (port, steps) = (free_port(), random.steps());
        let launcher = random.one_of(&["", "env, A=1, ", "nice, -n, \"1\", ", "nohup, "]);
        let by_hand = random.below(3) == 0;
        let what = format!("seed {seed}, round {round}: {launcher}{steps}, by hand: {by_hand}");
        let mut world = World::new("");
        let folder = world.stage.scene().path().display().to_string();
        world.stage.scene().write(
            "healthctl.yaml",
            &format!(
                "services:\n  api: {{url: \"http://127.0.0.1:{port}\", profile: http, start: {{command: [{launcher}python3, tree.py, \"{port}\", {steps}], env: {{{MARK}: \"{folder}\"}}, log: log}}}}\n"
            ),
        );
        let words = format!("{launcher}python3, tree.py, {port}, {steps}").replace('"', "");
        let words: Vec<String> = words.split(", ").map(str::to_owned).collect();
        world.add_strangers();
        let mut hand = None;
        if by_hand {
            let mut command = world.command(&words);
            command.env(MARK, &folder);
            hand = Some(Running::start(&mut command).expect("it can be run"));
        } else {
            let ran = run(world.stage.scene(), "start --yes api");
            assert_ended(&ran, "started", 0);
        }
        let grown = world.stage.scene().path().join(format!("grown-{port}"));
        wait_until("the whole tree", || grown.exists());
        // Somebody of it may be killed, the leader among them.
        let own = world.stage.running();
        if random.below(2) == 0 && own.len() > 1 {
            kill(own[random.below(own.len())]);
        }
        let action = random.one_of(&["shutdown", "restart", "shutdown --force"]);
        let before = world.stage.running();
        let listened = listens(port);
        std::fs::remove_file(&grown).expect("the tree has grown");
        let ran = run(
            world.stage.scene(),
            &format!("{action} --yes --timeout 20s api"),
        );
        world.assert_strangers_live(&format!("{what}: {action}: {ran:?}"));
        if by_hand && ran.code == 4 {
            if let Some(hand) = &mut hand {
                hand.ended();
            }
            assert_eq!(
                world.stage.running(),
                before,
                "{what}: nobody is touched: {ran:?}"
            );
            continue;
        }
        assert_eq!(
            ran.code, 0,
            "{what}: {action}, listened: {listened}: {ran:?}"
        );
        if action == "restart" {
            wait_until("the whole new tree", || grown.exists());
        }
        let left = world.stage.running();
        let ran = run(world.stage.scene(), "shutdown --yes --timeout 20s api");
        // Of a tree by hand somebody may be left who runs the command and is not above who listened.
        let is_left = by_hand
            && ran
                .stdout
                .contains("runs its start command and does not listen");
        if is_left {
            assert_eq!(
                (ran.code, world.stage.running()),
                (4, left),
                "{what}: {ran:?}"
            );
        } else {
            assert_eq!(ran.code, 0, "{what}: {ran:?}");
        }
        assert!(!listens(port), "{what}: {ran:?}");
        world.assert_strangers_live(&what);
    }
}

#[test]
fn a_stranger_with_the_pid_of_a_dead_service_is_left_alone() {
    let possible = Command::new("unshare")
        .args([
            "--pid",
            "--fork",
            "--mount-proc",
            "test",
            "-w",
            "/proc/sys/kernel/ns_last_pid",
        ])
        .stderr(Stdio::null())
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("no pid namespace can be made here");
        return;
    }
    let port = free_port();
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{url: \"http://127.0.0.1:{port}\", profile: http, pid_file: api.pid, start: {{command: [python3, tree.py, \"{port}\", l], log: log}}}}\n"
    ));
    scene.write("tree.py", TREE);
    let inner = scene.command(&[]);
    let program = inner.get_program().display().to_string();
    // The numbers are given out in order, so the one before decides the next.
    let script = format!(
        "'{program}' start --yes api || exit 10\n\
         pid=$(sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' state/healthctl/services/api-*.json | head -n 1)\n\
         echo $pid > api.pid\n\
         for p in /proc/[0-9]*; do p=${{p#/proc/}}; [ $p != 1 ] && [ $p != $$ ] && kill -9 $p 2>/dev/null; done\n\
         while [ -e /proc/$pid ]; do wait 2>/dev/null; done\n\
         echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid; sleep 300 & stranger=$!\n\
         echo stranger $stranger was $pid\n\
         '{program}' shutdown --yes --force api; echo code $?\n\
         kill -0 $stranger && echo alive\n"
    );
    let mut command = Command::new("unshare");
    command
        .args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "bash",
            "-c",
            &script,
        ])
        .current_dir(scene.path())
        .stdin(Stdio::null());
    for (key, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let said = command.output().expect("unshare can be run");
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        text.contains("\nalive") || text.ends_with("alive\n"),
        "{said:?}"
    );
    let pids = text.lines().find_map(|line| line.strip_prefix("stranger "));
    let pids = pids.and_then(|line| line.split_once(" was "));
    assert!(
        pids.is_some_and(|(one, other)| one == other),
        "the pid was given out anew: {said:?}"
    );
}
