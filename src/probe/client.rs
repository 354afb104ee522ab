//! The HTTP clients: one for each distinct setting, built when first needed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Client, Proxy as ReqwestProxy, redirect, retry};

use crate::inventory::{Connection, HttpRequest, Proxy, Tls};

use super::connector::{PinnedResolver, RecordingLayer};
use super::error::ProbeError;
use super::tls::{self, FileStamps};

/// The settings by which clients differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    /// `None` when TLS is not used.
    tls: Option<(Tls, FileStamps)>,
    proxy: Proxy,
    connection: Connection,
    socket: Option<PathBuf>,
    /// The host, when TLS uses another name: reqwest keeps connections by that name, and two hosts must not share them.
    host: Option<String>,
}

/// The clients by their settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<ClientKey, Client>>>);

impl Clients {
    /// Returns the client for a request.
    pub(super) async fn of(
        &self,
        request: &HttpRequest,
        connection: Connection,
    ) -> Result<Client, ProbeError> {
        let url = &request.target.url;
        let secure = url.scheme() == "https"
            || matches!(&request.proxy, Proxy::Url(proxy) if proxy.scheme() == "https");
        let key = ClientKey {
            tls: secure.then(|| (request.tls.clone(), tls::stamps(&request.tls))),
            proxy: request.proxy.clone(),
            connection,
            socket: request.target.socket.clone(),
            host: (secure && request.tls.server_name.is_some())
                .then(|| format!("{:?}:{:?}", url.host(), url.port_or_known_default())),
        };
        if let Some(client) = self.known(&key) {
            return Ok(client);
        }
        let building = key.clone();
        let client = if secure {
            tokio::task::spawn_blocking(move || build(&building))
                .await
                .map_err(|_| ProbeError::local("the TLS settings could not be read"))??
        } else {
            build(&building)?
        };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Clients that were built from files which have changed since are of no more use.
        clients.retain(|other, _| !key.supersedes(other));
        Ok(clients.entry(key).or_insert(client).clone())
    }

    /// Closes all kept connections that no request uses just now.
    pub(super) fn drop_kept(&self) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|key, _| key.connection != Connection::Reuse);
    }

    fn known(&self, key: &ClientKey) -> Option<Client> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(key).cloned()
    }
}

impl ClientKey {
    /// Returns whether this is the same setting with newer files.
    fn supersedes(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (Some((mine, now)), Some((theirs, before))) => mine == theirs && now != before,
            _ => false,
        }
    }
}

fn build(key: &ClientKey) -> Result<Client, ProbeError> {
    let config = match &key.tls {
        Some((settings, _)) => tls::configuration(settings)?,
        None => tls::no_roots()?,
    };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(config)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .dns_resolver(PinnedResolver)
        .connector_layer(RecordingLayer);
    if key.connection == Connection::Fresh {
        builder = builder.pool_max_idle_per_host(0);
    }
    if let Proxy::Url(url) = &key.proxy {
        let proxy = ReqwestProxy::all(url.clone())
            .map_err(|error| ProbeError::local(format!("the proxy is of no use: {error}")))?;
        builder = builder.proxy(proxy);
    }
    if let Some(socket) = &key.socket {
        builder = builder.unix_socket(socket.clone());
    }
    builder
        .build()
        .map_err(|error| ProbeError::local(format!("no HTTP client could be made: {error}")))
}
