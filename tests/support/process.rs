//! Processes that end with their test, stopped by their own id.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A child that is killed and reaped when its test ends.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts the command.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self {
            child: command.spawn()?,
        })
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
    pub fn stop(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        let pid = i32::try_from(self.pid()).expect("a pid is small");
        let pid = rustix::process::Pid::from_raw(pid).expect("a child has a pid");
        rustix::process::kill_process(pid, signal).expect("a child can be signalled");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
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

/// Waits until something accepts on the port; panics when nothing does within `limit`.
pub fn wait_for_port(port: u16, limit: Duration) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let start = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        assert!(start.elapsed() < limit, "nothing accepts on port {port}");
        // There is no event to wait for in a server that is not ours, so this looks again.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
