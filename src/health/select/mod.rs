//! Which services a command is about: names, globs, groups, labels, states, flags.

mod selection;
mod selector;

pub use selection::{Candidate, Selection};
pub use selector::{SelectError, Selector};
