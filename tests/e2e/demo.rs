//! The demo as its users see it: real processes, ports and signals.

mod restart;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::support::demo::{Demo, ask};
use crate::support::process::Running;
use crate::support::scene::Scene;
use crate::support::waiting::{LIMIT, wait_until};

const SERVICES: [&str; 3] = ["control-plane", "orders", "search"];

fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).expect("a process id is not zero")
}

/// Opens a handle on the process of a service that stays valid when its pid is reused.
fn open_process(demo: &Demo, service: &str) -> OwnedFd {
    pidfd_open(pid(demo.pid(service)), PidfdFlags::empty()).expect("the process is there")
}

/// Waits until the process has exited, which makes its handle readable.
fn wait_for_exit(process: &OwnedFd) {
    let limit = Timespec::try_from(LIMIT).expect("it is short");
    let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit));
    assert_eq!(ended.expect("a process can be waited for"), 1, "its end");
}

fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn the_inventory_is_valid_and_each_service_follows_its_convention() {
    let demo = Demo::start(&["--calm"]);
    assert!(demo.inventory().is_absolute());
    let file = demo.inventory().to_str().unwrap();
    let valid = demo.run(&["validate", file]);
    assert_eq!((valid.code, valid.stderr.as_str()), (0, ""));

    let live = demo.ask("control-plane", "GET /healthz");
    assert_eq!(
        (live.status, live.body.as_str()),
        (200, r#"{"status":"ok"}"#)
    );
    let ready = demo.ask("control-plane", "GET /readyz");
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &"healthy".into())
    );
    let database = &ready.json()["checks"]["database"];
    assert_eq!(database["latency_ms"], 2_000_000, "nanoseconds: {database}");

    for service in ["orders", "search"] {
        let live = demo.ask(service, "GET /health/live");
        assert_eq!(
            (live.status, &live.json()["status"]),
            (200, &"healthy".into())
        );
        let status = demo.ask(service, "GET /health/status").json();
        assert_eq!(status["should_shutdown"], false);
        assert_eq!(status["dependencies"]["database"]["status"], "working");
    }
    assert_eq!(
        demo.ask("search", "GET /health/status").json()["dependencies"]["groq"],
        serde_json::json!({"status": "not_used"})
    );
}

#[test]
fn break_and_mend_take_effect_at_once() {
    let demo = Demo::start(&["--calm"]);
    let database = || {
        let mut status = demo.ask("orders", "GET /health/status").json();
        status["dependencies"]["database"].take()
    };
    let broken = demo.run(&["demo", "break", "orders", "database"]);
    assert_eq!((broken.code, broken.stderr.as_str()), (0, ""));
    assert_eq!(
        broken.stdout,
        "orders: database is broken; `healthctl demo mend orders database` mends it\n"
    );
    assert_eq!(database()["status"], "error");
    assert_eq!(database()["error"], "connection refused");
    let mended = demo.run(&["demo", "mend", "orders", "database"]);
    assert_eq!(mended.stdout, "orders: database is mended\n");
    assert_eq!(database()["status"], "working");

    demo.run(&["demo", "break", "control-plane", "ca_certificate"]);
    let ready = demo.ask("control-plane", "GET /readyz");
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (503, &"degraded".into())
    );
    demo.run(&["demo", "mend", "control-plane", "ca_certificate"]);
    assert_eq!(demo.ask("control-plane", "GET /readyz").status, 200);

    demo.run(&["demo", "break", "search", "auth"]);
    let asked = demo.ask("search", "GET /health/status");
    assert_eq!(asked.status, 401);
    assert!(
        asked.head.contains("www-authenticate: bearer"),
        "{}",
        asked.head
    );
    assert_eq!(demo.ask("search", "POST /health/shutdown").status, 401);
    demo.run(&["demo", "mend", "search", "auth"]);
    assert_eq!(demo.ask("search", "GET /health/status").status, 200);
}

