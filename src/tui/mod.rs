//! The dashboard: `App` and `update(Message) -> Vec<Effect>`, one keymap table, views that are functions of `&App`.
//!
//! Views change nothing. `update` awaits nothing and reads no clock: the loop around it carries out each [`Effect`], and
//! what comes of it returns as a [`Message`].

mod app;
mod dialog;
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
pub(crate) use list::ServiceList;
pub(crate) use message::{Effect, Message, Permission, Ticket};
pub(crate) use view::draw;
