//! The whole dashboard: messages in, effects out, screens read.

mod fleet;
mod screens;
mod updates;
