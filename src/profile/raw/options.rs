//! What `defaults`, a profile, a service and a probe may all say.

use std::time::Duration;

use crate::yaml::{Entry, Fields, Node, Problem, Problems, Style, Value};

use super::super::{Connection, Proxy, Target};
use super::{At, Expect, Options, Request, Tls, read_path, secret};

/// Where options stand: not every one is allowed everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In `defaults`, in a profile, in a service.
    Service,
    /// In a probe.
    Probe,
}

/// Shorter than this, a probe would do nothing but start.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Larger than this, a body would be kept in memory that nobody has left over.
const LARGEST_BODY: u64 = 1 << 30;

impl Options {
    /// Takes every option from the fields.
    pub fn take(fields: &mut Fields<'_>, scope: Scope, problems: &mut Problems) -> Self {
        Self {
            interval: fields
                .take("interval")
                .and_then(|entry| interval(&entry.value, problems)),
            timeout: fields.take("timeout").and_then(|entry| {
                let value = entry.value.positive_duration(problems)?;
                Some(At::new(value, &entry.value))
            }),
            failure_threshold: failure_threshold(fields, problems),
            success_threshold: fields
                .take("success_threshold")
                .and_then(|entry| threshold(&entry.value, problems)),
            start_period: match scope {
                Scope::Probe => None,
                Scope::Service => fields.take("start_period").and_then(|entry| {
                    let value = entry.value.duration(problems)?;
                    Some(At::new(value, &entry.value))
                }),
            },
            max_body: fields
                .take("max_body")
                .and_then(|entry| max_body(&entry.value, problems)),
            request: Request::take(fields, problems),
            expect: fields
                .take("expect")
                .map(|entry| Expect::read(entry, problems))
                .unwrap_or_default(),
        }
    }
}

impl Request {
    /// Takes what says how requests are made.
    pub(super) fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            headers: fields
                .take("headers")
                .map(|entry| secret::headers(entry, problems))
                .unwrap_or_default(),
            auth: fields
                .take("auth")
                .and_then(|entry| secret::auth(entry, problems)),
            tls: fields
                .take("tls")
                .map(|entry| Tls::read(&entry.value, problems))
                .unwrap_or_default(),
            proxy: fields
                .take("proxy")
                .and_then(|entry| proxy(&entry.value, problems)),
            follow_redirects: fields.take("follow_redirects").and_then(|entry| {
                let value = entry.value.boolean(problems)?;
                Some(At::new(value, &entry.value))
            }),
            connection: fields.take("connection").and_then(|entry| {
                let words = [("fresh", Connection::Fresh), ("reuse", Connection::Reuse)];
                let value = entry.value.word(&words, problems)?;
                Some(At::new(value, &entry.value))
            }),
        }
    }
}

impl Tls {
    fn read(node: &Node, problems: &mut Problems) -> Self {
        let Some(mut fields) = Fields::read(
            node,
            "a map with `ca`, `cert`, `key`, `server_name` or `insecure`",
            problems,
        ) else {
            return Self::default();
        };
        let mut path = |key, problems: &mut Problems| {
            fields
                .take(key)
                .and_then(|entry| read_path(&entry.value, "the path of a PEM file", problems))
        };
        let (ca, cert, key) = (
            path("ca", problems),
            path("cert", problems),
            path("key", problems),
        );
        let server_name = fields
            .take("server_name")
            .and_then(|entry| server_name(&entry.value, problems));
        let insecure = fields.take("insecure").and_then(|entry| {
            let value = entry.value.boolean(problems)?;
            Some(At::new(value, &entry.value))
        });
        fields.finish(problems);
        Self {
            ca,
            cert,
            key,
            server_name,
            insecure,
        }
    }
}

fn interval(node: &Node, problems: &mut Problems) -> Option<At<Duration>> {
    let value = node.positive_duration(problems)?;
    if value < SHORTEST_INTERVAL {
        problems.push(
            Problem::at(
                &node.place,
                format!("{} is too short between two probes", node.shown()),
            )
            .label("expected at least `10ms`"),
        );
        return None;
    }
    Some(At::new(value, node))
}

