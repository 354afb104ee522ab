//! Conventions as data: their probes, the decoding of their payloads, and their actions.
//!
//! Pure. A convention of other people's health routes is a YAML file under `profiles/` and never code here; nothing in
//! this folder may name a service or a product.

pub(crate) mod annotated;
mod builtin;
mod captured;
mod definition;
mod expect;
pub(crate) mod extends;
mod host_port;
pub(crate) mod kind;
pub(crate) mod raw;
mod request;
pub(crate) mod setting;
mod signal;
mod target;

pub use builtin::builtin;
pub use captured::Captured;
pub use definition::{Profile, ProfileSource};
pub use expect::{Expect, StatusRange};
pub use host_port::HostPort;
pub(crate) use request::{Auth, Connection, Proxy, Secret};
pub use signal::{Signal, SignalAfterReply};
pub(crate) use target::mask_password;
pub use target::{BadAddress, Target, check_path};

mod decode;
pub use decode::{Decode, HttpResponse, Judgement, ReplyDecode, judge};
