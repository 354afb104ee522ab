//! The result of a reload, as the reload route and the metrics report it.

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The source of the request for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ReloadTrigger {
    /// The start of the service, which reads the first version.
    Start,
    /// A change of the file.
    File,
    /// The signal SIGHUP, for daemons the usual one to reload.
    #[strum(to_string = "SIGHUP")]
    Hangup,
    /// A request to the reload route.
    Request,
    /// The program itself, by [`Configuration::reload`](super::Configuration::reload).
    Program,
    /// The program, which went back to this version.
    #[strum(to_string = "roll-back to version {0}")]
    RollBack(u64),
}

/// The overall status of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum ReloadStatus {
    /// The new configuration is in force.
    Success,
    /// All of the new configuration that can change is in force; the rest needs a restart.
    Partial,
    /// The old configuration is still in force.
    Failed,
}

impl ReloadStatus {
    /// Every status, in the order in which metrics list them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Partial, Self::Failed];

    /// Returns the name, as the reload route and the metrics write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The result of a reload for one part of the configuration.
#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum PartResult {
    /// The new value is in force; the summary describes it.
    Reloaded(Value),
    /// The value has not changed, or the reload failed because of another part.
    Unchanged,
    /// The reload failed because of this part, for this reason.
    Rejected(String),
    /// The value has changed, but takes effect only after a restart.
    NeedsRestart,
}

impl PartResult {
    /// Returns the name of the variant, as the reload route writes it.
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

/// The result of a reload.
///
/// It serializes to what the reload route answers:
///
/// ```json
/// {"status":"success","reloaded":{"adapters":7},"version":2,"error":null,
///  "parts":{"adapters":{"status":"reloaded","message":null}}}
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReloadResult {
    /// The status of the reload as a whole.
    pub status: ReloadStatus,
    /// The number of the version that is now in force.
    pub version: u64,
    /// The reason for a failure, after which the old configuration is still in force as a whole.
    pub error: Option<String>,
    /// The result for each part, in the order in which the parts were declared.
    pub parts: IndexMap<String, PartResult>,
}

impl Serialize for ReloadResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reloaded = IndexMap::new();
        let mut parts = IndexMap::new();
        for (name, result) in &self.parts {
            let mut message = None;
            match result {
                PartResult::Reloaded(summary) => drop(reloaded.insert(name, summary)),
                PartResult::Rejected(reason) => message = Some(reason),
                PartResult::Unchanged | PartResult::NeedsRestart => {}
            }
            let part = json!({"status": result.as_str(), "message": message});
            parts.insert(name, part);
        }
        let payload = json!({
            "status": self.status.as_str(),
            "reloaded": reloaded,
            "version": self.version,
            "error": self.error,
            "parts": parts,
        });
        payload.serialize(serializer)
    }
}

/// The number of reloads by status, in the order of [`ReloadStatus::ALL`], and the version in force.
#[derive(Debug, Clone)]
pub(crate) struct ReloadCounts {
    pub(crate) counts: [u64; 3],
    pub(crate) version: u64,
}

impl ReloadCounts {
    pub(super) fn record(&mut self, result: &ReloadResult) {
        self.counts[result.status as usize] += 1;
        self.version = result.version;
    }
}
