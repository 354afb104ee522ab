//! Tests of the listener for TLS: over it a service behaves as over any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::in_memory::{Client, Port, port};
use crate::{Phase, Service, Settings, ShutdownReport, TlsListener, WhileDraining, hephaestus};

/// A certificate with its key in two files, and a client that trusts it.
struct Certificate {
    directory: TempDir,
    connector: TlsConnector,
}

impl Certificate {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["test".to_owned()]).unwrap();
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("cert.pem"), cert.pem()).unwrap();
        let key = signing_key.serialize_pem();
        std::fs::write(directory.path().join("key.pem"), key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            directory,
            connector: TlsConnector::from(Arc::new(config)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A running service over TLS, whose `/work` takes three seconds.
struct Scene {
    certificate: Certificate,
    service: Service,
    port: Port,
    running: JoinHandle<ShutdownReport>,
}

impl Scene {
    fn new(while_draining: WhileDraining) -> Self {
        let certificate = Certificate::new();
        let settings = Settings {
            while_draining,
            handle_signals: false,
            ..Settings::default()
        };
        let service = Service::new("orders-api", "2.4.1", settings);
        let (port, listener) = port();
        let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
        let listener = TlsListener::from_pem_files(listener, cert, key).unwrap();
        let work = Router::new().route(
            "/work",
            get(|| async {
                sleep(Duration::from_secs(3)).await;
                "done"
            }),
        );
        let server = service.server(listener, hephaestus::routes(&service), work);
        Self {
            running: tokio::spawn(server.unwrap().run()),
            certificate,
            service,
            port,
        }
    }

    async fn connect(&self) -> Client<TlsStream<DuplexStream>> {
        let Client(plain) = self.port.connect().unwrap();
        let name = ServerName::try_from("test").unwrap();
        let stream = self.certificate.connector.connect(name, plain).await;
        Client(stream.unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_shutdown_drains_over_tls_and_replies_before_the_listener_closes() {
    let scene = Scene::new(WhileDraining::Answer);
    let mut working = scene.connect().await;
    working.send("GET /work").await;
    while scene.service.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let mut blocking = scene.connect().await;
    blocking.send("POST /health/shutdown").await;
    scene.service.wait_for_phase(Phase::Draining).await;

    let mut asking = scene.connect().await;
    asking.send("GET /health/live").await;
    let live = asking.answer().await.unwrap();
    assert_eq!(live.json()["status"], "shutting_down");
    asking.send("GET /work").await;
    assert_eq!(asking.answer().await.unwrap().status, 503);

    assert_eq!(working.answer().await.unwrap().body, "done");
    let done = blocking.answer().await.unwrap();
    assert_eq!(done.json()["status"], "shutdown_complete");
    assert!(scene.running.await.unwrap().drained);
    assert!(scene.port.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_holds_up_nobody_and_is_closed_after_ten_seconds() {
    let scene = Scene::new(WhileDraining::Answer);
    let begin = Instant::now();
    let mut silent = scene.port.connect().unwrap();
    let mut garbage = scene.port.connect().unwrap();
    garbage.write("GET /health/live HTTP/1.1\r\n\r\n").await;
    let mut client = scene.connect().await;
    client.send("GET /health/live").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // An alert says that this is no TLS.
    assert!(!garbage.ended().await);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(silent.ended().await);
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_in_progress_does_not_delay_the_shutdown() {
    for while_draining in [WhileDraining::Answer, WhileDraining::Refuse] {
        let scene = Scene::new(while_draining);
        let mut silent = scene.port.connect().unwrap();
        // One that comes later is accepted later.
        let mut client = scene.connect().await;
        client.send("GET /health/live").await;
        assert_eq!(client.answer().await.unwrap().status, 200);
        let begin = Instant::now();
        scene.service.shut_down(crate::ShutdownCause::Program);
        assert!(scene.running.await.unwrap().drained);
        assert!(silent.ended().await);
        assert_eq!(begin.elapsed(), Duration::ZERO, "{while_draining:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_the_reason() {
    let (ours, other) = (Certificate::new(), Certificate::new());
    let check = |certificates: &Path, key: &Path, expected: &str| {
        let (_, listener) = port();
        let error = TlsListener::from_pem_files(listener, certificates, key).unwrap_err();
        let text = error.to_string();
        let directories = [&ours, &other].map(|one| format!("{}/", one.directory.path().display()));
        let text = directories
            .iter()
            .fold(text, |text, directory| text.replace(directory, ""));
        assert_eq!(text, expected);
    };
    let (cert, key) = (ours.path("cert.pem"), ours.path("key.pem"));
    let text = ours.path("text");
    std::fs::write(&text, "no certificate").unwrap();
    let damaged = ours.path("damaged.pem");
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
    check(
        &ours.path("none"),
        &key,
        "cannot read none: No such file or directory (os error 2)",
    );
    check(&text, &key, "text holds no certificate in the PEM format");
    check(&key, &key, "key.pem holds no certificate in the PEM format");
    check(
        &damaged,
        &key,
        "damaged.pem is no valid PEM file: its END line is missing",
    );
    check(
        &cert,
        &cert,
        "cert.pem holds no private key in the PEM format that can be used without a password",
    );
    check(
        &cert,
        &other.path("key.pem"),
        "the certificate cert.pem cannot be used with the key key.pem: keys may not be consistent: KeyMismatch",
    );
}
