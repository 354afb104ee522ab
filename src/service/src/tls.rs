//! A listener for TLS over another listener: connections are accepted when their handshake is done.
//!
//! Handshakes run side by side, each bounded in time, so a client that is slow or says nothing holds up nobody. One that is
//! not done when the listener closes is dropped with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// The time that a handshake may take, by default.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A listener that speaks TLS 1.2 and 1.3 with the clients of another listener.
///
/// ```no_run
/// use axum::Router;
/// use healthctl_service::{Service, Settings, TlsListener, hephaestus};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = Service::new("orders-mcp", "0.9.1", Settings::default());
/// let plain = tokio::net::TcpListener::bind("127.0.0.1:8443").await?;
/// let listener = TlsListener::from_pem_files(plain, "tls/cert.pem", "tls/key.pem")?;
/// service.serve(listener, hephaestus::routes(&service), Router::new()).await?;
/// # Ok(())
/// # }
/// ```
pub struct TlsListener<L: Listener> {
    listener: L,
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
    /// The handshakes in progress; `None` is the result of one that failed.
    handshakes: JoinSet<Option<Accepted<L>>>,
}

/// A connection whose handshake is done.
type Accepted<L> = (TlsStream<<L as Listener>::Io>, <L as Listener>::Addr);

/// The reason why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A file holds something that is damaged.
    #[error("{} is no valid PEM file: {}", path.display(), describe(error))]
    Pem {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        error: pem::Error,
    },
    /// The file of the certificates holds none.
    #[error("{} holds no certificate in the PEM format", path.display())]
    NoCertificate {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file of the key holds none, or one that is encrypted.
    #[error("{} holds no private key in the PEM format that can be used without a password", path.display())]
    NoKey {
        /// The path of the file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("the certificate {} cannot be used with the key {}: {error}", certificates.display(), key.display())]
    Unusable {
        /// The path of the certificates.
        certificates: PathBuf,
        /// The path of the key.
        key: PathBuf,
        /// The reason.
        error: rustls::Error,
    },
}

impl<L: Listener> TlsListener<L> {
    /// Creates a listener from two PEM files: the certificate of the service followed by those of the authorities
    /// between it and the root, and its private key. One file may hold both. The files are read now, and not again.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used; the error names it.
    pub fn from_pem_files(
        listener: L,
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let (certificates, key) = (certificates.as_ref(), key.as_ref());
        let unusable = |error| TlsError::Unusable {
            certificates: certificates.to_owned(),
            key: key.to_owned(),
            error,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(read_certificates(certificates)?, read_key(key)?)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            handshakes: JoinSet::new(),
        })
    }

    /// Sets the time that a handshake may take before its connection is closed; 10 seconds by default.
    #[must_use]
    pub const fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

impl<L: Listener> std::fmt::Debug for TlsListener<L> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TlsListener")
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}

impl<L> Listener for TlsListener<L>
where
    L: Listener,
    L::Addr: 'static,
{
    type Io = TlsStream<L::Io>;
    type Addr = L::Addr;

    /// Returns the next connection whose handshake is done. Loses nothing when it is cancelled.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (io, address) = self.listener.accept() => {
                    let handshake = timeout(self.handshake_timeout, self.acceptor.accept(io));
                    self.handshakes.spawn(async move {
                        match handshake.await {
                            Ok(Ok(stream)) => Some((stream, address)),
                            Ok(Err(error)) => {
                                tracing::debug!(reason = %error, "TLS handshake failed");
                                None
                            }
                            Err(_) => {
                                tracing::debug!("TLS handshake timed out");
                                None
                            }
                        }
                    });
                }
                Some(handshake) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = handshake {
                        return accepted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Describes an error, of which the library may show bytes as numbers.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its BEGIN line is damaged".to_owned(),
        error => error.to_string(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Read {
        path: path.to_owned(),
        error,
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let path = path.to_owned();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificate { path }),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::Pem { path, error }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        let path = path.to_owned();
        match error {
            pem::Error::NoItemsFound => TlsError::NoKey { path },
            error => TlsError::Pem { path, error },
        }
    })
}
