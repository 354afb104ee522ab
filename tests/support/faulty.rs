//! A service in a process of its own that misbehaves as it is told: this test binary, run again.
//!
//! It speaks the routes of `hephaestus` as far as actions need them, and obeys orders on its standard input:
//! `exit`, `close` (its listeners), `listen` (again), `drain`, `asked`. It ends with its standard input, unless it is
//! `alone`, as one that healthctl starts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use super::process::Running;
use super::waiting::Lines;

/// The environment variable that makes a service of the test binary.
pub const VARIABLE: &str = "FAULTY_SERVICE";

/// A misbehaving service; killed when its test ends.
pub struct FaultyService {
    running: Running,
    orders: ChildStdin,
    answers: Lines,
    port: u16,
}

impl FaultyService {
    /// Starts one that does as the words say: `shutdown=stay`, `shutdown=404` (an error page), `boot` (Spring Boot's routes), `sigterm=ignore`, `reload=parts`, `sighup=take`,
    /// `status=401`, `port=8000`, `v6`, `shared`, `standby`, `start=whole`, `start=none`, `gate=FILE`, `sigusr2=handover`, `when=FILE` (it listens once that is there), `writes=FILE` (at
    /// its start), `broken=FILE` (it does not start while that is there). `test` is the full name of the test that calls
    /// [`serve_if_asked`].
    pub fn start(test: &str, words: &str) -> Self {
        let program = std::env::current_exe().expect("this binary has a path");
        Self::start_as(&program, test, words)
    }

    /// Starts one by this path of the test binary, whose last part the kernel takes for its name.
    pub fn start_as(program: &Path, test: &str, words: &str) -> Self {
        let mut running = Running::start(
            Command::new(program)
                .args(["--exact", test, "--ignored", "--nocapture"])
                .env(VARIABLE, words)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        )
        .expect("this binary can be run again");
        let orders = running.child().stdin.take().expect("stdin is piped");
        let answers = running.child().stdout.take().expect("stdout is piped");
        let mut faulty = Self {
            running,
            orders,
            answers: Lines::of(answers),
            port: 0,
        };
        faulty.port = faulty.answer("port").parse().expect("a port is a number");
        faulty
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Gives an order and waits until it was carried out; gives what it says to that.
    pub fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("the service reads its orders");
        self.answer(order)
    }

    /// How many requests to stop or to reload it has had.
    pub fn asked(&mut self) -> usize {
        self.order("asked").parse().expect("a count is a number")
    }

    /// Tells it to exit, and waits for that.
    pub fn exit(&mut self) {
        writeln!(self.orders, "exit").expect("the service reads its orders");
        self.running.wait();
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.running.ended().is_none()
    }

    /// The rest of the next line with this word. The lines of the test runner are passed over; where it has one processor, it
    /// has written the begin of that line.
    fn answer(&mut self, word: &str) -> String {
        let start = format!("faulty {word}:");
        let line = self.answers.until(&start, |line| line.contains(&start));
        let (_, answer) = line.split_once(&start).expect("it contains this");
        answer.trim().to_owned()
    }
}

/// How the service is to behave.
#[derive(Default, Clone)]
struct Words(Vec<(String, String)>);

impl Words {
    fn parse(text: &str) -> Self {
        Self(
            text.split_ascii_whitespace()
                .map(|word| {
                    let (key, value) = word.split_once('=').unwrap_or((word, ""));
                    (key.to_owned(), value.to_owned())
                })
                .collect(),
        )
    }

    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == key)?;
        Some(&found.1)
    }
}

/// An open listener: its address, the flag that closes it, its thread.
type Listener = (SocketAddr, Arc<AtomicBool>, thread::JoinHandle<()>);

/// The service, shared by its threads.
struct Service {
    words: Words,
    started: jiff::Timestamp,
    draining: AtomicBool,
    asked: AtomicUsize,
    listeners: Mutex<Vec<Listener>>,
    /// Where it listens: as it is told, or where it listened first.
    port: OnceLock<u16>,
}

