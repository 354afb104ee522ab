//! The dashboard: `App` + `update(Message) -> Effect`s, one keymap table, views that are functions of `&App`.
//!
//! Views change nothing; `update` awaits nothing and reads no clock. What the dashboard wants done it says as
//! [`Effect`]; what comes of it returns as [`Message`].

mod app;
mod dialog;
mod figures;
mod filter;
mod keymap;
mod list;
mod log;
mod message;
mod progress;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;

pub(crate) use app::{App, Setup};
pub(crate) use message::{Effect, Message, Ticket};
pub(crate) use view::draw;
