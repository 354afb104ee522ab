//! A small API server that keeps leases, with resource versions as Kubernetes has them, and replicas that compete for one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::syncer::Syncer;
use super::{LEASE, leases};
use crate::support::demo::ask;

/// An API server that keeps leases, with the token for it.
pub(super) struct Cluster {
    pub(super) address: SocketAddr,
    pub(super) folder: tempfile::TempDir,
    pub(super) is_tls: bool,
    pub(super) end: Option<oneshot::Sender<()>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Cluster {
    pub(super) fn start() -> Self {
        Self::start_with(false)
    }

    pub(super) fn start_with(is_tls: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::write(folder.path().join("token"), leases::TOKEN).expect("a file can be written");
        let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let certificate = certificate.expect("a certificate can be made");
        let ca = folder.path().join("ca.crt");
        std::fs::write(ca, certificate.cert.pem()).expect("a file can be written");
        let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der());
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key.expect("a key"))
            .expect("the key fits");
        let (sender, receiver) = channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                sender
                    .send(listener.local_addr().expect("an address"))
                    .expect("it waits");
                let router = leases::routes();
                let acceptor = TlsAcceptor::from(Arc::new(tls));
                let serve = async {
                    if is_tls {
                        axum::serve(TlsApi { listener, acceptor }, router).await
                    } else {
                        axum::serve(listener, router).await
                    }
                };
                tokio::select! {
                    served = serve => served.expect("it serves"),
                    _ = ended => {}
                }
            });
        });
        Self {
            address: receiver.recv().expect("it listens"),
            folder,
            is_tls,
            end: Some(end),
            thread: Some(thread),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a replica that renews the lease each 100 ms, for 15 s.
    pub(super) fn replica(&self, holder: &str) -> Syncer {
        self.replica_with(holder, 100, 3)
    }

    pub(super) fn replica_with(
        &self,
        holder: &str,
        interval_ms: u64,
        failure_threshold: u64,
    ) -> Syncer {
        let (scheme, ca) = if self.is_tls {
            ("https", Some(self.file("ca.crt")))
        } else {
            ("http", None)
        };
        let lease = json!({
            "api": format!("{scheme}://{}", self.address),
            "ca": ca, "token": self.file("token"), "holder": holder,
            "interval_ms": interval_ms, "duration_ms": 15_000, "failure_threshold": failure_threshold,
        });
        Syncer::start(&json!({ "lease": lease }), &[])
    }

    pub(super) fn lease(&self) -> Value {
        ask(self.address, LEASE).expect("it answers").json()
    }

    pub(super) fn holder(&self) -> String {
        let lease = self.lease();
        lease["spec"]["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Writes the lease over whatever is there now, as a client that has just read it; `None` when another was faster.
    pub(super) fn overwrite(&self, spec: &Value) -> Option<()> {
        let mut lease = self.lease();
        lease["spec"] = spec.clone();
        let body = lease.to_string();
        let path = LEASE.strip_prefix("GET ").expect("it is read");
        let request = format!(
            "PUT {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            leases::TOKEN,
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(self.address).expect("it listens");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("it answers");
        answer.starts_with("HTTP/1.1 200").then_some(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The server may have ended by itself.
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

pub(super) struct TlsApi {
    pub(super) listener: TcpListener,
    pub(super) acceptor: TlsAcceptor,
}

impl Listener for TlsApi {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                continue;
            };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
