//! The dashboard: `App` + `update(Message) -> Effect`, one keymap table, views that are functions of `&App`.
//!
//! Views change nothing; `update` awaits nothing and reads no clock.
