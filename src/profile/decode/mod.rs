//! Reads payloads: the decode grammar of a profile, and the state that follows from a response. A profile is data; this
//! folder knows no product.
//!
//! The bytes of a response pass `reading` (fields, words, dependencies), `code` and `expectation`, and are weighed in
//! `judge`. Each part of the grammar is parsed and read in one file; `parser` reads what all parts have in common.
//!
//! ```yaml
//! decode:
//!   format: json                    # json (left out: json) | text | lines | none
//!   pattern: '^(?<name>\w+)=(?<value>.*)$'    # of lines; or `preset: bracket`, whose dependencies need no words
//!   status: {at: /status, words: {healthy: [ok], draining: [bye]}}   # words also at the top, for all places
//!   version: [/version, header:Server]        # a list: the first that holds something
//!   service: /service
//!   instance: /instance
//!   message: /message
//!   started: {at: /start, unit: s}  # RFC 3339 (without a zone UTC), or an epoch in ns, us, ms or s
//!   uptime: {at: /uptime, unit: text}         # ns us ms s text timespan; a number without a unit is seconds
//!   draining: /should_shutdown      # a flag, or a word that means draining
//!   resources: /resources           # or by name: {queue: /QueueDepth, latency_seconds: {at: /Latency, unit: ns}}
//!   heartbeat:                      # a last-seen time that ages; here, or of each dependency
//!     at: /spec/renewTime           # a time, an epoch, or seconds ago
//!     fresh_for: [{at: /spec/leaseDurationSeconds, unit: s}, 30s]   # older is a missed beat
//!     every: 10s                    # the next ones are missed so much later each; left out: as `fresh_for`
//!     holder: /spec/holderIdentity  # a change of it is a note
//!     final: {at: /status, is: shutting_down}     # no other will follow: silence is no failure
//!     message: /message             # what the sender is doing, told with a final beat
//!   codes: {429: healthy, 503: body, 500-599: unhealthy}
//!   overall: status                 # status | worst | codes; left out: the worse of all that is known
//!   rules:
//!     - {when: {at: /reload_ok, is: false}, state: degraded, note: runs on its old configuration}
//!   dependencies:
//!     at: /dependencies             # "" is the whole body
//!     shape: map                    # map | array; left out: whichever comes
//!     name: /name                   # left out: the key of a map, `/name` of an item
//!     ignore: [status, time]
//!     value: object                 # object | string | bool; left out: whichever comes
//!     status: {at: /status, words: {working: [up], error: [down], default: unknown}}   # left out: /status
//!     error: [/error, /message]     # read where the entry does not work
//!     last_success: {at: /ok_at, unit: s, never: -1}    # seconds ago, a text duration, or a time
//!     last_failure: /failed_at
//!     last_check: /checked_at       # of whichever it was
//!     success_count: /ok
//!     failure_count: /failed
//!     latency: {at: /took, unit: ns}
//!     required: [database]          # names, or a place of a flag in the entry
//!     failures_only: false
//!     recurse: [/components]        # names joined by `/`
//! ```
//!
//! A word in `words:` is compared whole, ignoring case, `-`, `_` and space; `{contains: phrase}` is looked for in a
//! longer text, whole words only, the longest phrase first. `default:` is what any other word means. Without it the
//! vocabulary in `words` stands behind those of the profile; `only: true` replaces it.

mod code;
mod dependencies;
mod details;
mod expectation;
mod field;
mod heartbeat;
mod json;
mod judge;
mod lines;
mod parser;
mod pointer;
mod reading;
mod reply;
mod spec;
mod time;
mod words;

use crate::health::{Failure, Moment, ProbeResult, Reading};

pub use judge::judge;
pub use reply::ReplyDecode;
pub use spec::Decode;

/// An HTTP response as it came, with the body cut off at the size limit.
#[derive(Debug, Clone)]
pub struct HttpResponse<'a> {
    /// The status code of the response.
    pub code: u16,
    /// Headers with lower-case names; bytes that are not UTF-8 are replaced.
    pub headers: &'a [(String, String)],
    /// The body; empty when none was read.
    pub body: &'a [u8],
    /// The time at which the response was complete.
    pub at: Moment,
    /// The time that the exchange took; it is the tolerance of a start derived from an uptime.
    pub latency: std::time::Duration,
}

/// The result of judging a response.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Pass, warn, fail or unknown.
    pub result: ProbeResult,
    /// The reason for a result that is not good.
    pub failure: Option<Failure>,
    /// All that was read.
    pub reading: Option<Reading>,
}
