//! What an answer has to be.

use serde_json::Value;

/// Status codes from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The lowest code, 100 to 999.
    pub first: u16,
    /// The highest code, not below `first`.
    pub last: u16,
}

impl StatusRange {
    /// 200–299, what is good unless something else is said.
    pub const SUCCESS: Self = Self {
        first: 200,
        last: 299,
    };

    /// Whether the code is in the range.
    pub const fn contains(self, code: u16) -> bool {
        self.first <= code && code <= self.last
    }
}

/// Expectations of a probe: all of them have to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// Accepted codes. Empty: 200–299, or what the profile's `codes` say.
    pub status: Vec<StatusRange>,
    /// Text that the body has to contain.
    pub body_contains: Vec<String>,
    /// RFC 6901 pointers into a JSON body, each with the value that has to stand there.
    pub json: Vec<(String, Value)>,
    /// Headers (lower-case name) with the value they have to carry.
    pub headers: Vec<(String, String)>,
}

impl Expect {
    /// Whether the code is accepted by this expectation alone.
    pub fn accepts(&self, code: u16) -> bool {
        if self.status.is_empty() {
            StatusRange::SUCCESS.contains(code)
        } else {
            self.status.iter().any(|range| range.contains(code))
        }
    }

    /// Whether a body is needed to judge it.
    pub fn needs_body(&self) -> bool {
        !self.body_contains.is_empty() || !self.json.is_empty()
    }
}
