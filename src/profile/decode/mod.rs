//! How a payload is read: the decode grammar and what it makes of an answer.

use crate::health::{Failure, Moment, ProbeResult, Reading};

use super::Expect;

/// A decode description, parsed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Decode {}

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

/// Judges an answer by its code, the expectations and the payload.
pub fn judge(_decode: Option<&Decode>, expect: &Expect, answer: &Answer<'_>) -> Judgement {
    use crate::health::FailureKind::{Auth, Redirect, Status};
    let (result, failure) = match answer.code {
        code if expect.accepts(code) => (ProbeResult::Pass, None),
        code @ (401 | 403) => (ProbeResult::Unknown, Some((Auth, code))),
        code @ 300..=399 => (ProbeResult::Fail, Some((Redirect, code))),
        code => (ProbeResult::Fail, Some((Status, code))),
    };
    Judgement {
        result,
        failure: failure.map(|(kind, code)| Failure::new(kind, format!("status {code}"))),
        reading: None,
    }
}

impl Decode {
    /// Whether a body is needed.
    pub const fn needs_body(&self) -> bool {
        true
    }
}
