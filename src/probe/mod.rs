//! One question asked: bounded, cleaned, never panicking; gives an [`Outcome`](crate::health::Outcome).
//!
//! Must not know thresholds, schedules or other probes, and never retries.
