//! Secrets, credentials and headers: as written, and shown without what is secret.

use std::collections::BTreeMap;

use crate::yaml::{
    Entry, Fields, Node, Place, Problem, Problems, Style, Value, is_secret_name, mask_secrets,
};

use super::super::annotated::AnnotatedYaml;
use super::super::request::is_token;
use super::super::setting::{Origin, Spanned};
use super::super::{Auth, Secret};
use super::read::path;

/// The variables of an `env_file` by name.
pub(crate) type Variables = BTreeMap<String, String>;

impl Secret {
    /// Lets the secret fall back on the variables of an `env_file`, behind the process environment.
    pub(super) fn add_variables(&mut self, variables: &Variables) {
        if let Self::Env(name) = self
            && let Some(value) = variables.get(name)
        {
            *self = Self::EnvOr {
                name: std::mem::take(name),
                otherwise: value.clone(),
            };
        }
    }
}

/// A header of a request as written.
#[derive(Debug, Clone)]
pub(crate) struct RawHeader {
    pub(crate) name: Spanned<String>,
    pub(crate) value: Spanned<Secret>,
}

pub(super) const FORMS: &str = "text, `{env: NAME}` or `{file: PATH}`";

/// Reads a secret and warns of one in plain text.
pub(super) fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Secret> {
    let secret = value(node, problems)?;
    warn_plain(node, &secret, what, problems);
    Some(secret)
}

pub(super) fn warn_plain(node: &Node, secret: &Secret, what: &str, problems: &mut Problems) {
    if matches!(secret, Secret::Plain(_)) && node.style != Style::Interpolated {
        Problem::at(&node.place, format!("{what} is written in plain text"))
            .label("whoever reads this file can use it")
            .hint("write `{env: NAME}` or `{file: PATH}`; it is read when it is used")
            .warning()
            .report(problems);
    }
}

/// Reads text, a variable or a file.
fn value(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let secret = match &node.value {
        Value::Map(_) => return reference(node, problems),
        _ => node.text(FORMS, problems)?,
    };
    if secret.is_empty() {
        return node.wrong(FORMS).reject(problems);
    }
    check_header_value(node, &secret, problems).then_some(Secret::Plain(secret))
}

/// Reads the source of a secret: `{env: NAME}` or `{file: PATH}`.
pub(super) fn reference(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let mut fields = Fields::read(node, FORMS, problems)?;
    let env = fields.take("env");
    let file = fields.take("file");
    fields.finish(problems);
    match (env, file) {
        (Some(env), None) => {
            let name = env.value.line("the name of a variable", problems)?;
            if name.contains(['=', '$', '{', ' ']) {
                let bare = name.trim_matches(|c| matches!(c, '$' | '{' | '}' | ' '));
                return env
                    .value
                    .problem("does not name a variable")
                    .label("expected the name alone")
                    .maybe_hint((!bare.contains('=')).then(|| format!("did you mean `{bare}`?")))
                    .reject(problems);
            }
            Some(Secret::Env(name))
        }
        (None, Some(file)) => {
            let path = path("the path of a file")(file, problems)?;
            Some(Secret::File(path.value))
        }
        (Some(_), Some(_)) => Problem::at(&node.place, "both `env` and `file`")
            .label("expected one of them")
            .hint("take one out")
            .reject(problems),
        (None, None) => Problem::at(&node.place, "a secret from nowhere")
            .expected(FORMS)
            .reject(problems),
    }
}

/// Reports a character that HTTP does not allow in the value of a header, where credentials end up too.
fn check_header_value(node: &Node, text: &str, problems: &mut Problems) -> bool {
    let Some(wrong) = text.chars().find(|c| !matches!(c, '\t' | ' '..='~')) else {
        return true;
    };
    let message = format!("a header cannot carry `{}`", wrong.escape_default());
    Problem::at(&node.place, message)
        .label("expected printable ASCII on one line")
        .maybe_hint(
            (wrong == '\n')
                .then(|| "a block of text (`|`) ends in a line break; use quotes".to_owned()),
        )
        .report(problems);
    false
}

