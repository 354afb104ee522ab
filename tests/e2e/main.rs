//! The binary as a user runs it: exact output, exit codes, real sockets, a real pseudo-terminal.

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod check;
mod demo;
mod heartbeats;
mod inventory;
mod probing;
mod profiles;
mod readme;
mod watch;
