//! Options of a request: credentials, TLS, proxy, connection. Secrets are only named here, and are read when used.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::Target;

/// The policy for connections between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Connection {
    /// A new connection for each probe, which also tests that the service accepts connections.
    Fresh,
    /// A connection that is kept between probes.
    Reuse,
}

impl Connection {
    /// The words used in files, with their meanings.
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("fresh", Self::Fresh), ("reuse", Self::Reuse)];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Reuse => "reuse",
        }
    }
}

/// The proxy that a request goes through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Proxy {
    /// No proxy, whatever the environment says (the default).
    None,
    /// The proxy with this URL.
    Url(Url),
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Url(url) => write!(f, "{}", Target::new(url.clone())),
        }
    }
}

/// Returns whether a text is a token of HTTP, as a method and the name of a header are.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A text that may come from elsewhere and is never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Secret {
    /// The text is in the inventory.
    Plain(String),
    /// The value of an environment variable, read when used.
    Env(String),
    /// The value of an environment variable, or that of an `env_file` when the variable is not set.
    EnvOr {
        /// The name of the variable.
        name: String,
        /// The value in the file.
        otherwise: String,
    },
    /// The content of a file without its last line break, read when used.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Secret(***)"),
            Self::Env(name) | Self::EnvOr { name, .. } => write!(f, "Secret(env {name})"),
            Self::File(path) => write!(f, "Secret(file {})", path.display()),
        }
    }
}

/// Credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Auth {
    /// The token of the header `Authorization: Bearer …`.
    Bearer(Secret),
    /// The user and password of the header `Authorization: Basic …`.
    Basic {
        /// The name of the user.
        user: String,
        /// The password of the user.
        password: Secret,
    },
}
