//! The settings that say how requests are made: headers, credentials, TLS, proxy, redirects, connection.

use std::path::PathBuf;

use crate::yaml::{Entry, Fields, Problem, Problems};

use super::super::annotated::AnnotatedYaml;
use super::super::setting::{Level, Levels, Origin, Spanned, origin, select, settings, strongest};
use super::super::{Auth, Connection, Proxy, Secret, Target};
use super::read::{boolean, path, warn_password, word};
use super::secret::{self, RawHeader, Variables};

settings! {
    /// The flat settings of a request as written.
    raw RawRequestSettings;
    /// An HTTP request with everything that it needs.
    #[derive(Debug, Clone)]
    resolved HttpRequest {
        /// The address, path included.
        target: Target = Target::default(),
        method: String = "GET".to_owned(),
        /// Names as written, and values; of each name the strongest.
        headers: Vec<(String, Secret)> = Vec::new(),
        body: Option<String> = None,
        auth: Option<Auth> = None,
        tls: Tls = Tls::default(),
    }

    /// The proxy for requests: its address, or `none`, whatever the environment says.
    proxy: Proxy, default(Proxy::None), "`none` or URL", since "0.1", proxy;
    /// Follow redirects; never to another scheme, never with credentials to another host.
    follow_redirects: bool, default(false), "`true` or `false`", since "0.1", boolean;
    /// `fresh`: a new connection for each request, which also shows that the service accepts; `reuse`: a kept one.
    connection: Connection, default(Connection::Fresh), "`fresh` or `reuse`", since "0.1", word(&Connection::WORDS);
}

settings! {
    /// TLS settings as written.
    raw RawTls;
    /// TLS settings of a request.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    resolved Tls {}

    /// The PEM file with the certificates to trust, instead of the system's.
    ca: PathBuf, optional, "path", since "0.1", path("the path of a PEM file");
    /// The PEM file with the certificate chain of the client.
    cert: PathBuf, optional, "path", since "0.1", path("the path of a PEM file");
    /// The PEM file with the key of the client.
    key: PathBuf, optional, "path", since "0.1", path("the path of a PEM file");
    /// The name to ask for and to verify, instead of the host of the URL.
    server_name: String, optional, "text", since "0.1", server_name;
    /// Accept the certificate of the service unverified.
    insecure: bool, or_empty, "`true` or `false`", since "0.1", boolean;
}

/// The settings of requests as written on one level.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawRequest {
    /// The headers in the order written, each name once.
    pub(crate) headers: Vec<RawHeader>,
    /// The credentials; `none` takes away what a weaker level gives.
    pub(crate) auth: Option<Spanned<Option<Auth>>>,
    pub(crate) tls: RawTls,
    pub(crate) settings: RawRequestSettings,
}

/// The keys of [`RawRequest`].
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    let flat = RawRequestSettings::DECLARED.iter();
    ["headers", "auth", "tls"]
        .into_iter()
        .chain(flat.map(|it| it.name))
}

impl RawRequest {
    pub(crate) fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let headers = fields.read_key("headers", problems, secret::headers);
        let auth = fields.read_key("auth", problems, secret::auth);
        let tls = fields.read_key("tls", problems, RawTls::read);
        Self {
            headers: headers.unwrap_or_default(),
            auth,
            tls: tls.unwrap_or_default(),
            settings: RawRequestSettings::take(fields, problems),
        }
    }
}

impl HttpRequest {
    /// Lets the secrets of the request fall back on the variables of an `env_file`.
    pub(crate) fn add_variables(&mut self, variables: &Variables) {
        let headers = self.headers.iter_mut().map(|(_, secret)| secret);
        let auth = self.auth.iter_mut().map(|auth| match auth {
            Auth::Bearer(secret)
            | Auth::Basic {
                password: secret, ..
            } => secret,
        });
        for secret in headers.chain(auth) {
            secret.add_variables(variables);
        }
    }
}

