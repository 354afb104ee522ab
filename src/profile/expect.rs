//! Expectations of a response.

use std::fmt;

use serde_json::Value;

/// A range of status codes from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The lowest code, 100 to 999.
    pub first: u16,
    /// The highest code, not below `first`.
    pub last: u16,
}

impl StatusRange {
    /// The default range: 200–299.
    pub const SUCCESS: Self = Self {
        first: 200,
        last: 299,
    };

    /// Returns whether the code is in the range.
    pub const fn contains(self, code: u16) -> bool {
        self.first <= code && code <= self.last
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.last > self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// The expectations of a probe, all of which must be met.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expect {
    /// The accepted codes. When empty: 200–299, or those of the profile's `codes`.
    pub status: Vec<StatusRange>,
    /// Texts that the body must contain.
    pub body_contains: Vec<String>,
    /// RFC 6901 pointers into a JSON body, each with the value that must be there.
    pub json: Vec<(String, Value)>,
    /// Headers (with lower-case names), each with its value.
    pub headers: Vec<(String, String)>,
}

impl Expect {
    /// Returns whether the code is accepted by this expectation alone.
    pub fn accepts(&self, code: u16) -> bool {
        if self.status.is_empty() {
            StatusRange::SUCCESS.contains(code)
        } else {
            self.status.iter().any(|range| range.contains(code))
        }
    }

    /// Returns whether a body is needed to check the expectations.
    pub fn needs_body(&self) -> bool {
        !self.body_contains.is_empty() || !self.json.is_empty()
    }
}
