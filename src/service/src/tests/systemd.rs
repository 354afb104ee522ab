//! Tests of what systemd is told, on real sockets.

use std::ffi::OsString;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::{Instant, timeout};

use crate::reload::{ConfigPart, Configuration, ReloadTrigger};
use crate::{Service, Settings, ShutdownCause};

fn service() -> Service {
    let settings = Settings {
        handle_signals: false,
        ..Settings::default()
    };
    Service::new("orders-api", "2.4.1", settings)
}

/// The socket of a systemd.
struct Systemd {
    socket: UnixDatagram,
    address: OsString,
    // The directory is removed after the socket is closed.
    _directory: tempfile::TempDir,
}

impl Systemd {
    fn at_path() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        Self {
            socket: UnixDatagram::bind(&path).unwrap(),
            address: path.into(),
            _directory: directory,
        }
    }

    fn at_abstract_name() -> Self {
        use std::os::linux::net::SocketAddrExt;
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().to_str().unwrap().to_owned();
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket: UnixDatagram::from_std(socket).unwrap(),
            address: format!("@{name}").into(),
            _directory: directory,
        }
    }

    async fn message(&self) -> String {
        let mut buffer = [0; 256];
        let received = self.socket.recv(&mut buffer);
        let received = timeout(Duration::from_secs(60), received).await;
        let length = received.expect("a message comes").unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Returns whether nothing was sent that is not read yet.
    fn is_silent(&self) -> bool {
        self.socket.try_recv(&mut [0; 256]).is_err()
    }
}

#[tokio::test(start_paused = true)]
async fn ready_is_sent_once_the_gates_are_open_and_stopping_when_the_shutdown_begins() {
    for systemd in [Systemd::at_path(), Systemd::at_abstract_name()] {
        let service = service();
        let gate = service.readiness_gate("migrations");
        service.notify_socket(&systemd.address, None).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(systemd.is_silent());
        gate.open();
        assert_eq!(systemd.message().await, "READY=1");
        service.shut_down(ShutdownCause::Program);
        assert_eq!(systemd.message().await, "STOPPING=1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_room_in_a_full_queue() {
    let systemd = Systemd::at_path();
    let service = service();
    let gate = service.readiness_gate("migrations");
    service
        .notify_socket(&systemd.address, Some(Duration::from_millis(2)))
        .unwrap();
    // Each one that finds no room is dropped.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let socket = systemd.socket.into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 256];
        let began = std::time::Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(60), "it never comes");
            let length = socket.recv(&mut buffer).unwrap();
            let message = std::str::from_utf8(&buffer[..length]).unwrap();
            if message != "WATCHDOG=1" {
                return message.to_owned();
            }
        }
    });
    gate.open();
    while !reader.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(reader.join().unwrap(), "READY=1");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stops_before_it_was_ready_is_never_reported_as_ready() {
    let systemd = Systemd::at_path();
    let service = service();
    service.readiness_gate("migrations");
    service.notify_socket(&systemd.address, None).unwrap();
    service.shut_down(ShutdownCause::Program);
    assert_eq!(systemd.message().await, "STOPPING=1");
}

#[tokio::test(start_paused = true)]
async fn keep_alives_come_twice_in_each_timeout_until_the_shutdown_is_done() {
    let systemd = Systemd::at_path();
    let service = service();
    service.readiness_gate("migrations");
    let watchdog = Duration::from_secs(10);
    service
        .notify_socket(&systemd.address, Some(watchdog))
        .unwrap();
    let begin = Instant::now();
    for count in 0..5 {
        assert_eq!(systemd.message().await, "WATCHDOG=1");
        assert_eq!(begin.elapsed().as_secs(), count * 5);
    }
    service.on_shutdown("pool", || async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        Ok::<(), String>(())
    });
    service.shut_down(ShutdownCause::Program);
    service.run().await.unwrap();
    assert_eq!(systemd.message().await, "STOPPING=1");
    assert_eq!(
        systemd.message().await,
        "WATCHDOG=1",
        "it cleaned up for 7 s"
    );
    tokio::time::sleep(4 * watchdog).await;
    assert!(systemd.is_silent(), "the shutdown is done");
}

#[tokio::test]
async fn a_reload_is_told_from_its_begin_to_its_end() {
    let systemd = Systemd::at_path();
    let service = service();
    let file = tempfile::NamedTempFile::new().unwrap();
    let parts = vec![ConfigPart::new("text", |text: &String| text)];
    let parse = |text: &str| Ok::<String, String>(text.to_owned());
    let configuration = Configuration::open(&service, file.path(), parse, parts).unwrap();
    // Before it is ready, systemd waits for the start.
    let gate = service.readiness_gate("migrations");
    service.notify_socket(&systemd.address, None).unwrap();
    configuration.reload(ReloadTrigger::Program).await;
    assert!(systemd.is_silent());
    gate.open();
    assert_eq!(systemd.message().await, "READY=1");

    configuration.reload(ReloadTrigger::Program).await;
    let begin = systemd.message().await;
    let since_boot = begin.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(since_boot.parse::<u64>().unwrap() > 0, "{begin}");
    assert_eq!(systemd.message().await, "READY=1");

    service.shut_down(ShutdownCause::Program);
    assert_eq!(systemd.message().await, "STOPPING=1");
    configuration.reload(ReloadTrigger::Program).await;
    assert!(systemd.is_silent());
}

#[tokio::test]
async fn a_socket_that_nobody_reads_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = directory.path().join("nobody");
    let error = service()
        .notify_socket(nobody.as_os_str(), None)
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
