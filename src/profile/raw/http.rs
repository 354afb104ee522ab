//! An HTTP request: a path, an absolute address, or a map.

use crate::text::nearest;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, Value};

use super::super::Target;
use super::super::target::{BadAddress, check_path};
use super::options::warn_password;
use super::secret::is_token;
use super::{At, Http, To, bad_address, secret};

const EXPECTED: &str =
    "a path such as `/health`, an address, or a map with `path`, `method`, `headers` and `body`";

/// Methods that are written in capitals by everybody who means them.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE",
];

impl Http {
    /// Reads `http:`. Nothing at all means the address of the service itself.
    pub(super) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let node = &entry.value;
        let mut http = Self {
            place: entry.key_place.clone(),
            to: None,
            method: None,
            headers: Vec::new(),
            body: None,
        };
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
        http.method = fields
            .take("method")
            .and_then(|entry| method(&entry.value, problems));
        http.headers = fields
            .take("headers")
            .map(|entry| secret::headers(entry, problems))
            .unwrap_or_default();
        http.body = fields.take("body").and_then(|entry| {
            if matches!(entry.value.value, Value::Map(_) | Value::List(_)) {
                problems.push(
                    entry
                        .value
                        .wrong("the body as text")
                        .hint("what is sent is text: write JSON in single quotes"),
                );
                return None;
            }
            let body = entry.value.text("the body as text", problems)?;
            Some(At::new(body, &entry.value))
        });
        fields.finish_with(problems, |key| match key {
            "expect" | "interval" | "timeout" | "auth" | "tls" | "proxy" | "follow_redirects"
            | "connection" | "max_body" | "status" | "waits" => {
                Some(format!("`{key}` stands beside `http`, not in it"))
            }
            _ => None,
        });
        if let (Some(path), Some(url)) = (path, url) {
            problems.push(
                Problem::at(&url.key_place, "both `path` and `url`")
                    .label("expected one of them")
                    .related(&path.key_place, "the other one")
                    .hint("a `path` stands behind the service's own `url`"),
            );
        }
        if let Some(entry) = path.or(url) {
            http.to = to(&entry.value, problems);
        }
        Some(http)
    }
}

fn to(node: &Node, problems: &mut Problems) -> Option<At<To>> {
    let Value::Text(text) = &node.value else {
        problems.push(node.wrong("a path such as `/health` or an address"));
        return None;
    };
    if text.is_empty() {
        return Some(At::new(To::Path(String::new()), node));
    }
    let parsed = if text.contains("://") && !text.starts_with('/') {
        Target::parse(text).map(To::Address)
    } else {
        check_path(text)
            .map(|()| To::Path(text.clone()))
            .map_err(|bad| maybe_address(text).unwrap_or(bad))
    };
    match parsed {
        Ok(to) => {
            if let To::Address(target) = &to {
                warn_password(node, target, problems);
            }
            Some(At::new(to, node))
        }
        Err(bad) => {
            let expected = "a path such as `/health` or an address";
            problems.push(bad_address(node, bad, expected));
            None
        }
    }
}

/// `localhost:8000/health` was meant as an address, not as a path.
fn maybe_address(text: &str) -> Option<BadAddress> {
    let host = text.split('/').next().unwrap_or_default();
    (host.contains(':') || host == "localhost").then(|| BadAddress {
        reason: "is neither a path nor an address".to_owned(),
        hint: format!("did you mean `http://{text}`?"),
    })
}

fn method(node: &Node, problems: &mut Problems) -> Option<At<String>> {
    const EXPECTED: &str = "a method such as `GET` or `POST`";
    let text = node.line(EXPECTED, problems)?;
    let upper = text.to_ascii_uppercase();
    let problem = |reason: &str, hint: Option<String>| {
        Problem::at(&node.place, format!("{} {reason}", node.shown()))
            .label(format!("expected {EXPECTED}"))
            .maybe_hint(hint)
    };
    if METHODS.contains(&text.as_str()) {
        return Some(At::new(text, node));
    }
    if METHODS.contains(&upper.as_str()) {
        problems.push(problem(
            "is not written as servers know it",
            Some(format!("did you mean `{upper}`?")),
        ));
        return None;
    }
    if !is_token(&text) {
        problems.push(problem("is no method", None));
        return None;
    }
    if upper == "CONNECT" {
        problems.push(problem("asks for a tunnel, not for an answer", None));
        return None;
    }
    if let Some(near) = nearest(&text, METHODS) {
        problems.push(
            problem(
                "is an unusual method",
                Some(format!("did you mean `{near}`?")),
            )
            .warning(),
        );
    }
    Some(At::new(text, node))
}
