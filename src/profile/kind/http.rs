//! Probes by HTTP, and requests of actions: a path, an absolute address, or a map.

use crate::text::nearest;
use crate::yaml::{
    Entry, Fields, Node, Place, Problem, Problems, Value, is_secret_name, mask_secrets,
};

use super::super::annotated::AnnotatedYaml;
use super::super::raw::read::{bad_address, check_single, warn_password};
use super::super::raw::request::{self, HttpRequest, RawRequestSettings, RawTls};
use super::super::raw::secret::{self, RawHeader, Variables, written};
use super::super::request::is_token;
use super::super::setting::{Level, Levels, Origin, Spanned, select, strongest};
use super::super::target::{BadAddress, check_path};
use super::super::{Auth, Proxy, Secret, Target};
use super::context::{KindContext, ProbeAddress, ProbeSpec, RawKind};

const EXPECTED: &str =
    "a path such as `/health`, an address, or a map with `path`, `method`, `headers` and `body`";

/// Methods that are written in capitals by everybody who means them.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
];

/// An HTTP request as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawHttp {
    /// `None`: to the address of the service itself.
    to: Option<Spanned<RawTarget>>,
    method: Option<Spanned<String>>,
    /// The headers of this request alone.
    headers: Vec<RawHeader>,
    body: Option<Spanned<String>>,
}

/// The target of a request as written.
#[derive(Debug, Clone)]
enum RawTarget {
    /// A path, which is appended to that of the service's `url`.
    Path(String),
    Address(Target),
}

impl RawKind for RawHttp {
    type Spec = Box<HttpRequest>;

    const KEYS: &'static [&'static str] = &[
        "max_body",
        "headers",
        "auth",
        "tls",
        "proxy",
        "follow_redirects",
        "connection",
        "expect",
        "decode",
    ];

    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let node = &entry.value;
        let mut http = Self::default();
        match &node.value {
            Value::Null => return Some(http),
            Value::Text(_) => {
                http.to = Some(to(node, problems)?);
                return Some(http);
            }
            _ => {}
        }
        let mut fields = Fields::read(node, EXPECTED, problems)?;
        let path = fields.take("path");
        let url = fields.take("url");
        http.method = fields.read_key("method", problems, method);
        let headers = fields.read_key("headers", problems, secret::headers);
        http.headers = headers.unwrap_or_default();
        http.body = fields.read_key("body", problems, body);
        fields.finish_with(problems, |key| match key {
            "expect" | "interval" | "timeout" | "auth" | "tls" | "proxy" | "follow_redirects"
            | "connection" | "max_body" | "status" | "waits" => {
                Some(format!("`{key}` stands beside `http`, not in it"))
            }
            _ => None,
        });
        let given: Vec<&Entry> = [path, url].into_iter().flatten().collect();
        let hint = "a `path` stands behind the service's own `url`";
        check_single(&given, hint, problems);
        if let Some(entry) = path.or(url) {
            http.to = to(&entry.value, problems);
        }
        Some(http)
    }

    fn resolve(
        levels: Levels<'_, '_, Self>,
        context: &KindContext<'_>,
        problems: &mut Problems,
    ) -> Option<Box<HttpRequest>> {
        let method = strongest(levels, |http| http.method.as_ref());
        let body = strongest(levels, |http| http.body.as_ref());
        let target = target(levels, context, problems);
        let other_host = match (&target, context.url) {
            (Some(target), Some(url)) => !target.same_host(&url.value),
            _ => false,
        };
        let (headers, auth) = credentials(levels, context, other_host, target.as_ref(), problems);
        let tls = select(&context.requests, |request| Some(&request.tls));
        let tls = RawTls::checked(&tls, problems);
        let target = target?;
        let settings = select(&context.requests, |request| Some(&request.settings));
        let settings = RawRequestSettings::resolve(&settings);
        Some(Box::new(HttpRequest {
            // A socket is on this machine: no proxy reaches it.
            proxy: match target.socket {
                Some(_) => Proxy::None,
                None => settings.proxy,
            },
            target,
            method: method
                .map_or(context.default_method, |method| method.value)
                .to_owned(),
            headers,
            body: body
                .map(|body| body.value.clone())
                .filter(|body| !body.is_empty()),
            auth,
            tls,
            ..settings
        }))
    }

    fn show(
        sent: &Box<HttpRequest>,
        levels: Levels<'_, '_, Self>,
        context: &KindContext<'_>,
        out: &mut AnnotatedYaml,
    ) {
        out.open("http", None);
        let to = strongest(levels, |http| http.to.as_ref());
        let origin = to.map(|to| String::from(to.origin));
        out.leaf("url", sent.target.to_string(), origin.unwrap_or_default());
        let method = strongest(levels, |http| http.method.as_ref());
        if let Some(method) = method {
            out.leaf("method", sent.method.as_str(), method.origin);
        } else if sent.method != context.default_method {
            out.leaf("method", sent.method.as_str(), Origin::BuiltIn);
        }
        if let Some(body) = strongest(levels, |http| http.body.as_ref())
            && let (Some(sent), Origin::Written(_, place)) = (&sent.body, body.origin)
        {
            let shown = written(place).unwrap_or_else(|| mask_secrets(sent));
            out.leaf("body", shown, body.origin);
        }
        out.close();
    }

    fn without_body<'a>(levels: Levels<'_, 'a, Self>) -> Option<&'a Place> {
        let mut methods = levels
            .iter()
            .rev()
            .filter_map(|(_, http)| http.method.as_ref());
        let method = methods.next().filter(|method| method.value == "HEAD");
        method.map(|method| &method.place)
    }
}

