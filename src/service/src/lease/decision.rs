//! The next step with a lease, decided from what is known of it, and the changes that a step writes. Sends nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::settings::LeaseSettings;

/// The format of the times of a lease: an API server accepts six digits and no other number.
const MICROSECONDS: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// Who holds a lease, as far as this replica knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LeaseState {
    /// The API server has not answered yet, or this replica could not renew the lease in time.
    #[default]
    Unknown,
    /// This replica holds the lease.
    Held,
    /// The replica of this identity holds the lease.
    HeldBy(String),
    /// Nobody holds the lease.
    Free,
}

/// The knowledge from which the next step is decided.
#[derive(Debug, Default)]
pub(super) struct LeaseRecord {
    /// The lease as this replica has written it last, unless anything went wrong since.
    pub(super) written: Option<Value>,
    /// The last change of the lease that was seen, and the time at which it was.
    pub(super) seen: Option<(Value, Instant)>,
    /// The time until which this replica leaves the lease to others.
    pub(super) aside_until: Option<Instant>,
}

/// The next step with a lease that exists.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Write the lease with this replica as its holder.
    Hold { transitions: u64 },
    /// Write the lease without a holder.
    Release,
    /// Leave the lease as it is.
    Leave(LeaseState),
}

impl LeaseRecord {
    /// Decides on the next step with the lease as it is at the API server.
    pub(super) fn decide(&mut self, lease: &Value, settings: &LeaseSettings, now: Instant) -> Step {
        let spec = &lease["spec"];
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != spec) {
            self.seen = Some((spec.clone(), now));
        }
        let seen_at = self.seen.as_ref().map_or(now, |(_, at)| *at);
        let transitions = transitions(lease);
        let aside = self.aside_until.is_some_and(|until| now < until);
        match spec["holderIdentity"].as_str().unwrap_or_default() {
            "" if aside => Step::Leave(LeaseState::Free),
            "" => Step::Hold {
                transitions: transitions.saturating_add(1),
            },
            holder if holder == settings.holder => {
                if aside {
                    Step::Release
                } else {
                    Step::Hold { transitions }
                }
            }
            holder => {
                let seconds = spec["leaseDurationSeconds"].as_u64();
                let duration = seconds.map_or(settings.duration, Duration::from_secs);
                let has_expired = now.saturating_duration_since(seen_at) >= duration;
                if has_expired && !aside {
                    return Step::Hold {
                        transitions: transitions.saturating_add(1),
                    };
                }
                // Another replica holds the lease, for which this one has stood aside.
                self.aside_until = None;
                Step::Leave(LeaseState::HeldBy(holder.to_owned()))
            }
        }
    }
}

/// Returns a lease that does not exist yet, with this replica as its holder.
pub(super) fn new_lease(settings: &LeaseSettings) -> Value {
    let mut lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": settings.name, "namespace": settings.namespace},
    });
    claim(&mut lease, settings, 0);
    lease
}

/// Makes this replica the holder of a lease, as it was read.
pub(super) fn claim(lease: &mut Value, settings: &LeaseSettings, transitions: u64) {
    let now = microseconds(Timestamp::now());
    if !lease["spec"].is_object() {
        lease["spec"] = json!({});
    }
    let spec = &mut lease["spec"];
    let is_own = spec["holderIdentity"] == settings.holder.as_str();
    if !is_own || spec["acquireTime"].is_null() {
        spec["acquireTime"] = now.clone().into();
    }
    spec["holderIdentity"] = settings.holder.clone().into();
    spec["leaseDurationSeconds"] = settings.seconds().into();
    spec["renewTime"] = now.into();
    spec["leaseTransitions"] = transitions.into();
}

/// Clears the holder of a lease, which lasts another second.
pub(super) fn release(lease: &mut Value) {
    let now = microseconds(Timestamp::now());
    let spec = &mut lease["spec"];
    spec["holderIdentity"] = "".into();
    spec["leaseDurationSeconds"] = 1.into();
    spec["acquireTime"] = now.clone().into();
    spec["renewTime"] = now.into();
}

/// Returns how often the holder of a lease has changed.
pub(super) fn transitions(lease: &Value) -> u64 {
    lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0)
}

fn microseconds(at: Timestamp) -> String {
    at.strftime(MICROSECONDS).to_string()
}
