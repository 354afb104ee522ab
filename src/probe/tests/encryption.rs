//! TLS: certificates and handshakes that are not as they should be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::server::serve;
use super::{
    FailureKind, HttpRequest, Outcome, ProbeResult, failed, get, passed, probe, prober, run, run_by,
};

/// An authority of its own, with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        Self::named("Authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for these names, and its key.
    fn issue(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A question that trusts this authority only.
    fn trusting(&self, url: &str) -> HttpRequest {
        let mut request = get(url);
        request.tls.ca = Some(self.file("ca.pem"));
        request
    }
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
}

fn key(pair: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(pair.serialize_der()).unwrap()
}

/// Answers 200 over TLS.
async fn secure(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve("127.0.0.1:0", move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut request = [0; 1024];
            // The prober may have gone, which is a test of its own.
            let _ = stream.read(&mut request).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Answers with a certificate of this authority for these names.
async fn issued(
    authority: &Authority,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> SocketAddr {
    let (certificate, pair) = authority.issue(names, change);
    let config = builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key(&pair))
        .unwrap();
    secure(config).await
}

#[track_caller]
fn refused(outcome: &Outcome, words: &str) {
    failed(outcome, ProbeResult::Fail, FailureKind::Tls, words);
    assert!(!outcome.refused);
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority() {
    let authority = Authority::new();
    let address = issued(&authority, &["127.0.0.1"], |_| ()).await;
    let outcome = run(&probe(authority.trusting(&format!("https://{address}/")))).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(address.to_string()));
}

#[tokio::test]
async fn certificates_that_are_not_accepted() {
    let authority = Authority::new();
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 2, 3);
    };
    let address = issued(&authority, &["127.0.0.1"], expired).await;
    let url = format!("https://{address}/");
    refused(
        &run(&probe(authority.trusting(&url))).await,
        &format!("certificate expired on 2002-02-03 ({address})"),
    );

    let early = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2101, 1, 1);
    };
    let address = issued(&authority, &["127.0.0.1"], early).await;
    refused(
        &run(&probe(authority.trusting(&format!("https://{address}/")))).await,
        "certificate not valid before 2101-01-01 (…)",
    );

    let address = issued(&authority, &["other.example"], |_| ()).await;
    refused(
        &run(&probe(authority.trusting(&format!("https://{address}/")))).await,
        "certificate is not for 127.0.0.1 but for other.example (…)",
    );

    let impostor = Authority::new();
    let address = issued(&impostor, &["127.0.0.1"], |_| ()).await;
    refused(
        &run(&probe(authority.trusting(&format!("https://{address}/")))).await,
        "certificate is not signed by the authority that it names…",
    );

    let stranger = Authority::named("Stranger");
    let address = issued(&stranger, &["127.0.0.1"], |_| ()).await;
    let url = format!("https://{address}/");
    refused(
        &run(&probe(authority.trusting(&url))).await,
        "certificate is self-signed or from an authority that is not trusted here…",
    );
    // The system does not trust it either.
    let outcome = run(&probe(get(&url))).await;
    assert!(matches!(
        outcome.failure.unwrap().kind,
        FailureKind::Tls | FailureKind::Local
    ));

    let mut insecure = get(&url);
    insecure.tls.insecure = true;
    passed(&run(&probe(insecure)).await);
}

#[tokio::test]
async fn a_certificate_signed_by_itself() {
    let authority = Authority::new();
    for (is_ca, words) in [
        (
            IsCa::NoCa,
            "certificate is self-signed or from an authority that is not trusted here…",
        ),
        (
            IsCa::Ca(BasicConstraints::Unconstrained),
            "certificate is …self-signed…",
        ),
    ] {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let pair = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&pair).unwrap();
        let config = builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key(&pair))
            .unwrap();
        let address = secure(config).await;
        let request = authority.trusting(&format!("https://{address}/"));
        refused(&run(&probe(request)).await, words);
    }
}

#[tokio::test]
async fn another_name_is_asked_for() {
    let authority = Authority::new();
    let address = issued(&authority, &["api.internal"], |_| ()).await;
    let mut request = authority.trusting(&format!("https://{address}/"));
    request.tls.server_name = Some("api.internal".to_owned());
    let outcome = run(&probe(request)).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(address.to_string()));
}

#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let (certificate, pair) = authority.issue(&["127.0.0.1"], |_| ());
    let config = builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key(&pair))
        .unwrap();
    let address = secure(config).await;
    let url = format!("https://{address}/");
    let outcome = run(&probe(authority.trusting(&url))).await;
    refused(
        &outcome,
        "the server demands a client certificate (see `tls.cert`)…",
    );

    let (mine, pair) = authority.issue(&["me"], |_| ());
    std::fs::write(authority.file("me.pem"), mine.pem()).unwrap();
    std::fs::write(authority.file("me.key"), pair.serialize_pem()).unwrap();
    let mut request = authority.trusting(&url);
    request.tls.cert = Some(authority.file("me.pem"));
    request.tls.key = Some(authority.file("me.key"));
    passed(&run(&probe(request)).await);
}

#[tokio::test]
async fn http_where_https_is_spoken_and_the_reverse() {
    let authority = Authority::new();
    let address = issued(&authority, &["127.0.0.1"], |_| ()).await;
    let outcome = run(&probe(get(&format!("http://{address}/")))).await;
    failed(&outcome, ProbeResult::Fail, FailureKind::Protocol, "…");

    let address = serve("127.0.0.1:0", async |mut stream| {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    refused(
        &run(&probe(authority.trusting(&format!("https://{address}/")))).await,
        "the reply is not TLS (does this port want http?) (…)",
    );
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_our_own_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("empty.pem"), "").unwrap();
    let check = async |change: &dyn Fn(&mut HttpRequest), words: &str| {
        let mut request = get("https://127.0.0.1:1/");
        change(&mut request);
        let outcome = run(&probe(request)).await;
        failed(&outcome, ProbeResult::Unknown, FailureKind::Local, words);
    };
    check(
        &|request| request.tls.ca = Some(file("none.pem")),
        "cannot read the CA file …none.pem: No such file or directory…",
    )
    .await;
    check(
        &|request| request.tls.ca = Some(file("empty.pem")),
        "the CA file … is of no use: it holds no PEM certificate",
    )
    .await;
    check(
        &|request| {
            request.tls.insecure = true;
            request.tls.cert = Some(file("none.pem"));
        },
        "cannot read the client certificate file …",
    )
    .await;
}

#[tokio::test]
async fn files_that_change_are_read_again() {
    let authority = Authority::new();
    let address = issued(&authority, &["127.0.0.1"], |_| ()).await;
    let stranger = Authority::named("Stranger");
    let probe = probe(stranger.trusting(&format!("https://{address}/")));
    let prober = prober();
    refused(&run_by(&prober, &probe).await, "…not trusted here…");
    let mut both = std::fs::read(stranger.file("ca.pem")).unwrap();
    both.extend(std::fs::read(authority.file("ca.pem")).unwrap());
    std::fs::write(stranger.file("ca.pem"), both).unwrap();
    passed(&run_by(&prober, &probe).await);
}
