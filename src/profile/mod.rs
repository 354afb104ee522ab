//! A convention as data: what to ask, how a payload is read, which actions exist.
//!
//! Pure. A convention of other people's health routes is a YAML file under `profiles/`, never code
//! here; nothing in this folder may name a service or a product.

mod expect;

pub use expect::{Expect, StatusRange};

mod decode;
pub use decode::{Answer, Decode, Judgement, judge};