/// Makes a service of this process where it was started as one; returns at once elsewhere.
pub fn serve_if_asked() {
    let Ok(words) = std::env::var(VARIABLE) else {
        return;
    };
    let words = Words::parse(&words);
    let broken = words
        .get("broken")
        .is_some_and(|file| Path::new(file).exists());
    if broken || words.get("fail").is_some() {
        let mut words = std::io::stderr().lock();
        for number in 1..=25 {
            writeln!(words, "line {number} of its last words").expect("it has a log");
        }
        std::process::exit(3);
    }
    if words.get("leave").is_some() {
        // In its session, and not ended with it.
        let status = Command::new("sh").args(["-c", "sleep 300 &"]).status();
        assert!(status.expect("a shell can be run").success());
    }
    let service = Arc::new(Service {
        words,
        started: jiff::Timestamp::now(),
        draining: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
        listeners: Mutex::new(Vec::new()),
        port: OnceLock::new(),
    });
    service.take_signals();
    if let Some(file) = service.words.get("when") {
        while !Path::new(file).exists() {
            thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }
    let port = if service.words.get("standby").is_some() {
        service.words.get("port").unwrap_or("0").parse().unwrap()
    } else {
        service.listen()
    };
    if let Some(file) = service.words.get("writes") {
        std::fs::write(file, "made\n").expect("it can write");
        // The kernel tells its own start no closer than a tick, and that of the file is to be later in any case.
        let time = service.started + std::time::Duration::from_millis(200);
        let file = std::fs::File::options().write(true).open(file);
        let set = file.expect("it is there").set_modified(time.into());
        set.expect("its time can be set");
    }
    say("port", &port.to_string());
    while service.words.get("alone").is_some() {
        thread::park();
    }
    for line in std::io::stdin().lines() {
        let order = line.expect("orders are text");
        let said = match order.as_str() {
            "close" => {
                service.close(|_| true);
                String::new()
            }
            "listen" => service.listen().to_string(),
            "drain" => {
                service.draining.store(true, Ordering::SeqCst);
                String::new()
            }
            "asked" => service.asked.load(Ordering::SeqCst).to_string(),
            "exit" => break,
            other => panic!("an unknown order: {other}"),
        };
        say(&order, &said);
    }
    std::process::exit(0);
}

fn say(word: &str, text: &str) {
    println!("faulty {word}: {text}");
}

impl Service {
    /// SIGTERM and SIGHUP as the words say; without a word each ends the process as it would any other.
    fn take_signals(self: &Arc<Self>) {
        use tokio::signal::unix::SignalKind;
        if let Some(what) = self.words.get("sigterm").map(str::to_owned) {
            self.take_signal(SignalKind::terminate(), move |service| {
                match what.as_str() {
                    "ignore" => {}
                    "close" => service.close(|_| true),
                    "drain" => service.draining.store(true, Ordering::SeqCst),
                    other => panic!("an unknown word: sigterm={other}"),
                }
            });
        }
        if self.words.get("sigusr2") == Some("handover") {
            self.take_signal(SignalKind::user_defined2(), |_| {
                let own = std::env::current_exe().expect("this binary has a path");
                let successor = Command::new(own).args(std::env::args_os().skip(1)).spawn();
                successor.expect("it can be run again");
                std::process::exit(0);
            });
        }
        if let Some(what) = self.words.get("sighup").map(str::to_owned) {
            self.take_signal(SignalKind::hangup(), move |_| match what.as_str() {
                "take" => {}
                "exit" => std::process::exit(1),
                other => panic!("an unknown word: sighup={other}"),
            });
        }
    }

    /// Does this whenever the signal comes; it is taken when this returns.
    fn take_signal(
        self: &Arc<Self>,
        kind: tokio::signal::unix::SignalKind,
        act: impl Fn(&Self) + Send + 'static,
    ) {
        let service = Arc::clone(self);
        let (ready, taken) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let mut signals =
                    tokio::signal::unix::signal(kind).expect("the signal can be taken");
                ready.send(()).expect("somebody waits");
                while signals.recv().await.is_some() {
                    service.asked.fetch_add(1, Ordering::SeqCst);
                    act(&service);
                }
            });
        });
        taken.recv().expect("the signal is taken");
    }

    /// Listens on 127.0.0.1, with `v6` on ::1 at the same port as well, with `v6only` only there; gives the port.
    fn listen(self: &Arc<Self>) -> u16 {
        let told = self.words.get("port").and_then(|port| port.parse().ok());
        let port = told.or(self.port.get().copied()).unwrap_or(0);
        if self.words.get("v6only").is_some() {
            let only = self.open(format!("[::1]:{port}").parse().unwrap());
            return *self.port.get_or_init(|| only.port());
        }
        let first = self.open(format!("127.0.0.1:{port}").parse().unwrap());
        if self.words.get("v6").is_some() {
            self.open(format!("[::1]:{}", first.port()).parse().unwrap());
        }
        *self.port.get_or_init(|| first.port())
    }

    fn open(self: &Arc<Self>, address: SocketAddr) -> SocketAddr {
        let listener = bind(address, self.words.get("shared").is_some());
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let closed = Arc::new(AtomicBool::new(false));
        let (service, flag) = (Arc::clone(self), Arc::clone(&closed));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                let service = Arc::clone(&service);
                if let Ok(stream) = stream {
                    thread::spawn(move || service.answer(stream));
                }
            }
        });
        let mut listeners = self.listeners.lock().expect("no thread has panicked");
        listeners.push((address, closed, accepting));
        address
    }

    /// Closes those of its listeners; when this returns they refuse.
    fn close(&self, those: impl Fn(&SocketAddr) -> bool) {
        let mut listeners = self.listeners.lock().expect("no thread has panicked");
        let (close, keep) = listeners
            .drain(..)
            .partition(|(address, ..)| those(address));
        *listeners = keep;
        let close: Vec<(SocketAddr, Arc<AtomicBool>, thread::JoinHandle<()>)> = close;
        for (address, closed, accepting) in close {
            closed.store(true, Ordering::SeqCst);
            // It waits in accept: a connection wakes it.
            let _ = TcpStream::connect(address);
            accepting.join().expect("the listener ends");
        }
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.is_empty() {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
                break;
            }
            let lower = header.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let _ = reader.by_ref().take(length).read_to_end(&mut Vec::new());
        let stream = reader.into_inner();
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("GET"), Some("/health/live" | "/health/status")) => self.status(stream),
            (Some("POST"), Some("/health/shutdown" | "/actuator/shutdown")) => {
                self.shutdown("shutdown", stream);
            }
            (Some("POST"), Some("/health/shutdown/schedule")) => self.shutdown("schedule", stream),
            (Some("POST"), Some("/config/reload" | "/actuator/refresh")) => self.reload(stream),
            (Some("GET"), Some("/actuator/health" | "/actuator/health/liveness"))
                if self.words.get("boot").is_some() =>
            {
                reply(stream, 200, r#"{"status":"UP"}"#);
            }
            (_, path) => error_page(stream, 404, path.unwrap_or_default()),
        }
    }

    /// Its start as it reports it: without a zone; with `start=whole` in whole seconds, with `start=back` by a clock
    /// that is set back ever further, so that whoever starts later reports an earlier time.
    fn reported_start(&self) -> String {
        let start = match self.words.get("start") {
            Some("back") => {
                let fixed: jiff::Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
                let real: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
                fixed - self.started.duration_since(real)
            }
            // Computed anew each time from an uptime in whole seconds.
            Some("wander") => {
                let now = jiff::Timestamp::now();
                let uptime = now.duration_since(self.started).as_secs();
                now - jiff::SignedDuration::from_secs(uptime)
            }
            _ => self.started,
        };
        let text = match self.words.get("start") {
            Some("whole") => format!("{start:.0}"),
            _ => start.to_string(),
        };
        text.trim_end_matches('Z').to_owned()
    }

    fn status(&self, stream: TcpStream) {
        if let Some(code) = self.words.get("status") {
            let code = code.parse().expect("status= takes a code");
            return reply(stream, code, "{}");
        }
        let draining = self.draining.load(Ordering::SeqCst);
        let uptime = jiff::Timestamp::now().duration_since(self.started);
        let mut body = serde_json::json!({
            "status": if draining { "shutting_down" } else { "healthy" },
            "uptime_seconds": uptime.as_secs_f64(),
            "start_time": self.reported_start(),
            "version": "1.0.0",
            "service": "faulty",
            "should_shutdown": draining,
            "dependencies": {},
            "resources": {},
        });
        if self.words.get("start") == Some("none")
            && let Some(fields) = body.as_object_mut()
        {
            fields.remove("start_time");
            fields.remove("uptime_seconds");
        }
        reply(stream, 200, &body.to_string());
    }

    fn shutdown(&self, route: &str, stream: TcpStream) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let complete = r#"{"status":"shutdown_complete","mode":"immediate"}"#;
        match self.words.get(route).unwrap_or("stay") {
            "stay" => reply(stream, 200, complete),
            "exit" => {
                reply(stream, 200, complete);
                std::process::exit(0);
            }
            "cut" => std::process::exit(0),
            "deny" => reply(stream, 401, r#"{"error":"no token"}"#),
            "fault" => reply(stream, 500, "Internal Server Error"),
            "hang" => {
                // The connection stays open for as long as the process lives.
                let mut stream = stream;
                let _ = stream.read_to_end(&mut Vec::new());
                thread::park();
            }
            "drain" => {
                self.draining.store(true, Ordering::SeqCst);
                reply(
                    stream,
                    200,
                    r#"{"status":"shutdown_scheduled","should_shutdown":true}"#,
                );
            }
            how @ ("gate" | "late") => {
                // One that is late does not tell that it drains.
                self.draining.store(how == "gate", Ordering::SeqCst);
                reply(stream, 200, r#"{"status":"shutdown_scheduled"}"#);
                let gate = self.words.get("gate").expect("shutdown=gate names a gate");
                while !Path::new(gate).exists() {
                    thread::park_timeout(std::time::Duration::from_millis(5));
                }
                std::process::exit(0);
            }
            "reexec" => {
                use std::os::unix::process::CommandExt;
                reply(stream, 200, complete);
                let own = std::env::current_exe().expect("this binary has a path");
                let error = Command::new(own).args(std::env::args_os().skip(1)).exec();
                panic!("it cannot run itself again: {error}");
            }
            "close" => {
                reply(stream, 200, complete);
                self.close(|_| true);
            }
            "close-v4" => {
                reply(stream, 200, complete);
                self.close(SocketAddr::is_ipv4);
            }
            code => error_page(
                stream,
                code.parse().expect("a word or a code"),
                "/health/shutdown",
            ),
        }
    }
}

