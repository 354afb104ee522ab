//! What the reply to a reload says, decoded into our words.

use super::words_macro as words;

words! {
    /// The result of reloading a configuration, or one part of it.
    ReloadStatus {
        /// The new configuration is in use.
        Reloaded = "reloaded",
        /// The configuration is the same as before.
        Unchanged = "unchanged",
        /// Some of it was reloaded and some not.
        Partial = "partial",
        /// The new configuration was refused and the old one is kept.
        Rejected = "rejected",
        /// The change takes effect only after a restart.
        NeedsRestart = "needs-restart",
        /// The request was accepted and the configuration will be read later.
        Accepted = "accepted",
        /// The status word is not known.
        Unknown = "unknown",
    }
}

/// A part of a configuration that was to be reloaded. All text is cleaned.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// The name of the part.
    pub name: String,
    /// The result for this part.
    pub status: ReloadStatus,
    /// The word or figure as written.
    pub word: Option<String>,
    /// The message of the service about this part.
    pub message: Option<String>,
}

/// A decoded reply to a reload. All text is cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadReply {
    /// The status of the whole configuration; `None` where the reply has none.
    pub status: Option<ReloadStatus>,
    /// The word of the whole as written.
    pub word: Option<String>,
    /// The sentence of the service about it.
    pub message: Option<String>,
    /// The parts, in the order of the reply.
    pub parts: Vec<Part>,
    /// The number of parts beyond those kept.
    pub left_out: usize,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.status)?;
        if self.status == ReloadStatus::Unknown
            && let Some(word) = &self.word
        {
            write!(f, " (says `{word}`)")?;
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}