fn threshold(node: &Node, problems: &mut Problems) -> Option<At<u32>> {
    let value = node.whole(1..=1_000_000, problems)?;
    Some(At::new(u32::try_from(value).unwrap_or(u32::MAX), node))
}

/// `failure_threshold`, whose other name is `retries`.
fn failure_threshold(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<At<u32>> {
    let named = fields.take("failure_threshold");
    let other = fields.take("retries");
    if let (Some(first), Some(second)) = (named, other) {
        problems.push(
            Problem::at(
                &second.key_place,
                "`retries` is the other name of `failure_threshold`",
            )
            .label("here again")
            .related(&first.key_place, "first here")
            .hint("keep one of them"),
        );
    }
    let read = |entry: &Entry, problems: &mut Problems| threshold(&entry.value, problems);
    let named = named.map(|entry| read(entry, problems));
    let other = other.map(|entry| read(entry, problems));
    named.or(other).flatten()
}

fn max_body(node: &Node, problems: &mut Problems) -> Option<At<u64>> {
    let value = node.size(problems)?;
    if !(1..=LARGEST_BODY).contains(&value) {
        problems.push(
            Problem::at(
                &node.place,
                format!("{} is no limit to work with", node.shown()),
            )
            .label("expected from `1B` to `1GiB`"),
        );
        return None;
    }
    Some(At::new(value, node))
}

fn proxy(node: &Node, problems: &mut Problems) -> Option<At<Proxy>> {
    const EXPECTED: &str = "`none` or the address of a proxy";
    let text = node.line(EXPECTED, problems)?;
    if text == "none" {
        return Some(At::new(Proxy::None, node));
    }
    let problem = |reason: &str, hint: String| {
        Problem::at(&node.place, format!("{} {reason}", node.shown()))
            .label(format!("expected {EXPECTED}"))
            .hint(hint)
    };
    if text.starts_with("socks") {
        problems.push(problem(
            "is a kind of proxy that is not supported yet",
            "use an `http://` or `https://` proxy".to_owned(),
        ));
        return None;
    }
    match Target::parse(&text) {
        Ok(target) if target.socket.is_none() => {
            warn_password(node, &target, problems);
            Some(At::new(Proxy::Url(target.url), node))
        }
        Ok(_) => {
            problems.push(problem(
                "is no proxy",
                "use an `http://` or `https://` proxy".to_owned(),
            ));
            None
        }
        Err(bad) => {
            problems.push(problem(&bad.reason, bad.hint));
            None
        }
    }
}

fn server_name(node: &Node, problems: &mut Problems) -> Option<At<String>> {
    let text = node.line("the name of a server", problems)?;
    let plausible = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    if !plausible || text.starts_with('.') {
        problems.push(
            Problem::at(
                &node.place,
                format!("{} is no name of a server", node.shown()),
            )
            .label("expected a name such as `api.internal`")
            .hint("the name alone, without scheme, port or path"),
        );
        return None;
    }
    Some(At::new(text, node))
}

/// A password inside an address is a secret in plain text.
pub(crate) fn warn_password(node: &Node, target: &Target, problems: &mut Problems) {
    if target.has_password() && node.style != Style::Interpolated {
        problems.push(
            Problem::at(&node.place, "a password is written in plain text")
                .label("whoever reads this file can use it")
                .hint("use `auth: {basic: {user: …, password: {env: NAME}}}`")
                .warning(),
        );
    }
}

/// Reads an address.
pub(crate) fn read_target(node: &Node, problems: &mut Problems) -> Option<At<Target>> {
    const EXPECTED: &str = "an address such as `http://localhost:8000`";
    let Value::Text(text) = &node.value else {
        let port = match &node.value {
            Value::Number { text, .. } => Some(text),
            _ => None,
        };
        let hint = port.map(|port| format!("did you mean `http://localhost:{port}`?"));
        problems.push(node.wrong(EXPECTED).maybe_hint(hint));
        return None;
    };
    match Target::parse(text) {
        Ok(target) => {
            warn_password(node, &target, problems);
            Some(At::new(target, node))
        }
        Err(bad) => {
            problems.push(super::bad_address(node, bad, EXPECTED));
            None
        }
    }
}