impl Service {
    fn reload(&self, stream: TcpStream) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let parts = |adapters: &str, port: &str| {
            serde_json::json!({"parts": {
                "adapters": {"status": adapters, "message": null},
                "port": {"status": port, "message": null},
            }})
            .to_string()
        };
        match self.words.get("reload").unwrap_or("empty") {
            "empty" => reply(stream, 200, ""),
            "parts" => reply(stream, 200, &parts("reloaded", "unchanged")),
            "partial" => reply(stream, 200, &parts("reloaded", "needs-restart")),
            "reject" => reply(
                stream,
                500,
                "failed to reload config: line 3: no such adapter\n",
            ),
            "deny" => reply(stream, 403, "Lifecycle API is not enabled."),
            "later" => reply(stream, 202, r#"{"message":"queued"}"#),
            "exit" => {
                reply(stream, 200, "");
                std::process::exit(1);
            }
            "cut" => drop(stream),
            "close" => {
                reply(stream, 200, "");
                self.close(|_| true);
            }
            "hang" => {
                let mut stream = stream;
                let _ = stream.read_to_end(&mut Vec::new());
                thread::park();
            }
            code => error_page(
                stream,
                code.parse().expect("a word or a code"),
                "/config/reload",
            ),
        }
    }
}

/// Replies with the error page of Spring Boot, whose fields are about the request.
fn error_page(stream: TcpStream, code: u16, path: &str) {
    let page = serde_json::json!({
        "timestamp": "2026-01-01T00:00:00Z", "status": code, "error": "No", "path": path,
    });
    reply(stream, code, &page.to_string());
}

fn reply(mut stream: TcpStream, code: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {code} Reason\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
    let _ = stream.flush();
}

/// A listener that may share its port with another process.
fn bind(address: SocketAddr, shared: bool) -> TcpListener {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    // Closed where it runs itself again, as by any program that can do that.
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .expect("a socket can be made");
    sockopt::set_socket_reuseaddr(&socket, true).expect("an address can be used again");
    if shared {
        sockopt::set_socket_reuseport(&socket, true).expect("a port can be shared");
    }
    bind(&socket, &address).expect("the address is free");
    listen(&socket, 128).expect("a socket can listen");
    TcpListener::from(socket)
}