/// Shows the keys beside the question that every request has.
pub(crate) fn show_request(
    sent: &HttpRequest,
    levels: Levels<'_, '_, RawHttp>,
    context: &KindContext<'_>,
    out: &mut AnnotatedYaml,
) {
    let headers = merged_headers(levels, context);
    request::show(sent, &headers, &context.requests, out);
}

impl ProbeSpec for Box<HttpRequest> {
    fn target(&self) -> String {
        self.target.to_string()
    }

    fn add_variables(&mut self, variables: &Variables) {
        HttpRequest::add_variables(self, variables);
    }

    fn address(&self) -> Option<ProbeAddress<'_>> {
        Some(ProbeAddress::Http(&self.target))
    }
}

fn to(node: &Node, problems: &mut Problems) -> Option<Spanned<RawTarget>> {
    let Value::Text(text) = &node.value else {
        return node
            .wrong("a path such as `/health` or an address")
            .reject(problems);
    };
    if text.is_empty() {
        return Some(Spanned::new(RawTarget::Path(String::new()), node));
    }
    let parsed = if text.contains("://") && !text.starts_with('/') {
        Target::parse(text).map(RawTarget::Address)
    } else {
        check_path(text)
            .map(|()| RawTarget::Path(text.clone()))
            .map_err(|bad| maybe_address(text).unwrap_or(bad))
    };
    match parsed {
        Ok(to) => {
            if let RawTarget::Address(target) = &to {
                warn_password(node, target, problems);
            }
            Some(Spanned::new(to, node))
        }
        Err(bad) => {
            let expected = "a path such as `/health` or an address";
            bad_address(node, bad, expected).reject(problems)
        }
    }
}

fn body(entry: &Entry, problems: &mut Problems) -> Option<Spanned<String>> {
    const EXPECTED: &str = "the body as text";
    let node = &entry.value;
    if matches!(node.value, Value::Map(_) | Value::List(_)) {
        let hint = "what is sent is text: write JSON in single quotes";
        return node.wrong(EXPECTED).hint(hint).reject(problems);
    }
    Some(Spanned::new(node.text(EXPECTED, problems)?, node))
}

/// `localhost:8000/health` was meant as an address, not as a path.
fn maybe_address(text: &str) -> Option<BadAddress> {
    let host = text.split('/').next().unwrap_or_default();
    (host.contains(':') || host == "localhost").then(|| BadAddress {
        reason: "is neither a path nor an address".to_owned(),
        hint: format!("did you mean `http://{text}`?"),
    })
}

fn method(entry: &Entry, problems: &mut Problems) -> Option<Spanned<String>> {
    const EXPECTED: &str = "a method such as `GET` or `POST`";
    let node = &entry.value;
    let text = node.line(EXPECTED, problems)?;
    let upper = text.to_ascii_uppercase();
    let problem = |reason: &str, hint: Option<String>| {
        node.problem(reason).expected(EXPECTED).maybe_hint(hint)
    };
    if METHODS.contains(&text.as_str()) {
        return Some(Spanned::new(text, node));
    }
    if METHODS.contains(&upper.as_str()) {
        return problem(
            "is not written as servers know it",
            Some(format!("did you mean `{upper}`?")),
        )
        .reject(problems);
    }
    if !is_token(&text) {
        return problem("is no method", None).reject(problems);
    }
    if upper == "CONNECT" {
        return problem("asks for a tunnel, not for an answer", None).reject(problems);
    }
    if let Some(near) = nearest(&text, METHODS) {
        problem(
            "is an unusual method",
            Some(format!("did you mean `{near}`?")),
        )
        .warning()
        .report(problems);
    }
    Some(Spanned::new(text, node))
}

