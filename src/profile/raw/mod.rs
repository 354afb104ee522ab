//! Probes and actions as written, each value with its place: what profiles and inventories have in common.
//!
//! A value that was not written is `None`; the inventory merges what several levels say. Each value is checked where it
//! is read. What can only be judged after the merge (a body expected of HEAD) is judged there.

pub(crate) mod action;
pub(crate) mod command;
pub(crate) mod expect;
pub(crate) mod options;
pub(crate) mod probe;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod secret;
