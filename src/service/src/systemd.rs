//! Reports to systemd, for a unit of `Type=notify`.
//!
//! | message | is sent |
//! | --- | --- |
//! | `READY=1` | when the service is ready for the first time, and after each reload |
//! | `RELOADING=1` with `MONOTONIC_USEC` | when a reload of the configuration begins |
//! | `STOPPING=1` | when a shutdown is requested |
//! | `WATCHDOG=1` | twice in each `WATCHDOG_USEC`, until the shutdown is done |
//!
//! A keep-alive is sent by a task of the service after it has read the health of the service, so that
//! a runtime that is blocked and a lock that is never released end them.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{Phase, Service};

const KEEP_ALIVE: &str = "WATCHDOG=1";

/// The time that systemd has to take a message while its queue is full.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The socket of systemd, connected twice.
#[derive(Debug)]
pub(crate) struct SystemdSocket {
    /// Waits for room in the queue of systemd, [`SEND_TIMEOUT`] at most: these messages are sent once.
    socket: UnixDatagram,
    /// Waits for nothing: the next keep-alive comes soon.
    keep_alives: UnixDatagram,
    /// Whether the service was reported as ready.
    ready: AtomicBool,
}

impl Service {
    /// Reports to systemd from now on, where it has started the process and waits for that, and
    /// returns whether it does: without `NOTIFY_SOCKET` in the environment nothing is sent.
    ///
    /// It reports that the service is ready, reloads and stops, and, where the unit has
    /// `WatchdogSec=`, that it lives. Call it when the listener is bound.
    ///
    /// # Errors
    ///
    /// When the socket cannot be reached, or `WATCHDOG_USEC` is not a number of microseconds.
    ///
    /// # Panics
    ///
    /// Outside of a runtime of tokio.
    pub fn notify_systemd(&self) -> io::Result<bool> {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(false);
        };
        let own = |pid: &str| pid.parse() == Ok(std::process::id());
        let keep_alives = env::var("WATCHDOG_PID").map_or(true, |pid| own(&pid));
        let watchdog = match env::var("WATCHDOG_USEC") {
            Ok(text) if keep_alives => Some(watchdog_timeout(&text)?),
            _ => None,
        };
        self.notify_socket(&address, watchdog)?;
        Ok(true)
    }

    /// Reports to the socket at this address, which is a path or, after an `@`, an abstract name.
    pub(crate) fn notify_socket(
        &self,
        address: &OsStr,
        watchdog: Option<Duration>,
    ) -> io::Result<()> {
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&socket_address(address)?)?;
            Ok(socket)
        };
        let connect = || {
            connect().map_err(|error: io::Error| {
                let place = address.display();
                io::Error::new(error.kind(), format!("NOTIFY_SOCKET {place}: {error}"))
            })
        };
        let socket = SystemdSocket {
            socket: connect()?,
            keep_alives: connect()?,
            ready: AtomicBool::new(false),
        };
        socket.socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        socket.keep_alives.set_nonblocking(true)?;
        if self.inner.systemd.set(socket).is_err() {
            // An earlier call has begun to report.
            return Ok(());
        }
        let service = self.clone();
        tokio::spawn(async move {
            tokio::join!(service.report_phases(), service.keep_alive(watchdog));
        });
        Ok(())
    }

    async fn report_phases(&self) {
        tokio::select! {
            () = self.ready() => self.report_ready(),
            () = self.wait_for_phase(Phase::Draining) => {}
        }
        self.wait_for_phase(Phase::Draining).await;
        self.send_to_systemd("STOPPING=1");
    }

    /// Waits until the service is ready.
    async fn ready(&self) {
        loop {
            self.run_due_checks().await;
            if self.is_ready() {
                return;
            }
            sleep(self.about.settings.check_result_ttl).await;
        }
    }

    fn report_ready(&self) {
        if let Some(systemd) = self.inner.systemd.get() {
            systemd.ready.store(true, Ordering::Relaxed);
        }
        self.send_to_systemd("READY=1");
    }

    async fn keep_alive(&self, watchdog: Option<Duration>) {
        let Some(timeout) = watchdog else { return };
        let mut ticks = interval(timeout / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let finished = self.wait_for_phase(Phase::Finished);
        let mut finished = std::pin::pin!(finished);
        loop {
            tokio::select! {
                () = &mut finished => return,
                _ = ticks.tick() => {
                    // A service whose health cannot be read is not alive.
                    let _ = self.health();
                    self.send_to_systemd(KEEP_ALIVE);
                }
            }
        }
    }

    /// Reports that a reload has begun, and on drop of the result that it is over. A service that is
    /// not ready yet or shuts down reports neither.
    pub(crate) fn report_reload(&self) -> ReloadNotice<'_> {
        let systemd = self.inner.systemd.get();
        let ready = systemd.is_some_and(|systemd| systemd.ready.load(Ordering::Relaxed));
        let reported = ready && !self.is_shutting_down();
        if reported {
            let now = clock_gettime(ClockId::Monotonic);
            let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            self.send_to_systemd(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
        }
        ReloadNotice(reported.then_some(self))
    }

    fn send_to_systemd(&self, message: &str) {
        let Some(systemd) = self.inner.systemd.get() else {
            return;
        };
        let socket = if message == KEEP_ALIVE {
            &systemd.keep_alives
        } else {
            &systemd.socket
        };
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::warn!(message, reason = %error, "systemd cannot be told");
        }
    }
}

/// Reports the end of a reload when it is dropped.
#[must_use]
pub(crate) struct ReloadNotice<'a>(Option<&'a Service>);

impl Drop for ReloadNotice<'_> {
    fn drop(&mut self) {
        if let Some(service) = self.0
            && !service.is_shutting_down()
        {
            service.send_to_systemd("READY=1");
        }
    }
}

fn socket_address(address: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let [b'@', name @ ..] = std::os::unix::ffi::OsStrExt::as_bytes(address) {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(address)
}

/// Parses the value of `WATCHDOG_USEC`.
fn watchdog_timeout(text: &str) -> io::Result<Duration> {
    match text.parse() {
        Ok(microseconds) if microseconds > 1 => Ok(Duration::from_micros(microseconds)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("WATCHDOG_USEC is {text:?}, not a number of microseconds"),
        )),
    }
}
