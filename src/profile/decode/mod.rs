//! How a payload is read: the decode grammar and what it makes of an answer. All of it is data of a profile; no
//! product is known here.
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
//! longer text, whole words only, the longest phrase first. `default:` is what any other word means. Where a profile
//! has no words, the vocabulary in `words.rs` holds.

mod code;
mod dependencies;
mod details;
mod expectation;
mod heartbeat;
mod json;
mod judge;
mod lines;
mod parse;
mod place;
mod pointer;
mod reading;
mod reply;
mod resources;
mod rule;
mod time;
mod unit;
mod words;

use crate::health::{Failure, Moment, ProbeResult, Reading, State};

use code::Codes;
use dependencies::Table;
use heartbeat::Pulse;
use lines::Lines;
use place::{Place, Places};
use resources::Resources;
use rule::Rule;
use words::Words;

pub use judge::judge;
pub use reply::ReplyDecode;

/// A decode description, parsed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Decode {
    format: Format,
    lines: Option<Lines>,
    words: Option<Words<State>>,
    status: Vec<(Place, Option<Words<State>>)>,
    version: Places,
    service: Places,
    instance: Places,
    message: Places,
    started: Places,
    uptime: Places,
    draining: Vec<(Place, Option<Words<State>>)>,
    resources: Resources,
    heartbeat: Option<Pulse>,
    codes: Codes,
    overall: Overall,
    rules: Vec<Rule>,
    dependencies: Option<Table>,
}

/// `format:` what the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// A JSON text.
    Json,
    /// The body is the word.
    Text,
    /// One thing a line.
    Lines,
    /// Nothing is read of the body.
    None,
}

/// `overall:` what the state follows from. A rule that matches and a code that `codes:` gives a state count always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overall {
    /// The worse of all that is known.
    All,
    /// The status word.
    Status,
    /// The worst dependency.
    Worst,
    /// The status code.
    Codes,
}

impl Decode {
    /// Whether it can be judged only with a body.
    pub fn needs_body(&self) -> bool {
        self.format != Format::None
    }

    /// Whether all it reads is what one service keeps about others, signs of life and no word of its own: then nothing
    /// of it tells where those others are.
    pub fn is_of_others(&self) -> bool {
        let listed = self.dependencies.as_ref();
        let beats = self.heartbeat.is_some() || listed.is_some_and(|it| it.heartbeat.is_some());
        beats && self.status.is_empty()
    }
}

/// An HTTP answer as it came, body cut off at the cap.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The status code.
    pub code: u16,
    /// Lower-case names, values as text (bytes that are no UTF-8 replaced).
    pub headers: &'a [(String, String)],
    /// The body; empty where none was read.
    pub body: &'a [u8],
    /// When it was complete.
    pub at: Moment,
    /// How long the exchange took: the tolerance of a start derived from an uptime.
    pub latency: std::time::Duration,
}

/// What an answer amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Pass, warn, fail or unknown.
    pub result: ProbeResult,
    /// Why it is none of the good ones.
    pub failure: Option<Failure>,
    /// What was read.
    pub reading: Option<Reading>,
}