fn target(
    levels: Levels<'_, '_, RawHttp>,
    context: &KindContext<'_>,
    problems: &mut Problems,
) -> Option<Target> {
    let to = strongest(levels, |http| http.to.as_ref());
    let path = match to.map(|to| to.value) {
        Some(RawTarget::Address(target)) => return Some(target.clone()),
        Some(RawTarget::Path(path)) => path.as_str(),
        None => "",
    };
    let Some(base) = context.url else {
        if !context.has_url {
            let name = context.service;
            let goal = if path.is_empty() {
                "its address".to_owned()
            } else {
                format!("the path `{path}`")
            };
            Problem::at(&name.place, format!("`{}` has no `url`", name.value))
                .label(format!("{} asks for {goal}", context.what))
                .hint("add `url: http://HOST:PORT`")
                .report(problems);
        }
        return None;
    };
    match base.value.append(path) {
        Ok(target) => Some(target),
        Err(bad) => {
            let place = match to.map(|to| to.origin) {
                Some(Origin::Written(_, place)) => place,
                _ => &base.place,
            };
            Problem::at(place, format!("`{path}` {}", bad.reason))
                .label("cannot be appended")
                .related(&base.place, "to this address")
                .hint(bad.hint)
                .reject(problems)
        }
    }
}

/// Returns every header once, the strongest of each name, in the order in which the names were first written.
fn merged_headers<'a>(
    levels: Levels<'_, 'a, RawHttp>,
    context: &KindContext<'a>,
) -> Vec<(Level<'a>, &'a RawHeader)> {
    let mut merged: Vec<(Level<'a>, &RawHeader)> = Vec::new();
    for (level, request) in &context.requests {
        let of_http = levels.iter().filter(|(of_http, _)| of_http == level);
        let of_http = of_http.flat_map(|(_, http)| &http.headers);
        for header in request.headers.iter().chain(of_http) {
            let name = &header.name.value;
            let mut known = merged.iter_mut();
            match known.find(|(_, known)| known.name.value.eq_ignore_ascii_case(name)) {
                Some(known) => *known = (*level, header),
                None => merged.push((*level, header)),
            }
        }
    }
    merged
}

/// Headers and credentials. What a service says of all its requests is not sent to another host: a profile or a
/// slip must not carry a token away. Written with the probe or action itself, it is.
fn credentials(
    levels: Levels<'_, '_, RawHttp>,
    context: &KindContext<'_>,
    other_host: bool,
    target: Option<&Target>,
    problems: &mut Problems,
) -> (Vec<(String, Secret)>, Option<Auth>) {
    let mut withheld: Option<&Place> = None;
    let mut headers = Vec::new();
    let mut authorization = None;
    for (level, header) in merged_headers(levels, context) {
        if other_host && !level.is_own() && is_secret_name(&header.name.value) {
            withheld = Some(&header.name.place);
            continue;
        }
        if header.name.value.eq_ignore_ascii_case("authorization") {
            authorization = Some(&header.name.place);
        }
        headers.push((header.name.value.clone(), header.value.value.clone()));
    }
    let mut written = context.requests.iter().rev();
    let written = written.find_map(|(level, request)| Some((level, request.auth.as_ref()?)));
    let auth = written.and_then(|(level, auth)| {
        if other_host && !level.is_own() && auth.value.is_some() {
            withheld = Some(&auth.place);
            return None;
        }
        let place = &auth.place;
        let auth = auth.value.clone()?;
        let twice = authorization
            .map(|place| (place, "the header"))
            .or_else(|| {
                let url = context.url?;
                let in_url = target.is_some_and(Target::has_password) && url.value.has_password();
                in_url.then_some((&url.place, "the address"))
            });
        if let Some((other, label)) = twice {
            Problem::at(place, "credentials are given twice")
                .label("here again")
                .related(other, label)
                .hint("keep one of them")
                .report(problems);
        }
        Some(auth)
    });
    if let (Some(place), Some(target)) = (withheld, target) {
        let host = target.url.host_str().unwrap_or_default();
        Problem::at(place, format!("not sent to the other host `{host}`"))
            .label("credentials of the service stay with its own host")
            .hint("where that host should have them, write them with the probe or action itself")
            .warning()
            .report(problems);
    }
    (headers, auth)
}
