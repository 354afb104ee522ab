//! Builds a request from the inventory: method, headers, credentials, body.

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, RequestBuilder};
use url::Url;

use crate::inventory::{Auth, Connection, HttpRequest, Secret};

use super::error::ProbeError;
use super::redact::Redactions;
use super::secret;

/// Prefers JSON, and accepts anything.
const ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/health+json, application/json;q=0.9, text/plain;q=0.5, */*;q=0.1",
);
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("healthctl/", env!("CARGO_PKG_VERSION")));
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// A request with all secrets read, ready to be sent to any of its addresses.
pub(super) struct PreparedRequest<'a> {
    request: &'a HttpRequest,
    method: Method,
    headers: HeaderMap,
    pub(super) credentials: bool,
    /// The secrets in it, which a response may repeat.
    pub(super) redactions: Redactions,
}

impl<'a> PreparedRequest<'a> {
    /// Reads the secrets and checks the request. Any error here is a fault on our own side.
    pub(super) async fn new(
        client: &Client,
        request: &'a HttpRequest,
        connection: Connection,
    ) -> Result<Self, ProbeError> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| ProbeError::local(format!("{:?} is no HTTP method", request.method)))?;
        let mut headers = HeaderMap::with_capacity(request.headers.len() + 6);
        headers.insert(header::ACCEPT, ACCEPT);
        headers.insert(header::USER_AGENT, AGENT);
        if connection == Connection::Fresh {
            headers.insert(header::CONNECTION, CLOSE);
        }
        let url = &request.target.url;
        let mut credentials = request.tls.cert.is_some() || request.tls.key.is_some();
        let mut given = Vec::new();
        if let Some(value) = authorization(client, request.auth.as_ref(), url, &mut given).await? {
            credentials = true;
            headers.insert(header::AUTHORIZATION, value);
        }
        if request.tls.server_name.is_some() {
            // The URL carries the name for TLS; the `Host` header keeps that of the service.
            headers.insert(header::HOST, host(url)?);
        }
        for (name, value) in &request.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| ProbeError::local(format!("{name:?} is no name for a header")))?;
            let text = secret::read(value).await?;
            let mut content = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
                ProbeError::local(format!(
                    "the value of the header {name} has a character that no header may carry"
                ))
            })?;
            if is_credential(&parsed) || !matches!(value, Secret::Plain(_)) {
                credentials = true;
                content.set_sensitive(true);
                given.push(text.clone().into_owned());
            }
            headers.insert(parsed, content);
        }
        Ok(Self {
            request,
            method,
            headers,
            credentials,
            redactions: Redactions::of(given.into_iter().map(|secret| (secret, HIDDEN.to_owned()))),
        })
    }

    pub(super) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// Builds the request for a URL. At another host than that of the inventory, only harmless headers are kept.
    pub(super) fn build(&self, url: &Url, elsewhere: bool) -> Result<Request, ProbeError> {
        let mut url = url.clone();
        // Credentials in a URL have become a header. Removing them from a URL that had them cannot fail.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        if let Some(name) = &self.request.tls.server_name
            && url.scheme() == "https"
            && !elsewhere
        {
            url.set_host(Some(name))
                .map_err(|error| ProbeError::local(format!("tls.server_name {name:?}: {error}")))?;
        }
        let mut request = Request::new(self.method.clone(), url);
        *request.headers_mut() = if elsewhere {
            [header::ACCEPT, header::USER_AGENT, header::CONNECTION]
                .into_iter()
                .filter_map(|name| {
                    let value = self.headers.get(&name)?.clone();
                    Some((name, value))
                })
                .collect()
        } else {
            self.headers.clone()
        };
        if let Some(body) = &self.request.body {
            *request.body_mut() = Some(body.clone().into());
        }
        Ok(request)
    }
}

/// Returns the `Authorization` header: from the entry `auth`, else from the URL.
async fn authorization(
    client: &Client,
    auth: Option<&Auth>,
    url: &Url,
    given: &mut Vec<String>,
) -> Result<Option<HeaderValue>, ProbeError> {
    let builder: RequestBuilder = match auth {
        Some(Auth::Bearer(token)) => {
            let token = secret::read(token).await?;
            given.push(token.clone().into_owned());
            client.get(NOWHERE).bearer_auth(token)
        }
        Some(Auth::Basic { user, password }) => {
            let password = secret::read(password).await?;
            given.push(password.clone().into_owned());
            client.get(NOWHERE).basic_auth(user, Some(password))
        }
        None if url.username().is_empty() && url.password().is_none() => return Ok(None),
        // reqwest makes a header of the credentials in the URL.
        None => {
            given.extend(url.password().map(str::to_owned));
            client.get(url.clone())
        }
    };
    let mut request = builder.build().map_err(|_| {
        ProbeError::local("the secret for `auth` has a character that no header may carry")
    })?;
    let value = request.headers_mut().remove(header::AUTHORIZATION);
    Ok(value.map(|mut value| {
        // The header holds the password in another form, which can be decoded.
        let words = value.to_str().unwrap_or_default().split(' ');
        given.extend(words.skip(1).map(str::to_owned));
        value.set_sensitive(true);
        value
    }))
}

/// The replacement of a secret in a response.
const HIDDEN: &str = "***";

/// The URL of a request that is never sent: reqwest only makes a header of it.
const NOWHERE: &str = "http://localhost/";

fn host(url: &Url) -> Result<HeaderValue, ProbeError> {
    let name = url.host_str().unwrap_or_default();
    let text = match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    HeaderValue::from_str(&text)
        .map_err(|_| ProbeError::local("the URL's host is of no use for HTTP"))
}

/// Returns whether a header is a credential.
fn is_credential(name: &HeaderName) -> bool {
    *name == header::AUTHORIZATION
        || *name == header::PROXY_AUTHORIZATION
        || *name == header::COOKIE
        || ["key", "token", "secret", "password"]
            .iter()
            .any(|part| name.as_str().contains(part))
}
