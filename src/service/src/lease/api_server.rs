//! The API server: how requests are sent to it with the credentials of a pod, and the requests for one
//! lease.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::settings::{LeaseError, LeaseSettings};
use crate::client::receive;
use crate::task::BoxFuture;

/// The folder of a pod in which Kubernetes keeps the credentials of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Sends a request and returns the status code and the body of the answer, or why there is none.
pub(crate) type SendRequest =
    dyn Fn(Request<Full<Bytes>>) -> BoxFuture<Result<(StatusCode, Bytes), String>> + Send + Sync;

/// The address of a Kubernetes API server, and the credentials for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiServer {
    /// The address, such as `https://10.0.0.1:443`.
    pub address: String,
    /// The file with the certificates, in PEM, of those who sign the certificate of the server;
    /// needed for `https`, and read once.
    pub ca: Option<PathBuf>,
    /// The file with the bearer token; read for each request, since Kubernetes replaces tokens.
    pub token: Option<PathBuf>,
}

impl ApiServer {
    /// Returns the API server of the cluster in which this process runs as a pod, with the credentials
    /// of its service account.
    ///
    /// # Errors
    ///
    /// When the variables that Kubernetes sets in a pod are missing.
    pub fn in_pod() -> Result<Self, LeaseError> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| LeaseError::Settings(format!("{name} is not set: this is no pod")))
        };
        let mut host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        if host.contains(':') {
            host = format!("[{host}]");
        }
        let file = |name: &str| Some(Path::new(SERVICE_ACCOUNT).join(name));
        Ok(Self {
            address: format!("https://{host}:{port}"),
            ca: file("ca.crt"),
            token: file("token"),
        })
    }

    /// Creates the function that sends requests, each on a connection of its own: one that a load
    /// balancer has dropped in silence must not hold up a renewal.
    pub(super) fn connect(&self) -> Result<Arc<SendRequest>, LeaseError> {
        let settings = |reason: String| LeaseError::Settings(reason);
        let address: Uri = self
            .address
            .parse()
            .map_err(|error| settings(format!("address `{}`: {error}", self.address)))?;
        let is_known = matches!(address.scheme_str(), Some("http" | "https"));
        if !is_known || address.host().is_none() {
            let reason = format!("address `{}` is not like https://HOST:PORT", self.address);
            return Err(settings(reason));
        }
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            for certificate in read_certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| file_error(path, &error))?;
            }
        } else if address.scheme_str() == Some("https") {
            return Err(settings("https needs the certificate of a CA".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| settings(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Arc::new(move |request| {
            Box::pin(receive(client.request(request)))
        }))
    }
}

/// Returns the namespace of the pod in which this process runs.
///
/// # Errors
///
/// When the file that Kubernetes puts into a pod cannot be read.
pub fn pod_namespace() -> Result<String, LeaseError> {
    read_text(&Path::new(SERVICE_ACCOUNT).join("namespace"))
}

/// One lease at an API server.
pub(super) struct LeaseApi {
    /// The URI of all leases of the namespace.
    collection: String,
    name: String,
    token: Option<PathBuf>,
    send: Arc<SendRequest>,
}

impl LeaseApi {
    /// Returns the lease that the settings name; `send` sends the requests.
    pub(super) fn new(api: &ApiServer, settings: &LeaseSettings, send: Arc<SendRequest>) -> Self {
        let (address, namespace) = (api.address.trim_end_matches('/'), &settings.namespace);
        Self {
            collection: format!(
                "{address}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
            ),
            name: settings.name.clone(),
            token: api.token.clone(),
            send,
        }
    }

    /// Returns the lease; `None` when it does not exist.
    pub(super) async fn read(&self) -> Result<Option<Value>, LeaseError> {
        let uri = format!("{}/{}", self.collection, self.name);
        match self.request(Method::GET, &uri, None).await? {
            (StatusCode::OK, body) => lease_of(body).map(Some),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (code, body) => Err(refused(code, &body)),
        }
    }

    /// Creates the lease; `None` when another client was faster.
    pub(super) async fn create(&self, lease: &Value) -> Result<Option<Value>, LeaseError> {
        match self
            .request(Method::POST, &self.collection, Some(lease))
            .await?
        {
            (StatusCode::CREATED | StatusCode::OK, body) => lease_of(body).map(Some),
            (StatusCode::CONFLICT, _) => Ok(None),
            (code, body) => Err(refused(code, &body)),
        }
    }

    /// Replaces the lease; `None` when it was changed or deleted since it was read.
    pub(super) async fn update(&self, lease: &Value) -> Result<Option<Value>, LeaseError> {
        let uri = format!("{}/{}", self.collection, self.name);
        match self.request(Method::PUT, &uri, Some(lease)).await? {
            (StatusCode::OK | StatusCode::CREATED, body) => lease_of(body).map(Some),
            (StatusCode::CONFLICT | StatusCode::NOT_FOUND, _) => Ok(None),
            (code, body) => Err(refused(code, &body)),
        }
    }

    async fn request(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), LeaseError> {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::ACCEPT, "application/json")
            .header(
                header::USER_AGENT,
                concat!("healthctl-service/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(path) = &self.token {
            let token = read_text(path)?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::from(text))
            // Of all parts only the token can be one that no header may hold.
            .map_err(|error| LeaseError::Settings(format!("the token: {error}")))?;
        let (code, body) = (self.send)(request).await.map_err(LeaseError::NoAnswer)?;
        Ok((code, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// Returns the body if it is a lease with a resource version, without which nothing can be written.
fn lease_of(body: Value) -> Result<Value, LeaseError> {
    if body["metadata"]["resourceVersion"].is_string() {
        Ok(body)
    } else {
        Err(LeaseError::NotALease)
    }
}

fn refused(code: StatusCode, body: &Value) -> LeaseError {
    let reason = code.canonical_reason().unwrap_or("no reason given");
    LeaseError::Refused {
        code: code.as_u16(),
        message: body["message"].as_str().unwrap_or(reason).to_owned(),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LeaseError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| file_error(path, &error))?;
    if certificates.is_empty() {
        return Err(file_error(path, &"there is no certificate in it"));
    }
    Ok(certificates)
}

/// Returns the text of a file without the line feed at its end.
fn read_text(path: &Path) -> Result<String, LeaseError> {
    let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
    Ok(text.trim().to_owned())
}

fn file_error(path: &Path, reason: &dyn fmt::Display) -> LeaseError {
    LeaseError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
