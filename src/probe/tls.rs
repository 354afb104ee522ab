//! Builds TLS configurations from settings.

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::inventory::Tls;

use super::connector::NoSessions;
use super::error::{ProbeError, system_message};

/// The times and sizes of the files of a setting: other ones need another client.
pub(super) type FileStamps = [Option<(SystemTime, u64)>; 3];

/// Returns the stamps of the files as they are now.
pub(super) fn stamps(tls: &Tls) -> FileStamps {
    [&tls.ca, &tls.cert, &tls.key].map(|file| {
        let found = file.as_ref()?.metadata().ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

/// Returns a configuration without roots, for clients that never use TLS: it takes microseconds, and that with the system's
/// roots milliseconds.
pub(super) fn no_roots() -> Result<ClientConfig, ProbeError> {
    Ok(finished(
        builder()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    ))
}

/// Returns the configuration for these settings. It reads files, so it must not run in an async task.
pub(super) fn configuration(tls: &Tls) -> Result<ClientConfig, ProbeError> {
    let builder = builder()?;
    let builder = if tls.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerification(provider())))
    } else if let Some(ca) = &tls.ca {
        builder.with_root_certificates(roots(ca)?)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(system_verifier()?)
    };
    let (cert, key) = match (&tls.cert, &tls.key) {
        (None, None) => return Ok(finished(builder.with_no_client_auth())),
        // One file often has both.
        (Some(file), None) | (None, Some(file)) => (file, file),
        (Some(cert), Some(key)) => (cert, key),
    };
    let chain = certificates_of(cert, "client certificate")?;
    let read = PrivateKeyDer::from_pem_slice(&content(key, "key")?)
        .map_err(|error| unusable("key", key, &error))?;
    let config = builder
        .with_client_auth_cert(chain, read)
        .map_err(|error| unusable("client certificate", cert, &error))?;
    Ok(finished(config))
}

fn finished(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::store(Arc::new(NoSessions));
    config
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ProbeError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ProbeError::local(format!("TLS cannot be used: {error}")))
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Returns the verifier with the authorities that this machine trusts, which are read once.
fn system_verifier() -> Result<Arc<Verifier>, ProbeError> {
    static SYSTEM: OnceLock<Arc<Verifier>> = OnceLock::new();
    if let Some(verifier) = SYSTEM.get() {
        return Ok(Arc::clone(verifier));
    }
    let verifier = Verifier::new(provider()).map_err(|error| {
        ProbeError::local(format!(
            "the certificate authorities of this machine cannot be read: {error}"
        ))
    })?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| Arc::new(verifier))))
}

fn roots(file: &Path) -> Result<RootCertStore, ProbeError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of(file, "CA")? {
        roots
            .add(certificate)
            .map_err(|error| unusable("CA", file, &error))?;
    }
    Ok(roots)
}

fn certificates_of(file: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, ProbeError> {
    let found = CertificateDer::pem_slice_iter(&content(file, what)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(what, file, &error))?;
    if found.is_empty() {
        return Err(unusable(what, file, &"it holds no PEM certificate"));
    }
    Ok(found)
}

fn content(file: &Path, what: &str) -> Result<Vec<u8>, ProbeError> {
    std::fs::read(file).map_err(|error| {
        ProbeError::local(format!(
            "cannot read the {what} file {}: {}",
            file.display(),
            system_message(&error)
        ))
    })
}

fn unusable(what: &str, file: &Path, why: &dyn Display) -> ProbeError {
    ProbeError::local(format!(
        "the {what} file {} is of no use: {why}",
        file.display()
    ))
}

/// The verifier of `insecure: true`: it accepts any certificate, even one that is too old to be parsed.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
