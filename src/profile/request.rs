//! How a request is made: credentials, TLS, proxy, connection. Secrets are named here and read when used.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::Target;

/// Whether connections are kept between probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Connection {
    /// A new one each time: it also tests that the service still accepts.
    Fresh,
    /// A kept one.
    Reuse,
}

impl Connection {
    /// The words used in files.
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
    /// None, whatever the environment says (the default).
    None,
    /// This one.
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

/// Text that may come from elsewhere and never shows in `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Secret {
    /// Written in the inventory.
    Plain(String),
    /// The value of an environment variable, read when used.
    Env(String),
    /// The same where the variable is set, else what an `env_file` says.
    EnvOr {
        /// The name of the variable.
        name: String,
        /// The value that the file gives it.
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
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// `Authorization: Basic …`
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
}