/// Reads `{bearer: …}`, `{basic: {user, password}}` or `none`.
pub(super) fn auth(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Option<Auth>>> {
    const EXPECTED: &str = "`{bearer: …}`, `{basic: {user: …, password: …}}` or `none`";
    let node = &entry.value;
    if node.as_text() == Some("none") {
        return Some(Spanned::new(None, node));
    }
    if !matches!(node.value, Value::Map(_)) {
        return node.wrong(EXPECTED).reject(problems);
    }
    let mut fields = Fields::read(node, EXPECTED, problems)?;
    let bearer = fields.take("bearer");
    let basic = fields.take("basic");
    fields.finish(problems);
    let auth = match (bearer, basic) {
        (Some(bearer), None) => Auth::Bearer(read(&bearer.value, "the bearer token", problems)?),
        (None, Some(basic)) => read_basic(&basic.value, problems)?,
        (Some(_), Some(second)) => {
            return Problem::at(&second.key_place, "both `bearer` and `basic`")
                .label("expected one of them")
                .hint("a request carries one kind of credentials")
                .reject(problems);
        }
        (None, None) => {
            return Problem::at(&node.place, "credentials of no kind")
                .expected(EXPECTED)
                .reject(problems);
        }
    };
    Some(Spanned::new(Some(auth), node))
}

fn read_basic(node: &Node, problems: &mut Problems) -> Option<Auth> {
    let mut fields = Fields::read(node, "`{user: …, password: …}`", problems)?;
    let user = fields.take("user");
    let password = fields.take("password");
    fields.finish(problems);
    for (name, entry) in [("user", user), ("password", password)] {
        if entry.is_none() {
            Problem::at(&node.place, format!("`{name}` is missing"))
                .label("expected `{user: …, password: …}`")
                .report(problems);
        }
    }
    let password = password.and_then(|entry| read(&entry.value, "the password", problems));
    let user = user.and_then(|entry| {
        let user = entry.value.line("a user name", problems)?;
        if user.contains(':') {
            return Problem::at(&entry.value.place, "a user name with a colon")
                .label("expected a name without `:`")
                .hint("what stands behind the colon would be taken for the password")
                .reject(problems);
        }
        Some(user)
    });
    Some(Auth::Basic {
        user: user?,
        password: password?,
    })
}

/// Headers that only the connection itself sets.
const OURS: [&str; 6] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Reads a map of headers to their values.
pub(crate) fn headers(entry: &Entry, problems: &mut Problems) -> Option<Vec<RawHeader>> {
    let entries = entry.value.map("a map of headers", problems)?;
    let mut headers: Vec<RawHeader> = Vec::new();
    for entry in entries {
        if !check_header_name(entry, problems) {
            continue;
        }
        if OURS.contains(&entry.key.to_ascii_lowercase().as_str()) {
            let message = format!("the header `{}` is set by the connection itself", entry.key);
            Problem::at(&entry.key_place, message)
                .label("cannot be set here")
                .hint("take it out")
                .report(problems);
            continue;
        }
        let secret = match &entry.value.value {
            Value::Map(_) => reference(&entry.value, problems),
            _ => entry
                .value
                .text(FORMS, problems)
                .filter(|text| check_header_value(&entry.value, text, problems))
                .map(Secret::Plain),
        };
        let Some(secret) = secret else { continue };
        if is_secret_name(&entry.key) {
            let what = format!("the header `{}`", entry.key);
            warn_plain(&entry.value, &secret, &what, problems);
        }
        if is_duplicate(entry, headers.iter().map(|known| &known.name), problems) {
            continue;
        }
        headers.push(RawHeader {
            name: Spanned::key(entry),
            value: Spanned::new(secret, &entry.value),
        });
    }
    Some(headers)
}

/// Reports a header that was named before, in whatever case.
pub(super) fn is_duplicate<'a>(
    entry: &Entry,
    mut known: impl Iterator<Item = &'a Spanned<String>>,
    problems: &mut Problems,
) -> bool {
    let first = known.find(|known| known.value.eq_ignore_ascii_case(&entry.key));
    if let Some(first) = first {
        let message = format!("duplicate header `{}`", entry.key);
        Problem::at(&entry.key_place, message)
            .label("here again")
            .related(&first.place, "first here")
            .hint("case makes no difference in the name of a header")
            .report(problems);
    }
    first.is_some()
}

pub(super) fn check_header_name(entry: &Entry, problems: &mut Problems) -> bool {
    if is_token(&entry.key) {
        return true;
    }
    let meant: String = entry
        .key
        .trim()
        .chars()
        .map(|c| {
            if c.is_ascii() && is_token(&c.to_string()) {
                c
            } else {
                '-'
            }
        })
        .collect();
    entry
        .problem("cannot be the name of a header")
        .label("expected a name such as `X-Team`")
        .maybe_hint(is_token(&meant).then(|| format!("did you mean `{meant}`?")))
        .report(problems);
    false
}

/// Shows credentials without their secrets.
pub(super) fn show_auth(auth: &Auth, origin: Origin<'_>, out: &mut AnnotatedYaml) {
    out.open("auth", None);
    match auth {
        Auth::Bearer(secret) => show("bearer", secret, origin, out),
        Auth::Basic { user, password } => {
            out.open("basic", None);
            out.leaf("user", user.as_str(), origin);
            show("password", password, origin, out);
            out.close();
        }
    }
    out.close();
}

/// Shows a secret as where it comes from, or as `***`.
fn show(key: &str, secret: &Secret, origin: Origin<'_>, out: &mut AnnotatedYaml) {
    let (source, value) = match secret {
        Secret::Plain(_) => return out.leaf(key, "***", origin),
        Secret::Env(name) | Secret::EnvOr { name, .. } => ("env", name.clone()),
        Secret::File(path) => ("file", path.display().to_string()),
    };
    out.open(key, None);
    out.leaf(source, value, origin);
    out.close();
}

/// Shows a value that may be secret: as it was written at its place where a variable's value is in it, and as it is
/// where its name is that of no secret.
pub(super) fn show_value(
    name: &str,
    value: &Secret,
    place: &Place,
    origin: Origin<'_>,
    out: &mut AnnotatedYaml,
) {
    match (value, written(place)) {
        (Secret::Plain(_), Some(text)) => out.leaf(name, text, origin),
        (Secret::Plain(text), None) if !is_secret_name(name) => {
            out.leaf(name, text.as_str(), origin);
        }
        _ => show(name, value, origin, out),
    }
}

/// Returns what was written at a place where a variable's value was put in, which may be a secret.
pub(crate) fn written(place: &Place) -> Option<String> {
    let text = place.text();
    text.contains("${")
        .then(|| mask_secrets(text.trim_matches(['"', '\''])))
}
