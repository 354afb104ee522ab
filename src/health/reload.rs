//! What the reply to a reload says, decoded into our words.

use super::words_macro as words;

words! {
    /// What became of a configuration, or of one part of it.
    ReloadStatus {
        /// It was read again and holds.
        Reloaded = "reloaded",
        /// It was read again and is the same as before.
        Unchanged = "unchanged",
        /// Some of it was reloaded and some not.
        Partial = "partial",
        /// It was refused; the old one is kept.
        Rejected = "rejected",
        /// It changed, and holds only after a restart.
        NeedsRestart = "needs-restart",
        /// It was taken and will be read later.
        Accepted = "accepted",
        /// What is said of it is no word that is known.
        Unknown = "unknown",
    }
}

/// One part of a configuration that was to be read again. All text is cleaned.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub status: ReloadStatus,
    /// The word or figure as written.
    pub word: Option<String>,
    /// What the service says of it.
    pub message: Option<String>,
}

/// A decoded reply to a reload. All text is cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadReply {
    /// What the reply says of the whole; `None` where it says nothing of it.
    pub status: Option<ReloadStatus>,
    /// The word of the whole as written.
    pub word: Option<String>,
    /// The sentence of the service about it.
    pub message: Option<String>,
    /// The parts, in the order of the reply.
    pub parts: Vec<Part>,
    /// How many parts there were beyond those kept.
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
