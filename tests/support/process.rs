//! Processes that end with their test, stopped by their own id.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::waiting::{LIMIT, Lines, until, wait_until};

/// A child that is killed and reaped when its test ends.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts the command. A program that was just written may be open for writing in a process that another test has begun
    /// to start; it is tried again then.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = until("a program that nobody writes", || match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => None,
            started => Some(started),
        });
        Ok(Self { child: child? })
    }

    /// Starts the command, whose standard output nobody reads; returns the lines of its standard error too.
    #[track_caller]
    pub fn with_log(command: &mut Command) -> (Self, Lines) {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Self::start(command).expect("it can be run");
        let log = running.child.stderr.take().expect("stderr is piped");
        (running, Lines::of(log))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks it to end by this signal, and waits for that.
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid is small"), signal).expect("a child can be signalled");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("its end", || self.ended())
    }

    /// Whether it has ended; reaps it if so.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child can be asked for its end")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a process, and waits until it has gone or waits to be reaped, with all of its threads: a signal that was sent has
/// not ended anybody yet.
#[track_caller]
pub fn kill(pid: u32) {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // It may have ended with another one.
    let _ = kill_process(raw.expect("a pid is small"), Signal::KILL);
    wait_for_end(pid);
}

/// Waits until a process that is no child of the test has gone or waits to be reaped, with all of its threads: the first may
/// be a while before the others.
#[track_caller]
pub fn wait_for_end(pid: u32) {
    let threads = || {
        let entries = std::fs::read_dir(format!("/proc/{pid}/task"));
        entries.map_or(0, Iterator::count)
    };
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let runs = || stat().is_ok_and(|stat| !stat.contains(") Z ") || threads() > 1);
    wait_until("its end", || !runs());
}

/// Runs the command to its end, and returns all that it has written to standard output and standard error.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command).expect("it can be run");
    let stdout = whole(running.child.stdout.take().expect("it is piped"));
    let stderr = whole(running.child.stderr.take().expect("it is piped"));
    let status = running.wait();
    let end = |stream: Receiver<Vec<u8>>| stream.recv_timeout(LIMIT).expect("its output ends");
    Output {
        status,
        stdout: end(stdout),
        stderr: end(stderr),
    }
}

/// Reads a stream to its end.
fn whole(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, received) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is all that there is.
        let _ = stream.read_to_end(&mut bytes);
        sender.send(bytes)
    });
    received
}

/// Ports that no system gives out by itself, so that nothing but a test takes one of them meanwhile.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A loopback port that nobody listened on a moment ago; each one is given once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Other runs of the tests at the same time begin elsewhere.
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let place = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(place).expect("there are fewer ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// Waits until something accepts on the port.
pub fn wait_for_port(port: u16) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1));
    wait_until(&format!("a listener on port {port}"), || connect().is_ok());
}