impl RawTls {
    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a map with `ca`, `cert`, `key`, `server_name` or `insecure`";
        let mut fields = Fields::read(&entry.value, EXPECTED, problems)?;
        let tls = Self::take(&mut fields, problems);
        fields.finish(problems);
        Some(tls)
    }

    /// Merges the levels, and reports a certificate without its key or a key without its certificate.
    pub(crate) fn checked(levels: Levels<'_, '_, Self>, problems: &mut Problems) -> Tls {
        let cert = strongest(levels, |tls| tls.cert.as_ref());
        let key = strongest(levels, |tls| tls.key.as_ref());
        let unpaired = match (cert, key) {
            (Some(cert), None) => Some((cert.origin, "a certificate without its key", "key")),
            (None, Some(key)) => Some((key.origin, "a key without its certificate", "cert")),
            _ => None,
        };
        if let Some((Origin::Written(_, place), message, missing)) = unpaired {
            Problem::at(place, message)
                .label("one is of no use without the other")
                .hint(format!("add `{missing}: FILE.pem` beside it"))
                .report(problems);
        }
        Self::resolve(levels)
    }
}

/// Shows what stands beside `http`. `headers` holds the strongest header of each name, with its level.
pub(crate) fn show(
    sent: &HttpRequest,
    headers: &[(Level<'_>, &RawHeader)],
    requests: Levels<'_, '_, RawRequest>,
    out: &mut AnnotatedYaml,
) {
    if !sent.headers.is_empty() {
        out.open("headers", None);
        for (name, secret) in &sent.headers {
            let mut headers = headers.iter();
            if let Some((level, raw)) = headers.find(|(_, raw)| raw.name.value == *name) {
                let origin = Origin::Written(*level, &raw.name.place);
                secret::show_value(name, secret, &raw.value.place, origin, out);
            }
        }
        out.close();
    }
    if let Some(auth) = &sent.auth {
        let origin = origin(requests, |request| request.auth.as_ref());
        secret::show_auth(auth, origin, out);
    }
    let flat = select(requests, |request| Some(&request.settings));
    let tls = select(requests, |request| Some(&request.tls));
    if sent.tls != Tls::default() {
        out.open("tls", None);
        for setting in RawTls::DECLARED {
            (setting.show)(&tls, out);
        }
        out.close();
    }
    for setting in RawRequestSettings::DECLARED {
        // A socket is on this machine, so no proxy is used, whatever was written.
        if setting.name == "proxy" && sent.target.socket.is_some() {
            let origin = origin(&flat, |raw| raw.proxy.as_ref());
            out.leaf(setting.name, "none", origin);
        } else {
            (setting.show)(&flat, out);
        }
    }
}

fn proxy(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Proxy>> {
    const EXPECTED: &str = "`none` or the address of a proxy";
    const HINT: &str = "use an `http://` or `https://` proxy";
    let node = &entry.value;
    let text = node.line(EXPECTED, problems)?;
    if text == "none" {
        return Some(Spanned::new(Proxy::None, node));
    }
    let (reason, hint) = if text.starts_with("socks") {
        (
            "is a kind of proxy that is not supported yet".to_owned(),
            HINT.to_owned(),
        )
    } else {
        match Target::parse(&text) {
            Ok(target) if target.socket.is_none() => {
                warn_password(node, &target, problems);
                return Some(Spanned::new(Proxy::Url(target.url), node));
            }
            Ok(_) => ("is no proxy".to_owned(), HINT.to_owned()),
            Err(bad) => (bad.reason, bad.hint),
        }
    };
    node.problem(reason)
        .expected(EXPECTED)
        .hint(hint)
        .reject(problems)
}

fn server_name(entry: &Entry, problems: &mut Problems) -> Option<Spanned<String>> {
    let node = &entry.value;
    let text = node.line("the name of a server", problems)?;
    let plausible = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    if !plausible || text.starts_with('.') {
        return node
            .problem("is no name of a server")
            .label("expected a name such as `api.internal`")
            .hint("the name alone, without scheme, port or path")
            .reject(problems);
    }
    Some(Spanned::new(text, node))
}