#[test]
fn breaking_an_unknown_target_is_an_error_that_lists_the_known_ones() {
    let scene = Scene::new();
    let table: [(&[&str], &str); 3] = [
        (
            &["break", "order", "database"],
            "error: the demo has no service `order`\nhint: its services are control-plane, edge, syncer, warren, ingestor, orders, search\n",
        ),
        (
            &["mend", "orders", "qdrant"],
            "error: orders has no dependency `qdrant`\nhint: it has database, payments, mail; `auth` makes it ask for credentials, `process` kills it\n",
        ),
        (
            &["break", "orders", "database"],
            "error: no demo is running\nhint: start one in another terminal: `healthctl demo`\n",
        ),
    ];
    for (words, expected) in table {
        let ran = scene.run(&[&["demo"], words].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert_eq!(ran.stderr, expected);
    }
}

#[test]
fn one_of_several_demos_is_selected_by_its_inventory() {
    let first = Demo::start(&["--calm"]);
    // Its neighbour shares the directory in which demos are found.
    let scene = Scene::new();
    let mut command = scene.command(&["demo", "--no-tui", "--calm"]);
    command
        .env("XDG_RUNTIME_DIR", first.scene().path().join("runtime"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let second = Demo::from_running(scene, Running::start(&mut command).unwrap());
    let words = ["demo", "break", "orders", "database"];

    let ran = first.run(&words);
    let expected = format!(
        "error: several demos are running\nhint: name one by its inventory:\n  -f {}\n  -f {}\n",
        first.inventory().display(),
        second.inventory().display()
    );
    assert_eq!((ran.code, ran.stderr), (2, expected));

    let file = second.inventory().to_str().unwrap();
    assert_eq!(first.run(&[&["-f", file], &words[..]].concat()).code, 0);
    let status = |demo: &Demo| {
        let mut status = demo.ask("orders", "GET /health/status").json();
        status["dependencies"]["database"]["status"].take()
    };
    assert_eq!(
        (status(&first), status(&second)),
        ("working".into(), "error".into())
    );
}

#[test]
fn a_killed_demo_leaves_no_process_and_the_next_one_removes_its_directory() {
    let mut demo = Demo::start(&[]);
    let processes = SERVICES.map(|service| open_process(&demo, service));
    let _work = demo.work("orders", 60_000);
    let addresses = SERVICES.map(|service| demo.address(service));
    let left = demo.inventory().to_owned();
    demo.process().child().kill().unwrap();
    for process in processes {
        wait_for_exit(&process);
    }
    assert!(addresses.into_iter().all(refuses));
    demo.process().wait();

    assert!(left.exists(), "nobody was there to remove it");
    let none = demo.run(&["demo", "break", "orders", "database"]);
    assert!(
        none.stderr.starts_with("error: no demo is running"),
        "{}",
        none.stderr
    );
    let scene = Scene::new();
    let mut command = scene.command(&["demo", "--no-tui", "--calm"]);
    command
        .env("XDG_RUNTIME_DIR", demo.scene().path().join("runtime"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let next = Demo::from_running(scene, Running::start(&mut command).unwrap());
    assert_eq!(next.inventory(), left, "its place is free again");
    assert_eq!(next.ask("orders", "GET /health/live").status, 200);
}

#[test]
fn a_signal_ends_the_demo_its_services_and_its_directory() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut demo = Demo::start(&[]);
        let processes = SERVICES.map(|service| open_process(&demo, service));
        let _work = demo.work("orders", 60_000);
        let own = demo.process().pid().try_into().unwrap();
        kill_process(pid(own), signal).unwrap();
        assert_eq!(demo.process().wait().code(), Some(code));
        for process in processes {
            wait_for_exit(&process);
        }
        assert!(!demo.inventory().parent().unwrap().exists());
        assert_eq!(demo.next_event(), "", "nothing to say");
    }
}

#[test]
fn the_blocking_shutdown_route_answers_after_the_clean_up_and_then_the_process_exits() {
    let mut demo = Demo::start(&["--calm"]);
    let address = demo.address("orders");
    let (process, own) = (open_process(&demo, "orders"), demo.pid("orders"));
    let mut working = demo.work("orders", 6_000);
    let request_shutdown = move || ask(address, "POST /health/shutdown").unwrap();
    let first = std::thread::spawn(request_shutdown);
    // The flag is up when the service says so itself.
    let status = || demo.ask("orders", "GET /health/status").json();
    wait_until("the flag", || status()["should_shutdown"] == true);
    let second = std::thread::spawn(request_shutdown);
    assert_eq!(
        demo.ask("orders", "GET /health/live").json()["status"],
        "shutting_down"
    );
    let refused = demo.ask("orders", "GET /work/1");
    assert_eq!(refused.status, 503);
    assert!(
        refused.head.contains("connection: close"),
        "{}",
        refused.head
    );

    let mut rest = String::new();
    working.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains("done after 6s"),
        "the work in flight was finished: {rest}"
    );
    for reply in [first, second] {
        let reply = reply.join().unwrap();
        assert_eq!(
            (reply.status, &reply.json()["status"]),
            (200, &"shutdown_complete".into())
        );
        assert_eq!(reply.json()["mode"], "immediate");
        assert!(reply.json()["cleanup_duration_seconds"].as_f64() >= Some(0.3));
    }
    wait_for_exit(&process);
    assert!(refuses(address));
    assert_eq!(demo.next_event(), "orders exited: exit status: 0");
    assert!(!Path::new(&format!("/proc/{own}")).exists(), "no zombie");

    let gone = demo.run(&["demo", "break", "orders", "process"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (2, ""));
    assert_eq!(gone.stderr, "error: orders is not running\n");
    assert_eq!(
        demo.ask("search", "GET /health/live").status,
        200,
        "the others go on"
    );
}

#[test]
fn the_scheduled_shutdown_route_answers_at_once_and_the_service_drains() {
    let mut demo = Demo::start(&["--calm"]);
    let process = open_process(&demo, "search");
    let mut working = demo.work("search", 6_000);
    let reply = demo.ask("search", "POST /health/shutdown/schedule");
    assert_eq!(
        (reply.status, &reply.json()["status"]),
        (200, &"shutdown_scheduled".into())
    );
    let live = demo.ask("search", "GET /health/live").json();
    assert_eq!(live["status"], "shutting_down", "it drains, and says so");
    let mut rest = String::new();
    working.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("done after 6s"), "{rest}");
    wait_for_exit(&process);
    assert_eq!(demo.next_event(), "search exited: exit status: 0");
}

#[test]
fn the_log_of_a_service_contains_its_events_and_no_requests() {
    let mut demo = Demo::start(&["--calm"]);
    assert_eq!(demo.ask("orders", "GET /work/1").status, 200);
    demo.run(&["demo", "break", "orders", "database"]);
    assert_eq!(
        demo.ask("orders", "POST /health/shutdown/schedule").status,
        200
    );
    assert_eq!(demo.next_event(), "orders exited: exit status: 0");
    let text = demo.log("orders");
    let lines = [
        " INFO started service=orders-api version=2.4.1 address=127.0.0.1:",
        "ERROR component is unhealthy component=database reason=\"connection refused\"",
        " INFO shutdown begins cause=\"a scheduled request\"",
        " INFO shutdown done ",
    ];
    let mut rest = text.as_str();
    for line in lines {
        let (_, after) = rest.split_once(line).unwrap_or_else(|| {
            panic!("{line:?} is not in its place in the log:\n{text}");
        });
        rest = after;
    }
    assert!(!text.contains("/work/"), "{text}");
}

#[test]
fn the_control_plane_refuses_connections_while_it_drains() {
    let mut demo = Demo::start(&["--calm"]);
    let address = demo.address("control-plane");
    let (process, own) = (
        open_process(&demo, "control-plane"),
        demo.pid("control-plane"),
    );
    let mut working = demo.work("control-plane", 6_000);
    kill_process(pid(own), Signal::TERM).unwrap();
    wait_until("a refused connection", || refuses(address));
    let stream = working.get_ref();
    stream.set_nonblocking(true).unwrap();
    let nothing = stream.peek(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "the work goes on");
    stream.set_nonblocking(false).unwrap();
    let mut rest = String::new();
    working.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains("done after 6s"),
        "it lived on without its port: {rest}"
    );
    wait_for_exit(&process);
    assert_eq!(demo.next_event(), "control-plane exited: exit status: 0");
}

#[test]
fn services_start_although_the_binary_was_deleted() {
    let scene = Scene::new();
    let copy = scene.path().join("copy");
    std::fs::copy(env!("CARGO_BIN_EXE_healthctl"), &copy).unwrap();
    let open = File::open(&copy).unwrap();
    std::fs::remove_file(&copy).unwrap();
    let template = scene.command(&[]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec /proc/self/fd/0 demo --no-tui --calm"])
        .envs(
            template
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .stdin(open)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut demo = Demo::from_running(scene, Running::start(&mut command).unwrap());
    assert_eq!(demo.ask("orders", "GET /health/live").status, 200);
    let _running = restart::restart(&mut demo, "orders");
    assert_eq!(demo.ask("orders", "GET /health/live").status, 200);
}

#[test]
fn a_given_inventory_is_not_used_and_a_note_says_so() {
    let scene = Scene::with_inventory("services: {}\n");
    let mut demo = Demo::start_in(scene, &["--calm", "-f", "healthctl.yaml"]);
    assert_eq!(
        demo.next_event(),
        "note: the demo has its own inventory; the given one is not used"
    );
    assert_ne!(demo.inventory(), demo.scene().path().join("healthctl.yaml"));
}
