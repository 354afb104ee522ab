//! The whole dashboard: messages in, effects out, screens read.

mod account;
mod fleet;
mod screens;
mod second_step;
mod several;
mod updates;
