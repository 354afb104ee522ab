//! Errors of the demo, in words that say what to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The reason why something about the demo failed. It also travels over the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Error {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    pub(super) fn file(doing: &str, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {doing} {}: {error}", path.into().display()))
    }
}
