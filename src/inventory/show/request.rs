//! The request of a probe or an action.

use crate::profile::raw::{At, Request};
use crate::profile::{Auth, Connection, Proxy, Secret};
use crate::yaml::{is_secret_name, mask_secrets};

use super::super::library::Known;
use super::super::resolve::{Layer, headers, http, request};
use super::super::service::HttpRequest;
use super::lines::Lines;
use super::{BUILT_IN, origin};

/// The map behind `http`.
pub(super) fn show_http(
    lines: &mut Lines,
    sent: &HttpRequest,
    default_method: &str,
    layers: &[Layer<'_>],
    known: Option<&Known>,
) {
    lines.open("http", None);
    let from = http(layers, |http| http.to.as_ref())
        .map(|(at, kind)| origin(at, kind, known))
        .unwrap_or_default();
    lines.leaf("url", sent.target.to_string(), from);
    let from = http(layers, |http| http.method.as_ref())
        .map_or_else(|| BUILT_IN.to_owned(), |(at, kind)| origin(at, kind, known));
    if sent.method != default_method || from != BUILT_IN {
        lines.leaf("method", sent.method.as_str(), from);
    }
    if let Some((at, kind)) = http(layers, |http| http.body.as_ref())
        && let Some(body) = &sent.body
    {
        let shown = written(at).unwrap_or_else(|| mask_secrets(body));
        lines.leaf("body", shown, origin(at, kind, known));
    }
    lines.close();
}

/// What stands beside `http`.
pub(super) fn show_options(
    lines: &mut Lines,
    sent: &HttpRequest,
    layers: &[Layer<'_>],
    known: Option<&Known>,
) {
    if !sent.headers.is_empty() {
        lines.open("headers", None);
        for (name, secret) in &sent.headers {
            let said = headers(layers)
                .into_iter()
                .find(|(header, ..)| header.name.value == *name);
            let from = said.map(|(header, kind, _)| origin(&header.name, kind, known));
            let as_written = said.and_then(|(header, ..)| written(&header.value));
            let from = from.unwrap_or_default();
            match (secret, as_written) {
                (Secret::Plain(_), Some(text)) => lines.leaf(name, text, from),
                (Secret::Plain(_), None) if is_secret_name(name) => lines.leaf(name, "***", from),
                (Secret::Plain(text), None) => lines.leaf(name, text.as_str(), from),
                _ => show_secret(lines, name, secret, &from),
            }
        }
        lines.close();
    }
    let of = |request: Option<String>| request.unwrap_or_else(|| BUILT_IN.to_owned());
    if let Some(auth) = &sent.auth {
        let from = of(from(layers, |request| request.auth.as_ref(), known));
        lines.open("auth", None);
        match auth {
            Auth::Bearer(secret) => show_secret(lines, "bearer", secret, &from),
            Auth::Basic { user, password } => {
                lines.open("basic", None);
                lines.leaf("user", user.as_str(), from.as_str());
                show_secret(lines, "password", password, &from);
                lines.close();
            }
        }
        lines.close();
    }
    show_tls(lines, sent, layers, known);
    let proxy = match &sent.proxy {
        Proxy::None => "none".to_owned(),
        Proxy::Url(url) => crate::profile::Target {
            url: url.clone(),
            socket: None,
        }
        .to_string(),
    };
    lines.leaf(
        "proxy",
        proxy,
        of(from(layers, |request| request.proxy.as_ref(), known)),
    );
    lines.leaf(
        "follow_redirects",
        sent.follow_redirects,
        of(from(
            layers,
            |request| request.follow_redirects.as_ref(),
            known,
        )),
    );
    let connection = match sent.connection {
        Connection::Fresh => "fresh",
        Connection::Reuse => "reuse",
    };
    lines.leaf(
        "connection",
        connection,
        of(from(layers, |request| request.connection.as_ref(), known)),
    );
}

fn show_tls(lines: &mut Lines, sent: &HttpRequest, layers: &[Layer<'_>], known: Option<&Known>) {
    let tls = &sent.tls;
    if *tls == crate::profile::Tls::default() {
        return;
    }
    lines.open("tls", None);
    macro_rules! path {
        ($key:literal, $field:ident) => {
            if let Some(path) = &tls.$field {
                let from = from(layers, |request| request.tls.$field.as_ref(), known);
                lines.leaf($key, path.display().to_string(), from.unwrap_or_default());
            }
        };
    }
    path!("ca", ca);
    path!("cert", cert);
    path!("key", key);
    if let Some(name) = &tls.server_name {
        let from = from(layers, |request| request.tls.server_name.as_ref(), known);
        lines.leaf("server_name", name.as_str(), from.unwrap_or_default());
    }
    if tls.insecure {
        let from = from(layers, |request| request.tls.insecure.as_ref(), known);
        lines.leaf("insecure", true, from.unwrap_or_default());
    }
    lines.close();
}

fn from<'a, T: 'a>(
    layers: &[Layer<'a>],
    get: impl Fn(&'a Request) -> Option<&'a At<T>>,
    known: Option<&Known>,
) -> Option<String> {
    request(layers, get).map(|(at, kind)| origin(at, kind, known))
}

pub(super) fn show_secret(lines: &mut Lines, key: &str, secret: &Secret, from: &str) {
    match secret {
        Secret::Plain(_) => lines.leaf(key, "***", from),
        Secret::Env(name) | Secret::EnvOr { name, .. } => {
            lines.open(key, None);
            lines.leaf("env", name.as_str(), from);
            lines.close();
        }
        Secret::File(path) => {
            lines.open(key, None);
            lines.leaf("file", path.display().to_string(), from);
            lines.close();
        }
    }
}

/// What was written where a variable's value is in it: the value may be a secret.
pub(super) fn written<T>(at: &At<T>) -> Option<String> {
    let text = at.place.text();
    text.contains("${")
        .then(|| mask_secrets(text.trim_matches(['"', '\''])))
}
