//! A raw reply as `curl -i` saves it: status line, headers, empty line, body.

use std::time::Duration;

use healthctl::health::Moment;
use healthctl::profile::{Captured, Decode, Expect, Judgement, StatusRange, judge};

/// One HTTP reply.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Takes a capture apart.
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let captured = Captured::parse(raw);
        Self {
            code: captured
                .code
                .expect("a capture begins with its status line"),
            headers: captured.headers,
            body: captured.body,
        }
    }

    /// Judges it as of 2026-11-22T10:00:00Z, a tenth of a second after it was asked for.
    pub(crate) fn judge(&self, decode: Option<&Decode>, expect: &Expect) -> Judgement {
        let answer = healthctl::profile::HttpResponse {
            code: self.code,
            headers: &self.headers,
            body: &self.body,
            at: Moment::at_seconds(0.0),
            latency: Duration::from_millis(100),
        };
        judge(decode, expect, &answer)
    }
}

/// `200` or `200-299`.
pub(crate) fn range(text: &str) -> StatusRange {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    StatusRange {
        first: first.parse().expect("a code"),
        last: last.parse().expect("a code"),
    }
}
