//! The settings of a lease, and what can go wrong with one.

use std::path::PathBuf;
use std::time::Duration;

use crate::heartbeat::FAILURE_THRESHOLD;

/// The settings of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// The namespace of the lease.
    pub namespace: String,
    /// The name of the lease, which all replicas share.
    pub name: String,
    /// The identity of this replica, which no other may have: two replicas with the same identity
    /// would both hold the lease.
    pub holder: String,
    /// The time between two renewals, and between two looks at a lease that another replica holds; 10
    /// seconds by default.
    pub interval: Duration,
    /// The time after which a lease that was not renewed may be taken over; 30 seconds by default.
    /// Fractions of a second are rounded up.
    pub duration: Duration,
    /// The number of renewals that fail in a row from which the lease is unhealthy; 3 by default.
    pub failure_threshold: u64,
    /// The time that one renewal may take with all its requests; 5 seconds by default.
    pub timeout: Duration,
}

/// Why a lease cannot be held, or why a renewal has failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The settings contradict themselves or the rules of Kubernetes.
    #[error("settings of the lease: {0}")]
    Settings(String),
    /// A file of credentials cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The reason, for people.
        reason: String,
    },
    /// There was no answer.
    #[error("no answer from the API server: {0}")]
    NoAnswer(String),
    /// The API server has refused the request.
    #[error("the API server answered {code}: {message}")]
    Refused {
        /// The status code.
        code: u16,
        /// The message of the answer, for people.
        message: String,
    },
    /// Other clients changed the lease each time before this one could.
    #[error("other clients change the lease all the time")]
    Conflict,
    /// The answer is not a lease.
    #[error("the answer of the API server is not a lease")]
    NotALease,
}

impl LeaseSettings {
    /// Creates settings with the default times.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        holder: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            holder: holder.into(),
            interval: Duration::from_secs(10),
            duration: Duration::from_secs(30),
            failure_threshold: FAILURE_THRESHOLD,
            timeout: Duration::from_secs(5),
        }
    }

    pub(super) fn validate(&self) -> Result<(), LeaseError> {
        // The characters of a DNS name, of which none means anything else in a path.
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            !name.is_empty()
                && name.len() <= 253
                && !name.starts_with('.')
                && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        };
        let reason = if !is_name(&self.namespace) {
            format!("`{}` is no name of a namespace", self.namespace)
        } else if !is_name(&self.name) {
            format!("`{}` is no name of a lease", self.name)
        } else if self.holder.is_empty() {
            "the holder has no identity".to_owned()
        } else if self.interval.is_zero() || self.timeout.is_zero() {
            "the interval and the timeout must be longer than zero".to_owned()
        } else if self.duration <= self.interval {
            let (duration, interval) = (self.duration, self.interval);
            format!("the duration, {duration:?}, must be longer than the interval, {interval:?}")
        } else if self.failure_threshold == 0 {
            "the failure threshold must be at least 1".to_owned()
        } else {
            return Ok(());
        };
        Err(LeaseError::Settings(reason))
    }

    /// Returns the duration as the lease says it: in seconds, rounded up.
    pub(super) fn seconds(&self) -> u64 {
        let seconds = self.duration.as_secs();
        seconds.saturating_add(u64::from(self.duration.subsec_nanos() > 0))
    }
}
