//! A request put together from its layers.

use crate::profile::raw::{At, To};
use crate::profile::{Auth, Proxy, Secret, Target, Tls};
use crate::yaml::{Place, Problem, Problems, is_secret_name};

use super::super::service::HttpRequest;
use super::layers::{self, Layer};
use super::{Parts, defaults};

/// The request that the layers of a probe or an action describe. Nothing where it has nowhere to go, which is told.
pub(super) fn request(
    parts: &Parts<'_>,
    layers: &[Layer<'_>],
    what: &str,
    default_method: &str,
    problems: &mut Problems,
) -> Option<HttpRequest> {
    let method = layers::http(layers, |http| http.method.as_ref());
    let body = layers::http(layers, |http| http.body.as_ref());
    let target = target(parts, layers, what, problems);
    let elsewhere = match (&target, &parts.raw.url) {
        (Some(target), Some(url)) => !target.same_host(&url.value),
        _ => false,
    };
    let (headers, auth) = credentials(parts, layers, elsewhere, target.as_ref(), problems);
    let tls = tls(layers, problems);
    let target = target?;
    let proxy = layers::request(layers, |request| request.proxy.as_ref())
        .map_or(Proxy::None, |(proxy, _)| proxy.value.clone());
    Some(HttpRequest {
        // A socket is on this machine: no proxy reaches it.
        proxy: match target.socket {
            Some(_) => Proxy::None,
            None => proxy,
        },
        target,
        method: method
            .map_or(default_method, |(method, _)| &method.value)
            .to_owned(),
        headers,
        body: body
            .map(|(body, _)| body.value.clone())
            .filter(|body| !body.is_empty()),
        auth,
        tls,
        follow_redirects: layers::request(layers, |request| request.follow_redirects.as_ref())
            .is_some_and(|(follow, _)| follow.value),
        connection: layers::request(layers, |request| request.connection.as_ref())
            .map_or(defaults::CONNECTION, |(connection, _)| connection.value),
    })
}

fn target(
    parts: &Parts<'_>,
    layers: &[Layer<'_>],
    what: &str,
    problems: &mut Problems,
) -> Option<Target> {
    let to = layers::http(layers, |http| http.to.as_ref()).map(|(to, _)| to);
    let path = match to {
        Some(At {
            value: To::Address(target),
            ..
        }) => return Some(target.clone()),
        Some(At {
            value: To::Path(path),
            ..
        }) => path.as_str(),
        None => "",
    };
    let Some(base) = &parts.raw.url else {
        if !parts.raw.has_url {
            let name = &parts.raw.name;
            let goal = if path.is_empty() {
                "its address".to_owned()
            } else {
                format!("the path `{path}`")
            };
            problems.push(
                Problem::at(&name.place, format!("`{}` has no `url`", name.value))
                    .label(format!("{what} asks for {goal}"))
                    .hint("add `url: http://HOST:PORT`"),
            );
        }
        return None;
    };
    match base.value.append(path) {
        Ok(target) => Some(target),
        Err(bad) => {
            let place = to.map_or(&base.place, |to| &to.place);
            problems.push(
                Problem::at(place, format!("`{path}` {}", bad.reason))
                    .label("cannot be appended")
                    .related(&base.place, "to this address")
                    .hint(bad.hint),
            );
            None
        }
    }
}

/// Headers and credentials. What a service says of all its requests is not sent to another host: a profile or a
/// slip must not carry a token away. Written with the probe or action itself, it is.
fn credentials(
    parts: &Parts<'_>,
    layers: &[Layer<'_>],
    elsewhere: bool,
    target: Option<&Target>,
    problems: &mut Problems,
) -> (Vec<(String, Secret)>, Option<Auth>) {
    let mut kept_back: Option<&Place> = None;
    let mut headers = Vec::new();
    let mut authorization = None;
    for (header, _, own) in layers::headers(layers) {
        if elsewhere && !own && is_secret_name(&header.name.value) {
            kept_back = Some(&header.name.place);
            continue;
        }
        if header.name.value.eq_ignore_ascii_case("authorization") {
            authorization = Some(&header.name.place);
        }
        headers.push((header.name.value.clone(), header.value.value.clone()));
    }
    let strongest = layers
        .iter()
        .rev()
        .find_map(|layer| layer.request.auth.as_ref().map(|auth| (auth, layer.own)));
    let auth = strongest.and_then(|(auth, own)| {
        if elsewhere && !own && auth.value.is_some() {
            kept_back = Some(&auth.place);
            return None;
        }
        let place = &auth.place;
        let auth = auth.value.clone()?;
        let twice = authorization
            .map(|place| (place, "the header"))
            .or_else(|| {
                let url = parts.raw.url.as_ref()?;
                let in_url = target.is_some_and(Target::has_password) && url.value.has_password();
                in_url.then_some((&url.place, "the address"))
            });
        if let Some((other, label)) = twice {
            problems.push(
                Problem::at(place, "credentials are given twice")
                    .label("here again")
                    .related(other, label)
                    .hint("keep one of them"),
            );
        }
        Some(auth)
    });
    if let (Some(place), Some(target)) = (kept_back, target) {
        let host = target.url.host_str().unwrap_or_default();
        problems.push(
            Problem::at(place, format!("not sent to the other host `{host}`"))
                .label("credentials of the service stay with its own host")
                .hint(
                    "where that host should have them, write them with the probe or action itself",
                )
                .warning(),
        );
    }
    (headers, auth)
}

fn tls(layers: &[Layer<'_>], problems: &mut Problems) -> Tls {
    let ca = layers::request(layers, |request| request.tls.ca.as_ref());
    let cert = layers::request(layers, |request| request.tls.cert.as_ref());
    let key = layers::request(layers, |request| request.tls.key.as_ref());
    let server_name = layers::request(layers, |request| request.tls.server_name.as_ref());
    let insecure = layers::request(layers, |request| request.tls.insecure.as_ref());
    let lonely = match (cert, key) {
        (Some((cert, _)), None) => Some((&cert.place, "a certificate without its key", "key")),
        (None, Some((key, _))) => Some((&key.place, "a key without its certificate", "cert")),
        _ => None,
    };
    if let Some((place, message, missing)) = lonely {
        problems.push(
            Problem::at(place, message)
                .label("one is of no use without the other")
                .hint(format!("add `{missing}: FILE.pem` beside it")),
        );
    }
    Tls {
        ca: ca.map(|(path, _)| path.value.clone()),
        cert: cert.map(|(path, _)| path.value.clone()),
        key: key.map(|(path, _)| path.value.clone()),
        server_name: server_name.map(|(name, _)| name.value.clone()),
        insecure: insecure.is_some_and(|(insecure, _)| insecure.value),
    }
}
