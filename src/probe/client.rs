//! The clients that requests share: one per distinct setting, built when first needed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Client, Proxy as ReqwestProxy, redirect, retry};

use crate::inventory::{Connection, HttpRequest, Proxy, Tls};

use super::connector::{Pinned, Watch};
use super::explain::Cause;
use super::tls::{self, Stamp};

/// All that makes one client differ from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// `None` where TLS is never spoken.
    tls: Option<(Tls, Stamp)>,
    proxy: Proxy,
    connection: Connection,
    socket: Option<PathBuf>,
    /// Where another name is asked for, the library keeps connections by that name: those of two hosts must not mix.
    host: Option<String>,
}

/// The clients by setting.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<Key, Client>>>);

impl Clients {
    /// The client for this request.
    pub(super) async fn of(
        &self,
        request: &HttpRequest,
        connection: Connection,
    ) -> Result<Client, Cause> {
        let url = &request.target.url;
        let secure = url.scheme() == "https"
            || matches!(&request.proxy, Proxy::Url(proxy) if proxy.scheme() == "https");
        let key = Key {
            tls: secure.then(|| (request.tls.clone(), tls::stamp(&request.tls))),
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
                .map_err(|_| Cause::local("the TLS settings could not be read"))??
        } else {
            build(&building)?
        };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was built from files that have changed since is of no more use.
        clients.retain(|other, _| !key.supersedes(other));
        Ok(clients.entry(key).or_insert(client).clone())
    }

    fn known(&self, key: &Key) -> Option<Client> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(key).cloned()
    }
}

impl Key {
    /// The same setting with other content in its files.
    fn supersedes(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (Some((mine, now)), Some((theirs, before))) => mine == theirs && now != before,
            _ => false,
        }
    }
}

fn build(key: &Key) -> Result<Client, Cause> {
    let config = match &key.tls {
        Some((settings, _)) => tls::configuration(settings)?,
        None => tls::none()?,
    };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(config)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .dns_resolver(Pinned)
        .connector_layer(Watch);
    if key.connection == Connection::Fresh {
        builder = builder.pool_max_idle_per_host(0);
    }
    if let Proxy::Url(url) = &key.proxy {
        let proxy = ReqwestProxy::all(url.clone())
            .map_err(|error| Cause::local(format!("the proxy is of no use: {error}")))?;
        builder = builder.proxy(proxy);
    }
    if let Some(socket) = &key.socket {
        builder = builder.unix_socket(socket.clone());
    }
    builder
        .build()
        .map_err(|error| Cause::local(format!("no HTTP client could be made: {error}")))
}
