//! What came of a reload, in all and for each part, and how often which.

use std::sync::{Mutex, PoisonError};

use indexmap::IndexMap;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

/// What came of a reload.
#[derive(Debug, Clone, PartialEq)]
pub struct ReloadResult {
    /// In all.
    pub status: ReloadStatus,
    /// The version that is in force now.
    pub version: u64,
    /// What was wrong; then the old configuration is in force, whole.
    pub error: Option<String>,
    /// What came of each part, in their order.
    pub parts: IndexMap<String, PartResult>,
}

/// What came of a reload in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadStatus {
    /// The file is in force.
    Success,
    /// All of it that can change is in force; the rest waits for a restart.
    Partial,
    /// The old configuration is in force.
    Failed,
}

/// What came of one part.
#[derive(Debug, Clone, PartialEq)]
pub enum PartResult {
    /// Its new value is in force; with what it wants to have told.
    Reloaded(Value),
    /// It had not changed, or the reload failed for another part.
    Unchanged,
    /// It is why the reload failed.
    Rejected(String),
    /// It has changed, but only a restart puts it into force.
    NeedsRestart,
}

impl ReloadStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Partial, Self::Failed];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

impl PartResult {
    /// Its word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Reloaded(_) => "reloaded",
            Self::Unchanged => "unchanged",
            Self::Rejected(_) => "rejected",
            Self::NeedsRestart => "needs-restart",
        }
    }
}

impl ReloadResult {
    pub(super) fn failed(version: u64, parts: IndexMap<String, PartResult>, error: String) -> Self {
        Self {
            status: ReloadStatus::Failed,
            version,
            error: Some(error),
            parts,
        }
    }
}

/// ```json
/// {"status":"success","reloaded":{"adapters":7},"version":2,"error":null,
///  "parts":{"adapters":{"status":"reloaded","message":null}}}
/// ```
impl Serialize for ReloadResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let reloaded: IndexMap<&str, &Value> = self
            .parts
            .iter()
            .filter_map(|(name, result)| match result {
                PartResult::Reloaded(shown) => Some((name.as_str(), shown)),
                _ => None,
            })
            .collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("reloaded", &reloaded)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("error", &self.error)?;
        map.serialize_entry("parts", &self.parts)?;
        map.end()
    }
}

impl Serialize for PartResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = match self {
            Self::Rejected(reason) => Some(reason),
            _ => None,
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", self.word())?;
        map.serialize_entry("message", &message)?;
        map.end()
    }
}

/// How many reloads ended how, for the metrics; nothing where there is no configuration to reload.
#[derive(Debug, Default)]
pub(crate) struct ReloadCounts(Mutex<Option<Tally>>);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    /// By the order of [`ReloadStatus::ALL`].
    pub(crate) ended: [u64; 3],
    pub(crate) version: u64,
}

impl ReloadCounts {
    /// There is a configuration, in its first version.
    pub(super) fn start(&self) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.get_or_insert(Tally {
            ended: [0; 3],
            version: 1,
        });
    }

    pub(super) fn record(&self, answer: &ReloadResult) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tally) = tally.as_mut() else { return };
        tally.version = answer.version;
        for (count, status) in tally.ended.iter_mut().zip(ReloadStatus::ALL) {
            if status == answer.status {
                *count = count.saturating_add(1);
            }
        }
    }

    pub(crate) fn tally(&self) -> Option<Tally> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
